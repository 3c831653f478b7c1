"""The edits of the command line, `easel vary` and its kin: one, straight through the engine, into files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from bot.cli.generate import CliRequest, check_target, common_options, deliver, one_job, read_file, sha256_of, tell
from bot.config import Settings
from bot.errors import BadInput
from bot.features.region import mask_files
from bot.features.region import masks as region_masks
from bot.orders import geometry
from bot.orders.uploads import OWN, read_layers, read_upload
from bot.prompt.flags import read_ratio
from bot.prompt.numbers import read_number
from bot.prompt.parser import Draft
from engine.api.model_info import ModelInfo
from engine.tasks.blend import MAX_BLENDED, Blend
from engine.tasks.control import Control
from engine.tasks.edit import Edit
from engine.tasks.img2img import Img2Img
from engine.tasks.inpaint import MAX_REACH_PX, Inpaint
from engine.tasks.outpaint import Outpaint
from engine.tasks.pictures import MAX_CONTROL_SCALE, Guide, StoredPicture
from engine.tasks.upscale import Upscale

SIDES = ("left", "right", "top", "bottom")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do what the arguments say. Raises: UserError, EngineError."""
    words = [] if args.command == "blend" else args.words
    line = " ".join([*words, *args.prompt.split(), *args.extra])
    draft = one_job(line, common_options(args), wordless=args.command != "inpaint")
    check_target(args.out)
    if args.command == "blend":
        return deliver([_blend(args, draft)], args, settings)
    data = read_file(args.image)
    upload, sha256 = read_upload(data, OWN), sha256_of(data)
    picture = upload.image
    tell(upload)
    stored, wish = StoredPicture(sha256=sha256, size=picture.size), CliRequest(draft=draft, pictures={sha256: picture})
    return deliver([_REQUESTS[args.command](args, wish, stored)], args, settings)


def _vary(args: argparse.Namespace, wish: CliRequest, picture: StoredPicture) -> CliRequest:
    what = Img2Img(prompt="", init_image=picture)
    return replace(wish, what=lambda info: what)


def _upscale(args: argparse.Namespace, wish: CliRequest, picture: StoredPicture) -> CliRequest:
    _check_sizeless(wish.draft)
    what = Upscale(init_image=picture, scale=args.scale, mode=args.mode)
    return replace(wish, what=lambda info: what)


def _edit(args: argparse.Namespace, wish: CliRequest, picture: StoredPicture) -> CliRequest:
    _check_sizeless(wish.draft)
    if not wish.draft.prompt:
        raise BadInput("Say what should change, such as: make the boat blue.")
    others = [read_file(path) for path in args.reference]
    seen = {sha256_of(data): read_upload(data, OWN).image for data in others}
    references = [StoredPicture(sha256=name, size=each.size) for name, each in seen.items()]
    what = Edit(prompt="", images=[picture, *references])
    return replace(wish, pictures={**wish.pictures, **seen}, what=lambda info: what)


def _control(args: argparse.Namespace, wish: CliRequest, picture: StoredPicture) -> CliRequest:
    scale = 1.0 if wish.draft.strength is None else wish.draft.strength
    if not 0 <= scale <= MAX_CONTROL_SCALE:
        raise BadInput(f"The strength cannot be {scale:g}. Use 0 to {MAX_CONTROL_SCALE:g}.")
    what = Control.along(Guide(image=picture, controlnet=args.kind, conditioning_scale=scale, prepared=args.prepared))
    return replace(wish, draft=replace(wish.draft, strength=None), what=lambda info: what)


# ---------------------------------------------------------------- inpaint
def _inpaint(args: argparse.Namespace, wish: CliRequest, picture: StoredPicture) -> CliRequest:
    _check_sizeless(wish.draft)
    for name in ("feather", "padding"):
        px = getattr(args, name)
        if px is not None and not 0 <= px <= MAX_REACH_PX:
            raise BadInput(f"The {name} cannot be {px}. Use 0 to {MAX_REACH_PX} pixels.")
    mask = _mask(args, wish.pictures[picture.sha256])
    name = sha256_of(mask.tobytes())
    stored = StoredPicture(sha256=name, size=mask.size, box=mask.getbbox())
    return replace(wish, pictures={**wish.pictures, name: mask}, what=_redrawing(args, picture, mask, stored))


def _redrawing(
    args: argparse.Namespace, picture: StoredPicture, mask: Image.Image, stored: StoredPicture
) -> Callable[[ModelInfo], Inpaint]:
    def what(info: ModelInfo) -> Inpaint:
        best = region_masks.manner(mask, info.width * info.height)
        return Inpaint(
            prompt="",
            init_image=picture,
            mask=stored,
            fill=args.fill or best.fill,
            only_masked=best.only_masked if args.only_masked is None else args.only_masked,
            feather_px=best.feather_px if args.feather is None else args.feather,
            padding_px=best.padding_px if args.padding is None else args.padding,
        )

    return what


def _mask(args: argparse.Namespace, picture: Image.Image) -> Image.Image:
    """Raises: BadInput."""
    if args.mask:
        return mask_files.from_file(read_layers(read_file(args.mask), OWN).image, picture)
    if args.painted:
        return region_masks.from_painted(picture, read_upload(read_file(args.painted), OWN).image)
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
def _outpaint(args: argparse.Namespace, wish: CliRequest, picture: StoredPicture) -> CliRequest:
    borders = {side: getattr(args, side) for side in SIDES if getattr(args, side) is not None}
    ratio = read_ratio(args.ratio) if args.ratio else wish.draft.aspect_ratio
    draft = replace(wish.draft, aspect_ratio=None)
    _check_sizeless(draft)
    if not borders and args.zoom is None and ratio is None:
        raise BadInput("Say what to add: --left, --right, --top, --bottom in pixels, or --zoom, or --ratio.")
    if borders:
        if args.zoom is not None or ratio is not None:
            raise BadInput("Give new pixels at the sides, or a zoom and a ratio; not both.")
        wider = _borders(picture, borders)
        return replace(wish, draft=draft, what=lambda info: wider)
    shape = ratio[0] / ratio[1] if ratio else None
    what, (width, height) = geometry.zoom(picture, 1.0 if args.zoom is None else args.zoom, shape)
    return replace(wish, draft=replace(draft, width=width, height=height), what=lambda info: what)


def _borders(picture: StoredPicture, borders: dict[str, int]) -> Outpaint:
    """Raises: BadInput."""
    left, right, top, bottom = (borders.get(side, 0) for side in SIDES)
    size = picture.size[0] + left + right, picture.size[1] + top + bottom
    if min(borders.values()) < 0 or size == picture.size or not geometry.keepable(size):
        added = ", ".join(f"{px} at the {side}" for side, px in borders.items())
        raise BadInput(f"The picture cannot grow by {added}. Use more than 0, and at most 16 megapixels in all.")
    return Outpaint(prompt="", init_image=picture, left=left, right=right, top=top, bottom=bottom)


# ---------------------------------------------------------------- blend
def _blend(args: argparse.Namespace, draft: Draft) -> CliRequest:
    if not 2 <= len(args.images) <= MAX_BLENDED:
        raise BadInput(f"{len(args.images)} picture cannot be blended. Give 2 to {MAX_BLENDED}.")
    found = [read_file(path) for path in args.images]
    names = tuple(sha256_of(data) for data in found)
    pictures = {name: read_upload(data, OWN).image for name, data in zip(names, found, strict=True)}
    images = [StoredPicture(sha256=name, size=pictures[name].size) for name in names]
    what = Blend(images=images, weights=_weights(args.weights, args.images))
    return CliRequest(draft=draft, pictures=pictures, what=lambda info: what)


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
    if draft.width or draft.height or draft.aspect_ratio:
        raise BadInput("The size comes from the picture here. Leave out --size and --ar.")


_REQUESTS: dict[str, Callable[[argparse.Namespace, CliRequest, StoredPicture], CliRequest]] = {
    "vary": _vary,
    "inpaint": _inpaint,
    "outpaint": _outpaint,
    "upscale": _upscale,
    "edit": _edit,
    "control": _control,
}
