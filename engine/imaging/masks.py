"""Pictures, masks and the place between them, in Pillow and numpy alone. Knows no requests, no torch.

A mask is L, of its picture's size: 128 and above = redraw, below = keep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFilter

Size = tuple[int, int]
Box = tuple[int, int, int, int]
Floats = npt.NDArray[np.float32]
CELL_PX = 8  # a latent pixel's width; thinner masks may fall between the cells
MIN_CANVAS_PX = 64  # smaller than this, a UNet's lowest level has nothing left


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a model paints: `box` of the picture, resized to `inner`, padded right and below to `canvas`."""

    box: Box
    inner: Size
    canvas: Size


def binary(mask: Image.Image) -> Image.Image:
    """The mask as 0 and 255 only."""
    return mask.convert("L").point([0] * 128 + [255] * 128)


def feathered(mask: Image.Image, feather_px: int) -> Image.Image:
    """How much of the new picture shows: 255 on the mask, falling to 0 within `feather_px` outside of it."""
    solid, half = binary(mask), feather_px // 2
    if half < 1:
        return solid
    ramp = _grown(solid, half).filter(ImageFilter.BoxBlur(half))
    return ImageChops.lighter(solid, ramp)


def _grown(solid: Image.Image, px: int) -> Image.Image:
    """The mask with a border of `px`: a box blur is above zero exactly where the box touches it."""
    touched = [0] + [255] * 255
    wide = solid.filter(ImageFilter.BoxBlur((px, 0))).point(touched)
    return wide.filter(ImageFilter.BoxBlur((0, px))).point(touched)


def whole(size: Size, multiple_px: int, max_pixels: int) -> Frame:
    """The whole picture as it is; made smaller only where it is too large for the model."""
    scale = min(1.0, math.sqrt(max_pixels / (size[0] * size[1])))
    return _frame((0, 0, *size), scale, multiple_px, max_pixels)


def around(mask: Image.Image, padding_px: int, multiple_px: int, native_pixels: int, max_pixels: int) -> Frame:
    """The mask's surroundings, enlarged to as many pixels as the model paints best."""
    found = binary(mask).getbbox()
    assert found is not None
    return around_box(found, mask.size, padding_px, multiple_px, native_pixels, max_pixels)


def around_box(box: Box, size: Size, padding_px: int, multiple_px: int, native_pixels: int, max_pixels: int) -> Frame:
    """As `around`, for a mask whose white part lies in `box` of a picture of `size`."""
    left, top = max(0, box[0] - padding_px), max(0, box[1] - padding_px)
    right, bottom = min(size[0], box[2] + padding_px), min(size[1], box[3] + padding_px)
    area = (right - left) * (bottom - top)
    scale = max(math.sqrt(native_pixels / area), min(1.0, math.sqrt(max_pixels / area)))
    return _frame((left, top, right, bottom), scale, multiple_px, max_pixels)


def _frame(box: Box, scale: float, multiple_px: int, max_pixels: int) -> Frame:
    while True:
        inner = tuple(max(1, round(side * scale)) for side in (box[2] - box[0], box[3] - box[1]))
        width, height = (max(MIN_CANVAS_PX, -(-side // multiple_px) * multiple_px) for side in inner)
        if width * height <= max_pixels or max(inner) <= MIN_CANVAS_PX:
            return Frame(box, (inner[0], inner[1]), (width, height))
        scale *= 0.98


def into_frame(picture: Image.Image, frame: Frame) -> Image.Image:
    """The picture as the model gets it: the border repeats its last pixels."""
    part = picture.crop(frame.box)
    if part.size != frame.inner:
        part = part.resize(frame.inner, Image.Resampling.LANCZOS)
    if part.size == frame.canvas:
        return part
    right, below = frame.canvas[0] - part.width, frame.canvas[1] - part.height
    return Image.fromarray(np.pad(np.asarray(part), ((0, below), (0, right), (0, 0)), mode="edge"))


def mask_into_frame(mask: Image.Image, frame: Frame) -> Image.Image:
    """The mask as the model gets it; every marked pixel counts, however small it becomes."""
    part = binary(mask).crop(frame.box)
    if part.size != frame.inner:
        part = part.resize(frame.inner, Image.Resampling.BOX).point([0] + [255] * 255)
    canvas = Image.new("L", frame.canvas)
    canvas.paste(part)
    return canvas if _is_seen(canvas) else _in_cells(canvas)


def _is_seen(mask: Image.Image) -> bool:
    """Whether a pipeline that looks at one pixel of every latent cell notices the mask."""
    return bool(np.asarray(mask)[::CELL_PX, ::CELL_PX].any())


def _in_cells(mask: Image.Image) -> Image.Image:
    """The mask grown to whole latent cells; canvases are made of whole cells."""
    tall, wide = mask.height // CELL_PX, mask.width // CELL_PX
    cells = np.asarray(mask).reshape(tall, CELL_PX, wide, CELL_PX).max(axis=(1, 3))
    return Image.fromarray(cells).resize(mask.size, Image.Resampling.NEAREST)


def pasted(picture: Image.Image, painted: Image.Image, frame: Frame, alpha: Image.Image) -> Image.Image:
    """The picture with the painted canvas laid over it where `alpha` says so; elsewhere not one byte changes."""
    part = painted.convert("RGB").crop((0, 0, *frame.inner))
    size = (frame.box[2] - frame.box[0], frame.box[3] - frame.box[1])
    if part.size != size:
        part = part.resize(size, Image.Resampling.LANCZOS)
    result = picture.copy()
    result.paste(part, frame.box[:2], alpha.crop(frame.box))
    return result


def extended(picture: Image.Image, borders: Box) -> tuple[Image.Image, Image.Image]:
    """The picture mirrored into new borders (left, top, right, bottom), and the mask of what is new."""
    left, top, right, bottom = borders
    mirrored = np.pad(np.asarray(picture), ((top, bottom), (left, right), (0, 0)), mode="symmetric")
    larger = Image.fromarray(mirrored)
    mask = Image.new("L", larger.size, 255)
    mask.paste(0, (left, top, left + picture.width, top + picture.height))
    return larger, mask


def with_noise(picture: Image.Image, mask: Image.Image, seed: int) -> Image.Image:
    """The picture with grey noise under the mask, the same for the same seed."""
    dice = np.random.default_rng(seed)
    noise = np.clip(dice.normal(128, 64, (picture.height, picture.width, 3)), 0, 255).astype(np.uint8)
    return Image.composite(Image.fromarray(noise), picture, binary(mask))


def with_blur(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with its surroundings flowing in under the mask.

    Pull-push (Gortler et al. 1996, The Lumigraph, section 4): average the kept pixels at every scale, fill from coarse.
    """
    kept = np.asarray(1 - np.asarray(binary(mask), np.float32)[..., None] / 255, np.float32)
    colours = _pull_push(np.asarray(np.asarray(picture) * kept, np.float32), kept)
    return Image.composite(Image.fromarray(colours.clip(0, 255).astype(np.uint8)), picture, binary(mask))


def _pull_push(colours: Floats, weights: Floats) -> Floats:
    """Colours (H, W, 3), already multiplied by their weights (H, W, 1) 0..1; the gaps filled."""
    height, width = weights.shape[:2]
    here = np.asarray(colours / np.maximum(weights, 1e-6), np.float32)
    if weights.min() > 0 or max(height, width) == 1:
        return here
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    sums = [
        np.pad(a, pad).reshape(-(-height // 2), 2, -(-width // 2), 2, -1).sum(axis=(1, 3)) for a in (colours, weights)
    ]
    share = np.minimum(1, 1 / np.maximum(sums[1], 1e-6))  # a cell with one kept pixel counts as kept
    coarse = _enlarged(_pull_push(sums[0] * share, sums[1] * share), (width, height))
    return np.asarray(weights * here + (1 - weights) * coarse, np.float32)


def _enlarged(colours: Floats, size: Size) -> Floats:
    planes = [Image.fromarray(colours[..., c]).resize(size, Image.Resampling.BILINEAR) for c in range(3)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)
