"""What ControlNets follow, made of any picture. Pillow and numpy alone; knows no requests, no torch."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

EDGES = "edges"
EDGE_THRESHOLD = 14.0  # grey levels between neighbours
EDGE_BLUR_PX = 0.6  # so that grain draws no outline


def edges(picture: Image.Image) -> Image.Image:
    """A picture's outlines in white on black, as RGB of its size."""
    grey = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(EDGE_BLUR_PX))).astype(np.float32)
    steps = np.abs(np.diff(grey, axis=0, prepend=grey[:1])) + np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    return Image.fromarray(((steps > EDGE_THRESHOLD) * 255).astype(np.uint8)).convert("RGB")


def made_ready(picture: Image.Image, controlnet: str) -> Image.Image:
    """What the ControlNet of this name follows: outlines if it is `edges` or `edges-...`, else the picture itself."""
    return edges(picture) if controlnet.partition("-")[0] == EDGES else picture
