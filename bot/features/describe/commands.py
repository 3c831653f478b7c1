"""/describe, "Describe" and "Read parameters": what a picture shows, and what its file says of how it was made."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Protocol

import discord
from discord import app_commands
from PIL import Image

from bot.delivery import image_tools
from bot.errors import BadInput, NotFound
from bot.features.describe import saved_drafts
from bot.features.describe import views as describe_views
from bot.features.describe.saved_drafts import Offer
from bot.features.generate import image_lookup
from bot.features.generate.image_lookup import FoundImage
from bot.features.generate.submission import Submission
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import acknowledge, actor_of, check_permissions, viewer_of
from bot.languages.speech import N_, _, later
from bot.orders import reproduce
from bot.orders.service import Order
from bot.prompt import image_metadata
from bot.prompt.parser import Draft, parse
from bot.store.key_value_store import KeyValues
from bot.threads.pools import PICTURES, UPLOADS
from engine.backend import Backend

PAUSE_MS = 5_000  # between two descriptions for one person: they are free, and a captioner works for a second or two
NOTHING_SAID = N_(
    "This file says nothing of how it was made. Discord takes it out of JPEG and WebP files and keeps it in PNG; "
    "many programs leave it out. **Describe** guesses a prompt instead."
)


HOW_NOT_SAID = N_("It doesn't say how; **Describe** guesses a prompt.")


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    submission: Submission
    key_values: KeyValues
    jobs: Jobs


def install(client: Client, app: Services) -> None:
    """Add the commands and their buttons to the client."""
    _install_commands(app, client)
    for at, action in enumerate(describe_views.OFFERS):
        _install_offer(app, client, at, action)

    @client.on_button(Action.RERUN, once=True)
    async def run_again(interaction: Interaction, number: int) -> None:
        offer = await _offer(app, interaction, number)
        specs = await app.submission.orders.resolve_all(actor_of(interaction), offer.drafts[:1])
        await app.submission.submit_or_confirm(interaction, Order(specs=specs, private=offer.private))


def _install_commands(app: Services, client: Client) -> None:
    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(
        image="The picture",
        source="Instead of an image: a message's link, or a job's number such as 12.3",
        private="Only you see it",
    )
    @shows_errors
    async def describe(
        interaction: discord.Interaction[Client],
        image: discord.Attachment | None = None,
        source: str | None = None,
        private: bool = False,
    ) -> None:
        """Four prompts that might make a picture like this one."""
        found = await image_lookup.from_options(app, interaction, image, source)
        await _describe(app, interaction, found, shown_to_all=not private)

    describe.autocomplete("source")(image_lookup.own_pictures(app))

    @client.tree.context_menu(name="Describe")
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def describe_it(interaction: discord.Interaction[Client], message: discord.Message) -> None:
        await _describe(app, interaction, await image_lookup.in_message(app, interaction, message), shown_to_all=False)

    @client.tree.context_menu(name="Read parameters")
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def read_parameters(interaction: discord.Interaction[Client], message: discord.Message) -> None:
        await _read(app, interaction, await image_lookup.in_message(app, interaction, message))


def _install_offer(app: Services, client: Client, at: int, action: Action) -> None:
    """The button and the form of one offered draft."""

    @client.on_button(action)
    async def pressed(interaction: Interaction, number: int) -> None:
        draft = await _draft(app, interaction, number, at)
        await interaction.client.forms.send(interaction, modals.offer(ButtonId(action, number), draft))

    @client.on_modal(action)
    async def answered(interaction: Interaction, number: int) -> None:
        offer, draft = await _offer(app, interaction, number), await _draft(app, interaction, number, at)
        said = modals.answers(interaction)
        kept = replace(
            draft,
            prompt="",
            seed=None,
            aspect_ratio=None,
            width=None,
            height=None,
            num_inference_steps=None,
            guidance_scale=None,
        )
        if said.get("seed", "").strip() != str(draft.seed):
            kept = replace(kept, variations=None, num_images=None)
        kept = replace(kept, negative_prompt=said.get("negative"))
        private = True if offer.private else None
        await app.submission.imagine(interaction, parse(modals.line(said), kept), private=private)


# ---------------------------------------------------------------- what is there
async def _describe(app: Services, interaction: Interaction, found: FoundImage, *, shown_to_all: bool) -> None:
    """Show up to four prompts; they cost nothing."""
    found.check_single()
    if not interaction.client.clicks.is_first(f"describe:{interaction.user.id}", PAUSE_MS):
        raise BadInput("One description at a time. Try again in a few seconds.")
    secret = _secret(found) or not shown_to_all
    check_permissions(interaction, secret)
    await acknowledge(interaction, private=secret)
    await app.submission.check_here(interaction)
    image = await image_lookup.picture(app, interaction, found)
    prompts = await app.backend.describe(image)
    said = (await _said(app, interaction, found)) if len(found.images) < 2 else None
    own = [reproduce.of(said, app.backend.models(), await app.submission.terms(interaction)).draft] if said else []
    prompts = prompts[: len(describe_views.OFFERS) - len(own)]
    if not prompts and not own:
        raise BadInput("The model finds no words for this picture. Try another one.")
    # the words are plain ones: a brace or a dash in them asks for nothing
    drafts = (*own, *(Draft(prompt=prompt) for prompt in prompts))
    await _keep(app, interaction, found, drafts)
    await _answer(interaction, describe_views.described(interaction.id, prompts, said), image)


async def _read(app: Services, interaction: Interaction, found: FoundImage) -> None:
    """Show what the file says, to the one who asks."""
    await acknowledge(interaction, private=True)
    if len(found.images) > 1:
        found = replace(found, images=found.images[:1])  # they differ in their seeds only
    said = await _said(app, interaction, found)
    if said is None or not (said.prompt or said.seed is not None):
        maker = await UPLOADS.run(image_metadata.maker, await image_lookup.data(app, interaction, found))
        if not maker:
            raise NotFound(NOTHING_SAID)
        raise NotFound("This file was made by {maker}. {more}", maker=maker, more=later(_, HOW_NOT_SAID))
    image = await image_lookup.picture(app, interaction, found)
    again = reproduce.of(said, app.backend.models(), await app.submission.terms(interaction))
    await _keep(app, interaction, found, (again.draft,))
    await _answer(interaction, describe_views.parameters(interaction.id, said, again.changes), image)


async def _said(app: Services, interaction: Interaction, found: FoundImage) -> image_metadata.Parameters | None:
    """What a picture's file says of how it was made, also where it's hidden in the pixels."""
    data, layers = await image_lookup.file_and_layers(app, interaction, found)
    return await UPLOADS.run(image_metadata.read, data, layers)


async def _answer(interaction: Interaction, view: discord.ui.LayoutView, image: Image.Image) -> None:
    thumbnail = io.BytesIO(await PICTURES.run(image_tools.thumbnail, image))
    file = discord.File(thumbnail, filename=describe_views.THUMBNAIL)
    await interaction.edit_original_response(view=view, attachments=[file])


# ---------------------------------------------------------------- what is offered
def _secret(found: FoundImage) -> bool:
    return found.job is not None and found.job.private


async def _keep(app: Services, interaction: Interaction, found: FoundImage, drafts: tuple[Draft, ...]) -> None:
    offer = Offer.to(actor_of(interaction), drafts, private=_secret(found))
    await saved_drafts.keep(app.key_values, interaction.id, offer)


async def _offer(app: Services, interaction: Interaction, number: int) -> Offer:
    return await saved_drafts.find(app.key_values, number, viewer_of(interaction))


async def _draft(app: Services, interaction: Interaction, number: int, at: int) -> Draft:
    """One of the drafts that were offered. Raises: NotFound."""
    drafts = (await _offer(app, interaction, number)).drafts
    if at >= len(drafts):
        raise NotFound("I no longer have that prompt. Describe the picture again to get fresh buttons.")
    return drafts[at]
