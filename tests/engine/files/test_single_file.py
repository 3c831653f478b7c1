"""A model in one file, in the layout in which models are shared, paints what its folder paints."""

from __future__ import annotations

import shutil
from pathlib import Path

from diffusers import PNDMScheduler

from engine import Engine, Txt2Img
from tests.engine import conftest
from tests.engine.files.original_layout import save_original


async def painted(model: Path, scheduler: str | None = None) -> bytes:
    request = Txt2Img(prompt="a red boat", width=64, height=64, num_inference_steps=3, seed=7, scheduler=scheduler)
    async with Engine(model=model) as engine:
        ticket = engine.submit(request)
        (image,) = await ticket.result()
        return image.tobytes()


async def test_a_single_file_with_its_configs_beside_it_needs_no_network(
    tmp_path: Path, folders: dict[str, Path]
) -> None:
    file = tmp_path / "boats.safetensors"
    save_original(conftest.sd1(), file)
    shutil.copytree(folders["sd1"], tmp_path / "boats", ignore=shutil.ignore_patterns("*.safetensors"))
    assert await painted(file) == await painted(folders["sd1"])


async def test_a_named_scheduler_is_the_named_one(tmp_path: Path, folders: dict[str, Path]) -> None:
    """The configs beside a file name another; asked for Euler, it paints Euler, and "own" is what they name."""
    file, configs, folder = tmp_path / "boats.safetensors", tmp_path / "boats", tmp_path / "folder"
    save_original(conftest.sd1(), file)
    shutil.copytree(folders["sd1"], folder)
    PNDMScheduler.from_config(conftest.SCHEDULER_CONFIG).save_pretrained(folder / "scheduler")
    shutil.copytree(folder, configs, ignore=shutil.ignore_patterns("*.safetensors"))
    euler, pndm = await painted(folder, "euler"), await painted(folder, "pndm")
    assert euler != pndm
    assert await painted(file, "euler") == euler
    assert {await painted(file, name) for name in ("pndm", "own", None)} == {pndm}
