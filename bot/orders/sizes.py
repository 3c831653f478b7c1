"""Which size a model paints, of what was asked for and what is allowed. Pure."""

from __future__ import annotations

from math import sqrt

from bot.errors import BadInput
from bot.prompt.flags import MIN_SIDE_PX
from bot.prompt.parser import Draft
from engine.api.model_info import ModelInfo
from engine.tasks.txt2img import MAX_RATIO, MAX_SIDE_PX


def size_of(draft: Draft, info: ModelInfo, init_size: tuple[int, int] | None, most: int) -> tuple[int, int]:
    """Width and height, at most `most` pixels in all. Raises: BadInput."""
    if draft.width or draft.height:
        return _asked_size(draft.width or info.width, draft.height or info.height, info, most)
    if draft.aspect_ratio:
        return fit(draft.aspect_ratio[0] / draft.aspect_ratio[1], info, most)
    if init_size:
        return fit(init_size[0] / init_size[1], info, most)
    own = info.width, info.height
    return own if info.width * info.height <= most else fit(info.width / info.height, info, most)


def _asked_size(width: int, height: int, info: ModelInfo, most: int) -> tuple[int, int]:
    """The nearest size the model can paint. Raises: BadInput."""
    if not (MIN_SIDE_PX <= width <= MAX_SIDE_PX and MIN_SIDE_PX <= height <= MAX_SIDE_PX):
        raise BadInput(
            "{size} can't be painted. Use sides from {low} to {high:,} pixels.",
            size=f"{width}x{height}",
            low=MIN_SIDE_PX,
            high=MAX_SIDE_PX,
        )
    if not 1 / MAX_RATIO <= width / height <= MAX_RATIO:
        raise BadInput(
            "{width}x{height} is too narrow. Use a ratio from 1:4 to 4:1, such as --ar 4:1.", width=width, height=height
        )
    width, height = (clamped(round(side / info.multiple_px), info.multiple_px) for side in (width, height))
    if width * height > most:
        square, _ = fit(1.0, info, most, area=most)
        raise BadInput(
            "{size} is too large. Use at most {most:,} pixels in all, such as --size {square}x{square}.",
            size=f"{width}x{height}",
            most=most,
            square=square,
        )
    return width, height


def fit(ratio: float, info: ModelInfo, most: int, area: int = 0) -> tuple[int, int]:
    """Width and height of a ratio (kept within 1:4 to 4:1) on about `area` pixels, by default the model's own number.

    Where the model knows its native size alone, the shorter side is the native one: what it paints keeps its size.
    Never more than `most` pixels, as long as the smallest sides allow it.
    """
    ratio = min(MAX_RATIO, max(1 / MAX_RATIO, ratio))
    unit = info.multiple_px
    room = max(ratio, 1 / ratio) if info.margins else 1.0
    width = sqrt(min(area or info.width * info.height * room, most) * ratio)
    width = max(width, MIN_SIDE_PX, MIN_SIDE_PX * ratio)
    sides = [clamped(round(side / unit), unit) for side in (width, width / ratio)]
    if sides[0] * sides[1] > most:
        sides = [clamped(int(side / unit), unit) for side in (width, width / ratio)]
    return sides[0], sides[1]


def clamped(units: int, unit: int) -> int:
    """So many units as pixels, between the smallest and the largest side."""
    return unit * max(-(-MIN_SIDE_PX // unit), min(MAX_SIDE_PX // unit, units))
