"""Measurements on pixels: what a ruler and a colour chart can say about a picture. Knows no network and no torch."""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.mini.words import COLOURS

Mask = NDArray[np.bool_]
Pixels = NDArray[np.float32]

CONTRAST = 60.0  # RGB distance from the backdrop at which a pixel counts as a thing
DIRECTIONS = 36


def _pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB")).astype(np.float32)


def backdrop(picture: Image.Image) -> Pixels:
    """Return the median colour of the border: (3,) float32."""
    pixels = _pixels(picture)
    border = [pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]]
    median: Pixels = np.median(np.concatenate([edge.reshape(-1, 3) for edge in border]), axis=0).astype(np.float32)
    return median


def foreground(picture: Image.Image) -> Mask:
    """Return where a picture with a plain backdrop differs from it: (H, W), the largest connected part."""
    distance = np.linalg.norm(_pixels(picture) - backdrop(picture), axis=2)
    parts = components(distance > CONTRAST)
    return max(parts, key=lambda part: int(part.sum())) if parts else np.zeros(distance.shape, bool)


def components(mask: Mask) -> list[Mask]:
    """Split a mask into its 4-connected parts."""
    rest, parts = mask.copy(), []
    while rest.any():
        y, x = np.unravel_index(int(rest.argmax()), rest.shape)
        parts.append(_flood(rest, int(y), int(x)))
    return parts


def _flood(rest: Mask, y: int, x: int) -> Mask:
    """Move the part around (y, x) out of `rest`."""
    part, edge = np.zeros_like(rest), deque([(y, x)])
    rest[y, x] = False
    while edge:
        y, x = edge.popleft()
        part[y, x] = True
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < rest.shape[0] and 0 <= u < rest.shape[1] and rest[v, u]:
                rest[v, u] = False
                edge.append((v, u))
    return part


def nearest_colour(rgb: Pixels) -> str:
    """Name a colour, by distance in RGB to the world's palette."""
    palette = np.array(list(COLOURS.values()), np.float32)
    return list(COLOURS)[int(np.linalg.norm(palette - rgb, axis=1).argmin())]


def dominant_colour(picture: Image.Image) -> str | None:
    """Name the median colour of the largest thing before a plain backdrop, None if the picture is empty."""
    mask = foreground(picture)
    return nearest_colour(np.median(_pixels(picture)[mask], axis=0)) if mask.any() else None


def centre(mask: Mask) -> tuple[float, float]:
    """Return the centre of mass as fractions of width and height."""
    ys, xs = np.nonzero(mask)
    return float(xs.mean() + 0.5) / mask.shape[1], float(ys.mean() + 0.5) / mask.shape[0]


def roundness(mask: Mask) -> float:
    """Return 1 for a disc and less the more its outline's distance from the centre varies (star: about 0.7)."""
    ys, xs = np.nonzero(mask)
    if len(ys) < DIRECTIONS:
        return 0.0
    dy, dx = ys - ys.mean(), xs - xs.mean()
    sector = ((np.arctan2(dy, dx) + math.pi) / (2 * math.pi) * DIRECTIONS).astype(int) % DIRECTIONS
    reach = np.zeros(DIRECTIONS)
    np.maximum.at(reach, sector, np.hypot(dy, dx))
    return float(1 - reach.std() / reach.mean())
