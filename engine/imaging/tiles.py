"""Enlarge a picture: Lanczos, and the tiles of a larger picture. Pillow and numpy; knows no requests, no torch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

from engine.imaging.masks import Box, Size

OVERLAP = 4  # a tile shares a quarter of itself with its neighbour: room for a fade that no eye finds
SMOOTH = 6  # of a tile's side: what is smoother than that is colour, not detail


def tiles(size: Size, tile: Size, multiple_px: int) -> list[Box]:
    """Boxes, row by row, that cover the picture and overlap.

    Each begins at a multiple of `multiple_px`, the latent grid; the last ones end with the picture.
    """
    columns, rows = (_starts(whole, part, multiple_px) for whole, part in zip(size, tile, strict=True))
    (width, height), (right, bottom) = tile, size
    return [(x, y, min(x + width, right), min(y + height, bottom)) for y, x in itertools.product(rows, columns)]


def _starts(whole: int, part: int, multiple_px: int) -> list[int]:
    if whole <= part:
        return [0]
    last = -(-(whole - part) // multiple_px)
    count = -(-(whole - part) // (part - part // OVERLAP)) + 1
    return [round(i * last / (count - 1)) * multiple_px for i in range(count)]


def enlarged(picture: Image.Image, size: Size, box: Box | None = None) -> Image.Image:
    """The picture at `size` by Lanczos (a = 3), or only `box` of it."""
    left, top, right, bottom = box or (0, 0, *size)
    across, down = picture.width / size[0], picture.height / size[1]
    part = (left * across, top * down, right * across, bottom * down)
    return picture.resize((right - left, bottom - top), Image.Resampling.LANCZOS, box=part)


def recoloured(painted: Image.Image, picture: Image.Image) -> Image.Image:
    """What was painted over a picture of its size, without the colour cast it got.

    A model shifts each tile's colours a little and another way, which is what one sees of tiles. So what is smooth
    comes from the picture, and detail from the model (Wang et al. 2023, StableSR, section 3.4, with one level).
    """
    blur = ImageFilter.GaussianBlur(max(picture.size) / SMOOTH)
    smooth, cast = (np.asarray(image.filter(blur), np.float32) for image in (picture, painted))
    mended = np.asarray(painted, np.float32) + smooth - cast
    return Image.fromarray(np.rint(mended.clip(0, 255)).astype(np.uint8))


class Mosaic:
    """The tiles of one picture become that picture, each as soon as those before it are there.

    Each tile fades in over its left neighbour, then each row over the row above: a corner where four tiles meet would
    otherwise keep the edge of one of them. Never more than the picture, one row and the tiles that came too early.
    """

    def __init__(self, size: Size, boxes: Sequence[Box]) -> None:
        self._boxes = boxes
        self._early: dict[int, Image.Image] = {}
        self._next = self._right = self._lower = 0
        self._whole = Image.new("RGB", size)
        self._row = self._whole

    def add(self, part: int, picture: Image.Image) -> Image.Image | None:
        """Lay down tile `part`; the picture once all of them are there."""
        self._early[part] = picture
        while self._next in self._early:
            self._lay(self._boxes[self._next], self._early.pop(self._next))
            self._next += 1
        return self._whole if self._next == len(self._boxes) else None

    def _lay(self, box: Box, picture: Image.Image) -> None:
        left, top, right, bottom = box
        if left == 0:
            self._row, self._right = Image.new("RGB", (self._whole.width, bottom - top)), 0
        self._row.paste(picture, (left, 0), _fade(picture.size, max(0, self._right - left), 0))
        self._right = right
        if right == self._whole.width:
            self._whole.paste(self._row, (0, top), _fade(self._row.size, 0, max(0, self._lower - top)))
            self._lower = bottom


def _fade(size: Size, left: int, above: int) -> Image.Image:
    """How much a tile shows that shares `left` and `above` pixels with what is there: from 0 at its edges to 255."""
    row, column = _ramp(size[0], left), _ramp(size[1], above)
    return Image.fromarray(np.rint(255 * np.outer(column, row)).astype(np.uint8))


def _ramp(length: int, fade: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """From 0 to 1 over the middle half of the first `fade` pixels, without a corner at either end.

    The outer quarters are not mixed: near its edge a tile knows too little of what is beyond it.
    """
    if not fade:
        return np.ones(length)
    place = ((np.arange(length) + 0.5) / fade * 2 - 0.5).clip(0, 1)
    return np.asarray((1 - np.cos(np.pi * place)) / 2)
