"""The messages themselves, as Components V2 layouts. Pure: rows and states in, a fresh view out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import discord
from discord.ui import LayoutView, Section, Separator, TextDisplay, Thumbnail
from PIL import Image

from bot.delivery import comparison_sheet, image_buttons, titles
from bot.jobs.records import Job, StoredImage
from bot.kit.button import Button
from bot.kit.components import ACCENT, BROKEN, DONE, notice
from bot.kit.components import gallery as _gallery
from bot.kit.components import row as _row
from bot.kit.components import view as _view
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import N_, _, ngettext, ordinal
from bot.ledger.amounts import credits_text
from bot.prompt.comparison import Comparison
from bot.prompt.parser import echo
from bot.prompt.spec import Spec
from bot.prompt.text import shown
from engine import mini
from engine.api.events import Loading
from engine.api.model_info import ModelInfo
from engine.tasks import lora_tags
from engine.tasks.edit import Edit

PROMPT_SHOWN = 1500  # characters; a message holds 4,000 in all
BOARD_COLUMNS = 4
ALT_TEXT = 1024  # Discord's limit


@dataclass(slots=True)
class Painting:
    """What is known of a job on its way; the newest state wins."""

    position: int | None = None
    eta_s: float | None = None
    step: int = 0
    steps: int = 0
    started_ms: int | None = None
    loading: Loading | None = None
    previews: dict[int, Image.Image] = field(default_factory=dict)


STATE_WORDS = {
    "queued": N_("waiting"),
    "running": N_("being painted"),
    "rendered": N_("on its way"),
    "done": N_("done"),
    "failed": N_("failed"),
    "cancelled": N_("cancelled"),
}


class Layouts:
    """The messages about jobs. `models` gives what is left out of a line because it is a model's default."""

    def __init__(self, models: Callable[[], Sequence[ModelInfo]]) -> None:
        self._models = models

    def waiting(self, job: Job, state: Painting, preview: str | None = None) -> LayoutView:
        """A job in the queue or being painted. `preview` names the attached picture."""
        parts: list[discord.ui.Item[LayoutView]] = [
            TextDisplay(_noted(f"{self.headline(job)}\n{progress_line(state)}", self._hint(job.spec), job.spec.note))
        ]
        if preview:
            parts.append(_gallery(preview, _("Preview of a picture that is still being painted")))
        parts.append(_row(Button(ButtonId(Action.CANCEL, job.id), _("Cancel"), emoji="✖️")))
        return _view(parts, ACCENT)

    def grid(
        self, job: Job, images: Sequence[StoredImage], filename: str, note: str = "", stars: int | None = None
    ) -> LayoutView:
        """A finished job: the pictures in one, and what can be done with each. `stars` None = no star button."""
        if job.spec.compare is not None:
            return self._comparison(job, job.spec.compare, images, filename, note, stars)
        if job.spec.is_board:
            return self._board(job, images, filename, note, stars)
        if len(images) == 1:
            return self.single(job, images[0], filename, note=note, stars=stars)
        first = images[0].id
        pick = [Button(ButtonId(Action.PICK, image.id), f"U{n}") for n, image in enumerate(images[:4], 1)]
        vary = [Button(ButtonId(Action.VARY, image.id), f"V{n}") for n, image in enumerate(images[:4], 1)]
        return _view(
            [
                TextDisplay(_noted(self.headline(job), self._hint(job.spec), job.spec.note, note)),
                _gallery(filename, alt_text(job), spoiler=any(image.flagged for image in images)),
                _row(*pick, Button(ButtonId(Action.REROLL, first), "", emoji="🔄")),
                _row(*vary, Button(ButtonId(Action.REMIX, first), _("Remix"), emoji="🎛️")),
                _row(
                    Button(ButtonId(Action.SEED, first), _("Seed"), emoji="🌱"),
                    Button(ButtonId(Action.DELETE, first), _("Delete"), emoji="🗑️"),
                    *image_buttons.star(job.id, stars),
                    *image_buttons.report(job),
                ),
            ],
            DONE,
        )

    def _board(
        self, job: Job, images: Sequence[StoredImage], filename: str, note: str, stars: int | None
    ) -> LayoutView:
        """Many small pictures, each with a button that paints it in full."""
        how = _("Press a number to paint that one in full.")
        words = _noted(self.headline(job), how, self._hint(job.spec), job.spec.note, note)
        pick = [Button(ButtonId(Action.FINISH, image.id), f"{image.ordinal + 1}") for image in images]
        ends = [
            Button(ButtonId(Action.REROLL, images[0].id), "", emoji="🔄"),
            Button(ButtonId(Action.REMIX, images[0].id), _("Remix"), emoji="🎛️"),
            Button(ButtonId(Action.SEED, images[0].id), _("Seed"), emoji="🌱"),
            Button(ButtonId(Action.DELETE, images[0].id), _("Delete"), emoji="🗑️"),
            *image_buttons.star(job.id, stars),
        ]
        more = [_row(*report)] if (report := image_buttons.report(job)) else []
        rows = [_row(*pick[at : at + BOARD_COLUMNS]) for at in range(0, len(pick), BOARD_COLUMNS)]
        sheet = _gallery(filename, alt_text(job), spoiler=any(image.flagged for image in images))
        return _view([TextDisplay(words), sheet, *rows, _row(*ends), *more], DONE)

    def _comparison(
        self,
        job: Job,
        compare: Comparison,
        images: Sequence[StoredImage],
        filename: str,
        note: str,
        stars: int | None,
    ) -> LayoutView:
        """A comparison's sheet. Delete takes all of it."""
        words: TextDisplay[LayoutView] = TextDisplay(
            _noted(self.headline(job), self._hint(job.spec), job.spec.note, note)
        )
        sheet = _gallery(filename, alt_text(job), spoiler=any(image.flagged for image in images))
        more = [*image_buttons.star(job.id, stars), *image_buttons.report(job)]
        return _view([words, sheet, *comparison_sheet.rows(compare, images, more)], DONE)

    def single(
        self,
        job: Job,
        image: StoredImage,
        filename: str,
        *,
        note: str = "",
        copy: bool = False,
        stars: int | None = None,
    ) -> LayoutView:
        """One image at full size. Delete takes a `copy` away alone, and the only post with its job."""
        job = replace(job, spec=job.spec_of(image))  # its own seed, so that its line gives it alone
        more = [*image_buttons.star(job.id, stars), *image_buttons.report(job)]
        buttons = image_buttons.rows(job.spec, image, self._tasks(job.spec), copy=copy, more=more)
        words = _noted(self.headline(job), self._hint(job.spec), job.spec.note, note)
        picture = _gallery(filename, alt_text(job), spoiler=image.flagged)
        return _view([TextDisplay(words), picture, *buttons], DONE)

    def before_deleting(self, job: Job, image_id: int, filename: str) -> LayoutView:
        """A finished job with the question whether to delete it; `filename` "" = it has no file."""
        count = job.spec.num_images
        asked = ngettext(
            "Delete this picture, with the prompt and the files?",
            "Delete these {n} pictures, with the prompt and the files?",
            count,
        )
        yes = Button(
            ButtonId(Action.DELETE_YES, image_id), _("Yes, delete"), style=discord.ButtonStyle.danger, emoji="🗑️"
        )
        return _view(
            [
                TextDisplay(asked),
                *([_gallery(filename, alt_text(job))] if filename else []),
                _row(yes, Button(ButtonId(Action.DELETE_NO, image_id), _("Keep"))),
            ],
            BROKEN,
        )

    def poster(self, job: Job, filename: str, stars: int) -> LayoutView:
        """A starred job in the gallery, with the way to its buttons."""
        show = Button(ButtonId(Action.SHOW, job.id), _("Show"))
        where = _("{stars} ⭐ in {channel}", stars=stars, channel=f"<#{job.channel_id}>")
        words = f"{self.headline(job)}\n-# {where}"
        return _view(
            [TextDisplay(words), _gallery(filename, alt_text(job)), _row(show, *image_buttons.report(job))], DONE
        )

    def ended(self, job: Job) -> LayoutView:
        """A job without a picture: what happened, what was charged, and a way to try again."""
        text = f"{self.headline(job)}\n{job.failure}\n-# {charged(job)}"
        return _view(
            [TextDisplay(text), _row(Button(ButtonId(Action.AGAIN, job.id), _("Try again"), emoji="🔄"))], BROKEN
        )

    def delayed(self, job: Job) -> LayoutView:
        """A job whose pictures are there but can't be posted yet."""
        text = _("Your pictures are ready, but Discord isn't taking them right now. Easel keeps trying.")
        return _view([TextDisplay(f"{self.headline(job)}\n{text}")], ACCENT)

    def undelivered(self, job: Job) -> LayoutView:
        """A job whose pictures can't be posted at all: how to get them. It quotes nothing that a filter may block."""
        text = _("The pictures of job {id} are ready, but Discord doesn't let me post them here.", id=job.id)
        show = Button(ButtonId(Action.SHOW, job.id), _("Show"))
        return _view(
            [TextDisplay(f"{text}\n-# {_('They wait in **/history**. Nothing was charged yet.')}"), _row(show)], BROKEN
        )

    def history(
        self, rows: Sequence[tuple[Job, str | None]], older: ButtonId | None, link: str | None = None
    ) -> LayoutView:
        """A page of jobs, each with its thumbnail's file name (None when it has no picture)."""
        parts: list[discord.ui.Item[LayoutView]] = []
        for job, thumbnail in rows:
            state = _(STATE_WORDS[job.state])
            text = f"{self.headline(job, 200)}\n-# #{job.id} · {state} · <t:{job.created_at // 1000}:R>"
            show = Button(ButtonId(Action.SHOW, job.id), _("Show"))
            if job.unpaid:
                unpaid = _("Couldn't be delivered, so it isn't paid for yet.")
                parts += [TextDisplay(f"{text}\n-# {unpaid}"), _row(show)]
            elif thumbnail is None:
                parts.append(TextDisplay(text))
            else:
                parts.append(Section(text, accessory=Thumbnail(f"attachment://{thumbnail}", description=alt_text(job))))
                family = Button(ButtonId(Action.FAMILY, job.id), _("Family"), emoji="🌳")
                parts.append(_row(show, family, Button(ButtonId(Action.ORIGINALS, job.id), _("Originals"), emoji="💾")))
        ends: list[Any] = [] if older is None else [Button(older, _("Older"), emoji="▶️")]
        ends += [] if link is None else [discord.ui.Button(label=_("In the browser"), url=link)]
        if ends:
            parts += [Separator(), discord.ui.ActionRow(*ends)]
        return _view(parts, ACCENT)

    def queue(self, rows: Iterable[tuple[Job, Painting]]) -> LayoutView:
        """One's own jobs on their way, each with its Cancel."""
        parts: list[discord.ui.Item[LayoutView]] = []
        for job, state in rows:
            cancel = Button(ButtonId(Action.CANCEL, job.id), _("Cancel"), emoji="✖️")
            parts.append(Section(f"{self.headline(job, 200)}\n{progress_line(state)}", accessory=cast(Any, cancel)))
        return _view(parts, ACCENT)

    def headline(self, job: Job, limit: int = PROMPT_SHOWN) -> str:
        """The prompt, what differs from the defaults, and whose it is. Seeds are behind the button **Seed**."""
        done = titles.title(job)
        title = shown(job.spec.prompt, limit) or done or _("(no prompt)")
        facts = (self._flags(job, done), _("relax") if job.lane == "relax" else "", f"<@{job.user_id}>")
        return f"**{title}**\n-# {' · '.join(filter(None, facts))}"

    def paste_line(self, spec: Spec, hidden: Sequence[str] = ()) -> str:
        """The line that gives the same job again, but for the flags that are `hidden`."""
        models = self._models()
        return echo(spec, self._info(spec), models[0].key if models else "", hidden)

    def _info(self, spec: Spec) -> ModelInfo | None:
        return next((info for info in self._models() if info.key == spec.model), None)

    def _hint(self, spec: Spec) -> str:
        """What the embedded model does not know of a prompt, as a sentence; nothing for other models."""
        info = self._info(spec)
        if info is None or not info.small_world:
            return ""
        words = lora_tags.strange(spec.prompt, (*info.embeddings, *info.loras))
        return shown(mini.hint(words, edits=spec.request.task == Edit.task) or "", 400)

    def _tasks(self, spec: Spec) -> frozenset[str]:
        """What the picture's model can do; when it is gone, what any other can. Any model edits and reads pictures."""
        info, models = self._info(spec), self._models()
        any_model = frozenset[str]().union(*(info.tasks for info in models))
        if any(each.image_prompts for each in models):
            any_model |= {titles.MEANING}
        return info.tasks | (any_model & {Edit.task, titles.MEANING}) if info else any_model

    def _flags(self, job: Job, done: str) -> str:
        without = shown(job.spec.negative_prompt, 300)
        negative = _("without {words}", words=without) + " · " if without else ""
        if (compare := job.spec.compare) is not None:
            seed = "" if "seed" in (compare.x, compare.y) else " · " + _("seed {seed}", seed=job.spec.seed)
            return f"{negative}{comparison_sheet.words(compare)}{seed}"
        if not job.spec.is_edit:
            told = ("seed", "n", *(("size",) if self._is_usual_size(job.spec) else ()))
            line = shown(self.paste_line(_wordless(job.spec), told), 300)
            size = ""
        else:
            line = "" if titles.is_exact(job.spec) else shown(self._edit_line(job.spec), 300)
            size = f"{job.spec.width}x{job.spec.height}"
        title = done if job.spec.prompt else ""  # else it stands above
        return " · ".join(filter(None, [title, size, negative + line]))

    def _is_usual_size(self, spec: Spec) -> bool:
        info = self._info(spec)
        return info is not None and (spec.width, spec.height) == (info.width, info.height)

    def _edit_line(self, spec: Spec) -> str:
        """The flags of an edit; its size and picture are told in words."""
        info = self._info(spec)
        told = ("seed", "size", "strength", "n") if info else ("seed", "strength", "n")
        return self.paste_line(_wordless(spec), told)


def _wordless(spec: Spec) -> Spec:
    """The spec as far as its flags say something to people: not its words, and not by which noise it came about."""
    return spec.evolve(prompt="", negative_prompt="", variations=())


SQUEEZES = N_(
    "These words tell the whole picture, and the part is small. It's painted close up, so all of that would be "
    "squeezed into it. Say only what should appear there, or let the model see the whole picture."
)
QUOTED, QUOTED_CHARS = 4, 1500  # prompts of a question about the price, and characters of all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What is about to be made, and what it costs somebody who has `left_mc`.

    Attributes:
        title: what an edit does. prompts: of the jobs, in their order.
        squeezes: the words tell the whole picture, and only a small part of it is painted.
    """

    jobs: int
    images: int
    price_mc: int
    left_mc: int
    relax: bool = False
    title: str = ""
    note: str = ""
    prompts: Sequence[str] = ()
    squeezes: bool = False

    def text(self) -> str:
        pictures = ngettext("{n} picture", "{n} pictures", self.images)
        what = _("{jobs} jobs, {pictures}", jobs=self.jobs, pictures=pictures) if self.jobs > 1 else pictures
        price, left = credits_text(self.price_mc), credits_text(self.left_mc)
        text = _("This makes **{what}**, for **{price}**. You have {left}.", what=what, price=price, left=left)
        if self.price_mc > self.left_mc and self.relax:
            text += " " + _("What they do not pay for is painted in the relax lane: free, and slower.")
        asked = [prompt for prompt in dict.fromkeys(self.prompts) if prompt]
        most = QUOTED_CHARS // max(1, min(len(asked), QUOTED))
        lines = [f"> {shown(prompt, most)}" for prompt in asked[:QUOTED]]
        lines += ["> " + _("… and {n} more", n=len(asked) - QUOTED)] if len(asked) > QUOTED else []
        lines += [_(SQUEEZES)] if self.squeezes else []
        return "\n".join([*([f"**{self.title}**"] if self.title else []), text, *lines])


def batch(number: int, quote: Quote) -> LayoutView:
    """Ask before several jobs, a dear one, or one that may be meant otherwise, are started."""
    label = _("Paint {jobs}", jobs=quote.jobs) if quote.jobs > 1 else _("Paint it")
    buttons = [Button(ButtonId(Action.BATCH, number), label, style=discord.ButtonStyle.primary, emoji="🎨")]
    if quote.squeezes:
        buttons.append(Button(ButtonId(Action.BATCH_WHOLE, number), _("Whole picture in view"), emoji="🖼️"))
    return notice(_noted(quote.text(), quote.note), *buttons, Button(ButtonId(Action.DISMISS, number), _("Not now")))


def progress_line(state: Painting) -> str:
    if state.started_ms is not None and state.steps:
        share = state.step / state.steps
        bar = "▰" * round(share * 10) + "▱" * (10 - round(share * 10))
        return f"{bar} {share:.0%}{_eta(state.eta_s)}"
    if state.loading is not None:
        return shown(str(state.loading))
    if state.position:
        place = ordinal(state.position + 1)
        return _("In the queue, {place} in line", place=place) + _eta(state.eta_s)
    return _("In the queue, next in line") + _eta(state.eta_s)


def charged(job: Job) -> str:
    """What a job cost that ended without a picture."""
    if not job.charged_mc:
        return _("Nothing was charged.")
    charged, price = credits_text(job.charged_mc), credits_text(job.price_mc)
    return _("Charged: {charged} of {price}, for the steps that were painted.", charged=charged, price=price)


def alt_text(job: Job) -> str:
    done = f"{titles.title(job)}: " if job.spec.is_edit else ""
    if not job.spec.prompt:
        told = ngettext("A picture", "{n} pictures", job.spec.num_images)
    else:
        told = ngettext(
            "A picture painted from the prompt: {prompt}",
            "{n} pictures painted from the prompt: {prompt}",
            job.spec.num_images,
            prompt=job.spec.prompt,
        )
    return f"{done}{told}"[:ALT_TEXT]


def _eta(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return " · " + _("about {seconds:.0f} s", seconds=seconds)
    return " · " + _("about {minutes:.0f} min", minutes=seconds / 60)


def _noted(text: str, *notes: str) -> str:
    return "\n".join([text, *(f"-# {note}" for note in notes if note)])
