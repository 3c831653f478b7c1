"""Upscaling: faithful is Lanczos, creative is img2img in tiles that share their calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine import Engine, Finished, ImageReady, InvalidRequest, Started, Upscale
from engine.diffusion import noise
from engine.fake import FakeEngine
from engine.imaging import tiles as upscale_tiles


def picture(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


async def test_faithful_is_lanczos_and_says_so(folders: dict[str, Path]) -> None:
    image = picture((33, 20))
    async with Engine(str(folders["sd1"])) as engine:
        events = [event async for event in engine.submit(Upscale(init_image=image, scale=4))]
    (ready,) = (event for event in events if isinstance(event, ImageReady))
    assert ready.image.tobytes() == image.resize((132, 80), Image.Resampling.LANCZOS).tobytes()
    assert ready.recipe.request["resampling"] == "lanczos"
    assert [type(event) for event in events if isinstance(event, Started | Finished)] == [Started, Finished]


async def test_creative_paints_tiles_that_share_calls(folders: dict[str, Path]) -> None:
    request = Upscale(
        init_image=picture((70, 45)), mode="creative", prompt="a boat", seed=1, num_inference_steps=8, strength=0.5
    )
    async with Engine(str(folders["sd1"])) as engine:
        (alone,) = await engine.submit(request).result()
        (again,) = await engine.submit(request).result()
    async with Engine(str(folders["sd1"]), mode="fast") as engine:
        await engine.submit(Upscale(init_image=picture((8, 8)))).result()
        (together,) = await engine.submit(request).result()
        assert (await engine.inspect()).forwards["denoise"].most_rows >= 4
    assert alone.size == (140, 90)
    assert alone.tobytes() == again.tobytes()
    assert np.abs(np.asarray(alone).astype(int) - np.asarray(together)).max() <= 2


@pytest.mark.parametrize("size", [(33, 20), (200, 150), (64, 128)])
async def test_the_fake_upscales_any_size(size: tuple[int, int]) -> None:
    for mode in ("faithful", "creative"):
        async with FakeEngine() as engine:
            (result,) = await engine.submit(Upscale(init_image=picture(size), mode=mode, seed=1)).result()  # type: ignore
        assert result.size == (size[0] * 2, size[1] * 2)


@pytest.mark.parametrize("size", [(500, 300), (64, 64), (65, 200), (1024, 1024)])
def test_tiles_of_one_picture_join_to_that_picture(size: tuple[int, int]) -> None:
    image = picture(size)
    boxes = upscale_tiles.tiles(size, (64, 64), 8)
    mosaic = upscale_tiles.Mosaic(size, boxes)
    (whole,) = filter(None, [mosaic.add(part, image.crop(box)) for part, box in reversed([*enumerate(boxes)])])
    assert np.abs(np.asarray(whole).astype(int) - np.asarray(image)).max() <= 1


def test_tiles_lie_on_the_latent_grid() -> None:
    for size in ((500, 301), (64, 64), (65, 200)):
        boxes = upscale_tiles.tiles(size, (64, 64), 8)
        assert all(left % 8 == top % 8 == 0 for left, top, _, _ in boxes)
        assert max(right for _, _, right, _ in boxes) == size[0]
        assert max(bottom for _, _, _, bottom in boxes) == size[1]


async def test_tiles_start_from_one_field_of_noise(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What two tiles share of the picture, they share of the noise, in every draw of every step."""
    drawn: dict[tuple[int, int], list[torch.Tensor]] = {}
    draw = noise.Cropped.__torch_function__

    def noted(self: noise.Cropped, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = draw(self, func, types, args, kwargs)
        if func is torch.randn:
            drawn.setdefault((self._place.left, self._place.top), []).append(result)
        return result

    monkeypatch.setattr(noise.Cropped, "__torch_function__", noted)
    request = Upscale(init_image=picture((60, 32)), mode="creative", num_inference_steps=4, scheduler="euler_a", seed=1)
    async with Engine(str(folders["sd1"])) as engine:
        await engine.submit(request).result()
    (at, first), (beside, second) = sorted(drawn.items())[:2]
    assert len(first) > 2, "the VAE, the start and the ancestral steps"
    shift = (beside[0] - at[0]) // 2  # this VAE halves
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one[..., shift:], other[..., : one.shape[-1] - shift])


def test_a_colour_cast_is_taken_back_and_detail_stays() -> None:
    plain = Image.new("RGB", (64, 64), (100, 120, 140))
    grain = np.random.default_rng(1).integers(-9, 10, (64, 64, 3))
    painted = Image.fromarray((np.asarray(plain) + grain + (20, -10, 5)).astype(np.uint8))
    mended = np.asarray(upscale_tiles.recoloured(painted, plain)).astype(int)
    assert np.abs(mended.mean(axis=(0, 1)) - (100, 120, 140)).max() < 0.5
    assert np.abs(mended - np.asarray(plain) - grain).mean() < 1


@pytest.mark.parametrize("changes", [{"scale": 3}, {"mode": "magic"}, {"width": 64}, {"strength": 0.0}])
def test_what_cannot_be_done_gets_a_sentence(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        Upscale(init_image=picture((30, 30)), **changes)
