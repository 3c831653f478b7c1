"""Masks as people make them: white on black, colour on black or white, strokes or holes in a layer, any size.

Pure pixels; knows no Discord. Slow: call it off the event loop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bot.errors import BadInput
from bot.features.region.masks import LEAST_SHARE, SIMILAR, Bits, checked, from_painted, of_bits, px, scaled

DARK, LIGHT = 80, 175  # of 255: what JPEG makes of black and of white stays beyond these
VIVID, GREY = 96, 24  # between the strongest and the weakest channel: paint, and no colour at all
MOST = 0.9  # of the pixels: what is true of so many is what was meant
ALIKE = 40  # of 255: colours of one brush
FAINT = 8  # of 255: alpha below this is nothing, however faint the brush


def from_file(layers: Image.Image, original: Image.Image) -> Image.Image:
    """A mask file for a picture. Raises: BadInput."""
    size = original.size
    if abs(layers.width * size[1] / (layers.height * size[0]) - 1) > SIMILAR:
        raise BadInput(
            "The mask has {px} pixels and the picture {px2}: other proportions. Make the mask from the picture, "
            "or paint over the picture itself and give it as `painted`.",
            px=px(layers.size),
            px2=px(size),
        )
    return checked(scaled(hole(layers) or _drawn(layers.convert("RGB"), original), size))


def hole(layers: Image.Image) -> Image.Image | None:
    """The transparent part of a picture; None when nothing of it is.

    Strokes on an empty layer are the other way round: there the strokes are the region, however faint the brush.
    """
    if not layers.has_transparency_data:
        return None
    pixels = np.asarray(layers.convert("RGBA"))
    alpha = pixels[..., 3]
    solid = alpha >= max(FAINT, int(alpha.max()) // 2)
    if solid.all():
        return None
    return of_bits(solid if _is_stroke(pixels[..., :3], solid) else ~solid)


def _is_stroke(colours: NDArray[np.uint8], solid: Bits) -> bool:
    """Whether what a layer holds was drawn with one brush, on an empty layer or in white."""
    drawn = colours[solid]
    if not drawn.size:
        return False
    if float((drawn.min(axis=-1) >= 224).mean()) > 0.98:
        return True
    apart = np.abs(drawn.astype(np.int16) - np.median(drawn, axis=0).astype(np.int16)).max(axis=-1)
    edge = np.concatenate([solid[0], solid[-1], solid[:, 0], solid[:, -1]])
    return float((apart <= ALIKE).mean()) >= MOST and float(edge.mean()) < 0.5


def _drawn(mask: Image.Image, original: Image.Image) -> Image.Image:
    """What is white, or coloured, in a picture without holes; or what differs, when it's the picture painted over."""
    pixels = np.asarray(mask)
    high, low = pixels.max(axis=-1), pixels.min(axis=-1)
    spread = high - low
    paint, plain = spread >= VIVID, (high < DARK) | (low > LIGHT)
    painted = float(paint.mean()) >= LEAST_SHARE
    flat = plain | paint if painted else plain | (spread < GREY)
    if float(flat.mean()) < MOST:
        return from_painted(original, mask)
    ground = low[~paint]
    if painted and ground.size and float((ground > LIGHT).mean()) >= MOST:  # paint on white
        return of_bits(low < 128)
    return of_bits(high >= 128)
