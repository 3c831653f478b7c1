"""Masks and frames, with plain shapes: no model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from engine import Inpaint, InvalidRequest, Txt2Img
from engine.fake import MINI, FakeEngine
from engine.imaging import masks
from engine.tasks import resolve

ODD = [(101, 67), (64, 64), (129, 50), (33, 200), (7, 9), (300, 301)]


def picture(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def disc(size: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", size)
    width, height = size
    ImageDraw.Draw(mask).ellipse((width // 3, height // 3, width // 2 + 1, height // 2 + 1), fill=255)
    return mask


def beyond(mask: Image.Image, px: int) -> np.ndarray:
    """Where no marked pixel is within `px`, counted one by one."""
    marked = np.asarray(mask) >= 128
    near = np.zeros_like(marked)
    for y, x in zip(*np.nonzero(marked), strict=True):
        near[max(0, y - px) : y + px + 1, max(0, x - px) : x + px + 1] = True
    return ~near


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("changes", [{}, {"only_masked": True}, {"fill": "blur"}, {"fill": "noise", "feather_px": 0}])
async def test_beyond_the_feather_not_one_byte_changes(size: tuple[int, int], changes: dict[str, object]) -> None:
    for mode in ("RGB", "L", "RGBA", "P", "CMYK"):
        given_image, mask = picture(size, mode), disc(size)
        request = Inpaint(prompt="a", init_image=given_image, mask=mask, seed=3, **changes)  # type: ignore[arg-type]
        async with FakeEngine() as engine:
            (result,) = await engine.submit(request).result()
        assert result.size == size
        before, after = np.asarray(given_image.convert("RGB")), np.asarray(result)
        outside = beyond(mask, request.feather_px)
        assert np.array_equal(before[outside], after[outside])
        assert not np.array_equal(before[~outside], after[~outside])


@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 60))
def test_a_feather_is_full_on_the_mask_and_ends_in_time(feather_px: int, x: int, y: int) -> None:
    mask = Image.new("L", (61, 61))
    mask.putpixel((x, y), 255)
    alpha = np.asarray(masks.feathered(mask, feather_px))
    assert alpha[y, x] == 255
    assert not alpha[beyond(mask, feather_px)].any()
    row = alpha[y, x:].astype(int)
    assert (np.diff(row) <= 0).all()


@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from([8, 16]))
def test_a_frame_fits_the_model(width: int, height: int, multiple: int) -> None:
    frame = masks.whole((width, height), multiple, 512 * 512)
    assert all(side % multiple == 0 for side in frame.canvas)
    assert all(a <= b for a, b in zip(frame.inner, frame.canvas, strict=True))
    assert frame.canvas[0] * frame.canvas[1] <= 512 * 512
    if (width + multiple) * (height + multiple) <= 512 * 512:
        assert frame.inner == (width, height)  # not scaled where it fits


def test_only_masked_works_at_the_models_own_size() -> None:
    mask = Image.new("L", (1000, 800))
    mask.paste(255, (400, 300, 440, 340))
    frame = masks.around(mask, 20, 8, 512 * 512, 768 * 768)
    assert frame.box == (380, 280, 460, 360)
    assert frame.canvas == (512, 512)


def test_blurred_surroundings_flow_in() -> None:
    image = Image.new("RGB", (90, 70), (10, 200, 30))
    mask = disc(image.size)
    image.paste((255, 0, 255), mask=mask)
    filled = np.asarray(masks.with_blur(image, mask)).astype(int)
    assert np.abs(filled - (10, 200, 30)).max() <= 2


def test_noise_is_the_seeds_own() -> None:
    image, mask = picture((40, 30)), disc((40, 30))
    first, again, other = (masks.with_noise(image, mask, seed).tobytes() for seed in (1, 1, 2))
    assert first == again != other


def test_a_mask_thinner_than_a_latent_cell_is_seen() -> None:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (10, 13, 50, 15))
    seen = np.asarray(masks.mask_into_frame(mask, masks.whole(mask.size, 8, 512 * 512)))
    assert seen[::8, ::8].any()
    assert seen[np.asarray(mask) > 0].all()


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (Image.new("L", (30, 30), 255), "same size"),
        (Image.new("L", (40, 30)), "empty"),
        (Image.new("L", (40, 30), 255), "whole picture"),
    ],
)
def test_a_useless_mask_gets_a_sentence(mask: Image.Image, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        Inpaint(prompt="a", init_image=picture((40, 30)), mask=mask)


def test_a_model_is_not_asked_for_what_it_cannot_do() -> None:
    from dataclasses import replace

    with pytest.raises(InvalidRequest, match="mini can't do txt2img"):
        resolve.complete(Txt2Img(prompt="a"), replace(MINI, tasks=frozenset({"inpaint"})))


def test_a_recipe_names_picture_and_mask_by_their_hash() -> None:
    image, mask = picture((40, 30)), disc((40, 30))
    plain = resolve.to_json(resolve.complete(Inpaint(prompt="a", init_image=image, mask=mask), MINI))
    assert plain["init_image"] == resolve.picture_sha256(image)
    assert plain["mask"] == resolve.picture_sha256(mask)
    assert (plain["width"], plain["height"]) == (40, 30)
