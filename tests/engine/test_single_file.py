"""A model in one file, in the layout in which models are shared, paints what its folder paints."""

from __future__ import annotations

import shutil
from pathlib import Path

from original_layout import save_original

from engine import Engine, Txt2Img
from tests.engine import conftest


async def painted(model: Path) -> bytes:
    async with Engine(model=model) as engine:
        ticket = engine.submit(Txt2Img(prompt="a red boat", width=64, height=64, num_inference_steps=3, seed=7))
        (image,) = await ticket.result()
        return image.tobytes()


async def test_a_single_file_with_its_configs_beside_it_needs_no_network(
    tmp_path: Path, folders: dict[str, Path]
) -> None:
    file = tmp_path / "boats.safetensors"
    save_original(conftest.sd1(), file)
    shutil.copytree(folders["sd1"], tmp_path / "boats", ignore=shutil.ignore_patterns("*.safetensors"))
    assert await painted(file) == await painted(folders["sd1"])
