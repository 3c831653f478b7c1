"""From a picture and what is to be done with it to an order: what buttons, commands and menus of edits share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import discord

from bot.delivery.titles import FINISH, MEANING
from bot.errors import BadInput
from bot.features.generate import image_lookup
from bot.features.generate.discord_files import DiscordFile
from bot.features.generate.image_lookup import FoundImage
from bot.features.generate.submission import Submission
from bot.features.settings.service import PreferenceService
from bot.features.settings.store import Preferences
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, JobKind, StoredImage
from bot.jobs.service import Jobs
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.kit.interactions import acknowledge, actor_of, check_permissions
from bot.orders import drafts, geometry
from bot.orders.geometry import Direction
from bot.orders.service import Order, new_seed
from bot.prompt import image_metadata
from bot.prompt.numbers import read_number
from bot.prompt.parser import MAX_NEGATIVE_CHARS, MAX_PROMPT_CHARS, Draft, merge, parse
from bot.prompt.spec import Spec
from bot.prompt.text import visible
from bot.threads.pools import UPLOADS
from engine.backend import Backend
from engine.tasks.blend import Blend
from engine.tasks.img2img import Img2Img
from engine.tasks.outpaint import Outpaint
from engine.tasks.pictures import Reference, StoredPicture
from engine.tasks.txt2img import Txt2Img
from engine.tasks.upscale import Mode, Upscale

FINISH_STRENGTH = 0.6  # keeps the composition of a small picture, and paints its detail anew
NOTHING = Draft()
STRENGTHS = {Action.VARY: 0.35, Action.VARY_STRONG: 0.65}  # share of the steps that are painted anew


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    preferences: PreferenceService
    submission: Submission
    jobs: Jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A stored picture that is about to be edited.

    Attributes:
        spec: what painted it, for the words and values of the edit; None for an upload.
        words, without: prompt and negative prompt that an upload's file tells, for an edit that says none.
        parent: the id of our image, None for an upload. notes: what was done to an upload.
    """

    picture: StoredPicture
    spec: Spec | None = None
    words: str = ""
    without: str = ""
    parent: int | None = None
    private: bool = False
    notes: tuple[str, ...] = ()


async def of_image(
    app: Services, interaction: Interaction, job: Job, image: StoredImage, *, private: bool | None = None
) -> Source:
    """One of our pictures as a source; acknowledges. Raises: NotFound, MissingPermission."""
    private = job.private or await app.submission.wants_private(interaction, private)
    check_permissions(interaction, private)
    await acknowledge(interaction, private=private)
    picture = await app.submission.stored_input(interaction, image.id)
    return Source(picture=picture, spec=job.spec_of(image), parent=image.id, private=private)


async def of_found(app: Services, interaction: Interaction, found: FoundImage, *, private: bool | None) -> Source:
    """What a command's options or a menu pointed at as a source; acknowledges.

    Raises: NotFound, BadInput, MissingPermission.
    """
    if found.file is None:
        image = found.image
        assert image is not None
        assert found.job is not None
        return await of_image(app, interaction, found.job, image, private=private)
    private = await app.submission.wants_private(interaction, private)
    check_permissions(interaction, private)
    await acknowledge(interaction, private=private)
    return replace(await of_upload(app, interaction, found.file), private=private)


async def of_upload(app: Services, interaction: Interaction, file: DiscordFile) -> Source:
    """An upload as a source, with the words that its file tells. Raises: BadInput, Refused."""
    kept = await app.submission.stored_file(interaction, file)
    said = await UPLOADS.run(image_metadata.read, kept.data)
    words, without = (said.prompt, said.negative_prompt) if said else ("", "")
    return Source(
        picture=kept.picture,
        notes=kept.notes,
        words=visible(words)[:MAX_PROMPT_CHARS],
        without=visible(without)[:MAX_NEGATIVE_CHARS],
    )


async def given(
    app: Services,
    interaction: Interaction,
    image: discord.Attachment | None,
    source: str | None,
    *,
    private: bool | None,
) -> Source:
    """The picture of a command's options as a source; acknowledges. Raises: as `of_found`."""
    return await of_found(
        app, interaction, await image_lookup.from_options(app, interaction, image, source), private=private
    )


async def blend(
    app: Services,
    interaction: Interaction,
    pictures: Sequence[FoundImage],
    weights: tuple[float, ...],
    said: Draft,
    private: bool | None,
) -> None:
    """Four pictures that are something of each. Raises: UserError."""
    private = await app.submission.wants_private(interaction, private)
    private = private or any(found.job is not None and found.job.private for found in pictures)
    check_permissions(interaction, private)
    await acknowledge(interaction, private=private)
    sources = [await of_found(app, interaction, found, private=private) for found in pictures]
    said = with_notes(said, *(note for source in sources for note in source.notes))
    blended = Blend(images=[source.picture for source in sources], weights=weights)
    specs = await planned(app, interaction, said, blended)
    await app.submission.submit_or_confirm(interaction, Order(specs=specs, kind=Blend.task, private=private))


async def control(
    app: Services, interaction: Interaction, source: Source, what: Txt2Img, said: Draft = NOTHING
) -> None:
    """Four pictures of words, along what ControlNets read in this one. Raises: UserError."""
    draft = draft_of(app, interaction.client, source, type(what), said)
    able = app.backend.models()
    fitting = {info.key for info in able if all(info in drafts.following(g.controlnet, able) for g in what.guides)}
    if said.model is None and draft.model not in fitting:  # then it is not the picture's model that follows it
        draft = replace(
            draft,
            model=None,
            num_inference_steps=said.num_inference_steps,
            guidance_scale=said.guidance_scale,
            scheduler=said.scheduler,
        )
    specs = await planned(app, interaction, draft, what)
    await app.submission.submit_or_confirm(
        interaction, Order(specs=specs, kind=what.task, parent=source.parent, private=source.private)
    )


def read(line: str | None, ar: tuple[float, float] | None = None) -> Draft:
    """The words and flags of an edit, if any; `ar` is its own option. Raises: BadInput."""
    asked = parse(line or "", Draft(aspect_ratio=ar), wordless=True)
    if len(asked) > 1:
        raise BadInput("An edit is one job. Use /imagine for {a, b} and --repeat.")
    return asked[0]


def draft_of(app: Services, client: Client, source: Source, what: type[Txt2Img], said: Draft) -> Draft:
    """The words and values that the picture was painted with, what was `said` laid over them."""
    said = with_notes(said, *source.notes)
    spec = source.spec
    if spec is None:
        told = Draft(prompt=source.words, negative_prompt=source.without or None)
        return said if said.prompt else merge(told, said)
    base = Draft(prompt=spec.prompt, negative_prompt=spec.negative_prompt)
    model = next((info for info in app.backend.models() if info.key == spec.model), None)
    if said.model in (None, spec.model) and model is not None and what.suits(model):
        base = replace(
            base,
            model=spec.model,
            num_inference_steps=spec.num_inference_steps,
            guidance_scale=spec.guidance_scale,
            scheduler=spec.scheduler,
        )
    return merge(base, said)


def with_notes(draft: Draft, *notes: str) -> Draft:
    """A draft whose job will say so, each once."""
    return replace(draft, notes=tuple(dict.fromkeys((*(draft.notes or ()), *notes)))) if notes else draft


async def start(
    app: Services, interaction: Interaction, source: Source, draft: Draft, what: Txt2Img, kind: JobKind = ""
) -> None:
    """Place the order; its `kind` is the task's name unless it says otherwise. Raises: UserError."""
    specs = await app.submission.orders.resolve_all(actor_of(interaction), [draft], what)
    order = Order(specs=specs, kind=kind or what.task, parent=source.parent, private=source.private)
    await app.submission.submit_or_confirm(interaction, order)


async def planned(app: Services, interaction: Interaction, draft: Draft, what: Txt2Img) -> tuple[Spec, ...]:
    """The draft made whole, in the styles it names; settings are for what is painted from words. Raises: BadInput."""
    styled = await app.preferences.style_only([draft], interaction.guild_id or 0)
    actor = actor_of(interaction)
    return await app.submission.orders.resolve_all(actor, styled, what)


async def vary_own(
    app: Services,
    interaction: Interaction,
    job: Job,
    image: StoredImage,
    action: Action,
    *,
    private: bool | None = None,
) -> None:
    """Neighbours of our picture: by its noise where that says what it is, else by its pixels. Raises: UserError."""
    if is_repainted(job):
        source = await of_image(app, interaction, job, image, private=private)
        await vary(app, interaction, source, STRENGTHS[action])
        return
    wishes = await app.preferences.preferences(interaction.user.id)
    near = neighbours(job.spec_of(image), wishes, action)
    await app.submission.resubmit(interaction, near, "vary", image.id, private=bool(private) or job.private)


def neighbours(spec: Spec, wishes: Preferences, action: Action) -> Spec:
    """Four pictures near one, or far from it: so far towards new noise."""
    percent = wishes.strong if action is Action.VARY_STRONG else wishes.subtle
    return spec.evolve(variations=(*spec.variations, (new_seed(), percent / 100)), num_images=4)


async def vary(app: Services, interaction: Interaction, source: Source, strength: float, said: Draft = NOTHING) -> None:
    """Four pictures near this one, by its pixels. Raises: UserError."""
    what = Img2Img(prompt="", init_image=source.picture)
    draft = draft_of(app, interaction.client, source, type(what), said)
    await start(app, interaction, source, replace(draft, strength=draft.strength or strength), what, "vary")


async def vary_meaning(app: Services, interaction: Interaction, source: Source) -> None:
    """Four new pictures of what an image encoder reads in this one, whose pixels they share none of. Raises: UserError.

    unCLIP's idea (Ramesh et al. 2022, arXiv:2204.06125): an embedding is kept, and painted from other noise.
    """
    what = Txt2Img(prompt="", references=(Reference(image=source.picture),))
    draft = draft_of(app, interaction.client, source, type(what), NOTHING)
    able = {info.key for info in drafts.check_reads_pictures(app.backend.models())}
    if draft.model not in able:
        draft = replace(draft, model=None, num_inference_steps=None, guidance_scale=None, scheduler=None)
    await start(app, interaction, source, replace(draft, aspect_ratio=source.picture.size), what, MEANING)


async def finish(app: Services, interaction: Interaction, job: Job, image: StoredImage) -> None:
    """A small picture of a board painted in full, as it was begun. Raises: UserError."""
    source = await of_image(app, interaction, job, image)
    spec = job.spec_of(image)
    draft = replace(
        drafts.draft_of(spec),
        width=spec.full_size[0],
        height=spec.full_size[1],
        num_inference_steps=None,
        strength=FINISH_STRENGTH,
        variations=None,
        seed=image.seed,
        num_images=1,
    )
    await start(app, interaction, source, draft, Img2Img(prompt="", init_image=source.picture), FINISH)


async def upscale(
    app: Services,
    interaction: Interaction,
    source: Source,
    scale: int = 2,
    mode: Mode = "faithful",
    said: Draft = NOTHING,
) -> None:
    """One larger picture. Raises: UserError."""
    _check_sizeless(said)
    what = Upscale(init_image=source.picture, scale=scale, mode=mode)
    draft = draft_of(app, interaction.client, source, type(what), said)
    await start(app, interaction, source, replace(draft, num_images=said.num_images or 1), what)


async def pan(
    app: Services, interaction: Interaction, source: Source, direction: Direction, said: Draft = NOTHING
) -> None:
    """Four pictures that go on at one side. Raises: UserError."""
    _check_sizeless(said)
    draft = draft_of(app, interaction.client, source, Outpaint, said)
    await start(app, interaction, source, draft, geometry.pan(source.picture, direction))


async def zoom(app: Services, interaction: Interaction, source: Source, factor: float, said: Draft = NOTHING) -> None:
    """Four pictures of what is around this one, in the proportion `said.ar` if any. Raises: UserError."""
    ratio = said.aspect_ratio[0] / said.aspect_ratio[1] if said.aspect_ratio else None
    said = replace(said, aspect_ratio=None)
    _check_sizeless(said)
    edit, (width, height) = geometry.zoom(source.picture, factor, ratio)
    draft = replace(draft_of(app, interaction.client, source, Outpaint, said), width=width, height=height)
    await start(app, interaction, source, draft, edit)


def _check_sizeless(said: Draft) -> None:
    if said.width or said.height or said.aspect_ratio:
        raise BadInput("The size comes from the picture here. Leave out --size and --ar.")


def is_repainted(job: Job) -> bool:
    """Whether the picture was made from another one's pixels, so that its noise alone does not say what it is."""
    request = job.spec.request
    return not request.varies_by_noise or (job.kind == "vary" and request.noise_strength is not None)


def read_zoom(text: str) -> float:
    """A zoom as people write it: 1.5, 2x. Raises: BadInput."""
    number = read_number(text.strip().casefold().removesuffix("x"))
    if number is None:
        raise BadInput("The zoom has to be a number from 1 to {max_zoom:g}, such as 1.5.", max_zoom=geometry.MAX_ZOOM)
    return number
