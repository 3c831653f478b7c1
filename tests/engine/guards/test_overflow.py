"""A picture of what are no numbers is never delivered: it would be black, and look finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file, save_file

from engine import Engine, ImageReady, Img2Img, RenderFailed, Txt2Img, Upscale
from tests.engine import zoo
from tests.engine.editing.test_superres import swin2sr

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:diffusers.*")
SIZE = {"width": 64, "height": 64}
FACTS = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 2, "guidance_scale": 5.0, **SIZE}
RED = Image.new("RGB", (64, 64), "red")


def spoil(folder: Path) -> None:
    """Make a number of every large tensor in a folder infinite, as an overflow in training or merging does."""
    for file in folder.glob("*.safetensors"):
        tensors = load_file(file)
        for tensor in tensors.values():
            if tensor.dim() > 1:
                tensor.view(-1)[0] = torch.inf
        save_file(tensors, file, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def spoiled(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A pipeline of every family, with a part that overflows."""
    root = tmp_path_factory.mktemp("spoiled")
    made = zoo.build(root)
    for name in ("sd1", "sdxl", "sd3", "flux"):
        made[name] = Path(shutil.copytree(folders[name], root / name))
    for name, folder in made.items():
        spoil(folder / {"sd1": "vae", "kandinsky3": "movq"}.get(name, "unet" if name == "sdxl" else "transformer"))
    return {name: str(folder) for name, folder in made.items()}


async def test_no_family_delivers_it(folders: dict[str, Path], spoiled: dict[str, str]) -> None:
    async with Engine(str(folders["sd1"]), models={f"bad-{name}": place for name, place in spoiled.items()}) as engine:
        for name in spoiled:
            ticket = engine.submit(Txt2Img(**FACTS, model=f"bad-{name}"))
            assert not [event async for event in ticket if isinstance(event, ImageReady)], name
            with pytest.raises(RenderFailed, match="numbers overflowed") as told:
                await ticket.result()
            assert not told.value.retryable
        assert len(await engine.submit(Txt2Img(**FACTS)).result()) == 1


async def test_nor_does_an_upscaler(folders: dict[str, Path], tmp_path: Path) -> None:
    upscaler = swin2sr(tmp_path / "swin", 2)
    spoil(tmp_path / "swin")
    async with Engine(str(folders["sd1"]), upscaler=upscaler) as engine:
        with pytest.raises(RenderFailed, match="numbers overflowed"):
            await engine.submit(Upscale(init_image=RED)).result()


@pytest.fixture
def overflowing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.dtype]]:
    """An autoencoder whose numbers are too large for half precision, and the dtype of each of its calls."""
    seen: list[torch.dtype] = []
    for name in ("_decode", "_encode"):
        own = getattr(AutoencoderKL, name)

        def run(self: Any, given: torch.Tensor, *args: Any, own: Any = own, **kwargs: Any) -> Any:
            seen.append(given.dtype)
            output = own(self, given, *args, **kwargs)
            if given.dtype != torch.float32:
                (output if isinstance(output, torch.Tensor) else output.sample).fill_(torch.nan)
            return output

        monkeypatch.setattr(AutoencoderKL, name, run)
    return seen


async def test_an_autoencoder_gets_one_more_try_in_float32(
    folders: dict[str, Path], overflowing: list[torch.dtype]
) -> None:
    half, whole = torch.bfloat16, torch.float32
    facts = {**FACTS, "num_inference_steps": 1}  # and no preview, which is decoded too
    requests = (Txt2Img(**facts), Img2Img(**facts, init_image=RED, strength=0.6))
    async with Engine(str(folders["sd1"]), dtype="float32") as engine:
        expected = [(await engine.submit(request).result())[0] for request in requests]
    overflowing.clear()
    async with Engine(str(folders["sd1"]), dtype="bfloat16") as engine:
        painted = [(await engine.submit(request).result())[0] for request in requests]
        assert overflowing == [half, whole] * 3, "decode, then encode and decode; in half precision again each time"
    for one, other in zip(expected, painted, strict=True):
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).mean() < 5
