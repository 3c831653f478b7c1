"""From an edit to what a model paints, and back: crop, fill, pad; then paste. Knows no torch.

A request that is no edit passes through unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from engine.api.model_info import ModelInfo
from engine.api.requests import Inpaint, Outpaint, Txt2Img, Upscale
from engine.diffusion import masks
from engine.diffusion.masks import Box, Frame, Size
from engine.models.catalog import UPSCALER
from engine.upscale import tiles as upscale_tiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A canvas inside a larger one, all in pixels."""

    whole: Size
    canvas: Size
    left: int
    top: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A picture at the size of the result, and what of it is to be redrawn; no mask = a whole tile."""

    picture: Image.Image
    mask: Image.Image | None
    feather_px: int
    frame: Frame


def canvas(request: Txt2Img, info: ModelInfo) -> Size:
    """Width and height in pixels that the model paints for a completed request."""
    if isinstance(request, Inpaint | Outpaint):
        size = (request.width or request.result_size[0], request.height or request.result_size[1])
        mask = _mask(request.mask, size) if isinstance(request, Inpaint) else None
        return _frame(request, size, mask, info).canvas
    if isinstance(request, Upscale):
        return _tile_frame(request, info, 0).canvas
    assert request.width is not None
    assert request.height is not None
    return request.width, request.height


def parts(request: Txt2Img, info: ModelInfo) -> int:
    """How many pipeline calls one image takes; each is a fiber of its own, so they share forwards."""
    if isinstance(request, Upscale) and (request.mode == "creative" or uses_upscaler(request)):
        return len(_tiles(request, info))
    return 1


def place(request: Txt2Img, info: ModelInfo, part: int) -> Place | None:
    """Where a tile lies in the whole: what tiles share they paint over the same noise. None = it is the whole."""
    if parts(request, info) == 1 or uses_upscaler(request):
        return None
    assert isinstance(request, Upscale)
    boxes = _tiles(request, info)
    (left, top, *_), (right, bottom) = boxes[part], boxes[-1][:2]
    canvas = _tile_frame(request, info, part).canvas
    return Place(whole=(right + canvas[0], bottom + canvas[1]), canvas=canvas, left=left, top=top)


def uses_upscaler(request: Txt2Img) -> bool:
    """Whether the engine's upscaler does it, and not the model."""
    return isinstance(request, Upscale) and request.mode == "faithful" and request.resampling != "lanczos"


def model_key_of(request: Txt2Img) -> str:
    """The key of the model that does it."""
    return UPSCALER if uses_upscaler(request) else request.model or ""


def source_tile(request: Upscale, info: ModelInfo, part: int) -> Image.Image:
    """What the upscaler gets of the picture, in the picture's own pixels."""
    left, top, right, bottom = (px // request.scale for px in _tiles(request, info)[part])
    return request.init_image.crop((left, top, right, bottom)).convert("RGB")


def unpainted(request: Txt2Img) -> Image.Image | None:
    """The result, where no model is asked."""
    if isinstance(request, Upscale) and request.mode == "faithful" and not uses_upscaler(request):
        return upscale_tiles.enlarged(request.init_image.convert("RGB"), request.result_size)
    return None


def mosaic(request: Txt2Img, info: ModelInfo) -> upscale_tiles.Mosaic | None:
    """What becomes one image of its finished parts; None = it has but one."""
    if parts(request, info) == 1:
        return None
    assert isinstance(request, Upscale)
    return upscale_tiles.Mosaic(request.result_size, _tiles(request, info))


def prepare(request: Txt2Img, info: ModelInfo, seed: int, part: int = 0) -> tuple[Region | None, dict[str, Any]]:
    """What is to be put back later, and the pictures for the pipeline's call."""
    if isinstance(request, Upscale):
        return _prepare_tile(request, info, part)
    if not isinstance(request, Inpaint | Outpaint):
        return None, {}
    region = _region(request, info)
    width, height = region.frame.canvas
    assert region.mask is not None
    filled = _filled(request, region.picture, region.mask, seed)
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
    if region.mask is None:
        return upscale_tiles.recoloured(painted.crop((0, 0, *region.frame.inner)), region.picture)
    alpha = masks.feathered(region.mask, region.feather_px)
    return masks.pasted(region.picture, painted, region.frame, alpha)


def _tiles(request: Upscale, info: ModelInfo) -> list[Box]:
    """The tiles of the result."""
    if uses_upscaler(request):
        side = info.upscaler.tile_px // info.upscaler.scale ** (info.upscaler.passes(request.scale) - 1)
        own = upscale_tiles.tiles(request.init_image.size, (side, side), 1)
        return [(a * request.scale, b * request.scale, c * request.scale, d * request.scale) for a, b, c, d in own]
    return upscale_tiles.tiles(request.result_size, (info.width, info.height), info.multiple_px)


def _tile_frame(request: Upscale, info: ModelInfo, part: int) -> Frame:
    box = _tiles(request, info)[part]
    inner = (box[2] - box[0], box[3] - box[1])
    return replace(masks.whole(inner, info.multiple_px, max(info.max_pixels, info.width * info.height)), box=box)


def _prepare_tile(request: Upscale, info: ModelInfo, part: int) -> tuple[Region, dict[str, Any]]:
    frame = _tile_frame(request, info, part)
    tile = upscale_tiles.enlarged(request.init_image.convert("RGB"), request.result_size, frame.box)
    padded = masks.into_frame(tile, replace(frame, box=(0, 0, *tile.size)))
    width, height = frame.canvas
    region = Region(picture=tile, mask=None, feather_px=0, frame=frame)
    return region, {"image": padded, "width": width, "height": height}


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


def _filled(request: Inpaint | Outpaint, picture: Image.Image, mask: Image.Image, seed: int) -> Image.Image:
    if request.fill == "noise":
        return masks.with_noise(picture, mask, seed)
    return masks.with_blur(picture, mask) if request.fill == "blur" else picture
