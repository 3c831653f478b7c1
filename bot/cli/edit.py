"""The edits of the command line, `easel vary` and its kin: one, straight through the engine, into files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from bot.cli.generate import CliRequest, check_target, common_options, deliver, one_job, read_file, sha256_of
from bot.config import Settings
from bot.errors import BadInput
from bot.features.region import masks as region_masks
from bot.orders import geometry
from bot.orders.uploads import read_layers, read_upload
from bot.prompt.flags import read_number, read_ratio
from bot.prompt.parser import Draft
from bot.prompt.spec import BlendEdit, ControlEdit, InpaintEdit, OutpaintEdit, UpscaleEdit
from engine.api.model_info import ModelInfo
from engine.tasks.blend import MAX_BLENDED
from engine.tasks.control import MAX_CONTROL_SCALE

SIDES = ("left", "right", "top", "bottom")
MAX_REACH_PX = 256  # of a feather or a padding


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do what the arguments say. Raises: UserError, EngineError."""
    words = [] if args.command == "blend" else args.words
    line = " ".join([*words, *args.prompt.split(), *args.extra])
    draft = one_job(line, common_options(args), wordless=args.command != "inpaint")
    check_target(args.out)
    if args.command == "blend":
        return deliver(_blend(args, draft), args, settings)
    data = read_file(args.image)
    picture, sha256 = read_upload(data), sha256_of(data)
    wish = CliRequest(draft=draft, source=sha256, pictures={sha256: picture}, size=picture.size)
    return deliver(_REQUESTS[args.command](args, wish, picture), args, settings)


def _vary(args: argparse.Namespace, wish: CliRequest, picture: Image.Image) -> CliRequest:
    return wish


def _upscale(args: argparse.Namespace, wish: CliRequest, picture: Image.Image) -> CliRequest:
    _check_sizeless(wish.draft)
    edit = UpscaleEdit(scale=args.scale, mode=args.mode)
    return replace(wish, edit=lambda info: edit)


def _control(args: argparse.Namespace, wish: CliRequest, picture: Image.Image) -> CliRequest:
    scale = 1.0 if wish.draft.strength is None else wish.draft.strength
    if not 0 <= scale <= MAX_CONTROL_SCALE:
        raise BadInput(f"The strength cannot be {scale:g}. Use 0 to {MAX_CONTROL_SCALE:g}.")
    edit = ControlEdit(controlnet=args.kind, scale=scale, prepared=args.prepared)
    return replace(wish, draft=replace(wish.draft, strength=None), edit=lambda info: edit)


# ---------------------------------------------------------------- inpaint
def _inpaint(args: argparse.Namespace, wish: CliRequest, picture: Image.Image) -> CliRequest:
    _check_sizeless(wish.draft)
    for name in ("feather", "padding"):
        px = getattr(args, name)
        if px is not None and not 0 <= px <= MAX_REACH_PX:
            raise BadInput(f"The {name} cannot be {px}. Use 0 to {MAX_REACH_PX} pixels.")
    mask = _mask(args, picture)
    name = sha256_of(mask.tobytes())
    edit = _redrawing(args, mask, name)
    return replace(wish, pictures={**wish.pictures, name: mask}, edit=edit)


def _redrawing(args: argparse.Namespace, mask: Image.Image, name: str) -> Callable[[ModelInfo], InpaintEdit]:
    box = mask.getbbox()
    assert box is not None, "a checked mask holds something"

    def edit(info: ModelInfo) -> InpaintEdit:
        best = region_masks.manner(mask, info.width * info.height)
        return InpaintEdit(
            mask=name,
            box=box,
            fill=args.fill or best.fill,
            only_masked=best.only_masked if args.only_masked is None else args.only_masked,
            feather_px=best.feather_px if args.feather is None else args.feather,
            padding_px=best.padding_px if args.padding is None else args.padding,
        )

    return edit


def _mask(args: argparse.Namespace, picture: Image.Image) -> Image.Image:
    """Raises: BadInput."""
    if args.mask:
        return region_masks.from_file(read_layers(read_file(args.mask)), picture.size)
    if args.painted:
        return region_masks.from_painted(picture, read_upload(read_file(args.painted)))
    box = _box(args.region)
    if box is None:
        return region_masks.from_words(args.region, picture.size)
    mask = Image.new("L", picture.size)
    mask.paste(255, box)
    return region_masks.checked(
        mask, f"This region is outside the picture, which has {picture.width}x{picture.height}."
    )


def _box(text: str) -> tuple[int, int, int, int] | None:
    """left, top, width and height in pixels as a box; None when these are no four whole numbers."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        return None
    left, top, width, height = map(int, parts)
    return left, top, left + width, top + height


# ---------------------------------------------------------------- outpaint
def _outpaint(args: argparse.Namespace, wish: CliRequest, picture: Image.Image) -> CliRequest:
    borders = {side: getattr(args, side) for side in SIDES if getattr(args, side) is not None}
    ratio = read_ratio(args.ratio) if args.ratio else wish.draft.ar
    draft = replace(wish.draft, ar=None)
    _check_sizeless(draft)
    if not borders and args.zoom is None and ratio is None:
        raise BadInput("Say what to add: --left, --right, --top, --bottom in pixels, or --zoom, or --ratio.")
    if borders:
        if args.zoom is not None or ratio is not None:
            raise BadInput("Give new pixels at the sides, or a zoom and a ratio; not both.")
        wider = _borders(picture.size, borders)
        return replace(wish, draft=draft, edit=lambda info: wider)
    shape = ratio[0] / ratio[1] if ratio else None
    edit, (width, height) = geometry.zoom(picture.size, 1.0 if args.zoom is None else args.zoom, shape)
    return replace(wish, draft=replace(draft, width=width, height=height), edit=lambda info: edit)


def _borders(size: tuple[int, int], borders: dict[str, int]) -> OutpaintEdit:
    """Raises: BadInput."""
    left, right, top, bottom = (borders.get(side, 0) for side in SIDES)
    edit = OutpaintEdit(source=size, left=left, right=right, top=top, bottom=bottom)
    if min(borders.values()) < 0 or edit.extended == size or not geometry.keepable(edit.extended):
        added = ", ".join(f"{px} at the {side}" for side, px in borders.items())
        raise BadInput(f"The picture cannot grow by {added}. Use more than 0, and at most 16 megapixels in all.")
    return edit


# ---------------------------------------------------------------- blend
def _blend(args: argparse.Namespace, draft: Draft) -> CliRequest:
    if not 2 <= len(args.images) <= MAX_BLENDED:
        raise BadInput(f"{len(args.images)} picture cannot be blended. Give 2 to {MAX_BLENDED}.")
    found = [read_file(path) for path in args.images]
    names = tuple(sha256_of(data) for data in found)
    pictures = {name: read_upload(data) for name, data in zip(names, found, strict=True)}
    edit = BlendEdit(images=names, weights=_weights(args.weights, args.images))
    return CliRequest(draft=draft, pictures=pictures, size=pictures[names[0]].size, edit=lambda info: edit)


def _weights(text: str | None, images: list[Path]) -> tuple[float, ...]:
    """Raises: BadInput."""
    if text is None:
        return (1.0,) * len(images)
    numbers = [read_number(part) for part in text.replace(",", " ").replace(":", " ").split()]
    weights = tuple(number for number in numbers if number is not None)
    if len(weights) != len(images) or len(numbers) != len(images) or not any(weights):
        raise BadInput(f"--weights takes {len(images)} numbers, 0 or more and not all 0, such as 2,1.")
    return weights


def _check_sizeless(draft: Draft) -> None:
    """Raises: BadInput."""
    if draft.width or draft.height or draft.ar:
        raise BadInput("The size follows from the picture here. Leave --size and --ar out.")


_REQUESTS: dict[str, Callable[[argparse.Namespace, CliRequest, Image.Image], CliRequest]] = {
    "vary": _vary,
    "inpaint": _inpaint,
    "outpaint": _outpaint,
    "upscale": _upscale,
    "control": _control,
}
