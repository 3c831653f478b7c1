"""Pictures as bytes: raw pixels to a neighbour; over a network PNG, and WebP where nobody looks closely. No pickles.

Raw and PNG keep every bit of a picture, and its mode.
"""

from __future__ import annotations

import hashlib
import io
from typing import Literal

from PIL import Image

from engine.wire.frames import Buffer, Malformed

Form = Literal["raw", "png", "webp"]
MODES = {"1": 1, "L": 1, "LA": 2, "RGB": 3, "RGBA": 4}  # bytes of a pixel, at most; whatever else comes as RGB
MAX_PIXELS = 8192 * 8192  # as many as the largest edit has
MAX_SIDE = 65_535
PNG_LEVEL = 1  # of zlib: it's read once and thrown away
WEBP_QUALITY = 75  # a preview of some 3 kB


def sendable(image: Image.Image) -> Image.Image:
    """The picture in a mode that can be sent; others become RGB, which is what every task makes of them."""
    return image if image.mode in MODES else image.convert("RGB")


def sha256_of(image: Image.Image) -> str:
    """What a sendable picture is known by: its mode, its size and its pixels."""
    named = f"{image.mode} {image.width}x{image.height}:".encode()
    return hashlib.sha256(named + image.tobytes()).hexdigest()


def encoded(image: Image.Image, form: Form) -> bytes:
    """The bytes of a sendable picture."""
    if form == "raw":
        return image.tobytes()
    out = io.BytesIO()
    if form == "png":
        image.save(out, "PNG", compress_level=PNG_LEVEL)
    else:
        image.convert("RGB").save(out, "WEBP", quality=WEBP_QUALITY, method=0)
    return out.getvalue()


def decoded(data: Buffer, form: str, mode: str, size: tuple[int, int]) -> Image.Image:
    """The picture that `encoded` made bytes of. Raises: Malformed, before more memory is taken than it may have."""
    width, height = size
    if mode not in MODES or not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise Malformed("a picture is larger than any may be")
    if form == "raw":
        return _raw(data, mode, size)
    kind = {"png": "PNG", "webp": "WEBP"}.get(form)
    if kind is None:
        raise Malformed("a picture has no known form")
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            if image.size != size:  # its header alone was read by now
                raise Malformed("a picture is of another size than it says")
            image.load()
            return image if image.mode == mode else image.convert(mode)
    except Malformed:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads to
        raise Malformed(f"a picture can't be read ({type(error).__name__})") from None


def _raw(data: Buffer, mode: str, size: tuple[int, int]) -> Image.Image:
    width, height = size
    wanted = (width + 7) // 8 * height if mode == "1" else width * height * MODES[mode]
    if memoryview(data).nbytes != wanted:
        raise Malformed("a picture has more or fewer pixels than it says")
    return Image.frombytes(mode, size, data)
