"""/inpaint, "Edit region" and Vary (Region): say which part of a picture is to be redrawn, in any of five ways."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, replace
from typing import Protocol
from weakref import WeakValueDictionary

import discord
from discord import app_commands
from discord.app_commands import Range
from PIL import Image

from bot.delivery import image_tools
from bot.errors import BadInput
from bot.features.generate import discord_files, image_lookup
from bot.features.generate.discord_files import DiscordFile
from bot.features.generate.image_lookup import FoundImage
from bot.features.generate.submission import KeptFile, Submission
from bot.features.region import inpaint as inpainting
from bot.features.region import mask_files
from bot.features.region import masks as region_masks
from bot.features.region import views as region_views
from bot.features.region.selection import RegionSelection
from bot.features.region.store import EditorPass, NewRegion, Region
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, actor_of, check_permissions, viewer_of
from bot.orders.uploads import read_layers, read_upload
from bot.prompt.parser import Draft, parse
from bot.threads.pools import PICTURES, UPLOADS
from engine.backend import Backend

SEGMENT = "segment"  # among the engine's abilities
SHOWN_PX = 768  # of a picture whose region is chosen
READ_S = 1.5  # for a picture that must be seen before answering, which Discord wants within 3 s
_shown: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
"""One redrawing of a region's cells at a time, so that the last one shows the newest choice."""


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    jobs: Jobs
    preferences: PreferenceService
    region_selection: RegionSelection
    submission: Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """The ways of marking that a command was given; at most one of them."""

    mask: discord.Attachment | None
    painted: discord.Attachment | None
    region: str | None
    what: str | None

    @property
    def any(self) -> bool:
        return bool(self.mask or self.painted or self.region or self.what)

    def check(self) -> None:
        """Raises: BadInput."""
        given = [name for name in ("mask", "painted", "region", "what") if getattr(self, name)]
        if len(given) > 1:
            names = ", ".join(f"`{name}`" for name in given)
            raise BadInput("You gave {names}. Each of them says which part is to be redrawn: give one.", names=names)


def install(client: Client, app: Services) -> None:
    """Add the commands and their buttons to the client."""
    _install_commands(app, client)
    _install_presses(app, client)
    _install_forms(app, client)


def _install_commands(app: Services, client: Client) -> None:
    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(
        prompt="What should appear there; flags such as --seed 7 work too",
        image="The picture; its transparent part is the region when nothing else says",
        source="Instead of an image: a message's link, or a job's number such as 12.3",
        mask="A picture of the same size: white (or transparent) is redrawn",
        painted="The same picture with the region scribbled over in any colour",
        region="Where: top right, left third, centre, or x,y,width,height in percent",
        what="What is to be replaced, such as: the hat",
        strength="How much to change there, above 0 up to 1 (normally 0.7)",
        private="Only you see it",
    )
    @shows_errors
    async def inpaint(
        interaction: discord.Interaction[Client],
        prompt: str,
        image: discord.Attachment | None = None,
        source: str | None = None,
        mask: discord.Attachment | None = None,
        painted: discord.Attachment | None = None,
        region: str | None = None,
        what: str | None = None,
        strength: Range[float, 0, 1] | None = None,
        private: bool | None = None,
    ) -> None:
        """Redraw a part of a picture."""
        marked = Marked(mask=mask, painted=painted, region=region, what=what)
        marked.check()
        parse(prompt, Draft(strength=strength))
        hidden = await app.submission.wants_private(interaction, private)
        check_permissions(interaction, hidden)
        found = await image_lookup.from_options(app, interaction, image, source)
        await _inpaint(app, interaction, found, marked, prompt, strength, hidden)

    inpaint.autocomplete("source")(image_lookup.own_pictures(app))

    @client.tree.context_menu(name="Edit region")
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def edit_region(interaction: discord.Interaction[Client], message: discord.Message) -> None:
        await _choose(app, interaction, await image_lookup.in_message(app, interaction, message))


def _install_presses(app: Services, client: Client) -> None:
    @client.on_button(Action.REGION, image=True)
    async def region(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await _choose(app, interaction, FoundImage(job=job, images=(image,)))

    @client.on_button(Action.WAYS)
    async def ways(interaction: Interaction, region_id: int) -> None:
        region = await _mine(app, interaction, region_id)
        await interaction.response.defer()
        await _show_ways(app, interaction, region)

    @client.on_button(Action.CELLS)
    async def cells(interaction: Interaction, region_id: int) -> None:
        region = await _mine(app, interaction, region_id)
        await interaction.response.defer()
        if _shows_cells(interaction):
            other = next(side for side in region_masks.SIDES if side != region.side)
            await app.region_selection.divide(region_id, other, interaction.user.id)
        await _show_cells(app, interaction, region_id)

    @client.on_button(Action.CELL)
    async def cell(interaction: Interaction, number: int) -> None:
        region_id, cell = region_views.cell_of(number)
        await _mine(app, interaction, region_id)
        await interaction.response.defer()
        await app.region_selection.press(region_id, cell, interaction.user.id)
        await _show_cells(app, interaction, region_id)

    @client.on_button(Action.CELLS_DONE)
    async def cells_done(interaction: Interaction, region_id: int) -> None:
        region = await _mine(app, interaction, region_id)
        region_masks.from_cells(region.cells, region.side, (15, 15))  # the same sentences, before the form
        await interaction.client.forms.send(interaction, region_views.cells_form(region))

    @client.on_button(Action.PAINTED)
    async def painted(interaction: Interaction, region_id: int) -> None:
        form = region_views.painted_form(await _mine(app, interaction, region_id))
        await interaction.client.forms.send(interaction, form)

    @client.on_button(Action.WORDS)
    async def words(interaction: Interaction, region_id: int) -> None:
        region = await _mine(app, interaction, region_id)
        form = region_views.words_form(region, _can_segment(app, interaction))
        await interaction.client.forms.send(interaction, form)


def _install_forms(app: Services, client: Client) -> None:
    @client.on_modal(Action.CELLS_DONE)
    async def cells_done(interaction: Interaction, region_id: int) -> None:
        region = await _begun(app, interaction, region_id)
        mask = await PICTURES.run(region_masks.from_cells, region.cells, region.side, region.size)
        await _place(app, interaction, region, mask, modals.answers(interaction).get("prompt", ""))

    @client.on_modal(Action.PAINTED)
    async def painted(interaction: Interaction, region_id: int) -> None:
        files = modals.files(interaction)
        if not files:
            raise BadInput("Upload the picture with the part scribbled over, in any colour.")
        region = await _begun(app, interaction, region_id)
        original = await inpainting.picture(app, interaction.client, region)
        mask = await _painted_over(interaction, files[0], original)
        await _place(app, interaction, region, mask, modals.answers(interaction).get("prompt", ""))

    @client.on_modal(Action.WORDS)
    async def words(interaction: Interaction, region_id: int) -> None:
        said = modals.answers(interaction)
        region = await _begun(app, interaction, region_id)
        mask = await _from_text(app, interaction, region, said.get("where", ""))
        await _place(app, interaction, region, mask, said.get("prompt", ""))


# ---------------------------------------------------------------- from a command
async def _inpaint(
    app: Services,
    interaction: Interaction,
    found: FoundImage,
    marked: Marked,
    line: str,
    strength: float | None,
    private: bool,
) -> None:
    """With a region: queue the job. Without one: ask for it, on a message only its person sees."""
    hole = None if marked.any else await _hole(interaction, found)
    asks = not marked.any and hole is None
    private = private or (found.job is not None and found.job.private)
    await acknowledge(interaction, private=private or asks)
    new, notes = await _new(app, interaction, found, line, private)
    if asks:
        kept = replace(new, prompt=line if strength is None else f"{line} --strength {strength:g}")
        await _show_ways(app, interaction, await app.region_selection.begin(kept), notes)
        return
    mask = region_masks.checked(hole) if hole else await _mask(app, interaction, new, marked)
    await _place(app, interaction, new, mask, line, strength, notes)


async def _mask(app: Services, interaction: Interaction, new: NewRegion, marked: Marked) -> Image.Image:
    """What a command's options mark. Raises: BadInput, InvalidRequest."""
    size = new.width, new.height
    if marked.mask is not None:
        file = DiscordFile.attached(marked.mask)
        layers = (await discord_files.read(interaction, file, read_layers)).upload.image
        original = await inpainting.picture(app, interaction.client, new)
        return await UPLOADS.run(mask_files.from_file, layers, original)
    if marked.region:
        return await PICTURES.run(region_masks.from_words, marked.region, size)
    original = await inpainting.picture(app, interaction.client, new)
    if marked.painted is not None:
        return await _painted_over(interaction, marked.painted, original)
    return region_masks.checked(await app.backend.segment(original, marked.what or ""))


async def _painted_over(interaction: Interaction, attachment: discord.Attachment, original: Image.Image) -> Image.Image:
    """Where somebody painted over a picture. Raises: BadInput, NotFound."""
    found = await discord_files.read(interaction, DiscordFile.attached(attachment), read_upload)
    return await UPLOADS.run(region_masks.from_painted, original, found.upload.image)


async def _hole(interaction: Interaction, found: FoundImage) -> Image.Image | None:
    """The transparent part of an attached picture; None when it has none, or when it takes too long to come."""
    if found.file is None:
        return None
    try:
        async with asyncio.timeout(READ_S):
            layers = (await discord_files.read(interaction, found.file, read_layers)).upload.image
    except TimeoutError:
        return None
    return await UPLOADS.run(mask_files.hole, layers)


# ---------------------------------------------------------------- choosing
async def _choose(app: Services, interaction: Interaction, found: FoundImage) -> None:
    """Show the ways of choosing a region of a picture, to the person who asked only."""
    _ = found.image  # a whole grid is refused before anything is shown
    await acknowledge(interaction, private=True)
    private = (found.job is not None and found.job.private) or await app.submission.wants_private(interaction, None)
    new, notes = await _new(app, interaction, found, "", private)
    await _show_ways(app, interaction, await app.region_selection.begin(new), notes)


async def _new(
    app: Services, interaction: Interaction, found: FoundImage, line: str, private: bool
) -> tuple[NewRegion, tuple[str, ...]]:
    """The picture, kept, with who wants to change it and where; and what was done to it. Raises: NotFound, BadInput."""
    if found.file is not None:
        kept = await app.submission.stored_file(interaction, found.file)
    else:
        kept = KeptFile(picture=await app.submission.stored_input(interaction, found.image.id if found.image else 0))
    picture = kept.picture
    new = NewRegion(
        user_id=interaction.user.id,
        guild_id=interaction.guild_id or 0,
        channel_id=interaction.channel_id or 0,
        source=picture.sha256,
        width=picture.size[0],
        height=picture.size[1],
        parent_image_id=found.image.id if found.image else None,
        prompt=line[: region_views.PROMPT_MAX],
        private=private,
    )
    return new, kept.notes


async def _show_ways(app: Services, interaction: Interaction, region: Region, notes: tuple[str, ...] = ()) -> None:
    new = EditorPass(
        region=region,
        interaction_id=interaction.id,
        application_id=interaction.application_id,
        reply_token=interaction.token if region.private else None,
        message_id=interaction.extras.get("message_id") or (interaction.message.id if interaction.message else None),
    )
    link = await app.region_selection.link(new)
    picture = await inpainting.picture(app, interaction.client, region)
    file = await PICTURES.run(lambda: _webp(image_tools.within(picture, SHOWN_PX), f"region-{region.id}"))
    await interaction.edit_original_response(
        view=region_views.ways(region, file.filename, link, notes), attachments=[file]
    )


async def _show_cells(app: Services, interaction: Interaction, region_id: int) -> None:
    lock = _shown.setdefault(region_id, asyncio.Lock())
    async with lock:
        region = await _mine(app, interaction, region_id)
        picture = await inpainting.picture(app, interaction.client, region)
        sheet = await PICTURES.run(region_masks.with_cells, picture, region.side, region.cells)
        name = f"cells-{region.id}-{region.side}-{sum(1 << cell for cell in region.cells)}"
        file = await PICTURES.run(_webp, sheet, name)
        await interaction.edit_original_response(view=region_views.cells(region, file.filename), attachments=[file])


async def _mine(app: Services, interaction: Interaction, region_id: int) -> Region:
    """Raises: NotFound, NotYours, Refused."""
    region = await app.region_selection.get(region_id, interaction.user.id)
    await inpainting.check_visible(app, viewer_of(interaction), region)
    return region


def _shows_cells(interaction: Interaction) -> bool:
    """Whether the message with the button shows cells already."""
    presses = image_lookup.presses(interaction.message.components) if interaction.message else ()
    return any(press.action is Action.CELL for press in presses)


def _webp(image: Image.Image, name: str) -> discord.File:
    return discord.File(io.BytesIO(image_tools.webp(image)), filename=f"{name}.webp")


# ---------------------------------------------------------------- from a form
async def _begun(app: Services, interaction: Interaction, region_id: int) -> Region:
    """The region of a form, acknowledged where its result will be shown. Raises: NotFound, NotYours."""
    region = await _mine(app, interaction, region_id)
    check_permissions(interaction, region.private)
    await acknowledge(interaction, private=region.private)
    return region


async def _from_text(app: Services, interaction: Interaction, region: Region, text: str) -> Image.Image:
    """A place in words; or a thing that the engine looks for, where it can. Raises: BadInput, InvalidRequest."""
    try:
        return region_masks.from_words(text, region.size)
    except BadInput:
        if not _can_segment(app, interaction) or "," in text:
            raise
    picture = await inpainting.picture(app, interaction.client, region)
    return region_masks.checked(await app.backend.segment(picture, text))


def _can_segment(app: Services, interaction: Interaction) -> bool:
    return SEGMENT in app.backend.abilities()


async def _place(
    app: Services,
    interaction: Interaction,
    region: NewRegion,
    mask: Image.Image,
    line: str,
    strength: float | None = None,
    notes: tuple[str, ...] = (),
) -> None:
    order = await inpainting.order(app, interaction.client, actor_of(interaction), region, mask, line, strength, notes)
    await app.submission.submit_or_confirm(interaction, order)
