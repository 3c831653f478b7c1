"""From what somebody marked to a mask: a picture painted over, words, cells. Pure pixels; knows no Discord.

A mask is an L picture as large as the picture it belongs to: 255 = redraw, 0 = keep. Slow: call it off the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # its parts are imported when they are first used: a quarter of what the bot's start takes
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from bot.errors import BadInput
from bot.languages.speech import N_
from bot.orders import places
from bot.orders.places import Share

Size = tuple[int, int]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels
Bits = NDArray[np.bool_]

LEAST_SHARE = 0.0002  # of the picture: less is a slip of the hand, and nothing the model could paint in
MOST_SHARE = 0.995  # more is the whole picture
WORK_SIDE_PX = 1024  # pictures are compared at this size: a scribble needs no more
STRONG, WEAK = 56, 28  # of 255: what JPEG and rescaling leave is below STRONG, and a stroke's soft rim above WEAK
RIM_PX = 4  # how far a stroke's soft rim reaches
TINY_PX = 32  # a side: icons have edges everywhere, and no noise
SPECK_SHARE = 0.0004  # of the picture: smaller differences are noise
SIMILAR = 0.02  # proportions that differ by less are the same picture, rescaled and rounded
SHOWN_SIDE_PX = 768  # of a picture under its cells
SIDES = (3, 5)  # cells along a side
LIT = (226, 61, 155)  # the colour of what will be redrawn, as in the browser's editor

EMPTY = N_("The mask is empty. Make what is to be redrawn white, or transparent in a PNG.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a region is best redrawn; see `engine.Inpaint`."""

    fill: Literal["original", "noise", "blur"]
    only_masked: bool
    feather_px: int
    padding_px: int


# ---------------------------------------------------------------- from what people give
def from_painted(original: Image.Image, painted: Image.Image) -> Image.Image:
    """Where two pictures differ, with what a stroke encloses. Both RGB; JPEG noise and rescaling do not count.

    Raises: BadInput when the second is another picture, or the same.
    """
    size = original.size
    if abs(painted.width * size[1] / (painted.height * size[0]) - 1) > SIMILAR:
        raise BadInput(
            "The painted picture has {px} and the original {px2} pixels. Paint over the same picture, without "
            "cropping or turning it.",
            px=px(painted.size),
            px2=px(size),
        )
    mask = of_bits(_strokes(*_alike(original, painted)))
    return checked(
        scaled(mask, size), N_("The two pictures are the same. Scribble over what is to be redrawn, in any colour.")
    )


def from_words(text: str, size: Size) -> Image.Image:
    """ "top right", "left third", "centre", or "x,y,w,h" in percent. Raises: BadInput."""
    share = places.read(text)
    mask = Image.new("L", size, 0)
    mask.paste(255, _pixels(share, size))
    return checked(mask)


def from_cells(cells: Iterable[int], side: int, size: Size) -> Image.Image:
    """Cells of a `side` x `side` grid, numbered from 0 in reading order. Raises: BadInput."""
    mask = Image.new("L", size, 0)
    for cell in cells:
        mask.paste(255, _pixels(_cell(cell, side), size))
    return checked(mask, N_("No cell is chosen. Press the cells that are to be redrawn, then Paint."))


def from_editor(drawn: Image.Image, size: Size) -> Image.Image:
    """What the browser's editor drew, white on black, perhaps smaller than the picture. Raises: BadInput."""
    if abs(drawn.width * size[1] / (drawn.height * size[0]) - 1) > SIMILAR:
        raise BadInput("This mask belongs to another picture. Open the editor again.")
    mask = of_bits(np.asarray(drawn.convert("L")) >= 128)
    return checked(scaled(mask, size), N_("Nothing is marked yet. Paint over what is to be redrawn."))


def checked(mask: Image.Image, empty: str = "") -> Image.Image:
    """The mask itself. Raises: BadInput when it holds nothing (then with the sentence `empty`) or everything."""
    share = share_of(mask)
    if share < LEAST_SHARE:
        raise BadInput(empty or EMPTY)
    if share > MOST_SHARE:
        raise BadInput("The mask covers the whole picture. Leave some of it out, or use /vary to repaint it all.")
    return mask


def share_of(mask: Image.Image) -> float:
    """How much of the picture is to be redrawn, 0..1."""
    return float((np.asarray(mask) >= 128).mean())


def manner(mask: Image.Image, native_px: int) -> Manner:
    """Settings that suit a region. `native_px`: the model's own number of pixels.

    A picture larger than the model's own loses detail when it is painted whole, and in a region of less than a third
    the model sees no room for what was asked: Mini painted none of 6 stars into an empty corner that way, and close up
    10 of 10 stars, hearts and circles. Then only the surroundings are painted, as large as the model can, and not much
    of them, or the thing asked for gets as large as those and is cut off.
    """
    box = mask.getbbox() or (0, 0, *mask.size)
    width, height = box[2] - box[0], box[3] - box[1]
    reach = max(width, height)
    close = mask.width * mask.height > native_px * 1.5 or width * height < mask.width * mask.height / 3
    return Manner(
        fill="blur",
        only_masked=close,
        feather_px=max(2, min(32, round(reach / 16))),
        padding_px=max(8, min(256, round(reach / 4))),
    )


# ---------------------------------------------------------------- showing cells
def with_cells(picture: Image.Image, side: int, chosen: Iterable[int]) -> Image.Image:
    """The picture under a numbered grid, the chosen cells lit; scaled for showing."""
    scale = SHOWN_SIDE_PX / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    sheet = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    boxes = [_pixels(_cell(cell, side), size) for cell in range(side * side)]
    for cell in sorted(frozenset(chosen) & frozenset(range(len(boxes)))):
        lit = sheet.crop(boxes[cell])
        sheet.paste(Image.blend(lit, Image.new("RGB", lit.size, LIT), 0.5), boxes[cell])
    _draw_lines(ImageDraw.Draw(sheet), boxes)
    return sheet


def _draw_lines(draw: ImageDraw.ImageDraw, boxes: list[Box]) -> None:
    """Frames and numbers, light within dark, so that they show on any picture."""
    for box in boxes:
        draw.rectangle(box, outline=(0, 0, 0), width=3)
        draw.rectangle((box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1), outline=(255, 255, 255), width=1)
    font = ImageFont.load_default(size=26)
    for number, box in enumerate(boxes, 1):
        draw.text((box[0] + 12, box[1] + 8), str(number), font=font, fill="white", stroke_width=3, stroke_fill="black")


# ---------------------------------------------------------------- shares and pixels
def _cell(cell: int, side: int) -> Share:
    if side not in SIDES or not 0 <= cell < side * side:
        raise BadInput("That cell doesn't exist. Choose one of those shown.")
    row, column = divmod(cell, side)
    return column / side, row / side, (column + 1) / side, (row + 1) / side


def _pixels(share: Share, size: Size) -> Box:
    """The box of a share, at least one pixel wide and high."""
    left, top = min(round(share[0] * size[0]), size[0] - 1), min(round(share[1] * size[1]), size[1] - 1)
    return left, top, max(left + 1, round(share[2] * size[0])), max(top + 1, round(share[3] * size[1]))


# ---------------------------------------------------------------- comparing pictures
def _alike(original: Image.Image, painted: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Both at one size: that of the smaller, for a picture that was scaled down has lost its finest lines."""
    scale = min(1.0, painted.width / original.width, WORK_SIDE_PX / max(original.size))
    size = max(1, round(original.width * scale)), max(1, round(original.height * scale))
    return (
        original.convert("RGB").resize(size, Image.Resampling.LANCZOS),
        painted.convert("RGB").resize(size, Image.Resampling.LANCZOS),
    )


def _strokes(original: Image.Image, painted: Image.Image) -> Bits:
    """Where the pictures differ by more than encoding explains, without specks, with what is enclosed."""
    tiny = min(original.size) < TINY_PX
    # encoding and rescaling move edges by a pixel: look past that
    soft = [
        np.asarray(each if tiny else each.filter(ImageFilter.GaussianBlur(1.2)), dtype=np.int16)
        for each in (original, painted)
    ]
    apart = soft[1] - soft[0]
    if not tiny:
        apart -= np.median(apart, axis=(0, 1)).astype(np.int16)  # another encoder's idea of the same colours
    distance = np.abs(apart).max(axis=-1)
    core = _without_specks(distance >= STRONG)
    rim = scipy.ndimage.binary_dilation(core, iterations=RIM_PX) & (distance >= WEAK)
    return _filled(np.asarray(core | rim, dtype=np.bool_))


def _without_specks(marked: Bits) -> Bits:
    labels, _ = scipy.ndimage.label(marked, structure=np.ones((3, 3)))
    large = np.bincount(labels.ravel()) >= max(2, SPECK_SHARE * marked.size)
    large[0] = False
    return np.asarray(large[labels], dtype=np.bool_)


def _filled(marked: Bits) -> Bits:
    """Close small gaps of a stroke, then take in what it encloses."""
    reach = max(1, round(max(marked.shape) / 128))
    padded = np.pad(marked, reach)
    closed = scipy.ndimage.binary_closing(padded, iterations=reach)[reach:-reach, reach:-reach]
    return np.asarray(scipy.ndimage.binary_fill_holes(closed | marked), dtype=np.bool_)


def scaled(mask: Image.Image, size: Size) -> Image.Image:
    """A mask at another size, still of two values."""
    if mask.size == size:
        return mask
    return mask.resize(size, Image.Resampling.BILINEAR).point([0] * 128 + [255] * 128)


def of_bits(bits: Bits) -> Image.Image:
    """A mask that is white where `bits` are true."""
    return Image.fromarray(bits.astype(np.uint8) * 255)


def px(size: Size) -> str:
    """A size as people write it."""
    return f"{size[0]}x{size[1]}"
