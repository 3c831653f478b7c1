"""/imagine: words in, a grid of pictures out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, cast

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.delivery import pickers
from bot.delivery.pickers import choices
from bot.errors import BadInput, NotFound, Refused, UserError, said
from bot.features.generate import edits, image_lookup, reading, refusals
from bot.features.generate.discord_files import DiscordFile
from bot.features.generate.reading import Asked
from bot.features.generate.refusals import Line
from bot.features.generate.submission import Submission, without_private
from bot.features.macros.service import Macros
from bot.features.settings.service import PreferenceService
from bot.features.settings.styles import read_names
from bot.features.word_lists.service import WordLists
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit.client import Client, Interaction
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, actor_of, check_permissions
from bot.languages.speech import later
from bot.orders import places
from bot.orders.actor import Actor
from bot.orders.drafts import WORDS, check_reads_pictures
from bot.orders.service import Order
from bot.prompt.flags import AT, LOOK
from bot.prompt.parser import Draft, parse
from bot.store.key_value_store import KeyValues
from engine.backend import Backend
from engine.tasks.img2img import Img2Img
from engine.tasks.pictures import MAX_REFERENCE_WEIGHT, Reference, StoredPicture, Use
from engine.tasks.txt2img import MAX_SEED, MAX_STEPS

ASPECTS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9")
OPTIONS = {
    "prompt": "What to paint; flags such as --ar 3:2 --seed 7 --no clouds and {red, blue} work too",
    "negative": "What to leave out",
    "aspect": "Width to height, such as 3:2",
    "steps": "Denoising steps: more take longer and cost more",
    "guidance": "How closely to follow the prompt (1 to 30)",
    "scheduler": "The noise scheduler",
    "seed": "The same seed and prompt give the same picture; -1 is a new one",
    "model": "Which model paints",
    "lora": "LoRAs with their weights, such as waves:0.8",
    "image": "A picture to start from",
    "source": "Instead of an image: a message's or attachment's link, or a job's number such as 12.3",
    "strength": "How much of that picture to repaint, above 0 up to 1",
    "reference": "A picture whose things or look come into the new ones, where the model has an IP-Adapter",
    "reference_use": "What of that picture: all of it, only its style, or only where things are (SDXL)",
    "reference_weight": "How loudly it speaks beside the words, above 0 up to 2 (normally 1)",
    "style": "One or more of the server's styles, such as ink,gold; /style list shows them",
    "private": "Only you see it",
}


_REFERENCES = re.compile(r"\s*--(?:[so]ref|[so]w)\s+\S+", re.IGNORECASE)


class NamedLooks(Protocol):
    """Styles that are made from pictures."""

    async def pictures(self, actor: Actor, name: str, /) -> Sequence[StoredPicture]:
        """What one is read from, for whoever may use it here. Raises: NotFound, Refused."""
        ...


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    jobs: Jobs
    key_values: KeyValues
    preferences: PreferenceService
    macros: Macros
    submission: Submission
    word_lists: WordLists

    @property
    def looks(self) -> NamedLooks: ...


def install(client: Client, app: Services) -> None:
    """Add the command to the client's tree."""

    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(**OPTIONS)
    @shows_errors
    async def imagine(
        interaction: discord.Interaction[Client],
        prompt: str,
        negative: str | None = None,
        aspect: str | None = None,
        steps: Range[int, 1, MAX_STEPS] | None = None,
        guidance: Range[float, 0, 30] | None = None,
        scheduler: str | None = None,
        seed: Range[int, -1, MAX_SEED] | None = None,
        model: str | None = None,
        lora: str | None = None,
        image: discord.Attachment | None = None,
        source: str | None = None,
        strength: Range[float, 0, 1] | None = None,
        reference: discord.Attachment | None = None,
        reference_use: Use = "all",
        reference_weight: Range[float, 0.0, MAX_REFERENCE_WEIGHT] = 1.0,
        style: str | None = None,
        private: bool | None = None,
    ) -> None:
        """Paint four pictures of your words."""
        options = Draft(
            negative_prompt=negative,
            aspect_ratio=_ratio(aspect),
            num_inference_steps=steps,
            guidance_scale=guidance,
            scheduler=scheduler,
            seed=seed,
            model=model,
            strength=strength,
            style=read_names(style) if style else None,
        )
        tags = pickers.lora_tags(lora or "")
        line = Line(text=prompt, options=options, loras=tags, image=image, source=source, private=private)
        await try_line(app, interaction, line.with_reference(reference, reference_use, reference_weight))

    _complete(app, imagine)
    refusals.install(client, app, partial(_paint, app))


async def try_line(app: Services, interaction: Interaction, line: Line) -> None:
    """Paint a line, or say why not, with the ways to go on."""
    await refusals.try_painting(app, interaction, line, partial(_paint, app))


async def _paint(app: Services, interaction: Interaction, line: Line) -> None:
    said = await reading.read(app, interaction, line)
    if line.image is None and not said.source and line.reference is None and not said.drafts[0].references:
        told, sure = said.as_told, line.sure
        await app.submission.imagine(interaction, said.drafts, private=line.private, ask=told, sure=sure)
    else:
        await _with_pictures(app, interaction, line, said)


def _complete(app: Services, imagine: app_commands.Command[Any, ..., Any]) -> None:
    """What is offered while an option is typed."""
    imagine.autocomplete("source")(image_lookup.own_pictures(app))

    @imagine.autocomplete("aspect")
    async def aspects(interaction: Interaction, typed: str) -> list[Choice[str]]:
        return choices(typed, [(ratio, ratio) for ratio in ASPECTS])

    imagine.autocomplete("scheduler")(pickers.schedulers(app))
    imagine.autocomplete("model")(pickers.models(app))
    imagine.autocomplete("lora")(pickers.loras(app))

    @imagine.autocomplete("style")
    async def style_names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        known = await app.preferences.styles(interaction.guild_id or 0)
        head, comma, last = typed.rpartition(",")
        names = [f"{head}{comma}{style.name}" for style in known if style.name not in head.split(",")]
        return choices(f"{head}{comma}{last.strip()}", [(name, name) for name in names])


async def _with_pictures(app: Services, interaction: Interaction, line: Line, said: Asked) -> None:
    """The words are checked, then the pictures are fetched, checked and kept, then the job is placed."""
    starts = line.image is not None or bool(said.source)
    named = said.drafts[0]  # drafts of one line differ in what stands in {}, which holds words
    drafts = [replace(draft, references=None, reference_weights=None) for draft in without_private(said.drafts)]
    asked = await app.submission.with_defaults(interaction, drafts, from_picture=starts)
    found = await reading.picture_of(app, interaction, line, said) if starts else None
    private = await app.submission.wants_private(interaction, line.private, said.drafts)
    private = private or (found is not None and found.job is not None and found.job.private)
    check_permissions(interaction, private)
    if line.reference is not None or named.references:
        _check_references(app, line, named)
    await acknowledge(interaction, private=private or len(asked) > 1)
    what, parent = WORDS, None
    if found is not None:
        source = await edits.of_found(app, interaction, found, private=private)
        asked = [edits.with_notes(draft, *source.notes) for draft in asked]
        what, parent = Img2Img(prompt="", init_image=source.picture), source.parent
    if line.reference is not None:
        kept = await app.submission.stored_file(interaction, DiscordFile.attached(line.reference))
        asked = [edits.with_notes(draft, *kept.notes) for draft in asked]
        what = replace(what, references=(Reference(image=kept.picture, use=line.use, weight=line.weight),))
    if named.references:
        try:
            what = replace(what, references=(*what.references, *await _named(app, interaction, named, private)))
        except (NotFound, BadInput) as error:
            raise _without_references(line, error) from None
    specs = await app.submission.orders.resolve_all(actor_of(interaction), asked, what)
    order = Order(specs=specs, parent=parent, private=private)
    await app.submission.submit_or_confirm(interaction, order, ask=said.as_told)


def _check_references(app: Services, line: Line, named: Draft) -> None:
    """Whether any model reads pictures as words. Raises: BadInput."""
    try:
        check_reads_pictures(app.backend.models())
    except BadInput as error:
        raise (_without_references(line, error) if named.references else error) from None


async def _named(app: Services, interaction: Interaction, draft: Draft, private: bool) -> list[Reference]:
    """The pictures that a line names to be read as words are. Raises: NotFound, BadInput, Refused."""
    weights = dict(draft.reference_weights or ())
    found: list[Reference] = []
    for use, named in draft.references or ():
        text, at, place = named.partition(AT)
        weight, part = weights.get(use, 1.0), places.read(place) if at else None
        if LOOK.fullmatch(text.casefold()):
            pictures = await app.looks.pictures(actor_of(interaction), text)
            found += [Reference(image=each, use=cast(Use, use), weight=weight, part=part) for each in pictures]
            continue
        picture = await image_lookup.in_text(app, interaction, text)
        picture.check_single()
        if picture.job is not None and picture.job.private and not private:
            raise Refused("That picture is private, so what is made of it has to be too: add --stealth.")
        source = await edits.of_found(app, interaction, picture, private=private)
        found.append(Reference(image=source.picture, use=cast(Use, use), weight=weight, part=part))
    return found


def _without_references(line: Line, refusal: UserError) -> BadInput:
    """The refusal, with the line that works without what it names."""
    told = BadInput("{why}", why=later(said, refusal))
    told.without = _REFERENCES.sub("", line.text).strip() or None
    return told


def _ratio(text: str | None) -> tuple[float, float] | None:
    """The option means what the flag means. Raises: BadInput."""
    return parse(f"x --ar {text}")[0].aspect_ratio if text else None
