"""What an edit comes to: its borders, the size of its result, made to fit, and how much of it is painted. Pure."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Literal

from bot.errors import BadInput
from bot.orders.uploads import MAX_PIXELS
from bot.prompt.spec import Edit, InpaintEdit, OutpaintEdit, Spec, UpscaleEdit
from engine.api.model_info import ModelInfo
from engine.diffusion import masks
from engine.tasks.txt2img import MAX_EDIT_SIDE_PX
from engine.upscale import tiles as upscale_tiles

Size = tuple[int, int]
Direction = Literal["left", "right", "up", "down"]
Fitted = tuple[Edit, Size, str]  # the edit, its result's size, and what was changed to make it possible
MAX_RATIO = 4.0
MAX_ZOOM = 4.0
PAN_SHARE = 0.5  # Midjourney's: a pan adds half of the picture's side


# ---------------------------------------------------------------- borders
def pan(source: Size, direction: Direction, share: float = PAN_SHARE) -> OutpaintEdit:
    """More of the picture at one side; the rest stays as it is."""
    width, height = max(8, round(source[0] * share)), max(8, round(source[1] * share))
    return OutpaintEdit(
        source=source,
        left=width if direction == "left" else 0,
        right=width if direction == "right" else 0,
        top=height if direction == "up" else 0,
        bottom=height if direction == "down" else 0,
    )


def zoom(source: Size, factor: float, ratio: float | None = None) -> tuple[OutpaintEdit, Size]:
    """The picture `factor` times smaller with its surroundings, in another proportion if asked; and the result's size.

    Raises: BadInput when there is nothing to paint, or too much.
    """
    if not 1 <= factor <= MAX_ZOOM:
        raise BadInput(f"The zoom cannot be {factor:g}. Use 1 to {MAX_ZOOM:g}, such as 1.5.")
    own = source[0] / source[1]
    wide, high = max(1.0, (ratio or own) / own), max(1.0, own / (ratio or own))
    across, down = (round(source[0] * (wide * factor - 1)), round(source[1] * (high * factor - 1)))
    if across + down < 1:
        raise BadInput("That changes nothing. Use a zoom above 1, or another ratio.")
    edit = OutpaintEdit(
        source=source, left=across // 2, right=across - across // 2, top=down // 2, bottom=down - down // 2
    )
    return edit, (round(source[0] * wide), round(source[1] * high))


# ---------------------------------------------------------------- what fits
def natural(edit: Edit, source: Size) -> Size:
    """The size of the result when nothing has to be made smaller."""
    if isinstance(edit, OutpaintEdit):
        return edit.extended
    scale = edit.scale if isinstance(edit, UpscaleEdit) else 1
    return source[0] * scale, source[1] * scale


def fitted(edit: Edit, size: Size, info: ModelInfo, most: int) -> Fitted:
    """The edit as far as the model and a limit of `most` painted pixels allow. Raises: BadInput when nothing fits."""
    if isinstance(edit, UpscaleEdit):
        return _smaller_scale(edit, size)
    if isinstance(edit, OutpaintEdit):
        return edit, *_within(size, info, most)
    if isinstance(edit, InpaintEdit):
        return _less_painted(edit, size, info, most)
    return edit, size, ""


def _smaller_scale(edit: UpscaleEdit, size: Size) -> Fitted:
    """4x becomes 2x where 4x would be more than can be kept. Raises: BadInput."""
    if keepable(size):
        return edit, size, ""
    half = size[0] // 2, size[1] // 2
    if edit.scale > 2 and keepable(half):
        return replace(edit, scale=2), half, f"{edit.scale}x would be {size[0]}x{size[1]}, too large to keep: made 2x."
    raise BadInput(
        f"This picture is {size[0] // edit.scale}x{size[1] // edit.scale} already; twice that cannot be kept. "
        "Use one of at most 2048x2048 pixels."
    )


def keepable(size: Size) -> bool:
    """Whether a result of that size can be edited again."""
    return _area(size) <= MAX_PIXELS and max(size) <= MAX_EDIT_SIDE_PX


def narrow(size: Size) -> bool:
    """Whether no model paints such proportions well."""
    return not 1 / MAX_RATIO <= size[0] / size[1] <= MAX_RATIO


def _within(size: Size, info: ModelInfo, most: int) -> tuple[Size, str]:
    """The size with its proportions and at most `most` pixels. Raises: BadInput when it is too narrow."""
    if narrow(size):
        raise BadInput(f"{size[0]}x{size[1]} would be too narrow to paint. The limit is 1:4 to 4:1.")
    if _area(size) <= most:
        return size, _coarse(size, info)
    scale = sqrt(most / _area(size))
    less = max(1, int(size[0] * scale)), max(1, int(size[1] * scale))
    return less, f"Made {less[0]}x{less[1]} instead of {size[0]}x{size[1]}: the most this server paints."


def _coarse(size: Size, info: ModelInfo) -> str:
    """A note when the model paints the new part smaller than the picture is."""
    canvas = masks.whole(size, info.multiple_px, info.max_pixels).inner
    if canvas[0] >= size[0]:
        return ""
    return f"New parts were painted at {canvas[0]}x{canvas[1]}, the most {info.key} can, and enlarged."


def _less_painted(edit: InpaintEdit, size: Size, info: ModelInfo, most: int) -> Fitted:
    """Of a picture that is too large as a whole only the mask's surroundings are painted. Raises: BadInput."""
    if _inpainted_px(edit, size, info) <= most:
        return edit, size, "" if edit.only_masked else _coarse(size, info)
    if edit.only_masked:
        raise BadInput(f"This region is too large to be painted at once. Choose one of at most {most:,} pixels in all.")
    less, _, _ = _less_painted(replace(edit, only_masked=True), size, info, most)
    return less, size, "Only the region and its surroundings were painted: the whole is too large for this server."


# ---------------------------------------------------------------- what is paid for
def painted_px(spec: Spec, info: ModelInfo) -> int:
    """Pixels that the model paints for one image of the job; of a faithful upscale, those it makes."""
    size = (spec.width, spec.height)
    if isinstance(spec.edit, InpaintEdit):
        return _inpainted_px(spec.edit, size, info)
    if isinstance(spec.edit, OutpaintEdit):
        return _area(masks.whole(size, info.multiple_px, info.max_pixels).canvas)
    if isinstance(spec.edit, UpscaleEdit) and spec.edit.mode == "creative":
        tiles = upscale_tiles.tiles(size, (info.width, info.height), info.multiple_px)
        return len(tiles) * info.width * info.height
    return _area(size)


def _inpainted_px(edit: InpaintEdit, size: Size, info: ModelInfo) -> int:
    if not edit.only_masked:
        return _area(masks.whole(size, info.multiple_px, info.max_pixels).canvas)
    padding = edit.padding_px + edit.feather_px
    native = info.width * info.height
    return _area(masks.around_box(edit.box, size, padding, info.multiple_px, native, info.max_pixels).canvas)


def _area(size: Size) -> int:
    return size[0] * size[1]
