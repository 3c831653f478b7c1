"""Whatever a model, a file or a mistake of ours does, it costs one job at most; everybody else goes on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from engine import (
    Blend,
    DeviceLost,
    Engine,
    EngineError,
    EngineFault,
    Img2Img,
    Inpaint,
    InvalidSetup,
    ModelUnloadable,
    OutOfMemory,
    Outpaint,
    Preview,
    RenderFailed,
    Txt2Img,
    Upscale,
)
from engine.device import devices
from engine.device.failures import attempt
from engine.diffusion.preview import Previewer, Throttle
from engine.imaging.tiles import Mosaic
from engine.runtime import image_setup
from engine.runtime.job_queue import JobQueue
from engine.tasks import resolve
from tests.engine import zoo
from tests.engine.conftest import sd1

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:diffusers.*")  # of its families' futures with each other

SIZE = {"width": 64, "height": 64}
FACTS = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 3, "guidance_scale": 5.0}
PICTURE = Image.effect_noise((64, 64), 60).convert("RGB")
MASK = Image.new("L", (64, 64))
MASK.paste(255, (16, 8, 48, 40))


def ask(**changes: Any) -> Txt2Img:
    return Txt2Img(**{**FACTS, **SIZE, **changes})


@pytest.fixture(autouse=True)
def _previews_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Throttle, "open", lambda self: True)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return zoo.build(tmp_path_factory.mktemp("zoo"))


def every_task(model: str) -> Iterator[Txt2Img]:
    """All that can be asked of a model."""
    facts = {**FACTS, "model": model}
    yield Txt2Img(**facts, **SIZE)
    yield Img2Img(**facts, **SIZE, init_image=PICTURE, strength=0.6)
    yield Inpaint(**facts, **SIZE, init_image=PICTURE, mask=MASK)
    yield Outpaint(**facts, init_image=PICTURE, left=8)
    yield Upscale(**facts, init_image=PICTURE, mode="creative", strength=0.5)
    yield Blend(**facts, **SIZE, images=(PICTURE, PICTURE.rotate(90)), strength=0.5)


async def end_of(engine: Engine, request: Txt2Img, user: str) -> EngineError | None:
    """How a job ended: the error, or None when it gave its picture."""
    try:
        (image,) = await engine.submit(request, user=user).result()
    except EngineError as error:
        return error
    assert image.mode == "RGB"
    return None


async def test_whatever_a_family_cannot_do_costs_the_job_that_asked_for_it(
    folders: dict[str, Path], strangers: dict[str, Path]
) -> None:
    models = {name: str(folder) for name, folder in strangers.items()}
    async with Engine(str(folders["sd1"]), models=models, mode="fast") as engine:
        expected = (await engine.submit(ask()).result())[0].tobytes()
        requests = [request for name in models for request in every_task(name)]
        neighbour = engine.submit(ask(num_inference_steps=30), user="neighbour")
        ends = await asyncio.gather(*(end_of(engine, each, str(number)) for number, each in enumerate(requests)))
        assert len(await neighbour.result()) == 1
        assert (await engine.submit(ask()).result())[0].tobytes() == expected
    told = {(each.model, each.task): end for each, end in zip(requests, ends, strict=True)}
    assert {model: told[model, "txt2img"] for model in models} == dict.fromkeys(models)
    assert not [end for end in ends if end is not None and (end.retryable or not str(end))]


# ---------------------------------------------------------------- each stage of a painting
def breaks(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, when: Callable[..., bool]) -> None:
    """Let a function fail for some arguments in a way nobody has thought of."""
    works = getattr(owner, name)

    def broken(*args: Any, **kwargs: Any) -> Any:
        if when(*args):
            raise ZeroDivisionError("nobody has thought of this")
        return works(*args, **kwargs)

    monkeypatch.setattr(owner, name, broken)


def of_the_unlucky(request: Txt2Img, *_: Any) -> bool:
    return request.prompt == "unlucky"


STAGES: dict[str, tuple[Any, str, Callable[..., bool]]] = {
    "load": (image_setup, "model_for", of_the_unlucky),
    "begin": (image_setup, "begin", of_the_unlucky),
    "words": (image_setup, "_words", lambda pipe, model, request, *_: request.prompt == "unlucky"),
    "collect": (Mosaic, "add", lambda *_: True),
    "recipe": (resolve, "to_json", of_the_unlucky),
}


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("stage", STAGES)
async def test_a_failure_at_any_stage_is_one_jobs(
    folders: dict[str, Path], stage: str, mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, when = STAGES[stage]
    unlucky = (
        Upscale(prompt="unlucky", init_image=PICTURE, mode="creative", seed=1, num_inference_steps=4)
        if stage == "collect"
        else ask(prompt="unlucky", num_images=2)
    )
    async with Engine(str(folders["sd1"]), mode=mode) as engine:
        breaks(monkeypatch, owner, name, when=when)
        neighbour = engine.submit(ask(num_images=2), user="neighbour")
        with pytest.raises(RenderFailed, match="nobody has thought of this"):
            await engine.submit(unlucky, user="unlucky").result()
        assert len(await neighbour.result()) == 2
        assert {model.images for model in (await engine.inspect()).models} == {0}


async def test_a_preview_that_fails_is_off_for_its_model(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[str] = []
    fit = Previewer.paint

    def paint(self: Any, sample: torch.Tensor, *rest: Any) -> Any:
        tried.append("flux" if sample.dim() == 3 else "sd1")
        return fit(self, torch.empty(0) if tried[-1] == "flux" else sample, *rest)

    monkeypatch.setattr(Previewer, "paint", paint)
    async with Engine(str(folders["sd1"]), models={"flux": str(folders["flux"])}) as engine:
        told: dict[str, list[Any]] = {}
        for model in ("flux", "flux", "sd1"):
            told[model] = [event async for event in engine.submit(ask(model=model))]
    assert [sum(isinstance(event, Preview) for event in told[model]) for model in ("flux", "sd1")] == [0, 2]
    assert tried.count("flux") == 1
    assert caplog.text.count("flux has no previews") == 1


async def test_a_mistake_in_choosing_asks_everybody_to_come_again(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        good = (await engine.submit(ask()).result())[0].tobytes()
        with monkeypatch.context() as patch:
            breaks(patch, JobQueue, "ranked", when=lambda _: True)
            for ticket in [engine.submit(ask(seed=seed), user=str(seed)) for seed in range(3)]:
                with pytest.raises(EngineFault, match="nobody has thought") as told:
                    await ticket.result()
                assert told.value.retryable
        assert (await engine.submit(ask()).result())[0].tobytes() == good


# ---------------------------------------------------------------- files
@pytest.mark.parametrize("part", ["text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors"])
async def test_a_download_that_was_cut_off_is_told(folders: dict[str, Path], tmp_path: Path, part: str) -> None:
    """Of the default model too: another one goes on."""
    shutil.copytree(folders["sd1"], tmp_path / "cut")
    weights = tmp_path / "cut" / part
    weights.write_bytes(weights.read_bytes()[:-1000])
    async with Engine(str(tmp_path / "cut"), models={"sdxl": str(folders["sdxl"])}) as engine:
        for _ in range(2):
            with pytest.raises(ModelUnloadable, match="cut") as told:
                await engine.submit(ask()).result()
            assert not told.value.retryable
        assert len(await engine.submit(ask(model="sdxl")).result()) == 1


# ---------------------------------------------------------------- the engine's own set-up
async def test_a_data_folder_may_be_text(folders: dict[str, Path], tmp_path: Path) -> None:
    async with Engine(str(folders["sd1"]), data_dir=str(tmp_path)) as engine:
        assert len(await engine.submit(ask()).result()) == 1


@pytest.mark.parametrize(
    "setting",
    [{"mode": "quick"}, {"dtype": "float8"}, {"threads": -1}, {"max_rows": 0}, {"memory_mib": -5}],
    ids=str,
)
def test_a_setting_that_cannot_be_is_named(setting: dict[str, Any]) -> None:
    (name,) = setting
    with pytest.raises(InvalidSetup, match=name):
        Engine("mini", **setting)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
async def test_a_device_that_is_not_there_is_told_as_itself(folders: dict[str, Path], device: str) -> None:
    async with Engine(str(folders["sd1"]), device=device) as engine:
        with pytest.raises(InvalidSetup, match=device) as told:
            await engine.submit(ask()).result()
        assert told.value.retryable, "whoever runs it mends the setting, and nobody loses a job"
        with pytest.raises(InvalidSetup, match=device):
            engine.submit(ask())
        assert device in engine.status().facts["lost"]


# ---------------------------------------------------------------- whose failure
@pytest.mark.parametrize(
    ("error", "device_is_gone", "memory_is_full"),
    [
        (torch.AcceleratorError("CUDA error: unspecified launch failure"), True, False),
        (RuntimeError("CUDA error: device-side assert triggered"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), False, True),
        (torch.OutOfMemoryError("CUDA out of memory."), False, True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), False, True),
        (RuntimeError("The size of tensor a (9) must match the size of tensor b (4)"), False, False),
        (ValueError("`prompt` has to be of type `str` but is 'CUDA error: boo'"), False, False),
        (OSError("no file named CUDA error: out of memory.safetensors"), False, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_only_the_devices_own_errors_are_nobodys(error: Exception, device_is_gone: bool, memory_is_full: bool) -> None:
    def fail() -> None:
        raise error

    assert devices.is_out_of_memory(error) is memory_is_full
    if device_is_gone:
        with pytest.raises(type(error)):
            attempt(fail)
    else:
        assert attempt(fail) is error


async def test_a_question_asked_of_a_lost_device_is_answered(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    async with Engine("mini", models={"sd1": str(folders["sd1"])}) as engine:
        monkeypatch.setattr("engine.vision.vision_models.VisionModels.describe", gone)
        asked = [asyncio.create_task(engine.describe(PICTURE)) for _ in range(2)]
        for question in asked:
            with pytest.raises(DeviceLost):
                await question


async def test_an_autoencoder_that_finds_no_room_for_a_picture_says_so(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its encoding is no call that could be made smaller."""
    vae = type(sd1().vae)

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("GPU 0 has a total capacity of 23.6 GiB. Process 1234 has 9 GiB")

    async with Engine(str(folders["sd1"])) as engine:
        await engine.submit(ask()).result()
        monkeypatch.setattr(vae, "encode", full)
        with pytest.raises(OutOfMemory, match="smaller"):
            await engine.submit(Img2Img(**FACTS, **SIZE, init_image=PICTURE, strength=0.6)).result()
