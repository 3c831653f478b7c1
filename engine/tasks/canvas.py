"""What a model paints of a request, and back: records of where it lies, and the paste at the end. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from engine.api.model_info import ModelInfo
from engine.imaging import masks
from engine.imaging import tiles as upscale_tiles
from engine.imaging.masks import Box, Frame, Size


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlargement:
    """A tile for the engine's upscaler: `box` of the picture, in its own pixels, to become `scale` times as large."""

    picture: Image.Image
    box: Box
    scale: int

    def tile(self) -> Image.Image:
        return self.picture.crop(self.box).convert("RGB")


def coarse_note(size: Size, info: ModelInfo) -> str:
    """A note when the model paints the new part smaller than the picture is."""
    inner = masks.whole(size, info.multiple_px, info.max_pixels).inner
    if inner[0] >= size[0]:
        return ""
    return f"New parts were painted at {inner[0]}x{inner[1]}, the most {info.key} can, and enlarged."


def region(picture: Image.Image, mask: Image.Image, size: Size, feather_px: int, frame: Frame) -> Region:
    """What is redrawn of a picture; `mask` has the size of the result already."""
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return Region(picture=picture, mask=mask, feather_px=feather_px, frame=frame)


def scaled_mask(mask: Image.Image, size: Size) -> Image.Image:
    """The mask at the size of the result; every marked pixel counts, however small it becomes."""
    mask = masks.binary(mask)
    return mask if mask.size == size else mask.resize(size, Image.Resampling.BOX).point([0] + [255] * 255)


def inputs(region: Region, filled: Image.Image) -> dict[str, Any]:
    """The pictures and the size for an inpainting pipeline's call; `filled`: the picture as the model finds it."""
    assert region.mask is not None
    width, height = region.frame.canvas
    return {
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
