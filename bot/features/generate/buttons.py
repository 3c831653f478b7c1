"""What the buttons and forms under a message do. Each looks its row up again: an id alone allows nothing."""

from __future__ import annotations

import io
from typing import Any, Protocol

import discord

from bot.delivery import image_tools
from bot.delivery.job_messages import JobMessages
from bot.delivery.layouts import Layouts, charged
from bot.delivery.marks import Marks
from bot.errors import BadInput, NotYours
from bot.features.gallery.poster import Gallery
from bot.features.generate import edits, image_lookup
from bot.features.generate.submission import Submission
from bot.features.jobs.service import ModeratedJobs
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, JobKind, StoredImage
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.kit.interactions import acknowledge, actor_of, may_remove
from bot.languages.speech import _
from bot.orders.service import new_seed
from bot.prompt.parser import GRID, Draft, parse
from bot.prompt.spec import Spec
from bot.prompt.text import block
from bot.threads.pools import PICTURES
from engine.backend import Backend

MAX_PASTE_CHARS = 1900  # of one message, with the seeds above


class Shows(Protocol):
    """What showing a picture takes."""

    files: ImageFiles
    layouts: Layouts
    messages: JobMessages


class Services(Shows, Protocol):
    """What this module works with."""

    backend: Backend
    gallery: Gallery
    jobs: Jobs
    moderated_jobs: ModeratedJobs
    preferences: PreferenceService
    submission: Submission


def install(client: Client, app: Services) -> None:
    """Register every press and form."""
    _install_variations(app, client)
    _install_recipes(app, client)
    _install_ends(app, client)
    _install_questions(app, client)


def _install_variations(app: Services, client: Client) -> None:
    @client.on_button(Action.PICK, image=True)
    async def pick(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await show(app, interaction, job, image, private=job.private)

    @client.on_button(Action.VARY, image=True, once=True)
    async def vary(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await _vary(app, interaction, Action.VARY, job, image)

    @client.on_button(Action.VARY_STRONG, image=True, once=True)
    async def vary_strong(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await _vary(app, interaction, Action.VARY_STRONG, job, image)

    @client.on_modal(Action.VARY, image=True)
    async def varied(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await _vary_changed(app, interaction, Action.VARY, job, image)

    @client.on_modal(Action.VARY_STRONG, image=True)
    async def varied_strong(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await _vary_changed(app, interaction, Action.VARY_STRONG, job, image)


def _install_recipes(app: Services, client: Client) -> None:
    @client.on_button(Action.REROLL, image=True, once=True)
    async def reroll(interaction: Interaction, job: Job, image: StoredImage) -> None:
        spec = job.spec_of(image).evolve(num_images=GRID) if job.spec.compare else job.spec
        await app.submission.resubmit(interaction, _rerolled(spec), *_origin(job, image), private=job.private)

    @client.on_button(Action.REMIX, image=True)
    async def remix(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await interaction.client.forms.send(interaction, modals.remix(image.id, job.spec_of(image)))

    @client.on_modal(Action.REMIX, image=True)
    async def remixed(interaction: Interaction, job: Job, image: StoredImage) -> None:
        spec = await _changed(app, interaction, job.spec_of(image), GRID if job.spec.compare else job.spec.num_images)
        await app.submission.resubmit(interaction, spec, *_origin(job, image), private=job.private)

    @client.on_button(Action.SEED, image=True)
    async def seed(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await interaction.response.send_message(**await _seeds(app, interaction, job, image), ephemeral=True)


def _install_ends(app: Services, client: Client) -> None:
    @client.on_button(Action.REMOVE, image=True, shown=False)
    async def remove(interaction: Interaction, job: Job, _image: StoredImage) -> None:
        if interaction.user.id != job.user_id and not may_remove(interaction):
            raise NotYours("Only the person who asked for this picture, or a moderator, may remove it.")
        await interaction.response.defer()
        await interaction.delete_original_response()

    @client.on_button(Action.CANCEL, job=True, shown=False)
    async def cancel(interaction: Interaction, job: Job) -> None:
        by, moderator = actor_of(interaction), may_remove(interaction)
        await interaction.response.defer()
        ended = await app.moderated_jobs.cancel(by, job.id, moderator=moderator)
        await interaction.followup.send(f"{_('Cancelled.')} {charged(ended)}", ephemeral=True)


def _install_questions(app: Services, client: Client) -> None:
    @client.on_button(Action.AGAIN, job=True, once=True)
    async def again(interaction: Interaction, job: Job) -> None:
        await app.submission.resubmit(interaction, job.spec, job.kind, job.parent_image_id, private=job.private)

    @client.on_button(Action.BATCH)
    async def batch(interaction: Interaction, number: int) -> None:
        await app.submission.confirm(interaction, number)

    @client.on_button(Action.BATCH_WHOLE)
    async def whole(interaction: Interaction, number: int) -> None:
        await app.submission.confirm(interaction, number, whole=True)

    @client.on_button(Action.DISMISS)
    async def dismiss(interaction: Interaction, number: int) -> None:
        await app.submission.dismiss(interaction, number)


async def show(app: Shows, interaction: Interaction, job: Job, image: StoredImage, *, private: bool) -> None:
    """Answer with one picture at full size, and its buttons."""
    await acknowledge(interaction, private=private)
    data = await app.files.read(image.path, image.sha256)
    words = app.messages.tells_words(job)
    upload = await PICTURES.run(_file, app.messages.marks, image, data, interaction.filesize_limit, words)
    view = app.layouts.single(job, image, upload.filename, copy=True)
    await interaction.edit_original_response(view=view, attachments=[upload])


async def _vary(app: Services, interaction: Interaction, action: Action, job: Job, image: StoredImage) -> None:
    """A variation; members who remix change its words and numbers in a form first."""
    wishes = await app.preferences.preferences(interaction.user.id)
    if wishes.remix and not edits.is_repainted(job):
        await interaction.client.forms.send(interaction, modals.remix(image.id, job.spec_of(image), action))
        return
    await edits.vary_own(app, interaction, job, image, action)


async def _vary_changed(app: Services, interaction: Interaction, action: Action, job: Job, image: StoredImage) -> None:
    """A variation whose words or numbers were changed in the form first."""
    wishes = await app.preferences.preferences(interaction.user.id)
    spec = await _changed(app, interaction, job.spec_of(image), 4)
    near = edits.neighbours(spec, wishes, action)
    await app.submission.resubmit(interaction, near, "vary", image.id, private=job.private)


def _origin(job: Job, image: StoredImage) -> tuple[JobKind, int | None]:
    """Kind and parent of a job like this one: what was made from another picture is so again."""
    return (job.kind, job.parent_image_id) if job.spec.inputs else ("imagine", image.id)


def _rerolled(spec: Spec) -> Spec:
    """The same question with new noise; a variation stays near its parent and takes another way."""
    if spec.variations:
        *chain, (_, strength) = spec.variations
        return spec.evolve(variations=(*chain, (new_seed(), strength)))
    return spec.evolve(seed=new_seed())


async def _changed(app: Services, interaction: Interaction, spec: Spec, num_images: int) -> Spec:
    """The form's answers laid over the image's own spec. Raises: BadInput naming the field."""
    said = modals.answers(interaction)
    base = Draft(
        scheduler=spec.scheduler,
        model=spec.model,
        strength=spec.strength,
        tiling=spec.tiling,
        num_images=num_images,
        width=spec.width if spec.is_edit else None,
        height=spec.height if spec.is_edit else None,
        negative_prompt=said.get("negative"),
        variations=spec.variations if said.get("seed", "").strip() == str(spec.seed) else None,
    )
    asked = parse(modals.line(said), base, wordless=spec.is_edit)
    if spec.is_edit and (asked[0].width, asked[0].height, asked[0].aspect_ratio) != (spec.width, spec.height, None):
        raise BadInput("The size comes from the picture here. Leave out --size and --ar.")
    if len(asked) > 1:
        raise BadInput("A remix is one job. Use /imagine for {a, b} and --repeat.")
    asked = await app.preferences.style_only(asked, interaction.guild_id or 0)
    specs = await app.submission.orders.resolve_all(actor_of(interaction), asked, spec.request)
    return specs[0].evolve(note=spec.note)


async def _seeds(app: Services, interaction: Interaction, job: Job, image: StoredImage) -> dict[str, Any]:
    """What the Seed button answers: under one picture that picture's own seed and line, under a grid all of them."""
    alone = not _shows_grid(interaction)
    images = [image] if alone else await app.jobs.images(job.id)
    lines = [_("Picture {number}: seed **{seed}**", number=each.ordinal + 1, seed=each.seed) for each in images]
    if job.spec.is_edit:
        how = _("To make this edit again, press **Remix** under it and keep the words and the seed.")
        return {"content": "\n".join([*lines, how])}
    dressed = await app.preferences.changes_something(interaction.user.id, interaction.guild_id or 0)
    end = " --plain" if dressed else ""  # or one's settings would be laid over what has them already
    spec = job.spec_of(image).evolve(num_images=1) if alone else job.spec
    paste = app.layouts.paste_line(spec) + end
    if alone:
        how = _("Paste this after `/imagine prompt:` to get this picture again:")
    else:
        how = _("Paste this after `/imagine prompt:` to get the same pictures again:")
    told = "\n".join([*lines, how])
    if len(told) + len(paste) < MAX_PASTE_CHARS:
        return {"content": f"{told}\n{block(paste, MAX_PASTE_CHARS)}"}
    file = discord.File(io.BytesIO(paste.encode()), filename=f"easel-{job.id}.txt")
    long = _("(the line is long, so it's in the file).")
    return {"content": f"{told} {long}", "file": file}


def _shows_grid(interaction: Interaction) -> bool:
    """Whether the message with the button offers single pictures to pick."""
    shown = image_lookup.presses(interaction.message.components) if interaction.message else []
    return any(press.action in (Action.PICK, Action.FINISH) for press in shown)


def _file(marks: Marks, image: StoredImage, data: bytes, limit_bytes: int, words: bool) -> discord.File:
    """The stored picture, fitted to the upload limit. Runs in a worker thread."""
    recipe, shown = image.made_with, image_tools.opened(data)
    upload = marks.fit(shown, f"easel-{image.id}", limit_bytes, data, recipe=recipe, words=words)
    return discord.File(io.BytesIO(upload.data), filename=upload.name)
