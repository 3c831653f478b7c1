"""Pictures for showing: grids, previews, thumbnails, and files that fit an upload limit. Pure Pillow, off the loop."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

GAP_PX = 4
PREVIEW_CELL_PX = 192
THUMBNAIL_PX = 128
WEBP_QUALITIES = (95, 88, 75, 60)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file ready to be sent."""

    name: str
    data: bytes


def grid(images: Sequence[Image.Image]) -> Image.Image:
    """The images in two columns, in reading order; one image stays alone."""
    if len(images) == 1:
        return images[0]
    width, height = images[0].size
    columns, rows = 2, -(-len(images) // 2)
    size = (columns * width + GAP_PX * (columns - 1), rows * height + GAP_PX * (rows - 1))
    sheet = Image.new("RGB", size, (24, 25, 28))
    for n, image in enumerate(images):
        sheet.paste(image, ((n % columns) * (width + GAP_PX), (n // columns) * (height + GAP_PX)))
    return sheet


def preview_grid(previews: Mapping[int, Image.Image], count: int, aspect: float) -> Upload:
    """Rough pictures in their places; places without one yet stay dark. `aspect` is width / height."""
    scale = min(1.0, aspect), min(1.0, 1 / aspect)
    cell = max(8, round(PREVIEW_CELL_PX * scale[0])), max(8, round(PREVIEW_CELL_PX * scale[1]))
    blank = Image.new("RGB", cell, (43, 45, 49))
    cells = [previews[n].resize(cell, Image.Resampling.BICUBIC) if n in previews else blank for n in range(count)]
    return Upload("preview.webp", _encoded(grid(cells), "WEBP", 80))


def thumbnail(image: Image.Image) -> bytes:
    """A small WebP, cut to a square in the middle."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    small = image.crop((left, top, left + side, top + side)).resize((THUMBNAIL_PX, THUMBNAIL_PX))
    return _encoded(small, "WEBP", 80)


def within(image: Image.Image, side_px: int) -> Image.Image:
    """The picture, at most `side_px` wide and high."""
    shown = image.copy()
    shown.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return shown


def webp(image: Image.Image) -> bytes:
    """A WebP for looking at."""
    return _encoded(image, "WEBP", 85)


def fit(image: Image.Image, name: str, limit_bytes: int, stored: bytes | None = None) -> Upload:
    """The picture as a file of at most `limit_bytes`: PNG, else WebP of falling quality, else smaller.

    `stored` is the picture's own PNG, sent as it is when it fits, because its metadata carries the recipe.
    """
    data = stored if stored is not None else _encoded(image, "PNG", 0)
    if len(data) <= limit_bytes:
        return Upload(f"{name}.png", data)
    while True:
        for quality in WEBP_QUALITIES:
            data = _encoded(image, "WEBP", quality)
            if len(data) <= limit_bytes:
                return Upload(f"{name}.webp", data)
        image = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, form: str, quality: int) -> bytes:
    out = io.BytesIO()
    if form == "PNG":
        image.save(out, "PNG", compress_level=4)
    else:
        image.save(out, form, quality=quality, method=2)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """Our own stored PNG as an RGB picture."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        return image.convert("RGB")
