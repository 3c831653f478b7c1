"""Pictures for showing: grids, previews, thumbnails, and files that fit an upload limit. Pure Pillow, off the loop."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

from bot.errors import UserError
from engine.api import metadata
from engine.api.recipe import Recipe

GAP_PX = 4
GRID_CELL_PX = 256  # smaller pictures are hard to choose from on a large screen
GROUND, BLANK, INK = (24, 25, 28), (43, 45, 49), (236, 237, 240)
SHEET_PX, SHEET_CELL_PX, NAMED_PX = 2560, 256, 192  # all of a sheet; one cell; the least under a name
LETTERS, MIN_LETTERS_PX = 56, 14  # in a message a sheet is shown about 550 pixels wide
PREVIEW_CELL_PX = 192
THUMBNAIL_PX = 128
PNG_PIXELS = 2048 * 1536  # a grid of more takes a second of processor time as a PNG, a fifth of that as WebP
WEBP_QUALITIES = (95, 88, 75, 60)
MIN_SIDE_PX = 128  # a picture is not made smaller than this to fit a limit: nobody could see what is on it


class DoesNotFit(UserError):
    """A picture can't be made as small as a limit asks."""

    code = "too_large"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file ready to be sent."""

    name: str
    data: bytes


def grid(images: Sequence[Image.Image], columns: int = 2) -> Image.Image:
    """The images in two columns (or more), in reading order; one image stays alone.

    Small ones are enlarged a whole number of times: a grid is for choosing, the picture itself is behind its button.
    """
    if len(images) == 1:
        return images[0]
    if (times := GRID_CELL_PX // max(images[0].size)) > 1:
        larger = (images[0].width * times, images[0].height * times)
        images = [image.resize(larger, Image.Resampling.LANCZOS) for image in images]
    width, height = images[0].size
    rows = -(-len(images) // columns)
    size = (columns * width + GAP_PX * (columns - 1), rows * height + GAP_PX * (rows - 1))
    sheet = Image.new("RGB", size, GROUND)
    for n, image in enumerate(images):
        sheet.paste(image, ((n % columns) * (width + GAP_PX), (n // columns) * (height + GAP_PX)))
    return sheet


def sheet(cells: Mapping[int, Image.Image], columns: Sequence[str], rows: Sequence[str]) -> Image.Image:
    """The pictures in their places with the columns' names above and the rows' at the left; missing ones stay dark."""
    width, height = _cell_size(cells.values(), len(columns), len(rows))
    letters = max(MIN_LETTERS_PX, len(columns) * width // LETTERS)
    font = ImageFont.load_default(letters)
    names = [_shortened(name, font, width) for name in columns]
    sides = [_shortened(name, font, width) for name in rows]
    line = round(letters * 1.6)
    left = round(max(font.getlength(side) for side in sides)) + line // 2 if any(sides) else 0
    size = (left + len(columns) * (width + GAP_PX) - GAP_PX, line + len(rows) * (height + GAP_PX) - GAP_PX)
    whole = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(whole)
    for at, name in enumerate(names):
        draw.text((left + at * (width + GAP_PX) + width // 2, line // 2), name, INK, font, anchor="mm")
    for at, side in enumerate(sides):
        draw.text((left - line // 4, line + at * (height + GAP_PX) + height // 2), side, INK, font, anchor="rm")
    for number in range(len(columns) * len(rows)):
        x, y = left + number % len(columns) * (width + GAP_PX), line + number // len(columns) * (height + GAP_PX)
        whole.paste(_centred(cells.get(number), (width, height)), (x, y))
    return whole


def _cell_size(images: Iterable[Image.Image], columns: int, rows: int) -> tuple[int, int]:
    """Large enough for every picture and its name, small enough for all of them."""
    sizes = [image.size for image in images] or [(SHEET_CELL_PX, SHEET_CELL_PX)]
    width, height = max(size[0] for size in sizes), max(size[1] for size in sizes)
    scale = min(max(1.0, NAMED_PX / width), SHEET_PX / (columns * width), SHEET_PX / (rows * height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _centred(image: Image.Image | None, size: tuple[int, int]) -> Image.Image:
    cell = Image.new("RGB", size, BLANK)
    if image is not None:
        fitted = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
        cell.paste(fitted, ((size[0] - fitted.width) // 2, (size[1] - fitted.height) // 2))
    return cell


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, most_px: int) -> str:
    """The text, cut to a width."""
    while text and font.getlength(text) > most_px:
        text = text[:-2] + "…" if len(text) > 2 else ""
    return text


def preview_grid(previews: Mapping[int, Image.Image], count: int, aspect: float, columns: int = 2) -> Upload:
    """Rough pictures in their places; places without one yet stay dark. `aspect` is width / height."""
    scale = min(1.0, aspect), min(1.0, 1 / aspect)
    cell = max(8, round(PREVIEW_CELL_PX * scale[0])), max(8, round(PREVIEW_CELL_PX * scale[1]))
    blank = Image.new("RGB", cell, BLANK)
    cells = [previews[n].resize(cell, Image.Resampling.BICUBIC) if n in previews else blank for n in range(count)]
    return Upload("preview.webp", metadata.encode(grid(cells, columns), "WEBP", None, quality=80, method=2))


def thumbnail(image: Image.Image) -> bytes:
    """A small WebP, cut to a square in the middle."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    small = image.crop((left, top, left + side, top + side)).resize((THUMBNAIL_PX, THUMBNAIL_PX))
    return _webp(small, 80)


def within(image: Image.Image, side_px: int) -> Image.Image:
    """The picture, at most `side_px` wide and high."""
    shown = image.copy()
    shown.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return shown


def webp(image: Image.Image) -> bytes:
    """A WebP for looking at."""
    return _webp(image, 85)


def fit(
    image: Image.Image,
    name: str,
    limit_bytes: int,
    stored: bytes | None = None,
    *,
    recipe: Recipe | None = None,
    words: bool = True,
) -> Upload:
    """The picture as a file of at most `limit_bytes`: PNG, else WebP of falling quality, else smaller.

    Each tells how it was made: `recipe`, without the prompt unless `words` and there is room for it. `stored` is the
    picture's own PNG, which is sent as it is when it fits. Raises: DoesNotFit.
    """
    data = _png(image, recipe, words=words) if stored is None else _told(stored, words=words)
    if data is not None and len(data) <= limit_bytes:
        return Upload(f"{name}.png", data)
    while True:
        for quality in WEBP_QUALITIES:
            data = metadata.encode(image, "WEBP", recipe, words=words, quality=quality, method=2)
            if len(data) <= limit_bytes:
                return Upload(f"{name}.webp", data)
        if max(image.size) // 2 < MIN_SIDE_PX:
            if words:  # of a small picture the telling is most of the file; that it was made stays in it
                return fit(image, name, limit_bytes, recipe=recipe, words=False)
            raise DoesNotFit(
                "No recognizable version of this picture fits into {limit_bytes:,} bytes.", limit_bytes=limit_bytes
            )
        image = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)


def _told(stored: bytes, *, words: bool) -> bytes:
    return stored if words else metadata.without_words(stored)


def _png(image: Image.Image, recipe: Recipe | None, *, words: bool) -> bytes | None:
    """None where it would take long, and might not fit: every picture on a large grid is a PNG by itself."""
    if image.width * image.height > PNG_PIXELS:
        return None
    return metadata.encode(image, "PNG", recipe, words=words, **metadata.PNG)


def _webp(image: Image.Image, quality: int) -> bytes:
    """For looking at on the way; it says nothing of itself, for it may be a person's own picture."""
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality, method=2)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """Our own stored PNG as an RGB picture."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        return image.convert("RGB")
