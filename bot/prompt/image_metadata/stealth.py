"""Texts hidden in the lowest bits of a picture: A1111's "stealth pnginfo", and NovelAI's, which is the same.

The bits go down the columns, left to right: first a word that says which channels hold them, then the length, then
the text, mostly packed by gzip.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bot.prompt.image_metadata.records import MAX_TEXT

ALPHA = {b"stealth_pnginfo": False, b"stealth_pngcomp": True}  # whether it is packed
COLOURS = {b"stealth_rgbinfo": False, b"stealth_rgbcomp": True}
WORD_BITS, LENGTH_BITS = 15 * 8, 32


def hidden_text(image: Image.Image) -> str:
    """What a picture hides; "" when it hides nothing that we know."""
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        return ""
    ways = [(COLOURS, pixels[..., :3])]
    if pixels.shape[2] == 4:
        ways.insert(0, (ALPHA, pixels[..., 3:]))
    for known, channels in ways:
        if text := _read(channels, known):
            return text
    return ""


def _read(channels: NDArray[np.uint8], known: dict[bytes, bool]) -> str:
    bits = channels.swapaxes(0, 1)  # column by column

    def taken(start: int, count: int) -> bytes:
        per_column = bits.shape[1] * bits.shape[2]
        first, last = start // per_column, -(-(start + count) // per_column)
        flat = bits[first:last].reshape(-1) & 1
        return np.packbits(flat[start - first * per_column :][:count]).tobytes()

    packed = known.get(taken(0, WORD_BITS))
    if packed is None:
        return ""
    length = int.from_bytes(taken(WORD_BITS, LENGTH_BITS), "big")
    if not 0 < length <= 8 * MAX_TEXT:
        return ""
    data = taken(WORD_BITS + LENGTH_BITS, length)
    return _inflated(data) if packed else data.decode("utf-8", "replace")


def _inflated(data: bytes) -> str:
    stream = zlib.decompressobj(wbits=31)  # gzip
    try:
        return stream.decompress(data, MAX_TEXT).decode("utf-8", "replace")
    except zlib.error:
        return ""
