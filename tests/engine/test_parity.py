"""The engine paints what diffusers' own pipelines paint."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from engine import Engine, Img2Img, Inpaint, Txt2Img
from engine.api import schedulers
from engine.tasks import canvas
from tests.engine.conftest import gain_from_rows

SIZE = {"width": 64, "height": 64}
RED = Image.new("RGB", (64, 64), "red")
MASK = Image.new("L", (64, 64))
MASK.paste(255, (16, 8, 48, 40))
ROUNDING = 1e-5  # of decoded values, which span about -1..1: several row counts in fp32 differ by no more

SD_CONFIG = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "steps_offset": 1,
    "skip_prk_steps": True,
}
# Every noise scheduler as diffusers' documentation has one write it, from the model's own config.
REFERENCE: dict[str, Callable[[Any], Any]] = {
    "euler": lambda c: diffusers.EulerDiscreteScheduler.from_config(c),
    "euler_karras": lambda c: diffusers.EulerDiscreteScheduler.from_config(c, use_karras_sigmas=True),
    "euler_trailing": lambda c: diffusers.EulerDiscreteScheduler.from_config(c, timestep_spacing="trailing"),
    "euler_a": lambda c: diffusers.EulerAncestralDiscreteScheduler.from_config(c),
    "dpmpp_2m": lambda c: diffusers.DPMSolverMultistepScheduler.from_config(
        c, algorithm_type="dpmsolver++", solver_order=2
    ),
    "dpmpp_2m_karras": lambda c: diffusers.DPMSolverMultistepScheduler.from_config(
        c, algorithm_type="dpmsolver++", solver_order=2, use_karras_sigmas=True
    ),
    "dpmpp_2m_sde": lambda c: diffusers.DPMSolverMultistepScheduler.from_config(c, algorithm_type="sde-dpmsolver++"),
    "dpmpp_2m_sde_karras": lambda c: diffusers.DPMSolverMultistepScheduler.from_config(
        c, algorithm_type="sde-dpmsolver++", use_karras_sigmas=True
    ),
    "dpmpp_sde": lambda c: diffusers.DPMSolverSinglestepScheduler.from_config(c, final_sigmas_type="sigma_min"),
    "dpmpp_sde_karras": lambda c: diffusers.DPMSolverSinglestepScheduler.from_config(
        c, use_karras_sigmas=True, final_sigmas_type="sigma_min"
    ),
    "ddim": lambda c: diffusers.DDIMScheduler.from_config(c),
    "ddpm": lambda c: diffusers.DDPMScheduler.from_config(c),
    "unipc": lambda c: diffusers.UniPCMultistepScheduler.from_config(c),
    "heun": lambda c: diffusers.HeunDiscreteScheduler.from_config(c),
    "pndm": lambda c: diffusers.PNDMScheduler.from_config(c),
    "lms": lambda c: diffusers.LMSDiscreteScheduler.from_config(c),
    "lcm": lambda c: diffusers.LCMScheduler.from_config(c),
    "deis": lambda c: diffusers.DEISMultistepScheduler.from_config(c),
    "tcd": lambda c: diffusers.TCDScheduler.from_config(c),
}


@pytest.fixture(autouse=True)
def _pictures_keep_their_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have diffusers' last step leave the decoded tensor on the picture it makes of it, in both runs alike."""
    original = VaeImageProcessor.postprocess

    @functools.wraps(original)
    def postprocess(self: Any, image: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        made = original(self, image, *args, **kwargs)
        for picture, decoded in zip(made, image, strict=True):
            picture.decoded = decoded.clone()
        return made

    finish = canvas.finish

    def finished(region: Any, painted: Any) -> Any:
        made = finish(region, painted)
        made.decoded = painted.decoded  # as painted, before it is laid over the picture
        return made

    monkeypatch.setattr(VaeImageProcessor, "postprocess", postprocess)
    monkeypatch.setattr(canvas, "finish", finished)


def difference(one: Image.Image, other: Image.Image) -> float:
    """The largest difference of decoded values, before they are clipped and become 8 bits."""
    a, b = one.decoded, other.decoded  # type: ignore[attr-defined]
    assert a.dtype == b.dtype == torch.float32
    assert a.std() > 0.05, "a flat picture would prove nothing"
    return float((a - b).abs().max())


@functools.cache
def loaded(folder: Path) -> Any:
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def own(folder: Path, request: Txt2Img) -> Image.Image:
    """The same picture from diffusers, with nothing of Easel's."""
    pipe = copy.copy(loaded(folder))
    kind = REFERENCE[request.scheduler](pipe.scheduler.config) if request.scheduler else copy.deepcopy(pipe.scheduler)
    arguments: dict[str, Any] = dict(SIZE)
    if isinstance(request, Img2Img | Inpaint):
        inpaints = isinstance(request, Inpaint)
        auto = diffusers.AutoPipelineForInpainting if inpaints else diffusers.AutoPipelineForImage2Image
        pipe = auto.from_pipe(pipe)
        pipe.set_progress_bar_config(disable=True)
        arguments |= {"image": request.init_image, "strength": request.strength}
        arguments |= {"mask_image": request.mask} if isinstance(request, Inpaint) else {}
        if "width" not in inspect.signature(pipe.__call__).parameters:  # the size of the image
            del arguments["width"], arguments["height"]
    pipe.scheduler = kind
    if request.negative_prompt:
        arguments["negative_prompt"] = request.negative_prompt
    picture: Image.Image = pipe(
        prompt=request.prompt,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(request.seed or 0),
        **arguments,
    ).images[0]
    return picture


def ask(**changes: Any) -> Txt2Img:
    return Txt2Img(
        **{"prompt": "a red boat", "seed": 7, "num_inference_steps": 5, "guidance_scale": 5.0, **SIZE, **changes}
    )


def redraw(**changes: Any) -> Img2Img:
    facts = {"prompt": "a boat", "seed": 3, "num_inference_steps": 6, "guidance_scale": 5.0, "strength": 0.5}
    return Img2Img(**{**facts, **SIZE, "init_image": RED, **changes})


def repaint(**changes: Any) -> Inpaint:
    facts = {"prompt": "a boat", "seed": 4, "num_inference_steps": 6, "guidance_scale": 5.0}
    return Inpaint(**{**facts, **SIZE, "init_image": RED, "mask": MASK, **changes})


def test_every_scheduler_has_a_reference() -> None:
    assert set(REFERENCE) == {s.name for s in schedulers.SCHEDULERS if not s.flow}


@pytest.mark.parametrize("name", REFERENCE)
def test_a_scheduler_says_how_often_it_calls_the_denoiser(name: str) -> None:
    sampler = REFERENCE[name](SD_CONFIG)
    for steps in (1, 2, 7, 20):
        sampler.set_timesteps(steps)
        assert schedulers.resolve(name).calls(steps) == len(sampler.timesteps)


SOLO: dict[str, list[Txt2Img]] = {
    "sd1": [
        *(ask(scheduler=name) for name in REFERENCE),
        ask(guidance_scale=1.0),
        ask(negative_prompt="blue"),
        redraw(),
        redraw(scheduler="dpmpp_2m_karras"),
        repaint(),
        repaint(scheduler="euler_a", strength=0.5),
    ],
    "sdxl": [ask(), ask(negative_prompt="blue", scheduler="dpmpp_2m"), redraw(), repaint()],
    "sd3": [ask(), redraw(), repaint()],
    "flux": [ask(guidance_scale=3.5), redraw(guidance_scale=3.5), repaint(guidance_scale=3.5)],
}


@pytest.mark.parametrize("family", SOLO)
async def test_alone_every_picture_is_diffusers_own_to_the_last_bit(folders: dict[str, Path], family: str) -> None:
    async with Engine(str(folders[family])) as engine:
        for request in SOLO[family]:
            image = (await engine.submit(request).result())[0]
            assert difference(image, own(folders[family], request)) == 0.0, request


MIXED_STEPS = {"euler": 5, "dpmpp_2m": 3, "ddim": 4, "lms": 6, "heun": 3, "pndm": 5, "lcm": 4}
UNET_MIX: list[Txt2Img] = [
    *(ask(scheduler=s, num_inference_steps=n, seed=20 + n, guidance_scale=1.5 + n) for s, n in MIXED_STEPS.items()),
    *(ask(scheduler=s, seed=30) for s in ("euler_a", "dpmpp_2m_karras", "unipc")),
    ask(seed=10, guidance_scale=1.0),
    redraw(),
    redraw(scheduler="dpmpp_2m", strength=0.9),
    repaint(),
    repaint(scheduler="dpmpp_2m", strength=0.6, seed=11),
]
FLOW_MIX: list[Txt2Img] = [
    ask(),
    ask(seed=8, num_inference_steps=3),
    ask(seed=9, guidance_scale=2.0),
    redraw(),
    repaint(),
]
MIXED = {"sd1": UNET_MIX, "sdxl": UNET_MIX, "sd3": FLOW_MIX, "flux": FLOW_MIX}


@pytest.mark.parametrize("family", MIXED)
async def test_schedulers_steps_guidance_and_tasks_share_calls_within_rounding(
    folders: dict[str, Path], family: str
) -> None:
    async with Engine(str(folders[family]), mode="fast") as engine:
        tickets = [engine.submit(request, user=str(i)) for i, request in enumerate(MIXED[family])]
        images = [(await t.result())[0] for t in tickets]
        assert (await engine.inspect()).forwards["denoise"].most_joined > 1, "nothing was joined"
    for request, image in zip(MIXED[family], images, strict=True):
        assert difference(image, own(folders[family], request)) <= ROUNDING, request


@pytest.mark.parametrize("family", ["sd1", "flux"])
async def test_exact_mode_gives_the_same_bytes_in_any_company(
    folders: dict[str, Path], family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, in a crowd, joined late; once with own rows and once with rows padded to a pinned count."""
    request = ask()
    for pinned in (False, True):
        if pinned:
            gain_from_rows(monkeypatch, 4)
        async with Engine(str(folders[family]), data_dir=tmp_path) as engine:
            alone = (await engine.submit(request).result())[0]
            crowd = [engine.submit(ask(seed=seed, num_images=2), user=str(seed)) for seed in (20, 30)]
            await asyncio.sleep(0.01)
            late = (await engine.submit(request, user="late").result())[0]
            for ticket in crowd:
                await ticket.result()
            forwards = (await engine.inspect()).forwards["denoise"]
        assert (forwards.most_joined > 1) is pinned
        assert late.tobytes() == alone.tobytes()


async def test_padded_rows_are_joined_and_split_right(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        reference = await engine.submit(ask(num_images=3)).result()
    gain_from_rows(monkeypatch, 4)
    async with Engine(str(folders["sd1"])) as engine:
        padded = await engine.submit(ask(num_images=3)).result()
        forwards = (await engine.inspect()).forwards["denoise"]
    assert (forwards.most_joined, forwards.rows) == (2, 4 * forwards.count)
    for before, after in zip(reference, padded, strict=True):
        assert difference(before, after) <= ROUNDING


async def test_a_cell_of_a_grid_can_be_made_again_alone(folders: dict[str, Path]) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        grid = await engine.submit(ask(num_images=4)).result()
        cell = (await engine.submit(ask(seed=9)).result())[0]
    assert grid[2].tobytes() == cell.tobytes()
    assert len({image.tobytes() for image in grid}) == 4
