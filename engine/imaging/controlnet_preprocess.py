"""What ControlNets follow, made of any picture. Pillow, numpy and scipy alone; knows no requests, no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported when they are first used: a quarter of what the bot's start takes
from PIL import Image, ImageFilter

EDGES = "edges"  # Easel Mini's own kind, by that name alone
EDGE_THRESHOLD = 14.0  # grey levels between neighbours
EDGE_BLUR_PX = 0.6  # so that grain draws no outline
CANNY_LOW, CANNY_HIGH = 100, 200  # what the published ControlNets for edges were trained with
_SHIFT = 15
_TAN_22 = 13573  # tan(22.5 degrees) * 2^15, as OpenCV has it

# What a model that looks at pictures draws, where one is configured, by the names that ControlNets have for it.
LOOKED_AT: Mapping[str, str] = {
    **dict.fromkeys(("depth", "midas"), "depth"),
    **dict.fromkeys(("pose", "openpose"), "pose"),
    **dict.fromkeys(("soft", "softedge", "hed"), "soft"),
}
GRADIENT = "gradient"  # soft edges without a model
_WIDTHS_PX = (1.0, 2.0, 4.0)  # of what counts as an edge
_BRIGHTEST = 99.5  # percent of the pixels are no brighter than white

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def edges(picture: Image.Image) -> Image.Image:
    """A picture's outlines in white on black, as RGB of its size: what Mini's ControlNet was trained on."""
    grey = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(EDGE_BLUR_PX))).astype(np.float32)
    steps = np.abs(np.diff(grey, axis=0, prepend=grey[:1])) + np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    return Image.fromarray(((steps > EDGE_THRESHOLD) * 255).astype(np.uint8)).convert("RGB")


def canny(picture: Image.Image) -> Image.Image:
    """Canny's edges in white on black, as RGB of its size; the same pixels as OpenCV's `Canny(rgb, 100, 200)` gives.

    Canny 1986 (A Computational Approach to Edge Detection): 3x3 Sobel, of the channel that changes most, sums of
    absolute values; only ridges are kept, strong ones and what hangs together with them.
    """
    across, down = _gradient(np.asarray(picture.convert("RGB")).astype(np.int64))
    steep = np.abs(across) + np.abs(down)
    ridges = _ridges(across, down, steep) & (steep > CANNY_LOW)
    connected, _ = scipy.ndimage.label(ridges, structure=np.ones((3, 3)))
    kept = np.unique(connected[ridges & (steep > CANNY_HIGH)])
    return Image.fromarray((np.isin(connected, kept) & ridges).astype(np.uint8) * 255).convert("RGB")


def _gradient(colours: Integers) -> tuple[Integers, Integers]:
    """How much the channel that changes most does so, to the right and downwards: (H, W) each."""
    soft, steep = np.array([1, 2, 1]), np.array([-1, 0, 1])

    def sobel(axis: int) -> Integers:
        smooth = scipy.ndimage.correlate1d(colours, soft, axis=1 - axis, mode="nearest")
        return np.asarray(scipy.ndimage.correlate1d(smooth, steep, axis=axis, mode="nearest"))

    across, down = sobel(1), sobel(0)
    most = np.argmax(np.abs(across) + np.abs(down), axis=2)[..., None]
    return np.take_along_axis(across, most, axis=2)[..., 0], np.take_along_axis(down, most, axis=2)[..., 0]


def _ridges(across: Integers, down: Integers, steep: Integers) -> Mask:
    """Where nothing beside it, in the direction of the change, is as steep."""
    around = np.pad(steep, 1)

    def beside(right: int, below: int) -> Integers:
        return around[1 + below : 1 + below + steep.shape[0], 1 + right : 1 + right + steep.shape[1]]

    wide, tall = np.abs(across), np.abs(down) << _SHIFT
    flat = tall < wide * _TAN_22
    upright = tall > wide * _TAN_22 + (wide << (_SHIFT + 1))
    falling = (across ^ down) < 0
    left_right = (steep > beside(-1, 0)) & (steep >= beside(1, 0))
    up_down = (steep > beside(0, -1)) & (steep >= beside(0, 1))
    diagonal = np.where(
        falling,
        (steep > beside(1, -1)) & (steep > beside(-1, 1)),
        (steep > beside(-1, -1)) & (steep > beside(1, 1)),
    )
    return np.asarray(np.where(flat, left_right, np.where(upright, up_down, diagonal)))


def soft(picture: Image.Image) -> Image.Image:
    """A picture's edges in greys on black, as RGB of its size: how much the colours change, at three widths.

    The gradient times the width it is smoothed by: Lindeberg 1998 (Edge Detection and Ridge Detection with Automatic
    Scale Selection), section 4. It sees every texture, which a network for soft edges has learned to pass over.
    """
    colours = np.asarray(picture.convert("RGB")).astype(np.float32)
    gradient = partial(scipy.ndimage.gaussian_gradient_magnitude, mode="nearest")
    steep = sum(w * np.stack([gradient(colours[..., c], w) for c in range(3)]).max(0) for w in _WIDTHS_PX)
    white = max(float(np.percentile(steep, _BRIGHTEST)), 1.0)
    return Image.fromarray((np.clip(steep / white, 0, 1) * 255).round().astype(np.uint8)).convert("RGB")


DRAWN: Mapping[str, Callable[[Image.Image], Image.Image]] = {EDGES: canny, "canny": canny}


def kind_of(controlnet: str) -> str:
    """What a ControlNet's name promises that it follows: `edges` of `edges-xl`."""
    return controlnet.partition("-")[0]


def looked_at(controlnet: str) -> str:
    """What a model that looks at pictures has to draw for the ControlNet of this name; "" = nothing."""
    return LOOKED_AT.get(kind_of(controlnet).casefold(), "")


def made_ready(picture: Image.Image, controlnet: str) -> Image.Image:
    """What the ControlNet of this name follows, as far as no model is asked: edges for `canny`, `edges-...` and
    `edges`, else the picture itself."""
    if controlnet == EDGES:
        return edges(picture)
    draw = DRAWN.get(kind_of(controlnet))
    return draw(picture) if draw is not None else picture
