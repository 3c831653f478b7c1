"""How each of the 28 things is drawn, in a box from -1 to 1. Knows the pen, not scenes or captions."""

import math
from collections.abc import Callable

from engine.mini.train.world.pen import RGB, Pen, Point, arc, darker, lighter, luminance, mix, rectangle

PI = math.pi
WOOD: RGB = (128, 84, 52)
PUPIL: RGB = (26, 26, 36)
PAPER_WHITE: RGB = (252, 250, 244)

Shape = Callable[[Pen, RGB], None]
SHAPES: dict[str, Shape] = {}


def shape(draw: Shape) -> Shape:
    """Register a drawing function under its name."""
    SHAPES[draw.__name__] = draw
    return draw


@shape
def circle(pen: Pen, colour: RGB) -> None:
    pen.ellipse(0, 0, 0.92, 0.92, colour)


@shape
def square(pen: Pen, colour: RGB) -> None:
    pen.polygon(rectangle(-0.82, -0.82, 0.82, 0.82), colour)


@shape
def triangle(pen: Pen, colour: RGB) -> None:
    pen.polygon([(0, -0.9), (0.95, 0.8), (-0.95, 0.8)], colour)


@shape
def star(pen: Pen, colour: RGB) -> None:
    radii = [1 if i % 2 == 0 else 0.42 for i in range(10)]
    pen.polygon([(r * math.sin(i * PI / 5), -r * math.cos(i * PI / 5)) for i, r in enumerate(radii)], colour)


@shape
def heart(pen: Pen, colour: RGB) -> None:
    pen.polygon([_heart_point(i * PI / 20) for i in range(40)], colour)


def _heart_point(t: float) -> Point:
    y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
    return 0.96 * math.sin(t) ** 3, -0.06 * y - 0.08


@shape
def diamond(pen: Pen, colour: RGB) -> None:
    pen.polygon([(0, -1), (0.72, 0), (0, 1), (-0.72, 0)], colour)


@shape
def moon(pen: Pen, colour: RGB) -> None:
    outer = arc(-0.1, 0, 0.95, 0.95, PI * 0.25, PI * 1.75, 28)
    pen.polygon(outer + arc(0.5, 0, 0.76, 0.72, PI * 1.62, PI * 0.38, 28), colour)


@shape
def sun(pen: Pen, colour: RGB) -> None:
    for i in range(12):
        a = i * PI / 6
        foot = [(0.62 * math.cos(a + d), 0.62 * math.sin(a + d)) for d in (-0.13, 0.13)]
        pen.polygon([foot[0], (math.cos(a), math.sin(a)), foot[1]], mix(colour, (255, 150, 30), 0.35))
    pen.ellipse(0, 0, 0.6, 0.6, colour)


@shape
def cloud(pen: Pen, colour: RGB) -> None:
    left, middle, right = (-0.55, 0.18, 0.42, 0.34), (-0.12, -0.12, 0.5, 0.46), (0.42, 0.02, 0.42, 0.38)
    pen.union([left, middle, right, (0.0, 0.26, 0.75, 0.28), (0.68, 0.24, 0.3, 0.26)], colour)


@shape
def tree(pen: Pen, colour: RGB) -> None:
    pen.polygon([(-0.13, 0.3), (0.13, 0.3), (0.17, 1), (-0.17, 1)], WOOD)
    sides = [(-0.38, 0.0, 0.44, 0.42), (0.38, 0.0, 0.44, 0.42)]
    pen.union([*sides, (0, -0.42, 0.5, 0.5), (0, 0.1, 0.5, 0.35)], colour)
    if not pen.strokes:
        pen.ellipse(-0.14, -0.46, 0.24, 0.2, lighter(colour, 0.16))


@shape
def pine(pen: Pen, colour: RGB) -> None:
    pen.polygon(rectangle(-0.11, 0.6, 0.11, 1), WOOD)
    for i, (top, bottom, width) in enumerate([(-0.1, 0.72, 0.72), (-0.5, 0.3, 0.58), (-1, -0.12, 0.42)]):
        pen.polygon([(0, top), (width, bottom), (-width, bottom)], darker(colour, 0.16 - 0.08 * i))


@shape
def house(pen: Pen, colour: RGB) -> None:
    pen.polygon(rectangle(-0.72, -0.1, 0.72, 1), colour)
    pen.polygon([(-0.95, -0.05), (0, -0.95), (0.95, -0.05)], mix(darker(colour, 0.45), (120, 50, 40), 0.4))
    pen.polygon(rectangle(-0.18, 0.42, 0.18, 1), darker(mix(colour, WOOD, 0.6), 0.3))
    for x in (-0.45, 0.45):
        lit = (255, 238, 170) if luminance(colour) < 225 else (150, 205, 240)
        pen.polygon(rectangle(x - 0.15, 0.12, x + 0.15, 0.4), lit)


@shape
def boat(pen: Pen, colour: RGB) -> None:
    pen.line([(0, -0.95), (0, 0.4)], WOOD, 0.09)
    pen.polygon([(0.08, -0.9), (0.75, 0.2), (0.08, 0.2)], PAPER_WHITE)
    pen.polygon([(-0.08, -0.7), (-0.6, 0.2), (-0.08, 0.2)], (240, 236, 226))
    pen.polygon([(-1, 0.36), (1, 0.36), (0.62, 0.86), (-0.66, 0.86)], colour)


@shape
def fish(pen: Pen, colour: RGB) -> None:
    pen.polygon([(0.42, 0), (1, -0.5), (0.86, 0), (1, 0.5)], darker(colour, 0.15))
    pen.polygon([(-0.15, -0.4), (0.2, -0.75), (0.35, -0.3)], darker(colour, 0.15))
    pen.ellipse(-0.18, 0, 0.72, 0.5, colour)
    pen.ellipse(-0.55, -0.1, 0.12, 0.12, (255, 255, 255))
    pen.ellipse(-0.57, -0.1, 0.06, 0.06, PUPIL, solid=True)


@shape
def flower(pen: Pen, colour: RGB) -> None:
    pen.line([(0, -0.1), (0, 1)], (70, 150, 70), 0.09)
    pen.polygon([(0, 0.75), (0.4, 0.42), (0.45, 0.62)], (84, 168, 80))
    pen.polygon([(0, 0.85), (-0.4, 0.55), (-0.45, 0.75)], (84, 168, 80))
    for i in range(6):
        a = i * PI / 3 + 0.3
        pen.ellipse(0.42 * math.cos(a), -0.38 + 0.42 * math.sin(a), 0.27, 0.27, colour)
    bright = luminance(colour) < 190 or colour[2] > 150
    pen.ellipse(0, -0.38, 0.24, 0.24, (252, 206, 60) if bright else (180, 100, 40))


@shape
def cat(pen: Pen, colour: RGB) -> None:
    pen.line([(0.45, 0.85), (0.8, 0.7), (0.82, 0.3), (0.95, 0.15)], colour, 0.17)
    pen.ellipse(0, 0.55, 0.56, 0.46, colour)
    for side in (-1, 1):
        pen.polygon([(side * 0.5, -0.35), (side * 0.52, -0.98), (side * 0.08, -0.62)], colour)
    pen.ellipse(0, -0.25, 0.56, 0.47, colour)
    for side in (-1, 1):
        pen.ellipse(side * 0.22, -0.3, 0.08, 0.1, PUPIL if luminance(colour) > 90 else (250, 225, 90), solid=True)
    pen.polygon([(-0.07, -0.13), (0.07, -0.13), (0, -0.05)], (240, 130, 150))
    if not pen.strokes:
        pen.ellipse(0, 0.62, 0.26, 0.28, lighter(colour, 0.35))


@shape
def bird(pen: Pen, colour: RGB) -> None:
    pen.polygon([(0.5, 0.0), (1, -0.3), (0.95, 0.2)], darker(colour))
    pen.ellipse(0.05, 0.1, 0.62, 0.42, colour)
    pen.ellipse(-0.5, -0.28, 0.34, 0.32, colour)
    pen.polygon([(-0.8, -0.35), (-1.05, -0.2), (-0.78, -0.15)], (245, 160, 50))
    pen.polygon([(-0.1, 0.05), (0.55, -0.55), (0.5, 0.25)], darker(colour, 0.28))
    pen.ellipse(-0.58, -0.34, 0.06, 0.06, PUPIL if luminance(colour) > 80 else (255, 255, 255), solid=True)


@shape
def balloon(pen: Pen, colour: RGB) -> None:
    for side in (-1, 1):
        pen.line([(side * 0.35, 0.2), (side * 0.15, 0.72)], (90, 70, 60), 0.04)
    pen.polygon([*arc(0, -0.32, 0.68, 0.68, PI * 0.85, PI * 2.15, 24), (0.2, 0.5), (-0.2, 0.5)], colour)
    if not pen.strokes:
        stripe = arc(0, -0.32, 0.28, 0.68, PI * 0.85, PI * 2.15, 24)
        pen.polygon([*stripe, (0.09, 0.5), (-0.09, 0.5)], lighter(colour, 0.35))
    pen.polygon(rectangle(-0.17, 0.68, 0.17, 0.96), WOOD)


@shape
def mushroom(pen: Pen, colour: RGB) -> None:
    pen.polygon([(-0.22, -0.05), (0.22, -0.05), (0.3, 0.92), (-0.3, 0.92)], (246, 234, 212))
    pen.polygon([*arc(0, 0.05, 0.92, 0.9, PI, 2 * PI, 20), (0.92, 0.12), (-0.92, 0.12)], colour)
    if not pen.strokes:
        for x, y, r in [(-0.42, -0.22, 0.15), (0.12, -0.5, 0.17), (0.5, -0.15, 0.13)]:
            pen.ellipse(x, y, r, r * 0.9, PAPER_WHITE)


@shape
def butterfly(pen: Pen, colour: RGB) -> None:
    for side in (-1, 1):
        pen.polygon(arc(side * 0.5, 0.42, 0.36, 0.42, 0, 2 * PI, 18), darker(colour, 0.18))
        pen.polygon(arc(side * 0.55, -0.3, 0.43, 0.5, 0, 2 * PI, 18), colour)
        if not pen.strokes:
            pen.ellipse(side * 0.58, -0.3, 0.18, 0.22, lighter(colour, 0.45))
        pen.line([(0, -0.5), (side * 0.22, -0.95)], (50, 40, 50), 0.05)
    pen.ellipse(0, 0.05, 0.1, 0.6, (60, 48, 56))


@shape
def car(pen: Pen, colour: RGB) -> None:
    glass = (190, 226, 244)
    pen.polygon([(-0.55, 0.02), (-0.36, -0.48), (0.36, -0.48), (0.6, 0.02)], colour)
    pen.polygon([(-0.4, -0.02), (-0.27, -0.36), (-0.02, -0.36), (-0.02, -0.02)], glass)
    pen.polygon([(0.06, -0.02), (0.06, -0.36), (0.3, -0.36), (0.44, -0.02)], glass)
    pen.polygon([(-1, 0.05), (-0.9, -0.03), (0.9, -0.03), (1, 0.1), (1, 0.45), (-1, 0.45)], colour)
    for x in (-0.52, 0.52):
        pen.ellipse(x, 0.47, 0.24, 0.24, (46, 46, 54))
        pen.ellipse(x, 0.47, 0.1, 0.1, (200, 200, 206))


@shape
def apple(pen: Pen, colour: RGB) -> None:
    pen.union([(-0.3, 0.12, 0.56, 0.7), (0.3, 0.12, 0.56, 0.7)], colour)
    pen.line([(0, -0.5), (0.08, -0.92)], WOOD, 0.1)
    pen.polygon([(0.1, -0.72), (0.55, -0.95), (0.42, -0.62)], (88, 172, 74))
    if not pen.strokes:
        pen.ellipse(-0.42, -0.15, 0.13, 0.2, lighter(colour, 0.4))


@shape
def rocket(pen: Pen, colour: RGB) -> None:
    pen.polygon([(-0.2, 0.6), (0.2, 0.6), (0, 1.05)], (252, 170, 50))
    for side in (-1, 1):
        pen.polygon([(side * 0.3, 0.1), (side * 0.68, 0.68), (side * 0.28, 0.55)], darker(colour, 0.3))
    pen.polygon([*arc(0, -0.05, 0.36, 0.95, PI, 2 * PI, 18), (0.3, 0.6), (-0.3, 0.6)], colour)
    pen.ellipse(0, -0.22, 0.17, 0.17, (186, 226, 246))


@shape
def castle(pen: Pen, colour: RGB) -> None:
    pen.polygon(rectangle(-0.55, -0.05, 0.55, 0.95), colour)
    for x in (-0.7, 0.7):
        pen.polygon(rectangle(x - 0.24, -0.4, x + 0.24, 0.95), darker(colour, 0.1))
        roof = mix(darker(colour, 0.45), (150, 50, 70), 0.45)
        pen.polygon([(x - 0.32, -0.4), (x, -0.92), (x + 0.32, -0.4)], roof)
    for x in (-0.33, 0, 0.33):
        pen.polygon(rectangle(x - 0.1, -0.22, x + 0.1, -0.02), colour)
    pen.polygon([*arc(0, 0.55, 0.2, 0.22, PI, 2 * PI, 10), (0.2, 0.95), (-0.2, 0.95)], darker(colour, 0.55))


@shape
def ghost(pen: Pen, colour: RGB) -> None:
    hem = [(0.66 - 0.33 * i, 0.92 - (0.22 if i % 2 else 0)) for i in range(5)]
    pen.polygon([*arc(0, -0.2, 0.66, 0.74, PI, 2 * PI, 20), *hem], colour)
    eyes = (40, 40, 60) if luminance(colour) > 110 else (250, 250, 250)
    for side in (-1, 1):
        pen.ellipse(side * 0.24, -0.25, 0.11, 0.15, eyes, solid=True)
    pen.ellipse(0, 0.12, 0.1, 0.12, eyes, solid=True)


@shape
def umbrella(pen: Pen, colour: RGB) -> None:
    pen.line([(0, -0.2), (0, 0.8), (0.12, 0.92), (0.25, 0.8)], (96, 70, 60), 0.08)
    scallops = [point for x in (0.65, 0, -0.65) for point in arc(x, 0.05, 0.33, 0.14, 0, -PI, 6)]
    pen.polygon(arc(0, 0.05, 0.98, 0.92, PI, 2 * PI, 24) + scallops, colour)
    if not pen.strokes:
        pen.polygon([(0, -0.87), (0.3, -0.02), (0, -0.09), (-0.3, -0.02)], darker(colour, 0.15))


@shape
def snowman(pen: Pen, colour: RGB) -> None:
    hat = (40, 40, 50)
    pen.ellipse(0, 0.48, 0.56, 0.5, colour)
    pen.ellipse(0, -0.22, 0.38, 0.36, colour)
    pen.polygon(rectangle(-0.42, -0.6, 0.42, -0.5), hat)
    pen.polygon(rectangle(-0.26, -0.98, 0.26, -0.55), hat)
    for side in (-1, 1):
        pen.ellipse(side * 0.13, -0.3, 0.05, 0.05, PUPIL, solid=True)
    pen.polygon([(0, -0.22), (0.4, -0.14), (0, -0.1)], (244, 140, 40))
    for y in (0.3, 0.55):
        pen.ellipse(0, y, 0.06, 0.06, PUPIL, solid=True)


@shape
def robot(pen: Pen, colour: RGB) -> None:
    pen.line([(0, -0.95), (0, -0.7)], (110, 110, 120), 0.06)
    pen.ellipse(0, -0.93, 0.1, 0.1, (230, 70, 60), solid=True)
    pen.polygon(rectangle(-0.5, -0.72, 0.5, -0.08), colour)
    pen.polygon(rectangle(-0.62, 0.02, 0.62, 0.72), darker(colour, 0.14))
    for side in (-1, 1):
        _robot_side(pen, colour, side)
    pen.polygon(rectangle(-0.25, -0.24, 0.25, -0.17), (50, 50, 60))
    pen.polygon(rectangle(-0.3, 0.2, 0.3, 0.5), (250, 226, 120) if luminance(colour) < 215 else (130, 200, 230))


def _robot_side(pen: Pen, colour: RGB, side: int) -> None:
    pen.ellipse(side * 0.22, -0.45, 0.12, 0.12, (250, 250, 240))
    pen.ellipse(side * 0.22, -0.45, 0.05, 0.05, PUPIL, solid=True)
    pen.polygon(rectangle(side * 0.78 - 0.11, 0.06, side * 0.78 + 0.11, 0.6), colour)
    pen.polygon(rectangle(side * 0.3 - 0.15, 0.74, side * 0.3 + 0.15, 1), darker(colour, 0.3))
