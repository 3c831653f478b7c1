"""Enlarge a picture: Lanczos, and the tiles of a larger picture. Pillow alone; knows no requests, no torch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from PIL import Image, ImageChops

from engine.masks import Box, Size

OVERLAP = 4  # a tile shares a quarter of itself with its neighbour: room for a fade that no eye finds


def tiles(size: Size, tile: Size) -> list[Box]:
    """Boxes of one size, row by row, that cover the picture and overlap."""
    columns, rows = (_starts(whole, part) for whole, part in zip(size, tile, strict=True))
    width, height = min(size[0], tile[0]), min(size[1], tile[1])
    return [(x, y, x + width, y + height) for y, x in itertools.product(rows, columns)]


def _starts(whole: int, part: int) -> list[int]:
    if whole <= part:
        return [0]
    count = -(-(whole - part) // (part - part // OVERLAP)) + 1
    return [round(i * (whole - part) / (count - 1)) for i in range(count)]


def enlarged(picture: Image.Image, size: Size, box: Box | None = None) -> Image.Image:
    """The picture at `size` by Lanczos (a = 3), or only `box` of it."""
    left, top, right, bottom = box or (0, 0, *size)
    across, down = picture.width / size[0], picture.height / size[1]
    part = (left * across, top * down, right * across, bottom * down)
    return picture.resize((right - left, bottom - top), Image.Resampling.LANCZOS, box=part)


def joined(size: Size, boxes: Sequence[Box], pictures: Sequence[Image.Image]) -> Image.Image:
    """The tiles in one picture: each fades in over its left neighbour, then each row over the row above.

    Rows first: a corner where four tiles meet would otherwise keep the edge of one of them.
    """
    whole, lower = Image.new("RGB", size), 0
    for top, group in itertools.groupby(zip(boxes, pictures, strict=True), key=lambda pair: pair[0][1]):
        row = _row(size[0], list(group))
        whole.paste(row, (0, top), _fade(row.size, 0, max(0, lower - top)))
        lower = top + row.height
    return whole


def _row(width: int, tiles: Sequence[tuple[Box, Image.Image]]) -> Image.Image:
    row, right = Image.new("RGB", (width, tiles[0][1].height)), 0
    for box, picture in tiles:
        row.paste(picture, (box[0], 0), _fade(picture.size, max(0, right - box[0]), 0))
        right = box[2]
    return row


def _fade(size: Size, left: int, above: int) -> Image.Image:
    """0 at the left and upper edge, 255 after `left` and `above` pixels."""
    across = [min(255, (2 * x + 1) * 255 // max(1, 2 * left)) if x < left else 255 for x in range(size[0])]
    down = [min(255, (2 * y + 1) * 255 // max(1, 2 * above)) if y < above else 255 for y in range(size[1])]
    row, column = Image.new("L", (size[0], 1)), Image.new("L", (1, size[1]))
    row.putdata(across)
    column.putdata(down)
    return ImageChops.multiply(row.resize(size), column.resize(size))
