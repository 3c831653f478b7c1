"""The rest of diffusers' text-to-image table: each paints what its own pipeline paints, two jobs at once too."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine, ModelUnloadable, Preview, Txt2Img
from tests.engine import menagerie, zoo
from tests.engine.table import rarer
from tests.engine.test_joining import ask, own

SLOW = ("deepfloyd", "ideogram4", "kandinsky", "hunyuan-pag")  # as all others together
JOINED = ("sd-controlnet", "qwenimage-controlnet", "z-image-controlnet", "z-image-controlnet-inpaint")
BUILDERS = {**menagerie.BUILDERS, **rarer.BUILDERS}
NAMES = tuple(name for name in BUILDERS if name not in (*SLOW, *JOINED) and not name.startswith("helios"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("menagerie")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in NAMES:
            torch.manual_seed(0)
            BUILDERS[name]().save_pretrained(root / name)
    return {name: root / name for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
async def test_it_is_diffusers_own_alone_and_beside_another_job(models: dict[str, Path], name: str) -> None:
    async with Engine(str(models[name]), mode="fast") as engine:
        (info,) = engine.models()
        side = max(64, info.multiple_px)
        facts = {"negative_prompt": "a dog" if info.negative_prompts else "", "width": side, "height": side}
        requests = [
            ask(num_inference_steps=2, **facts),
            ask(num_inference_steps=3, seed=8, prompt="a blue moon", **facts),
        ]
        alone = [(await engine.submit(request).result())[0] for request in requests]
        tickets = [engine.submit(request, user=str(i)) for i, request in enumerate(requests)]
        together = [(await ticket.result())[0] for ticket in tickets]
        denoised = (await engine.inspect()).forwards["denoise"]
    assert denoised.most_joined <= 1
    for request, *images in zip(requests, alone, together, strict=True):
        expected = own(models[name], request)
        assert np.asarray(expected).std() > 1, "a flat picture would prove nothing"
        for image in images:
            assert same(image, expected), (request, image.size, expected.size)


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.tobytes() == other.convert("RGB").tobytes()


@pytest.fixture(scope="module")
def modular_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Z-Image as blocks, saved in one place and moved to another, as a download is."""
    root = tmp_path_factory.mktemp("modular")
    torch.manual_seed(0)
    pipe = diffusers.ZImageAutoBlocks().init_pipeline()
    pipe.update_components(**zoo.z_image().components)
    pipe.save_pretrained(str(root / "saved"), overwrite_modular_index=True)
    return (root / "saved").rename(root / "moved")


@pytest.mark.filterwarnings("ignore")
async def test_a_modular_pipeline_is_diffusers_own(modular_folder: Path) -> None:
    async with Engine(str(modular_folder), mode="fast") as engine:
        (info,) = engine.models()
        assert (info.family, info.guided_by, info.tasks) == ("modular-z-image", "guider", frozenset({"txt2img"}))
        events = [event async for event in engine.submit(ask(num_inference_steps=10))]
        requests = [ask(), ask(guidance_scale=1.0, seed=8, negative_prompt="a dog")]
        tickets = [engine.submit(request, user=str(i)) for i, request in enumerate(requests)]
        images = [(await ticket.result())[0] for ticket in tickets]
    assert [event for event in events if isinstance(event, Preview)]
    for request, image in zip(requests, images, strict=True):
        assert same(image, own_modular(modular_folder, request))


def own_modular(folder: Path, request: Txt2Img) -> Image.Image:
    pipe = diffusers.ModularPipeline.from_pretrained(folder)
    pipe.load_components(dtype=torch.float32)
    pipe.update_components(guider=diffusers.ClassifierFreeGuidance(guidance_scale=request.guidance_scale))
    generator = torch.Generator().manual_seed(request.seed or 0)
    named = {name: getattr(request, name) for name in ("prompt", "width", "height", "num_inference_steps")}
    unwanted = {"negative_prompt": request.negative_prompt} if request.negative_prompt else {}
    return pipe(generator=generator, output="images", **named, **unwanted)[0]  # type: ignore[no-any-return]


async def test_a_modular_folder_with_a_pickle_is_refused(modular_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(modular_folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "transformer" / "diffusion_pytorch_model.bin").touch()
    async with Engine(str(tmp_path / "pickled")) as engine:
        with pytest.raises(ModelUnloadable, match="pickle"):
            await engine.submit(ask()).result()
