"""From an edit to what a model paints, and back: crop, fill, pad; then paste. Knows no torch.

A request that is no edit passes through unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from engine import masks
from engine.masks import Frame, Size
from engine.types import Inpaint, ModelInfo, Outpaint, Txt2Img


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A picture at the size of the result, and what of it is to be redrawn."""

    picture: Image.Image
    mask: Image.Image
    feather_px: int
    frame: Frame


def canvas(request: Txt2Img, info: ModelInfo) -> Size:
    """Width and height in pixels that the model paints for a completed request."""
    if isinstance(request, Inpaint | Outpaint):
        size = (request.width or request.result_size[0], request.height or request.result_size[1])
        mask = _mask(request.mask, size) if isinstance(request, Inpaint) else None
        return _frame(request, size, mask, info).canvas
    assert request.width is not None
    assert request.height is not None
    return request.width, request.height


def prepare(request: Txt2Img, info: ModelInfo, seed: int) -> tuple[Region | None, dict[str, Any]]:
    """What is to be put back later, and the pictures for the pipeline's call."""
    if not isinstance(request, Inpaint | Outpaint):
        return None, {}
    region = _region(request, info)
    width, height = region.frame.canvas
    filled = _filled(request, region, seed)
    return region, {
        "image": masks.into_frame(filled, region.frame),
        "mask_image": masks.mask_into_frame(region.mask, region.frame),
        "width": width,
        "height": height,
    }


def finish(region: Region | None, painted: Image.Image) -> Image.Image:
    """The result: outside the mask and its feather, every byte is the picture's own."""
    if region is None:
        return painted
    alpha = masks.feathered(region.mask, region.feather_px)
    return masks.pasted(region.picture, painted, region.frame, alpha)


def _region(request: Inpaint | Outpaint, info: ModelInfo) -> Region:
    size = (request.width or request.result_size[0], request.height or request.result_size[1])
    picture, mask = _pictures(request)
    mask = _mask(mask, size)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    frame = _frame(request, size, mask, info)
    return Region(picture=picture, mask=mask, feather_px=request.feather_px, frame=frame)


def _pictures(request: Inpaint | Outpaint) -> tuple[Image.Image, Image.Image]:
    """The picture and what of it is to be redrawn."""
    picture = request.init_image.convert("RGB")
    if isinstance(request, Inpaint):
        return picture, request.mask
    return masks.extended(picture, (request.left, request.top, request.right, request.bottom))


def _mask(mask: Image.Image, size: Size) -> Image.Image:
    """The mask at the size of the result."""
    mask = masks.binary(mask)
    return mask if mask.size == size else mask.resize(size, Image.Resampling.BOX).point([0] + [255] * 255)


def _frame(request: Inpaint | Outpaint, size: Size, mask: Image.Image | None, info: ModelInfo) -> Frame:
    if mask is None or not isinstance(request, Inpaint) or not request.only_masked:
        return masks.whole(size, info.multiple_px, info.max_pixels)
    padding = request.padding_px + request.feather_px
    return masks.around(mask, padding, info.multiple_px, info.width * info.height, info.max_pixels)


def _filled(request: Inpaint | Outpaint, region: Region, seed: int) -> Image.Image:
    if request.fill == "noise":
        return masks.with_noise(region.picture, region.mask, seed)
    return masks.with_blur(region.picture, region.mask) if request.fill == "blur" else region.picture
