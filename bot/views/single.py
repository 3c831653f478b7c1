"""The buttons under one picture: what its model can do with it, in the order Midjourney taught. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from discord.ui import ActionRow, LayoutView

from bot.services import edits
from bot.spec import Spec
from bot.store.records import StoredImage
from bot.views.deeds import ARROWS, is_exact
from bot.views.ids import Action, PressId
from bot.views.parts import row
from bot.views.press import Press

PANS: Mapping[edits.Direction, Action] = {
    "left": Action.PAN_LEFT,
    "right": Action.PAN_RIGHT,
    "up": Action.PAN_UP,
    "down": Action.PAN_DOWN,
}


def rows(
    spec: Spec, image: StoredImage, tasks: frozenset[str], *, copy: bool, stars: Sequence[Press] = ()
) -> list[ActionRow[LayoutView]]:
    """Rows of at most five buttons. Delete takes a `copy` away alone, and the only post with its job."""
    size = image.width, image.height
    groups: list[Iterable[Press]] = [_upscales(image.id, size, tasks), _varies(spec, image.id, tasks)]
    if "outpaint" in tasks:
        groups += [_zooms(image.id), _pans(image.id, size)]
    groups.append([*_rest(spec, image.id, Action.REMOVE if copy else Action.DELETE), *stars])
    return [row(*buttons) for group in groups if (buttons := list(group))]


def star(job_id: int, stars: int | None) -> list[Press]:
    """The star button with its count; none where a picture can have no stars."""
    return [] if stars is None else [Press(PressId(Action.STAR, job_id), str(stars or ""), emoji="⭐")]


def _upscales(image_id: int, size: tuple[int, int], tasks: frozenset[str]) -> Iterator[Press]:
    if "upscale" in tasks and edits.keepable((size[0] * 2, size[1] * 2)):
        yield Press(PressId(Action.UPSCALE, image_id), "Upscale (2x)", emoji="🔍")
        yield Press(PressId(Action.UPSCALE_CREATIVE, image_id), "Upscale (Creative)", emoji="🔍")


def _varies(spec: Spec, image_id: int, tasks: frozenset[str]) -> Iterator[Press]:
    if spec.task in ("txt2img", "control") or "img2img" in tasks:
        yield Press(PressId(Action.VARY, image_id), "Vary (Subtle)", emoji="🪄")
        yield Press(PressId(Action.VARY_STRONG, image_id), "Vary (Strong)", emoji="🪄")
    if "inpaint" in tasks:
        yield Press(PressId(Action.REGION, image_id), "Vary (Region)", emoji="🖌️")


def _zooms(image_id: int) -> Iterator[Press]:
    yield Press(PressId(Action.ZOOM_LITTLE, image_id), "Zoom Out 1.5x", emoji="🔭")
    yield Press(PressId(Action.ZOOM, image_id), "Zoom Out 2x", emoji="🔭")
    yield Press(PressId(Action.ZOOM_CUSTOM, image_id), "Custom Zoom", emoji="🔭")


def _pans(image_id: int, size: tuple[int, int]) -> Iterator[Press]:
    for direction, action in PANS.items():
        if not edits.narrow(edits.pan(size, direction).extended):
            yield Press(PressId(action, image_id), "", emoji=ARROWS[direction])


def _rest(spec: Spec, image_id: int, end: Action) -> Iterator[Press]:
    if not is_exact(spec):
        yield Press(PressId(Action.REMIX, image_id), "Remix", emoji="🎛️")
        yield Press(PressId(Action.REROLL, image_id), "", emoji="🔄")
        yield Press(PressId(Action.SEED, image_id), "Seed", emoji="🌱")
    yield Press(PressId(end, image_id), "Delete", emoji="🗑️")
