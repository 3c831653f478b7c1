"""Is a style that style? Each has a measure of its own, by pixels: a grid, thin lines, a glow, a wash. No network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from engine.mini.measure import CONTRAST, backdrop

SIDE = 256  # pictures are measured at this size
CELL = 16  # pixels a side of pixel art's cells
GRID = 2.0  # how much steeper cells' borders are than their insides
THIN = 0.3  # at most so much of the ink is left when three pixels are taken off all around
LIGHT, DARK = 200.0, 150.0  # mean of the channels of what "on white" is on paper, and in neon
WASHED = 0.12  # mean amplitude of blotches on what is an even backdrop in the other styles, of 255

Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """What the rulers of all styles say of a picture of things "on white".

    Attributes:
        grid: steps across the borders of cells over steps inside them.
        thick: share of what differs from the backdrop that is left after three pixels are taken off.
        paper: mean of the backdrop's channels, 0..255.
        blotches: amplitude of the backdrop's variations at the scale of a wash, 0..255.
    """

    grid: float
    thick: float
    paper: float
    blotches: float

    def fits(self, style: str) -> bool:
        """Tell whether a picture has this style rather than another."""
        if style == "pixel":
            return self.grid >= GRID
        if style == "neon":
            return self.paper <= DARK
        if self.grid >= GRID or self.paper < LIGHT:
            return False
        if style == "outline":
            return self.thick <= THIN
        return self.thick > THIN and (self.blotches >= WASHED) == (style == "watercolor")


def manner(picture: Image.Image) -> Manner:
    """Measure a picture of things before what is white in its style: neon has its own."""
    picture = picture.convert("RGB").resize((SIDE, SIDE))
    pixels = np.asarray(picture).astype(np.float32)
    paper = backdrop(picture)
    ink = np.linalg.norm(pixels - paper, axis=2) > CONTRAST
    return Manner(grid=_grid(pixels), thick=_thick(ink), paper=float(paper.mean()), blotches=_blotches(picture, ink))


def _grid(pixels: Grid) -> float:
    """Compare the steps across the borders of cells with those inside them, where there is anything to see."""
    at_borders, inside = [], []
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels, axis=axis)).mean(2)
        steps = steps if axis == 0 else steps.T
        border = np.arange(len(steps)) % CELL == CELL - 1
        at_borders.append(steps[border].mean())
        inside.append(steps[~border].mean())
    return float(np.mean(at_borders) / (np.mean(inside) + 0.05))


def _thick(ink: NDArray[np.bool_]) -> float:
    if not ink.any():
        return 0.0
    core = np.asarray(Image.fromarray(ink.astype(np.uint8)).filter(ImageFilter.MinFilter(7))) > 0
    return float(core.sum() / ink.sum())


def _blotches(picture: Image.Image, ink: NDArray[np.bool_]) -> float:
    """Return how much the backdrop varies between two scales, away from things."""
    fine, coarse = (np.asarray(picture.filter(ImageFilter.GaussianBlur(r))).astype(np.float32) for r in (3, 14))
    away = ~(np.asarray(Image.fromarray(ink.astype(np.uint8)).filter(ImageFilter.MaxFilter(61))) > 0)
    return float(np.abs(fine - coarse).mean(2)[away].mean()) if away.any() else 0.0
