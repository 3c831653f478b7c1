"""Masks from files, scribbles, words and cells: odd sizes, the noise of real encoders, sentences for the rest."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from bot.errors import BadInput
from bot.features.region import mask_files
from bot.features.region import masks as region_masks

ODD = [
    (97, 64),
    (131, 131),
    (333, 250),
    (640, 361),
    (801, 533),
    (250, 999),
    (1200, 700),
    (64, 64),
    (1023, 41),
    (512, 512),
]


def photo(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Something like a photograph: soft ground, hard edges, grain."""
    dice = np.random.default_rng(seed)
    coarse = Image.fromarray(dice.integers(0, 256, (9, 11, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(coarse)
    for _ in range(12):
        x, y = int(dice.integers(0, size[0])), int(dice.integers(0, size[1]))
        colour = tuple(int(c) for c in dice.integers(0, 256, 3))
        draw.rectangle((x, y, x + size[0] // 9, y + size[1] // 9), fill=colour)
    grain = dice.normal(0, 4, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8))


def scribbled(picture: Image.Image, colour: str, share: float = 0.45) -> tuple[Image.Image, Image.Image]:
    """The picture with a blob painted over, and what was painted."""
    done, truth = picture.copy(), Image.new("L", picture.size, 0)
    width, height = picture.size
    box = (width * 0.2, height * 0.2, width * (0.2 + share), height * (0.2 + share))
    ImageDraw.Draw(done).ellipse(box, fill=colour)
    ImageDraw.Draw(truth).ellipse(box, fill=255)
    return done, truth


def encoded(picture: Image.Image, form: str, **options: int) -> Image.Image:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


def overlap(one: Image.Image, other: Image.Image) -> float:
    """Intersection over union."""
    a, b = np.asarray(one) >= 128, np.asarray(other) >= 128
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("JPEG", {"quality": 75}), ("WEBP", {"quality": 80}), ("JPEG", {"quality": 50})]
)
def test_a_painted_picture_shows_its_strokes_whatever_the_encoder(
    size: tuple[int, int], form: str, options: dict[str, int]
) -> None:
    original = photo(size)
    painted, truth = scribbled(original, "#ff00d0")
    mask = region_masks.from_painted(original, encoded(painted, form, **options))
    assert mask.size == size
    assert set(np.unique(np.asarray(mask))) <= {0, 255}
    assert overlap(mask, truth) > (0.85 if min(size) > 64 else 0.7)


@pytest.mark.parametrize("scale", [0.5, 0.71, 1.5, 2.0])
def test_a_painted_picture_may_have_been_rescaled_by_the_phone(scale: float) -> None:
    original = photo((801, 533), 3)
    painted, truth = scribbled(original, "black")
    small = painted.resize((round(801 * scale), round(533 * scale)), Image.Resampling.BICUBIC)
    mask = region_masks.from_painted(original, encoded(small, "JPEG", quality=80))
    assert mask.size == original.size
    assert overlap(mask, truth) > 0.9


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("quality", [40, 75, 92])
def test_encoding_alone_is_no_scribble(seed: int, quality: int) -> None:
    original = photo((480, 360), seed)
    again = encoded(original.resize((400, 300), Image.Resampling.LANCZOS), "JPEG", quality=quality)
    with pytest.raises(BadInput, match="Scribble over"):
        region_masks.from_painted(original, again)


def test_another_encoders_colours_are_no_scribble_either() -> None:
    original = photo((480, 360))
    brighter = original.point([min(255, round(value * 1.04) + 6) for value in range(256)] * 3)
    painted, truth = scribbled(brighter, "red", 0.3)
    assert overlap(region_masks.from_painted(original, encoded(painted, "JPEG", quality=85)), truth) > 0.85


def test_a_line_drawn_around_something_means_what_is_inside() -> None:
    original = photo((400, 300))
    painted, truth = original.copy(), Image.new("L", original.size, 0)
    ImageDraw.Draw(painted).ellipse((100, 60, 300, 240), outline="lime", width=7)
    ImageDraw.Draw(truth).ellipse((100, 60, 300, 240), fill=255)
    assert overlap(region_masks.from_painted(original, painted), truth) > 0.95


def test_a_scribble_is_one_region_without_the_gaps_between_its_lines() -> None:
    original = photo((400, 300))
    painted = original.copy()
    points = [(100 + (n % 2) * 150, 60 + n * 6) for n in range(24)]
    ImageDraw.Draw(painted).line(points, fill="#00ff00", width=5)
    mask = np.asarray(region_masks.from_painted(original, painted))
    assert (mask[80:180, 120:230] == 255).mean() > 0.9
    assert (mask[:40] == 0).all()


def test_small_pictures_work_too() -> None:
    original = Image.new("RGB", (24, 17), "white")
    painted, truth = scribbled(original, "black")
    assert overlap(region_masks.from_painted(original, painted), truth) > 0.7


def test_another_picture_is_refused_by_its_shape() -> None:
    with pytest.raises(BadInput, match=r"400x300 .* 300x300 pixels"):
        region_masks.from_painted(photo((300, 300)), photo((400, 300)))


# ---------------------------------------------------------------- files
def white_on_black(size: tuple[int, int], mode: str) -> Image.Image:
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rectangle((size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2), fill=255)
    return mask.convert(mode)


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P", "RGBA", "LA"])
@pytest.mark.parametrize("size", ODD[:4])
def test_white_is_redrawn_in_files_of_any_mode(size: tuple[int, int], mode: str) -> None:
    mask = mask_files.from_file(white_on_black(size, mode), photo(size))
    assert (mask.mode, mask.size) == ("L", size)
    assert overlap(mask, white_on_black(size, "L")) == 1.0


def test_the_transparent_part_is_redrawn() -> None:
    picture = photo((120, 80)).convert("RGBA")
    picture.putalpha(white_on_black((120, 80), "L").point([255] * 128 + [0] * 128))
    assert overlap(mask_files.from_file(picture, photo((120, 80))), white_on_black((120, 80), "L")) == 1.0


def test_white_strokes_on_an_empty_layer_are_redrawn() -> None:
    layer = Image.new("RGBA", (120, 80), (0, 0, 0, 0))
    ImageDraw.Draw(layer).rectangle((30, 20, 60, 40), fill="white")
    assert overlap(mask_files.from_file(layer, photo((120, 80))), white_on_black((120, 80), "L")) == 1.0


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (Image.new("L", (100, 80), 0), "empty"),
        (Image.new("L", (100, 80), 255), "whole picture"),
        (Image.new("RGBA", (100, 80), (9, 9, 9, 0)), "whole picture"),
        (Image.new("L", (90, 80), 0), r"90x80 .* 100x80"),
    ],
)
def test_masks_that_cannot_be_used_get_a_sentence(mask: Image.Image, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        mask_files.from_file(mask, photo((100, 80)))


# ---------------------------------------------------------------- words and cells
@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("left", (0, 0, 60, 90)),
        ("the upper half", (0, 0, 120, 45)),
        ("Top-Right corner", (60, 0, 120, 45)),
        ("lower left third", (0, 60, 40, 90)),
        ("center", (30, 22, 90, 68)),
        ("middle third", (40, 30, 80, 60)),
        ("centre right", (60, 22, 120, 68)),
        ("25,0,50,100", (30, 0, 90, 90)),
        (" 50% , 50 %, 50, 50 ", (60, 45, 120, 90)),
    ],
)
def test_a_region_in_words(text: str, box: tuple[int, int, int, int]) -> None:
    assert region_masks.from_words(text, (120, 90)).getbbox() == box


@pytest.mark.parametrize(
    "text", ["", "hat", "left right", "10,10", "0,0,0,50", "90,0,20,20", "a,b,c,d", "-5,0,9,9", "half"]
)
def test_words_that_name_no_region_get_a_sentence(text: str) -> None:
    with pytest.raises(BadInput, match="top right"):
        region_masks.from_words(text, (120, 90))


def test_everything_is_no_region() -> None:
    with pytest.raises(BadInput, match="whole picture"):
        region_masks.from_words("0,0,100,100", (120, 90))


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("side", region_masks.SIDES)
def test_cells_cover_a_picture_of_any_size_exactly_once(size: tuple[int, int], side: int) -> None:
    total = np.zeros((size[1], size[0]), dtype=int)
    for cell in range(side * side):
        total += np.asarray(region_masks.from_cells([cell], side, size)) // 255
    assert (total == 1).all()


def test_several_cells_are_one_mask() -> None:
    assert region_masks.from_cells([0, 4], 3, (90, 90)).getbbox() == (0, 0, 60, 60)
    assert region_masks.share_of(region_masks.from_cells([0, 4], 3, (90, 90))) == pytest.approx(2 / 9)


@pytest.mark.parametrize(("cells", "side"), [([9], 3), ([-1], 3), ([0], 4), ([], 3), (range(9), 3)])
def test_cells_that_are_none_get_a_sentence(cells: list[int], side: int) -> None:
    with pytest.raises(BadInput):
        region_masks.from_cells(cells, side, (90, 90))


@pytest.mark.parametrize("size", [*ODD, (3000, 2000)])
def test_the_grid_is_shown_over_the_whole_picture(size: tuple[int, int]) -> None:
    picture = photo(size)
    plain, lit = region_masks.with_cells(picture, 3, []), region_masks.with_cells(picture, 3, [4])
    assert max(lit.size) == region_masks.SHOWN_SIDE_PX
    assert plain.tobytes() != lit.tobytes()
    corner = (0, 0, lit.width // 4, lit.height // 4)
    assert plain.crop(corner).tobytes() == lit.crop(corner).tobytes()


# ---------------------------------------------------------------- the browser's masks
def test_the_editors_mask_grows_to_the_picture() -> None:
    mask = region_masks.from_editor(white_on_black((400, 300), "RGB"), (1600, 1200))
    assert mask.size == (1600, 1200)
    assert overlap(mask, white_on_black((1600, 1200), "L")) > 0.98


@pytest.mark.parametrize(("size", "says"), [((400, 300), "Nothing is marked"), ((300, 300), "another picture")])
def test_the_editors_empty_or_foreign_mask_gets_a_sentence(size: tuple[int, int], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        region_masks.from_editor(Image.new("L", size, 0), (800, 600))


# ---------------------------------------------------------------- how it is redrawn
def test_small_regions_and_large_pictures_are_painted_close_up() -> None:
    native = 512 * 512
    small, half = region_masks.from_words("5,5,10,10", (512, 512)), region_masks.from_words("left", (512, 512))
    assert region_masks.manner(small, native).only_masked
    assert not region_masks.manner(half, native).only_masked
    assert region_masks.manner(region_masks.from_words("left", (2048, 2048)), native).only_masked


@pytest.mark.parametrize("size", ODD)
def test_the_manner_is_one_the_engine_takes(size: tuple[int, int]) -> None:
    for text in ("left", "2,2,5,5", "centre"):
        manner = region_masks.manner(region_masks.from_words(text, size), 512 * 512)
        assert 0 <= manner.feather_px <= 256
        assert 0 <= manner.padding_px <= 256


def test_soft_rims_of_a_brush_do_not_tear_a_stroke_apart() -> None:
    original = photo((400, 300))
    stroke = Image.new("L", original.size, 0)
    ImageDraw.Draw(stroke).line((60, 60, 340, 240), fill=255, width=24)
    soft = stroke.filter(ImageFilter.GaussianBlur(5))
    painted = Image.composite(Image.new("RGB", original.size, "#3000ff"), original, soft)
    assert overlap(region_masks.from_painted(original, painted), stroke) > 0.6
