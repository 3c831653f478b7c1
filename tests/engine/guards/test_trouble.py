"""What cannot be loaded or has broken: files of every kind, memory that runs short, a device that is lost."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import LatentConsistencyModelPipeline, LCMScheduler
from safetensors.torch import load_file, save_file

from engine import DeviceLost, Engine, Failed, ModelUnloadable, Txt2Img
from engine.api.errors import EngineFault
from tests.engine.conftest import before_unet, sd1, unet


def ask(**changes: Any) -> Txt2Img:
    facts = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 2, "guidance_scale": 5.0}
    return Txt2Img(**{**facts, "width": 64, "height": 64, **changes})


async def test_a_folder_of_pickles_is_refused_with_a_sentence(folders: dict[str, Path], tmp_path: Path) -> None:
    """One part without safetensors is enough."""
    folder = tmp_path / "pickled"
    shutil.copytree(folders["sd1"], folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    async with Engine(str(folder)) as engine:
        with pytest.raises(ModelUnloadable, match="safetensors") as refused:
            await engine.submit(ask()).result()
        assert not refused.value.retryable
        assert engine.status().loaded == ()


def test_a_single_file_that_is_no_model_is_refused_with_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"this is no safetensors file")
    with pytest.raises(ModelUnloadable, match="not a safetensors file"):
        Engine(str(broken))
    strange = tmp_path / "strange.safetensors"
    save_file({"nothing.known": torch.zeros(2)}, strange)
    with pytest.raises(ModelUnloadable, match="strange"):
        Engine(str(strange))


@pytest.fixture
def latent_consistency(tmp_path: Path) -> Path:
    """A pipeline whose denoiser reads its guidance, from the same tiny parts."""
    known = sd1()
    odd = LatentConsistencyModelPipeline(
        vae=known.vae,
        text_encoder=known.text_encoder,
        tokenizer=known.tokenizer,
        unet=unet(time_cond_proj_dim=16),
        scheduler=LCMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    odd.save_pretrained(tmp_path / "odd")
    return tmp_path / "odd"


async def test_a_pipeline_that_is_not_proven_to_join_runs_and_is_never_joined(
    latent_consistency: Path,
) -> None:
    async with Engine(str(latent_consistency), mode="fast") as engine:
        assert engine.models()[0].family == "lcm"
        first = await engine.submit(ask()).result()
        crowd = [engine.submit(ask(seed=seed), user=str(seed)) for seed in (7, 8)]
        images = [(await ticket.result())[0] for ticket in crowd]
        forwards = (await engine.inspect()).forwards
    assert forwards["denoise"].count == 3 * 2
    assert max(each.most_joined for each in forwards.values()) == 1
    assert images[0].tobytes() == first[0].tobytes() != images[1].tobytes()


async def test_a_small_budget_keeps_one_model_at_a_time(folders: dict[str, Path]) -> None:
    """Both do not fit; the idle one has to leave, and comes back painting the same."""
    larger = max(sum(file.stat().st_size for file in folders[name].rglob("*.safetensors")) for name in ("sd1", "sdxl"))
    models = {"sdxl": str(folders["sdxl"])}
    async with Engine(str(folders["sd1"]), models=models) as roomy:
        expected = [(await roomy.submit(ask(model=m)).result())[0].tobytes() for m in ("sd1", "sdxl", "sd1")]
        assert set(roomy.status().loaded) == {"sd1", "sdxl"}
    async with Engine(str(folders["sd1"]), models=models, memory_mib=larger * 1.1 / 2**20) as tight:
        for model, picture in zip(("sd1", "sdxl", "sd1"), expected, strict=True):
            image = (await tight.submit(ask(model=model)).result())[0]
            assert image.tobytes() == picture
            assert tight.status().loaded == (model,)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: an illegal memory access was encountered"), torch.AcceleratorError("gone")]
)
async def test_a_lost_device_fails_everything_retryably(
    folders: dict[str, Path], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        await engine.submit(ask()).result()

        def fail(sample: torch.Tensor) -> None:
            raise error

        before_unet(monkeypatch, fail)
        tickets = [engine.submit(ask(seed=seed), user=str(seed)) for seed in (1, 2, 3)]
        for ticket in tickets:
            last = [event async for event in ticket][-1]
            assert isinstance(last, Failed)
            assert isinstance(last.error, DeviceLost)
            assert last.error.retryable
        with pytest.raises(DeviceLost):
            engine.submit(ask())
        with pytest.raises(DeviceLost):
            await engine.inspect()


def test_loading_and_painting_say_nothing_on_the_terminal() -> None:
    """Libraries' advice and progress bars are not for people who asked for a picture."""
    code = """
import asyncio
from engine import Engine, Txt2Img
async def main():
    async with Engine("mini") as engine:
        await engine.submit(Txt2Img(prompt="a boat", seed=1, num_inference_steps=1, width=64, height=64)).result()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_an_engine_whose_thread_is_dead_says_so(folders: dict[str, Path]) -> None:
    engine = Engine(str(folders["sd1"]))
    await engine.start()
    thread = engine._thread
    assert thread is not None
    engine._commands.put(lambda _: sys.exit())  # no `except Exception` catches that
    await asyncio.to_thread(thread.join, 60)
    assert "its thread has ended" in engine.status().facts["lost"]
    with pytest.raises(EngineFault, match="its thread has ended"):
        engine.submit(ask())
    await engine.close()
