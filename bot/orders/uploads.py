"""A member's picture: checked before it is decoded, rebuilt from its pixels alone. Slow: goes to a pool."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from PIL import Image

from bot.errors import BadInput
from bot.languages.speech import N_, _, later
from bot.orders import colours, picture_files
from bot.orders.picture_files import DAMAGED, UNUSUAL, PictureFile

MAX_PIXELS = 16_800_000  # 4096 x 4096 and a little: the largest result that can be edited again
MAX_JPEG_SCANS = 100  # a progressive picture has about ten; thousands take minutes to decode
MAX_SIDE_PX = 8192  # the engine's own for edits
STRIP_PX = 64  # rows of a large picture that are converted at once, so that the whole never lies there twice
SLACK = 0.1  # a picture that is so much larger than wanted stays as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much work a file may make.

    Attributes:
        size_bytes: of the file. kept_px: larger pictures are scaled to a half, a third ... of their size.
        read_px: what a decoder may be given, by format; a JPEG's scales while it decodes.
        decoded_px: what a decoder may write. layered_px: a JPEG of several scans, which lies in memory whole.
        coloured_px: what is changed to sRGB's colours, which takes 15 ns a pixel; a larger one stays as it is.
        scanned_px: pixels times scans of such a one.
    """

    size_bytes: int
    kept_px: int
    read_px: dict[str, int]
    decoded_px: int
    layered_px: int
    scanned_px: int
    coloured_px: int


# measured with Pillow 13: each of these takes less than 150 ms and 64 MiB. A WebP lies in memory four times, an
# AVIF is slow to decode. A PNG's time goes by its bytes: about 30 ms a MiB.
STRANGERS = Limits(
    size_bytes=12 * 2**20,
    kept_px=2048 * 2048,
    read_px={"JPEG": 64_000_000, "WEBP": 3_600_000, "AVIF": 2_400_000},
    decoded_px=3840 * 2160,  # a large screen
    layered_px=4_200_000,
    scanned_px=48_000_000,
    coloured_px=3_200_000,  # a phone's photo, at half its size
)
OWN = Limits(  # one's own files on one's own machine
    size_bytes=256 * 2**20,
    kept_px=MAX_PIXELS,
    read_px=dict.fromkeys(("JPEG", "WEBP", "AVIF"), 144_000_000),
    decoded_px=144_000_000,
    layered_px=144_000_000,
    scanned_px=4_000_000_000,
    coloured_px=144_000_000,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A picture that was read: RGB, or RGBA where that was asked for, with a sentence for each thing done to it."""

    image: Image.Image
    notes: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        return " ".join(self.notes)


def check_size(size_bytes: int, limits: Limits = STRANGERS) -> None:
    """Refuse a file by its size, before it is read. Raises: BadInput."""
    if size_bytes > limits.size_bytes:
        most = limits.size_bytes // 2**20
        raise BadInput(
            "This file is {size_bytes:.1f} MiB. The limit is {most} MiB.", size_bytes=size_bytes / 2**20, most=most
        )


def read_upload(data: bytes, limits: Limits = STRANGERS) -> Upload:
    """The picture as plain RGB, upright, alpha laid over white, without metadata.

    Raises: BadInput when it is none that can be read, or too large.
    """
    return _read(data, limits, _rgb)


def read_layers(data: bytes, limits: Limits = STRANGERS) -> Upload:
    """The picture as plain RGB, or as RGBA where parts of it are transparent. Raises: as `read_upload`."""
    return _read(data, limits, lambda part: _plain(part, "RGBA") if part.has_transparency_data else _rgb(part))


def _read(data: bytes, limits: Limits, convert: Callable[[Image.Image], Image.Image]) -> Upload:
    check_size(len(data), limits)
    file = picture_files.look(data)
    _check(file, file.size, limits)
    try:
        with Image.open(io.BytesIO(file.data), formats=(file.form,)) as image:
            _check(file, image.size, limits)  # the decoder's own word
            size = image.size
            if file.form == "JPEG":
                image.draft(None, _draft_size(size, limits))
            image.load()
            vars(image).pop("_decoder", None)  # a WebP's holds two more pictures of the size
            whole = _turned(_scaled(image, limits.kept_px, convert), image)
            profile = file.profile or colours.checked(image.info.get("icc_profile") or b"")
        if profile and whole.width * whole.height <= limits.coloured_px:
            colours.to_srgb(whole, profile)
    except BadInput:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(file, limits) from None
    except Exception:  # whatever a decoder raises on a broken file says that it is broken
        raise BadInput(DAMAGED) from None
    return Upload(image=whole, notes=_notes(file, size, whole.size))


def _check(file: PictureFile, size: tuple[int, int], limits: Limits) -> None:
    """Look at what the header says; nothing has been decoded yet. Raises: BadInput."""
    pixels = size[0] * size[1]
    if file.scans > MAX_JPEG_SCANS:
        raise BadInput(UNUSUAL)
    if pixels > _most(file, limits):
        raise _too_large(file, limits)


def _most(file: PictureFile, limits: Limits) -> int:
    layered = min(limits.layered_px, limits.scanned_px // max(1, file.scans))
    return layered if file.scans > 1 else limits.read_px.get(file.form, limits.decoded_px)


def _too_large(file: PictureFile, limits: Limits) -> BadInput:
    kind = later(_, N_("progressive JPEG")) if file.scans > 1 else file.form.replace("WEBP", "WebP")
    return BadInput(
        "This picture is too large: a {kind} may have {most:.1f} megapixels. Save it smaller, or as a plain JPEG.",
        kind=kind,
        most=_most(file, limits) / 1000000.0,
    )


def _draft_size(size: tuple[int, int], limits: Limits) -> tuple[int, int]:
    """What a JPEG's decoder is to aim at: a half, a quarter or an eighth cost it less than the whole."""
    part = next((part for part in (1, 2, 4) if size[0] * size[1] <= limits.decoded_px * part * part), 8)
    return size[0] // part, size[1] // part


FRAME, PAGE = N_("Only the first frame was used."), N_("Only the first page was used.")
SCALED = N_("The picture was scaled from {before} to {after}.")
"""Notes are kept in English and put into words with the order's other notes."""


def _notes(file: PictureFile, before: tuple[int, int], after: tuple[int, int]) -> tuple[str, ...]:
    notes = []
    if file.more:
        notes.append(FRAME if file.more == "frame" else PAGE)
    if sorted(before) != sorted(after):
        notes.append(SCALED.format(before=f"{before[0]}x{before[1]}", after=f"{after[0]}x{after[1]}"))
    return tuple(notes)


# ---------------------------------------------------------------- pixels
def _scaled(image: Image.Image, most_px: int, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture converted; a large one at a half, a third ... of its size, so many rows at a time."""
    factor = max(ceil(sqrt(image.width * image.height / most_px) - SLACK), ceil(max(image.size) / MAX_SIDE_PX))
    if factor < 2:
        return convert(image)
    if image.mode == "RGB" and not image.has_transparency_data:
        return _plain(image.reduce(factor), "RGB")
    whole: Image.Image | None = None
    for top in range(0, image.height, STRIP_PX * factor):
        strip = convert(image.crop((0, top, image.width, min(image.height, top + STRIP_PX * factor)))).reduce(factor)
        whole = whole or Image.new(strip.mode, (-(-image.width // factor), -(-image.height // factor)))
        whole.paste(strip, (0, top // factor))
    assert whole is not None
    return whole


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF 2.3, 4.6.4, tag 274


def _turned(plain: Image.Image, source: Image.Image) -> Image.Image:
    """The picture as its camera was held."""
    turn = None
    with suppress(Exception):  # broken EXIF says nothing about the pixels
        turn = _TURNS.get(source.getexif().get(0x0112, 1))
    return plain if turn is None else plain.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16-bit grey; Pillow's own conversion would cut it off at 255
        scale = 1 if image.mode == "F" else 256
        return Image.fromarray((np.asarray(image) // scale).clip(0, 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return _plain(image, "RGB")
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer)
    return white


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """Only the pixels: no EXIF, no text, no colour profile, no file behind it. One copy, for pictures can be large."""
    plain = image.copy() if image.mode == mode else image.convert(mode)
    plain.info = {}
    return plain
