"""Masks as people make them: each marks what its maker meant, or is refused with a sentence."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFilter

from bot.errors import BadInput
from bot.features.region import mask_files
from tests.features.region.test_regions import overlap, photo

SIZE = (240, 160)
BOX = (60, 40, 120, 80)
MEANT = Image.new("L", SIZE, 0)
MEANT.paste(255, BOX)


def drawn(mode: str, ground: Any, stroke: Any, size: tuple[int, int] = SIZE) -> Image.Image:
    image = Image.new(mode, size, ground)
    box = [edge * size[at % 2] // SIZE[at % 2] for at, edge in enumerate(BOX)]
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=stroke)
    return image


def as_jpeg(image: Image.Image, quality: int = 40) -> Image.Image:
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def erased(ground: Image.Image) -> Image.Image:
    image = ground.convert("RGBA")
    image.putalpha(drawn("L", 255, 0))
    return image


PAINTED = photo(SIZE)
ImageDraw.Draw(PAINTED).rectangle((60, 40, 119, 79), fill=(255, 0, 0))
MASKS = {
    "white on black": drawn("L", 0, 255),
    "white on black, twice the size": drawn("L", 0, 255, (480, 320)),
    "white on black, half the size": drawn("L", 0, 255, (120, 80)),
    "one pixel narrower": drawn("L", 0, 255, (239, 160)),
    "white on black, a bad jpeg": as_jpeg(drawn("L", 0, 255), 10),
    "soft edges": drawn("L", 0, 255).filter(ImageFilter.GaussianBlur(6)),
    "light grey on dark grey": drawn("L", 30, 220),
    "red on black": drawn("RGB", (0, 0, 0), (255, 0, 0)),
    "blue on black, a jpeg": as_jpeg(drawn("RGB", (0, 0, 0), (30, 60, 255))),
    "red on white": drawn("RGB", (255, 255, 255), (255, 0, 0)),
    "green on white, a jpeg": as_jpeg(drawn("RGB", (255, 255, 255), (0, 200, 0))),
    "white strokes on an empty layer": drawn("RGBA", (0, 0, 0, 0), (255, 255, 255, 255)),
    "black strokes on an empty layer": drawn("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)),
    "red strokes on an empty layer": drawn("RGBA", (255, 255, 255, 0), (255, 0, 0, 255)),
    "faint strokes on an empty layer": drawn("RGBA", (0, 0, 0, 0), (255, 0, 0, 60)),
    "erased from the picture": erased(photo(SIZE)),
    "erased from black": erased(Image.new("RGB", SIZE)),
    "the picture painted over": PAINTED,
    "the picture painted over, a jpeg": as_jpeg(PAINTED, 85),
    "a layer that is solid all over": drawn("RGBA", (0, 0, 0, 128), (255, 255, 255, 128)),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_marks_what_was_meant(name: str) -> None:
    mask = mask_files.from_file(MASKS[name], photo(SIZE))
    assert (mask.mode, mask.size) == ("L", SIZE)
    assert overlap(mask, MEANT) > 0.85


def test_a_grey_picture_may_be_painted_over_too() -> None:
    grey = photo(SIZE).convert("L").convert("RGB")
    painted = grey.copy()
    ImageDraw.Draw(painted).rectangle((60, 40, 119, 79), fill=(255, 0, 0))
    assert overlap(mask_files.from_file(painted, grey), MEANT) > 0.9


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (Image.new("L", SIZE, 0), "empty"),
        (Image.new("L", SIZE, 255), "whole picture"),
        (drawn("L", 0, 255, (160, 160)), "160x160 .* 240x160"),
        (photo(SIZE), "are the same"),
    ],
)
def test_what_marks_nothing_gets_a_sentence(mask: Image.Image, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        mask_files.from_file(mask, photo(SIZE))
