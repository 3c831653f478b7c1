"""A pen that draws one shape in several styles: filled, outlined or glowing. Knows Pillow, not what it draws."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

RGB = tuple[int, int, int]
Point = tuple[float, float]
Ellipse = tuple[float, float, float, float]  # centre x, centre y, radius x, radius y

LINE_WIDTH = {"outline": 0.017, "neon": 0.017}  # of the canvas: about two pixels of a 128-px picture


def mix(a: RGB, b: RGB, t: float) -> RGB:
    """Blend two colours; t = 0 gives `a`."""
    red, green, blue = (round(x * (1 - t) + y * t) for x, y in zip(a, b, strict=True))
    return red, green, blue


def darker(colour: RGB, t: float = 0.2) -> RGB:
    """Blend towards a bluish black."""
    return mix(colour, (20, 16, 40), t)


def lighter(colour: RGB, t: float = 0.3) -> RGB:
    """Blend towards white."""
    return mix(colour, (255, 255, 255), t)


def luminance(colour: RGB) -> float:
    """Return perceived brightness, 0..255 (ITU-R BT.601 weights)."""
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def rectangle(x0: float, y0: float, x1: float, y1: float) -> list[Point]:
    """Return the corners of a box."""
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float, steps: int = 16) -> list[Point]:
    """Return points along an elliptic arc, angles in radians."""
    angles = (start + (end - start) * i / steps for i in range(steps + 1))
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


class Pen:
    """Draws in local units: (0, 0) is the middle of the thing, 1 its radius, y grows downwards."""

    def __init__(self, image: Image.Image, style: str, paper: RGB | None) -> None:
        self._draw = ImageDraw.Draw(image)
        self._size_px = image.width
        self._paper = paper
        self._neon = style == "neon"
        self.strokes = style in LINE_WIDTH
        self._width_px = max(2, round(image.width * LINE_WIDTH.get(style, 0.014)))
        self.move_to_canvas()

    def move_to(self, x: float, y: float, radius: float, rotation: float = 0.0, flip: int = 1) -> None:
        """Put the local frame somewhere; x, y and radius are fractions of the canvas."""
        self._x, self._y, self._r = x * self._size_px, y * self._size_px, radius * self._size_px
        self._cos, self._sin, self._flip = math.cos(rotation), math.sin(rotation), flip

    def move_to_canvas(self) -> None:
        """Make local units fractions of the whole canvas."""
        self.move_to(0, 0, 1)

    def polygon(self, points: Sequence[Point], colour: RGB) -> None:
        """Draw a closed shape."""
        corners = [self._to_canvas(p) for p in points]
        if not self.strokes:
            self._draw.polygon(corners, fill=colour)
            return
        self._draw.polygon(corners, fill=self._paper)
        self._draw.line([*corners, corners[0], corners[1]], fill=self._ink(colour), width=self._width_px, joint="curve")

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: RGB, *, solid: bool = False) -> None:
        """Draw an ellipse; `solid` fills it even in the line styles (eyes, bubbles)."""
        if self._cos != 1:
            self.polygon(arc(x, y, rx, ry, 0, 2 * math.pi * 35 / 36, 35), colour)
            return
        box = self._box((x, y, rx, ry))
        if self.strokes and not solid:
            self._draw.ellipse(box, fill=self._paper, outline=self._ink(colour), width=self._width_px)
        else:
            self._draw.ellipse(box, fill=self._ink(colour) if self.strokes else colour)

    def union(self, ellipses: Sequence[Ellipse], colour: RGB) -> None:
        """Draw overlapping ellipses as one blob: fat ink first, then paper on top leaves only the outer line."""
        if not self.strokes:
            passes = [(colour, 0.0)]
        else:
            assert self._paper is not None
            passes = [(self._ink(colour), self._width_px / 2), (self._paper, -self._width_px / 2)]
        for fill, grow in passes:
            for ellipse in ellipses:
                x0, y0, x1, y1 = self._box(ellipse)
                self._draw.ellipse((x0 - grow, y0 - grow, x1 + grow, y1 + grow), fill=fill)

    def line(self, points: Sequence[Point], colour: RGB, width: float = 0.06) -> None:
        """Draw an open line; `width` in local units."""
        width_px = self._width_px if self.strokes else max(2, int(width * self._r))
        ink = self._ink(colour) if self.strokes else colour
        self._draw.line([self._to_canvas(p) for p in points], fill=ink, width=width_px, joint="curve")

    def _to_canvas(self, point: Point) -> Point:
        x, y = point[0] * self._flip, point[1]
        return (
            self._x + self._r * (x * self._cos - y * self._sin),
            self._y + self._r * (x * self._sin + y * self._cos),
        )

    def _box(self, ellipse: Ellipse) -> tuple[float, float, float, float]:
        x, y = self._to_canvas(ellipse[:2])
        rx, ry = ellipse[2] * self._r, ellipse[3] * self._r
        return x - rx, y - ry, x + rx, y + ry

    def _ink(self, colour: RGB) -> RGB:
        """Return a line colour that can be seen on the paper."""
        if self._neon:
            return lighter(colour, 0.12) if luminance(colour) > 70 else mix(colour, (150, 150, 190), 0.75)
        if self._paper and luminance(self._paper) < 110:
            return lighter(colour) if luminance(colour) > 60 else mix(colour, (130, 130, 150), 0.6)
        return darker(colour, 0.12) if luminance(colour) < 215 else mix(colour, (120, 120, 135), 0.75)
