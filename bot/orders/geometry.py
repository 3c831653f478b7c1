"""The borders that a pan or a zoom comes to, and which results can be kept. Pure."""

from __future__ import annotations

from typing import Any, Literal

from bot.errors import BadInput
from bot.orders.uploads import MAX_PIXELS
from engine.imaging.masks import Size
from engine.tasks.outpaint import Outpaint
from engine.tasks.pictures import StoredPicture
from engine.tasks.txt2img import Room

Direction = Literal["left", "right", "up", "down"]
MAX_ZOOM = 4.0
PAN_SHARE = 0.5  # Midjourney's: a pan adds half of the picture's side


def panned(size: Size, direction: Direction, share: float = PAN_SHARE) -> Size:
    """The size of a picture of `size` after a pan."""
    width, height = max(8, round(size[0] * share)), max(8, round(size[1] * share))
    return (size[0] + width, size[1]) if direction in ("left", "right") else (size[0], size[1] + height)


def pan(picture: StoredPicture, direction: Direction, share: float = PAN_SHARE) -> Outpaint:
    """More of the picture at one side; the rest stays as it is."""
    (width, height), (wide, high) = picture.size, panned(picture.size, direction, share)
    side = {"left": "left", "right": "right", "up": "top", "down": "bottom"}[direction]
    borders: dict[str, Any] = {side: wide - width + high - height}
    return Outpaint(prompt="", init_image=picture, **borders)


def zoom(picture: StoredPicture, factor: float, ratio: float | None = None) -> tuple[Outpaint, Size]:
    """The picture `factor` times smaller with its surroundings, in another proportion if asked; and the result's size.

    Raises: BadInput when there is nothing to paint, or too much; InvalidRequest when the canvas would be too large.
    """
    if not 1 <= factor <= MAX_ZOOM:
        raise BadInput(
            "The zoom can't be {factor:g}. Use 1 to {max_zoom:g}, such as 1.5.", factor=factor, max_zoom=MAX_ZOOM
        )
    (width, height), own = picture.size, picture.size[0] / picture.size[1]
    wide, high = max(1.0, (ratio or own) / own), max(1.0, own / (ratio or own))
    across, down = (round(width * (wide * factor - 1)), round(height * (high * factor - 1)))
    if across + down < 1:
        raise BadInput("That changes nothing. Use a zoom above 1, or a different ratio.")
    edit = Outpaint(
        prompt="",
        init_image=picture,
        left=across // 2,
        right=across - across // 2,
        top=down // 2,
        bottom=down - down // 2,
    )
    return edit, (round(width * wide), round(height * high))


def keepable(size: Size) -> bool:
    """Whether a result of that size can be edited again."""
    return Room(paint_px=0, keep_px=MAX_PIXELS).keeps(size)
