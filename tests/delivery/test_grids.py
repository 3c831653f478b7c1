"""A grid is for choosing: its pictures are large enough, in order, and the right ones."""

from __future__ import annotations

import pytest
from PIL import Image

from bot.delivery.image_tools import GAP_PX, grid

COLOURS = ("red", "green", "blue", "white")


@pytest.mark.parametrize(
    ("size", "cell"),
    [((128, 128), (256, 256)), ((96, 64), (192, 128)), ((200, 100), (200, 100)), ((512, 512), (512, 512))],
)
def test_small_pictures_are_enlarged_a_whole_number_of_times(size: tuple[int, int], cell: tuple[int, int]) -> None:
    sheet = grid([Image.new("RGB", size, colour) for colour in COLOURS])
    assert sheet.size == (2 * cell[0] + GAP_PX, 2 * cell[1] + GAP_PX)
    middles = [
        (cell[0] // 2 + x * (cell[0] + GAP_PX), cell[1] // 2 + y * (cell[1] + GAP_PX)) for y in (0, 1) for x in (0, 1)
    ]
    assert [sheet.getpixel(middle) for middle in middles] == [
        Image.new("RGB", (1, 1), colour).getpixel((0, 0)) for colour in COLOURS
    ]


def test_one_picture_stays_as_it_is() -> None:
    alone = Image.new("RGB", (64, 64), "red")
    assert grid([alone]) is alone
