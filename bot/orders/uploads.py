"""A member's picture: checked before it is decoded, rebuilt from its pixels alone. Slow: call it off the event loop."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bot.errors import BadInput

MAX_BYTES = 8 * 2**20  # look at an attachment's size before downloading it
MAX_PIXELS = 16_800_000  # 4096 x 4096 and a little
MAX_SIDE_PX = 8192
MAX_JPEG_SCANS = 100  # a progressive picture has about ten; thousands take minutes to decode
FORMATS = ("PNG", "JPEG", "WEBP")

_TURNS = threading.Semaphore(2)  # the largest picture takes 130 MiB to read, a WebP twice that: few at a time

# What Pillow raises on broken files of these formats.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError),
    *(struct.error, zlib.error),
)


def check_size(size_bytes: int) -> None:
    """Refuse a file by its size, before it is read. Raises: BadInput."""
    if size_bytes > MAX_BYTES:
        raise BadInput(f"This file is {size_bytes / 2**20:.1f} MiB. The limit is 8 MiB.")


def read_upload(data: bytes) -> Image.Image:
    """The picture as plain RGB, upright, alpha laid over white, without metadata.

    Raises: BadInput when it is no still PNG, JPEG or WebP of reasonable size.
    """
    return _read(data, _rgb)


def read_layers(data: bytes) -> Image.Image:
    """The picture as plain RGB, or as RGBA where parts of it are transparent. Raises: as `read_upload`."""
    return _read(data, lambda image: _plain(image, "RGBA") if image.has_transparency_data else _rgb(image))


def _read(data: bytes, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    check_size(len(data))
    try:
        with _TURNS, Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image, data)
            image.load()
            _turn_upright(image)
            return convert(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large() from None
    except UnidentifiedImageError:
        raise BadInput("This file isn't a PNG, JPEG or WebP image. Save it as one of those and try again.") from None
    except _BROKEN:
        raise BadInput("This picture is damaged or cut off. Save it again as PNG or JPEG and try again.") from None


def _too_large() -> BadInput:
    return BadInput(f"This picture is too large. Use at most {MAX_SIDE_PX:,} pixels a side and 16.8 megapixels in all.")


def _check(image: Image.Image, data: bytes) -> None:
    """Look at the header only; nothing has been decoded yet. Raises: BadInput."""
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        raise _too_large()
    still = image.format in ("JPEG", "MPO")  # a phone's MPO holds a depth or brightness map behind its picture
    if not still and getattr(image, "n_frames", 1) > 1:
        raise BadInput("Animated images aren't supported. Use a still image.")
    if still and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise BadInput("This JPEG is built in an unusual way. Save it again as PNG or JPEG and try again.")


def _turn_upright(image: Image.Image) -> None:
    with suppress(*_BROKEN):  # broken EXIF says nothing about the pixels
        ImageOps.exif_transpose(image, in_place=True)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would cut it off at 255
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return _plain(image, "RGB")
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer)
    return white


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """Only the pixels: no EXIF, no text, no colour profile, no file behind it. One copy, for pictures can be large."""
    plain = image.copy() if image.mode == mode else image.convert(mode)
    plain.info = {}
    return plain
