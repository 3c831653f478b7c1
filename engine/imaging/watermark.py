"""An invisible mark that says "made by an algorithm", and survives scaling and lossy files. Knows no torch.

Spread spectrum (Cox, Kilian, Leighton, Shamoon, "Secure spread spectrum watermarking for multimedia", 1997) in the
cosine transform of the picture's brightness, on a grid of a fixed size: so the mark doesn't depend on the picture's.
A pattern of +1 and -1 is added to coefficients of middle frequencies, to each as much as its neighbourhood hides. A
picture without the mark correlates with the pattern by chance alone: its score is a normal deviate, whatever it shows.

It's a mark, no protection: whoever wants to remove it can, and cropping or turning the picture does.
"""

from __future__ import annotations

import hashlib

import numpy as np
import scipy  # its parts are imported when they are first used
from numpy.typing import NDArray
from PIL import Image

Reals = NDArray[np.float32]

GRID_PX = 256  # the picture's brightness is looked at in this size
LOWEST, HIGHEST = 8, 76  # frequencies, in half waves over the picture: seen below, lost in half the size above
SHARE = 0.24  # of a coefficient's neighbourhood that the pattern adds
LEAST, MOST = 10.0, 14.0  # a lossy file drops less from flat pictures; more would be seen in busy ones
SURE = 5.0  # standard deviations: by chance once in 3 million pictures
KEY = b"easel 1"  # whoever has the program can look for the mark


def embed(image: Image.Image) -> Image.Image:
    """The picture with the mark; itself when it's there already. RGB in, RGB out, any size."""
    if score(image) >= 2 * SURE:  # an edit of a marked picture
        return image
    coefficients = _spectrum(image)
    added = np.zeros_like(coefficients)
    added[_BAND] = _PATTERN * np.clip(SHARE * _around(coefficients)[_BAND], LEAST, MOST)
    change = scipy.fft.idctn(added, norm="ortho").astype(np.float32)
    full = Image.fromarray(change, "F").resize(image.size, Image.Resampling.BICUBIC)
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32) + np.asarray(full)[..., None]
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def score(image: Image.Image) -> float:
    """How well the picture fits the pattern, in standard deviations; without the mark about a normal deviate."""
    coefficients = _spectrum(image)
    seen = (coefficients / np.maximum(_around(coefficients), 0.3))[_BAND]
    seen = np.clip(seen, -3, 3)  # one strong line must not decide
    return float((seen * _PATTERN).sum() / max(1e-6, float(np.sqrt((seen * seen).sum()))))


def found(image: Image.Image) -> bool:
    """Whether the picture carries the mark."""
    return score(image) >= SURE


def _spectrum(image: Image.Image) -> Reals:
    grey = image.convert("L").resize((GRID_PX, GRID_PX), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(scipy.fft.dctn(np.asarray(grey, dtype=np.float32), norm="ortho"), dtype=np.float32)


def _around(coefficients: Reals) -> Reals:
    """How large the coefficients about each are."""
    return np.asarray(scipy.ndimage.uniform_filter(np.abs(coefficients), 9), dtype=np.float32)


def _band() -> NDArray[np.bool_]:
    across, down = np.meshgrid(np.arange(GRID_PX), np.arange(GRID_PX))
    radius = np.hypot(across, down)
    return np.asarray((radius >= LOWEST) & (radius < HIGHEST), dtype=np.bool_)


def _pattern(count: int) -> Reals:
    """+1 and -1 from the key, as many of each as chance gives; the same on every machine."""
    stream = b"".join(hashlib.sha256(KEY + bytes([0, block])).digest() for block in range(-(-count // 256)))
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))[:count]
    return np.asarray(bits, dtype=np.float32) * 2 - 1


_BAND = _band()
_PATTERN = _pattern(int(_BAND.sum()))
