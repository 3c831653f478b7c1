"""The buttons under one picture: what its model can do with it, in the order Midjourney taught. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from discord.ui import ActionRow, LayoutView

from bot.delivery.titles import ARROWS, MEANING, is_exact, is_painted_from_noise
from bot.jobs.records import Job, StoredImage
from bot.kit.button import Button
from bot.kit.components import row
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import _
from bot.orders import geometry
from bot.prompt.spec import Spec
from engine.tasks.outpaint import narrow

PANS: Mapping[geometry.Direction, Action] = {
    "left": Action.PAN_LEFT,
    "right": Action.PAN_RIGHT,
    "up": Action.PAN_UP,
    "down": Action.PAN_DOWN,
}


def rows(
    spec: Spec, image: StoredImage, tasks: frozenset[str], *, copy: bool, more: Sequence[Button] = ()
) -> list[ActionRow[LayoutView]]:
    """Rows of at most five buttons. Delete takes a `copy` away alone, and the only post with its job."""
    size = image.width, image.height
    groups: list[Iterable[Button]] = [_upscales(image.id, size, tasks), _varies(spec, image.id, tasks)]
    if "outpaint" in tasks:
        groups += [_zooms(image.id), _pans(image.id, size)]
    if spec.task == "edit":
        groups.append(_chain(image.id))
    rest = [*_rest(spec, image.id, Action.REMOVE if copy else Action.DELETE), *more]
    groups += [rest[:5], rest[5:]]
    return [row(*buttons) for group in groups if (buttons := list(group))]


def star(job_id: int, stars: int | None) -> list[Button]:
    """The star button with its count; none where a picture can have no stars."""
    return [] if stars is None else [Button(ButtonId(Action.STAR, job_id), str(stars or ""), emoji="⭐")]


def report(job: Job) -> list[Button]:
    """The button that tells moderators; none where nobody else sees the picture."""
    public = job.guild_id and not job.private
    return [Button(ButtonId(Action.REPORT, job.id), _("Report"), emoji="🚩")] if public else []


def _upscales(image_id: int, size: tuple[int, int], tasks: frozenset[str]) -> Iterator[Button]:
    if "upscale" in tasks and geometry.keepable((size[0] * 2, size[1] * 2)):
        yield Button(ButtonId(Action.UPSCALE, image_id), _("Upscale (2x)"), emoji="🔍")
        yield Button(ButtonId(Action.UPSCALE_CREATIVE, image_id), _("Upscale (Creative)"), emoji="🔍")


def _varies(spec: Spec, image_id: int, tasks: frozenset[str]) -> Iterator[Button]:
    if is_painted_from_noise(spec) or "img2img" in tasks:
        yield Button(ButtonId(Action.VARY, image_id), _("Vary (Subtle)"), emoji="🪄")
        yield Button(ButtonId(Action.VARY_STRONG, image_id), _("Vary (Strong)"), emoji="🪄")
    if MEANING in tasks and not is_exact(spec):
        yield Button(ButtonId(Action.VARY_MEANING, image_id), _("Vary (Meaning)"), emoji="💭")
    if "inpaint" in tasks:
        yield Button(ButtonId(Action.REGION, image_id), _("Vary (Region)"), emoji="🖌️")
    if "edit" in tasks:
        yield Button(ButtonId(Action.EDIT, image_id), _("Edit"), emoji="✏️")


def _zooms(image_id: int) -> Iterator[Button]:
    yield Button(ButtonId(Action.ZOOM_LITTLE, image_id), _("Zoom Out 1.5x"), emoji="🔭")
    yield Button(ButtonId(Action.ZOOM, image_id), _("Zoom Out 2x"), emoji="🔭")
    yield Button(ButtonId(Action.ZOOM_CUSTOM, image_id), _("Custom Zoom"), emoji="🔭")


def _pans(image_id: int, size: tuple[int, int]) -> Iterator[Button]:
    for direction, action in PANS.items():
        if not narrow(geometry.panned(size, direction)):
            yield Button(ButtonId(action, image_id), "", emoji=ARROWS[direction])


def _chain(image_id: int) -> Iterator[Button]:
    yield Button(ButtonId(Action.EDIT_BEFORE, image_id), _("Undo"), emoji="↩️")
    yield Button(ButtonId(Action.EDIT_COMPARE, image_id), _("Compare"), emoji="↔️")


def _rest(spec: Spec, image_id: int, end: Action) -> Iterator[Button]:
    if not is_exact(spec):
        yield Button(ButtonId(Action.REMIX, image_id), _("Remix"), emoji="🎛️")
        yield Button(ButtonId(Action.REROLL, image_id), "", emoji="🔄")
        yield Button(ButtonId(Action.SEED, image_id), _("Seed"), emoji="🌱")
    yield Button(ButtonId(end, image_id), _("Delete"), emoji="🗑️")
