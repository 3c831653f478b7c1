"""A judge that reads pixels alone: is a thing one piece, of its shape, of its colour, and crisp? Knows no network.

It compares a picture of things before a plain backdrop with the renderer's own drawing of them. A network that names
what it sees forgives company, doubles and shapeless blobs; an overlap does not.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from engine.mini.measure import CONTRAST, Mask, backdrop, components
from engine.mini.train.render import render
from engine.mini.train.scenes import Scene, Thing
from engine.mini.words import COLOURS

SIDE = 128  # pictures are judged at this size
FRAME = 48  # silhouettes are compared in a frame of this size
REACH = 1.75  # of the root mean square distance from the centre: what of a silhouette the frame shows
TURNS = (-10, -5, 0, 5, 10)  # degrees
SMALLEST_PIECE = 0.004  # of the picture: what is less is a speck
SAME_SHAPE = 0.72  # intersection over union
SAME_OUTLINE = 0.82  # of the pixels of a rim around the outline; renderings have 0.93 and more, lumps 0.6 to 0.8
RIM = 7  # pixels of the frame: how broad that rim is
COLOUR_KEPT = 0.5  # of the share of a thing's pixels that have its colour in the renderer's drawing
OWN_DRAWINGS = 4  # of the renderer's, turned a little: a butterfly's body is now one piece with its wings, now not
TOUCH = 1.8  # radii: how close pieces of one thing are

Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the ruler says of one thing before a plain backdrop.

    Attributes:
        pieces: connected parts of more than a speck; a thing that the renderer draws in one is one.
        overlap: of its silhouette with the renderer's, intersection over union after moving, scaling and small turns.
        outline: share of the pixels along the renderer's outline that agree with it.
        colour: whether enough of it has the colour that was asked for.
    """

    pieces: int
    overlap: float
    outline: float
    colour: bool

    @property
    def right(self) -> bool:
        """Tell whether it is one thing of its shape and colour."""
        return self.pieces == 1 and self.shaped and self.colour

    @property
    def shaped(self) -> bool:
        """Tell whether its largest piece has the thing's shape."""
        return self.overlap >= SAME_SHAPE and self.outline >= SAME_OUTLINE


def pixels(picture: Image.Image, side_px: int = SIDE) -> Grid:
    """Return a picture as (side, side, 3) float32, 0..255."""
    small = picture.convert("RGB").resize((side_px, side_px), Image.Resampling.BOX)
    return np.asarray(small).astype(np.float32)


def pieces(picture: Image.Image) -> list[Mask]:
    """Return the connected parts that differ from a plain backdrop, the largest first, specks left out: (128, 128)."""
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    apart = np.linalg.norm(pixels(small) - backdrop(small), axis=2) > CONTRAST
    found = [part for part in components(apart) if part.mean() >= SMALLEST_PIECE]
    return sorted(found, key=lambda part: -int(part.sum()))


def framed(mask: Mask, turn_deg: float = 0.0, *, mirrored: bool = False) -> Mask:
    """Move a silhouette to the middle of a frame of its own size, turned a little: (48, 48) bool."""
    ys, xs = np.nonzero(mask)
    reach = REACH * math.sqrt(float(ys.var() + xs.var()) + 1e-6)
    step = 2 * reach / FRAME
    v, u = (np.mgrid[0:FRAME, 0:FRAME] + 0.5 - FRAME / 2) * step
    u = -u if mirrored else u
    cosine, sine = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    rows = np.rint(ys.mean() + sine * u + cosine * v).astype(int)
    columns = np.rint(xs.mean() + cosine * u - sine * v).astype(int)
    inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    frame: Mask = inside & mask[rows.clip(0, mask.shape[0] - 1), columns.clip(0, mask.shape[1] - 1)]
    return frame


def overlap(mask: Mask, kind: str, colour: str) -> tuple[float, float]:
    """Return how much of a silhouette is the renderer's and how well their outlines agree, at the best small turn.

    The first is intersection over union, the second the share of equal pixels close to the renderer's outline: a house
    fills so much of its frame that any lump overlaps it by 0.8.
    """
    mine = framed(mask)
    found = [(_shared(mine, wanted), float((mine == wanted)[rim].mean())) for wanted, rim in _outlines(kind, colour)]
    return max(found, key=sum)


def _shared(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


@functools.cache
def drawn(kind: str, colour: str, seed: int = 0) -> Image.Image:
    """Return the renderer's picture of one thing before white."""
    thing = Thing(kind=kind, colour=colour, radius=0.27)
    return render(Scene(style="flat", scene="plain", background="white", things=(thing,)), seed, 2 * SIDE)


@functools.cache
def _outlines(kind: str, colour: str) -> tuple[tuple[Mask, Mask], ...]:
    """Return the renderer's silhouette in every turn, and the rim around its outline."""
    whole = _whole(pieces(drawn(kind, colour)))
    turned = [framed(whole, turn, mirrored=mirrored) for turn in TURNS for mirrored in (False, True)]
    return tuple((mask, _grown(mask) & ~_shrunk(mask)) for mask in turned)


def _grown(mask: Mask) -> Mask:
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MaxFilter(RIM))) > 0


def _shrunk(mask: Mask) -> Mask:
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MinFilter(RIM))) > 0


def _whole(parts: Sequence[Mask]) -> Mask:
    return functools.reduce(np.logical_or, parts, np.zeros((SIDE, SIDE), bool))


@functools.cache
def own_pieces(kind: str, colour: str) -> int:
    """Return in how many pieces the renderer draws a thing: white sails cannot be seen before white."""
    return max(len(pieces(drawn(kind, colour, seed))) for seed in range(OWN_DRAWINGS))


def colour_share(picture: Image.Image, mask: Mask, colour: str) -> float:
    """Return how much of a silhouette is nearer to this colour than to any other of the world's."""
    palette = np.array(list(COLOURS.values()), np.float32)
    found = pixels(picture)[mask]
    nearest = np.linalg.norm(found[:, None] - palette, axis=2).argmin(1)
    return float((nearest == list(COLOURS).index(colour)).mean()) if len(found) else 0.0


@functools.cache
def _own_share(kind: str, colour: str) -> float:
    picture = drawn(kind, colour)
    return colour_share(picture, _whole(pieces(picture)), colour)


def has_colour(picture: Image.Image, mask: Mask, kind: str, colour: str) -> bool:
    """Tell whether at least half as much of a thing has its colour as where the renderer draws it."""
    return colour_share(picture, mask, colour) >= COLOUR_KEPT * _own_share(kind, colour)


def together(parts: Sequence[Mask], kind: str, colour: str) -> list[Mask]:
    """Join the pieces of things that the renderer itself draws in several, such as a boat whose sails are white."""
    if own_pieces(kind, colour) == 1:
        return list(parts)
    groups: list[Mask] = []
    for part in parts:
        near = next((i for i, group in enumerate(groups) if _near(group, part)), None)
        if near is None:
            groups.append(part)
        else:
            groups[near] = groups[near] | part
    return groups


def _near(group: Mask, part: Mask) -> bool:
    (y1, x1), (y2, x2) = (np.argwhere(mask).mean(0) for mask in (group, part))
    return math.hypot(y1 - y2, x1 - x2) < TOUCH * math.sqrt(group.sum() / math.pi)


def verdict(picture: Image.Image, kind: str, colour: str) -> Verdict:
    """Judge one thing before a plain backdrop."""
    parts = together(pieces(picture), kind, colour)
    if not parts:
        return Verdict(pieces=0, overlap=0.0, outline=0.0, colour=False)
    shared, outline = overlap(parts[0], kind, colour)
    painted = has_colour(picture, parts[0], kind, colour)
    return Verdict(pieces=len(parts), overlap=shared, outline=outline, colour=painted)


def edge_width(picture: Image.Image) -> float:
    """Return how wide the rim of things before a plain backdrop is, in pixels of the picture as it is.

    Of the pixels around the silhouette: how many are between backdrop and thing, for each pixel of its outline.
    """
    apart = np.linalg.norm(np.asarray(picture.convert("RGB")).astype(np.float32) - backdrop(picture), axis=2)
    level = Image.fromarray(apart.clip(0, 255).astype(np.uint8))
    full = np.asarray(level.filter(ImageFilter.MaxFilter(9))).astype(np.float32)
    share = apart / np.maximum(full, 1)
    mask = (share > 0.5) & (full > CONTRAST)
    outline = mask & ~np.asarray(Image.fromarray(mask).filter(ImageFilter.MinFilter(3)))
    outside = np.asarray(level.filter(ImageFilter.MinFilter(9))).astype(np.float32) < 0.1 * full
    between = (share > 0.12) & (share < 0.88) & (full > CONTRAST) & outside
    return float(between.sum() / max(1, int(outline.sum())))
