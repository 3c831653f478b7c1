"""A member's picture: checked before it is decoded, rebuilt from its pixels alone. Slow: call it off the event loop."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bot.errors import BadInput

MAX_BYTES = 8 * 2**20  # look at an attachment's size before downloading it
MAX_PIXELS = 16_800_000  # 4096 x 4096 and a little
MAX_SIDE_PX = 8192
MAX_JPEG_SCANS = 100  # a progressive picture has about ten; thousands take minutes to decode
FORMATS = ("PNG", "JPEG", "WEBP")

# What Pillow raises on broken files of these formats.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError),
    *(struct.error, zlib.error),
)


def check_size(size_bytes: int) -> None:
    """Refuse a file by its size, before it is read. Raises: BadInput."""
    if size_bytes > MAX_BYTES:
        raise BadInput(f"This file has {size_bytes / 2**20:.1f} MiB. Use a picture of at most 8 MiB.")


def read_upload(data: bytes) -> Image.Image:
    """The picture as plain RGB, upright, alpha laid over white, without metadata.

    Raises: BadInput when it is no still PNG, JPEG or WebP of reasonable size.
    """
    return _read(data, lambda image: _rebuilt(_rgb(image)))


def read_layers(data: bytes) -> Image.Image:
    """The picture as plain RGB, or as RGBA where parts of it are transparent. Raises: as `read_upload`."""
    return _read(data, lambda image: _rebuilt(image.convert("RGBA") if image.has_transparency_data else _rgb(image)))


def _read(data: bytes, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    check_size(len(data))
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image, data)
            image.load()
            return convert(_upright(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large() from None
    except UnidentifiedImageError:
        raise BadInput("This file is no PNG, JPEG or WebP picture. Save it as one of those and try again.") from None
    except _BROKEN:
        raise BadInput("This picture is damaged or cut off. Save it again as PNG or JPEG and try again.") from None


def _too_large() -> BadInput:
    return BadInput(f"This picture is too large. Use at most {MAX_SIDE_PX:,} pixels a side and 16.8 megapixels in all.")


def _check(image: Image.Image, data: bytes) -> None:
    """Look at the header only; nothing has been decoded yet. Raises: BadInput."""
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        raise _too_large()
    if getattr(image, "n_frames", 1) > 1:
        raise BadInput("This picture moves. Use a still one.")
    if image.format == "JPEG" and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise BadInput("This JPEG is built in an unusual way. Save it again as PNG or JPEG and try again.")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:  # broken EXIF says nothing about the pixels
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would cut it off at 255
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _rebuilt(image: Image.Image) -> Image.Image:
    """Only the pixels: no EXIF, no text, no colour profile, no file behind it."""
    return Image.frombytes(image.mode, image.size, image.tobytes())
