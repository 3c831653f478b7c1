"""What is not done twice: prompts read, devices looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.hooks import group_offloading
from diffusers.models import modeling_utils

from engine import Engine, Txt2Img
from engine.diffusion.embeddings import EncoderCache
from tests.engine.conftest import gain_from_rows


def grid(prompt: str, **changes: Any) -> Txt2Img:
    facts = {"prompt": prompt, "seed": 7, "num_inference_steps": 2, "guidance_scale": 5.0, "width": 64, "height": 64}
    return Txt2Img(num_images=4, **facts | changes)


@pytest.mark.parametrize(("family", "encoders"), [("sd1", 1), ("sdxl", 2), ("sd3", 3), ("flux", 2)])
@pytest.mark.parametrize("joined", [False, True])
async def test_a_prompt_is_read_once_however_many_pictures(
    folders: dict[str, Path], family: str, encoders: int, joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wanted and unwanted words, by each of the model's text encoders."""
    if joined:
        gain_from_rows(monkeypatch, 8)
    async with Engine(str(folders[family])) as engine:
        await engine.submit(grid("a red boat", negative_prompt="the moon" if family != "flux" else "")).result()
        encoded = (await engine.inspect()).forwards["encode"]
    assert encoded.count == encoders * (1 if family == "flux" else 2)
    assert encoded.most_joined == (4 if joined else 1)


async def test_pictures_do_not_look_through_the_modules_for_their_device(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Diffusers walks all modules for each look; the first picture of a model may, those after it need not."""
    looks: list[str] = []
    for place, name in ((group_offloading, "_get_group_onload_device"), (modeling_utils, "get_parameter_device")):
        monkeypatch.setattr(place, name, _noted(getattr(place, name), looks))
    async with Engine(str(folders["sd1"])) as engine:
        first = await engine.submit(grid("a red boat")).result()
        looks.clear()
        again = await engine.submit(grid("a red boat")).result()
    assert [image.tobytes() for image in again] == [image.tobytes() for image in first]
    assert looks == []


def _noted(look: Any, looks: list[str]) -> Any:
    def noted(*args: Any) -> Any:
        looks.append(look.__name__)
        return look(*args)

    return noted


def test_the_cache_of_prompts_knows_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put in again counts once, or everything would be thrown out in the end."""
    from engine.diffusion import embeddings

    monkeypatch.setattr(embeddings, "_cache_key", lambda call: call)
    cache, words = EncoderCache(limit_bytes=10_000), torch.zeros(1000)
    for _ in range(10):
        cache.put("the same", words)  # type: ignore[arg-type]
    cache.put("others", words)  # type: ignore[arg-type]
    assert cache.get("the same") is not None  # type: ignore[arg-type]
