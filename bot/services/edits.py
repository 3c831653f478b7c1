"""What an edit comes to: the size of its result, made to fit, and how much of it is painted. Pure."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

from bot.errors import BadInput
from bot.spec import Edit, InpaintEdit, OutpaintEdit, Spec, UpscaleEdit
from bot.uploads import MAX_PIXELS
from engine import enlarging, masks
from engine.types import MAX_EDIT_SIDE_PX, ModelInfo

Size = tuple[int, int]
MAX_RATIO = 4.0


def natural(edit: Edit, source: Size) -> Size:
    """The size of the result when nothing has to be made smaller."""
    if isinstance(edit, OutpaintEdit):
        return edit.extended
    scale = edit.scale if isinstance(edit, UpscaleEdit) else 1
    return source[0] * scale, source[1] * scale


def fitted(edit: Edit, size: Size, info: ModelInfo, most: int) -> tuple[Edit, Size]:
    """The edit and its result's size, as far as the model and a limit of `most` painted pixels allow.

    Raises: BadInput when nothing fits.
    """
    if isinstance(edit, UpscaleEdit):
        return _smaller_scale(edit, size)
    if isinstance(edit, OutpaintEdit):
        return edit, _within(size, most)
    if isinstance(edit, InpaintEdit):
        return _less_painted(edit, size, info, most), size
    return edit, size


def _smaller_scale(edit: UpscaleEdit, size: Size) -> tuple[UpscaleEdit, Size]:
    """4x becomes 2x where 4x would be more than can be kept. Raises: BadInput."""
    if size[0] * size[1] <= MAX_PIXELS and max(size) <= MAX_EDIT_SIDE_PX:
        return edit, size
    if edit.scale > 2:
        return _smaller_scale(replace(edit, scale=2), (size[0] * 2 // edit.scale, size[1] * 2 // edit.scale))
    raise BadInput(
        f"This picture is {size[0] // edit.scale}x{size[1] // edit.scale} already; twice that cannot be kept. "
        "Use one of at most 2048x2048 pixels."
    )


def _within(size: Size, most: int) -> Size:
    """The size with its proportions and at most `most` pixels. Raises: BadInput when it is too narrow."""
    if not 1 / MAX_RATIO <= size[0] / size[1] <= MAX_RATIO:
        raise BadInput(f"{size[0]}x{size[1]} would be too narrow to paint. The limit is 1:4 to 4:1.")
    scale = min(1.0, sqrt(most / (size[0] * size[1])))
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _less_painted(edit: InpaintEdit, size: Size, info: ModelInfo, most: int) -> InpaintEdit:
    """Of a picture that is too large as a whole only the mask's surroundings are painted. Raises: BadInput."""
    if _inpainted_px(edit, size, info) <= most:
        return edit
    if not edit.only_masked:
        return _less_painted(replace(edit, only_masked=True), size, info, most)
    raise BadInput(f"This region is too large to be painted at once. Choose one of at most {most:,} pixels in all.")


def painted_px(spec: Spec, info: ModelInfo) -> int:
    """Pixels that the model paints for one image of the job; of a faithful upscale, those it makes."""
    size = (spec.width, spec.height)
    if isinstance(spec.edit, InpaintEdit):
        return _inpainted_px(spec.edit, size, info)
    if isinstance(spec.edit, OutpaintEdit):
        return _area(masks.whole(size, info.multiple_px, info.max_pixels).canvas)
    if isinstance(spec.edit, UpscaleEdit) and spec.edit.mode == "creative":
        tiles = enlarging.tiles(size, (info.width, info.height))
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
