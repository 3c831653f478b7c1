"""From a scene to pixels: backdrop, things, and the finish of a style. Anti-aliased by supersampling, seeded."""

import functools
import math
import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from engine.mini.train.scenes import Scene, Thing
from engine.mini.train.world.pen import RGB, Pen, darker, lighter, mix
from engine.mini.train.world.shapes import SHAPES
from engine.mini.words import COLOURS

Floats = NDArray[np.float32]

SUPERSAMPLE = 3
HORIZON = 0.66
PIXEL_CELLS = 16  # a side, as many as latents: an autoencoder forgets smaller ones
TURNS = frozenset("star heart diamond square triangle moon butterfly rocket apple".split())  # noqa: SIM905
LEFT = 0.4  # things further left than this look to the right, into the picture
MIRRORS = frozenset("fish bird boat cat moon".split())  # noqa: SIM905
NEON_PAPER: RGB = (14, 12, 30)
OUTLINE_PAPER: RGB = (251, 249, 243)
STARLIGHT: RGB = (250, 246, 220)
SKIES: dict[str, tuple[RGB, RGB]] = {
    "night": ((16, 20, 58), (54, 60, 120)),
    "sunset": ((120, 70, 140), (255, 170, 90)),
    "sea": ((150, 212, 246), (222, 242, 252)),
    "meadow": ((120, 194, 244), (214, 238, 250)),
    "snow": ((168, 200, 228), (230, 240, 248)),
    "desert": ((250, 214, 150), (254, 236, 200)),
    "underwater": ((60, 170, 210), (12, 66, 130)),
    "mountains": ((140, 190, 236), (236, 236, 246)),
    "space": ((14, 10, 34), (44, 20, 70)),
}


def render(scene: Scene, seed: int, size_px: int = 128) -> Image.Image:
    """Draw a scene. The same scene, seed and size give the same pixels."""
    rng = random.Random(seed)
    return _rendered(scene, size_px, rng, [rng] * len(scene.things), rng)


def render_kept(scene: Scene, numbers: Sequence[int], seed: int, size_px: int = 128) -> Image.Image:
    """Draw a scene in which each thing has a number: with the same seed, it looks the same whatever else changes."""
    things = [random.Random(f"{seed} {number}") for number in numbers]
    return _rendered(scene, size_px, random.Random(seed), things, random.Random(f"{seed} finish"))


def _rendered(
    scene: Scene, size_px: int, start: random.Random, things: Sequence[random.Random], finish: random.Random
) -> Image.Image:
    """Draw a scene with random numbers of their own for the backdrop, each thing, and the finish of the style."""
    canvas, paper = _backdrop(start, scene, size_px * SUPERSAMPLE)
    pen = Pen(canvas, scene.style, paper)
    for thing, rng in sorted(zip(scene.things, things, strict=True), key=lambda pair: pair[0].y + pair[0].radius):
        _draw(rng, pen, thing, upright=scene.relation == "on")
    return _finish(finish, canvas, scene.style, size_px)


def _draw(rng: random.Random, pen: Pen, thing: Thing, *, upright: bool) -> None:
    rotation = rng.uniform(-0.06, 0.06) if thing.kind in TURNS and not upright else 0.0
    flip = -1 if thing.kind in MIRRORS and thing.x < LEFT else 1
    pen.move_to(thing.x, thing.y, thing.radius, rotation, flip)
    SHAPES[thing.kind](pen, jitter(rng, COLOURS[thing.colour], 7))


def jitter(rng: random.Random, colour: RGB, reach: int = 9) -> RGB:
    """Shift every channel a little."""
    red, green, blue = (max(0, min(255, c + rng.randint(-reach, reach))) for c in colour)
    return red, green, blue


def _backdrop(rng: random.Random, scene: Scene, size_px: int) -> tuple[Image.Image, RGB | None]:
    """Return the empty picture and, for the line styles, the colour of their paper."""
    if scene.background:
        return _plain(rng, scene.style, scene.background, size_px)
    paper: RGB | None = None
    if scene.style == "outline":
        paper = jitter(rng, OUTLINE_PAPER, 3)
        canvas = Image.new("RGB", (size_px, size_px), paper)
    elif scene.style == "neon":
        paper, canvas = NEON_PAPER, _gradient(size_px, (20, 12, 42), (10, 10, 24))
    else:
        top, bottom = SKIES[scene.scene]
        canvas = _gradient(size_px, jitter(rng, top, 7), jitter(rng, bottom, 7))
    _SCENERY[scene.scene](Pen(canvas, scene.style, paper), rng)
    return canvas, paper


def _plain(rng: random.Random, style: str, colour: str, size_px: int) -> tuple[Image.Image, RGB | None]:
    rgb = COLOURS[colour]
    if style == "neon":
        paper = mix((12, 10, 24), rgb, 0.16)
        return Image.new("RGB", (size_px, size_px), paper), paper
    if style == "outline":
        tint = {"white": OUTLINE_PAPER, "black": (60, 60, 70)}.get(colour, lighter(rgb, 0.72))
        paper = jitter(rng, tint, 3)
        return Image.new("RGB", (size_px, size_px), paper), paper
    soft = jitter(rng, rgb if colour in ("white", "black", "gray") else lighter(rgb, 0.38), 6)
    return _gradient(size_px, lighter(soft, 0.06), darker(soft, 0.05)), None


def _gradient(size_px: int, top: RGB, bottom: RGB) -> Image.Image:
    t = np.linspace(0, 1, size_px, dtype=np.float32)[:, None]
    column = np.array(top, np.float32) * (1 - t) + np.array(bottom, np.float32) * t
    pixels = np.broadcast_to(column.astype(np.uint8)[:, None, :], (size_px, size_px, 3))
    return Image.fromarray(np.ascontiguousarray(pixels))


def _hills(pen: Pen, rng: random.Random, colour: RGB, level: float, height: float) -> None:
    phase, pace = rng.random() * 6, rng.uniform(0.7, 1.3)
    ridge = []
    for i in range(-1, 18):
        a = pace * i / 4
        ridge.append((i / 16, level + height * (math.sin(phase + a) + 0.4 * math.sin(2.3 * a + 2 * phase))))
    pen.polygon([(-0.05, 1.1), *ridge, (1.05, 1.1)], colour)


def _waves(pen: Pen, rng: random.Random, colour: RGB) -> None:
    for y in (0.7, 0.78, 0.87, 0.95):
        for _ in range(4):
            x = rng.random()
            zigzag = [(x + dx, y - dy) for dx, dy in ((-0.05, 0), (-0.025, 0.008), (0, 0), (0.025, 0.008), (0.05, 0))]
            pen.line(zigzag, colour, 0.008)


def _dots(pen: Pen, rng: random.Random, colour: RGB, count: int, depth: float) -> None:
    for _ in range(count):
        radius = rng.uniform(0.005, 0.009)
        pen.ellipse(rng.random(), rng.random() * depth, radius, radius, colour, solid=True)


def _night(pen: Pen, rng: random.Random) -> None:
    _dots(pen, rng, STARLIGHT, rng.randint(14, 26), 0.62)
    _hills(pen, rng, (30, 40, 76), HORIZON, 0.03)
    _hills(pen, rng, (20, 28, 58), HORIZON + 0.13, 0.02)


def _space(pen: Pen, rng: random.Random) -> None:
    _dots(pen, rng, STARLIGHT, rng.randint(14, 26), 1.0)
    x, y = rng.choice([(0.12, 0.14), (0.88, 0.86), (0.1, 0.88), (0.9, 0.14)])
    radius, colour = rng.uniform(0.06, 0.09), rng.choice([(230, 150, 90), (120, 170, 220), (200, 120, 170)])
    pen.ellipse(x, y, radius, radius, colour)
    ring = [(x - radius * 1.7, y + radius * 0.5), (x + radius * 1.7, y - radius * 0.5)]
    pen.line(ring, lighter(colour, 0.4), 0.012)


def _sunset(pen: Pen, rng: random.Random) -> None:
    pen.ellipse(rng.uniform(0.3, 0.7), HORIZON - 0.03, 0.13, 0.13, (255, 226, 130))
    _hills(pen, rng, (110, 62, 92), HORIZON, 0.02)
    _hills(pen, rng, (84, 48, 82), HORIZON + 0.13, 0.025)


def _sea(pen: Pen, rng: random.Random) -> None:
    water = [(-0.05, HORIZON - 0.06), (1.05, HORIZON - 0.06), (1.05, 1.1), (-0.05, 1.1)]
    pen.polygon(water, jitter(rng, (48, 128, 204)))
    _waves(pen, rng, (120, 184, 232))


def _meadow(pen: Pen, rng: random.Random) -> None:
    _hills(pen, rng, jitter(rng, (134, 200, 104)), HORIZON - 0.03, 0.03)
    _hills(pen, rng, jitter(rng, (98, 178, 82)), HORIZON + 0.1, 0.025)


def _snow(pen: Pen, rng: random.Random) -> None:
    _hills(pen, rng, (214, 226, 240), HORIZON - 0.03, 0.03)
    _hills(pen, rng, (246, 250, 254), HORIZON + 0.1, 0.02)
    _dots(pen, rng, (170, 190, 220) if pen.strokes else (255, 255, 255), rng.randint(18, 30), 1.0)


def _desert(pen: Pen, rng: random.Random) -> None:
    _hills(pen, rng, jitter(rng, (236, 188, 112)), HORIZON - 0.02, 0.035)
    _hills(pen, rng, jitter(rng, (220, 164, 88)), HORIZON + 0.12, 0.03)


def _underwater(pen: Pen, rng: random.Random) -> None:
    _hills(pen, rng, (214, 190, 130), 0.9, 0.015)
    for _ in range(rng.randint(6, 11)):
        radius = rng.uniform(0.008, 0.02)
        pen.ellipse(rng.random(), rng.random() * 0.85, radius, radius, (190, 232, 246))
    for x in (rng.uniform(0.04, 0.2), rng.uniform(0.8, 0.96)):
        weed = [(0, 0), (0.1, -0.3), (-0.08, -0.6), (0.06, -0.95)]
        pen.line([(x + 0.22 * dx, 0.93 + 0.22 * dy) for dx, dy in weed], (40, 140, 90), 0.022)


def _mountains(pen: Pen, rng: random.Random) -> None:
    foot = HORIZON + 0.04
    for x, height, w in ((0.2, 0.3, 0.34), (0.75, 0.38, 0.4), (0.48, 0.24, 0.3)):
        x += rng.uniform(-0.06, 0.06)
        h = height * rng.uniform(0.85, 1.1)
        pen.polygon([(x - w, foot), (x, foot - h), (x + w, foot)], jitter(rng, (124, 134, 168)))
        if not pen.strokes:
            snowcap = [(-0.28, 0.72), (0, 1), (0.28, 0.72), (0.08, 0.64), (-0.06, 0.7)]
            pen.polygon([(x + w * dx, foot - h * dy) for dx, dy in snowcap], (246, 248, 252))
    _hills(pen, rng, jitter(rng, (112, 178, 100)), HORIZON + 0.03, 0.02)


_SCENERY = {
    **{"night": _night, "sunset": _sunset, "sea": _sea, "meadow": _meadow, "snow": _snow},
    **{"desert": _desert, "underwater": _underwater, "mountains": _mountains, "space": _space},
}


def _finish(rng: random.Random, canvas: Image.Image, style: str, size_px: int) -> Image.Image:
    if style == "pixel":
        return _pixel_art(canvas, size_px)
    picture = canvas.reduce(SUPERSAMPLE)
    if style == "watercolor":
        return _watercolor(rng, picture)
    return _glow(picture) if style == "neon" else picture


def _pixel_art(canvas: Image.Image, size_px: int) -> Image.Image:
    """Average 16 x 16 cells and round their colours to steps of 24."""
    cells = np.asarray(canvas.resize((PIXEL_CELLS, PIXEL_CELLS), Image.Resampling.BOX)).astype(np.int16)
    rounded = ((cells + 12) // 24 * 24).clip(0, 255).astype(np.uint8)
    return Image.fromarray(rounded).resize((size_px, size_px), Image.Resampling.NEAREST)


def _watercolor(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Bleed the colours, darken the edges of a wash and let paper grain through."""
    scale = picture.width / 256
    wet, damp, dry = (_blurred(picture, radius * scale) for radius in (4.0, 2.2, 0.8))
    grain = rng.choice(_grains(picture.width))
    grain = np.rot90(grain[:: rng.choice((-1, 1))], rng.randrange(4))[:, :, None]
    edges = np.abs(dry - wet).mean(2, keepdims=True)
    wash = 255 - (255 - 0.55 * damp - 0.45 * dry) * (0.8 + 0.1 * grain) - 0.5 * edges
    return Image.fromarray(wash.clip(0, 255).astype(np.uint8))


def _glow(picture: Image.Image) -> Image.Image:
    """Add a blurred copy of the light."""
    halo = _blurred(picture, 6 * picture.width / 256)
    lit = np.asarray(picture).astype(np.float32) + 1.5 * halo - (14, 12, 24)
    return Image.fromarray(lit.clip(0, 255).astype(np.uint8))


def _blurred(picture: Image.Image, radius_px: float) -> Floats:
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius_px))).astype(np.float32)


@functools.cache
def _grains(size_px: int) -> list[Floats]:
    """Return a bank of paper textures: noise of four frequencies, unit variance."""
    source = np.random.default_rng(7)
    return [_grain(source, size_px) for _ in range(24)]


def _grain(source: np.random.Generator, size_px: int) -> Floats:
    total = np.zeros((size_px, size_px), np.float32)
    for cells, weight in ((4, 1.0), (9, 0.7), (20, 0.45), (48, 0.25)):
        noise = Image.fromarray(source.standard_normal((cells, cells)).astype(np.float32))
        total += weight * np.asarray(noise.resize((size_px, size_px), Image.Resampling.BICUBIC))
    grain: Floats = np.divide(total, total.std(), dtype=np.float32)
    return grain
