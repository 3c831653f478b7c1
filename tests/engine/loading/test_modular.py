"""Modular pipelines, which is all that FLUX.3 and Anima have: loaded from safetensors, and painted as they paint."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from PIL import Image

from engine import Edit, Engine, ModelUnloadable, Preview, Txt2Img
from engine.models import facts
from tests.engine.loading import modular_models
from tests.engine.loading.modular_models import UPSAMPLER

pytestmark = pytest.mark.filterwarnings("ignore")
# What its blocks themselves begin with: steps, guidance; and whether they take what isn't wanted.
KNOWN = {
    "z-image": ("modular-z-image", 8, 1.0, True),
    "flux3": ("modular-flux3", 50, 3.5, True),
    "flux3-distilled": ("modular-flux3", 16, 1.0, False),
    "anima": ("modular-anima", 50, 4.0, True),
}


@pytest.fixture(scope="module", params=modular_models.BUILDERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modular_models.build(tmp_path_factory.mktemp("modular"), name)


def ask(**changes: Any) -> Txt2Img:
    facts = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 2, "guidance_scale": 4.0}
    return Txt2Img(**{**facts, "width": 64, "height": 64, **changes})


def own(folder: Path, request: Txt2Img, *, without: str = "") -> Image.Image:
    pipe = diffusers.ModularPipeline.from_pretrained(folder)
    if without:
        blocks = pipe.blocks
        blocks.sub_blocks.pop(without)
        pipe = blocks.init_pipeline(folder)
    _, parts = modular_models.BUILDERS[folder.name]
    without_videos = {name: part for name, part in parts().items() if isinstance(part, transformers.ProcessorMixin)}
    pipe.update_components(**without_videos)  # which transformers doesn't load without torchvision
    pipe.load_components(dtype=torch.float32)
    takes = {each.name for each in pipe.blocks.inputs}
    if getattr(pipe, "guider", None) is not None:
        pipe.update_components(guider=diffusers.ClassifierFreeGuidance(guidance_scale=request.guidance_scale))
    generator = torch.Generator().manual_seed(request.seed or 0)
    named = {name: getattr(request, name) for name in ("prompt", "width", "height", "num_inference_steps")}
    unwanted = {"negative_prompt": request.negative_prompt} if request.negative_prompt else {}
    named |= {name: value for name, value in unwanted.items() if name in takes}
    named |= {"image": [*request.images]} if isinstance(request, Edit) else {}
    return pipe(generator=generator, output="images", **named)[0]  # type: ignore[no-any-return]


async def test_it_is_diffusers_own(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Engine(str(folder), mode="fast") as engine:
        (info,) = engine.models()
        assert (info.family, info.num_inference_steps, info.guidance_scale, info.negative_prompts) == KNOWN[name]
        assert info.tasks == {"txt2img", *(("edit",) if "flux3" in name else ())}
        events = [event async for event in engine.submit(ask(num_inference_steps=10))]
        requests = [ask(), ask(guidance_scale=1.0, seed=8, negative_prompt="a dog")]
        tickets = [engine.submit(request, user=str(i)) for i, request in enumerate(requests)]
        images = [(await ticket.result())[0] for ticket in tickets]
    assert [event for event in events if isinstance(event, Preview)]
    for request, image in zip(requests, images, strict=True):
        assert len(image.getcolors(1 << 16) or ()) > 10, "a flat picture would prove nothing"
        assert image.tobytes() == own(folder, request).convert("RGB").tobytes()


async def test_a_prompt_is_read_as_it_is_where_nothing_writes_it_anew(name: str, folder: Path, tmp_path: Path) -> None:
    """FLUX.3's model for that is optional, and as large as the rest of it."""
    if "flux3" not in name:
        pytest.skip("it has no such part")
    small = tmp_path / folder.name
    shutil.copytree(folder, small, ignore=shutil.ignore_patterns(f"{UPSAMPLER}*"))
    async with Engine(str(small)) as engine:
        image = (await engine.submit(ask()).result())[0]
    assert image.tobytes() == own(folder, ask(), without=UPSAMPLER).convert("RGB").tobytes()


@pytest.mark.parametrize("count", [1, 2])
async def test_an_edit_is_diffusers_own(name: str, folder: Path, count: int) -> None:
    if "flux3" not in name:
        pytest.skip("it changes no pictures")
    pictures = [Image.linear_gradient("L").resize((64, 64)).convert("RGB").rotate(90 * turns) for turns in range(count)]
    request = Edit(prompt="a red boat", images=pictures, width=64, height=64, seed=7, num_inference_steps=2)
    async with Engine(str(folder)) as engine:
        image = (await engine.submit(request).result())[0]
        request = replace(request, guidance_scale=engine.models()[0].guidance_scale)
    assert image.tobytes() == own(folder, request).convert("RGB").tobytes()


async def test_what_is_missing_or_a_pickle_is_told(name: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "pickled")
    (tmp_path / "pickled" / "transformer" / "diffusion_pytorch_model.bin").touch()
    shutil.copytree(folder, tmp_path / "part", ignore=shutil.ignore_patterns("text_encoder"))
    index = json.loads((tmp_path / "part" / facts.MODULAR).read_text())
    index["text_encoder"][2]["pretrained_model_name_or_path"] = "somebody/reader"
    (tmp_path / "part" / facts.MODULAR).write_text(json.dumps(index))
    for broken, says in (("pickled", "is a pickle"), ("part", "text_encoder is missing.*of 'somebody/reader'; put it")):
        async with Engine(str(tmp_path / broken)) as engine:
            with pytest.raises(ModelUnloadable, match=says):
                await engine.submit(ask()).result()
