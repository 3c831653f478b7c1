"""/style: the server's named ways to paint, shown with pictures; its admins add and remove them."""

from __future__ import annotations

import asyncio
import io
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.delivery import image_tools
from bot.errors import BadInput, NotFound
from bot.features.settings import styles
from bot.features.settings.service import PreferenceService
from bot.features.settings.store import Style
from bot.features.settings.style_views import PAGE, gallery
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import viewer_of
from bot.orders.visibility import may_see
from bot.prompt.text import shown


class Services(Protocol):
    """What this module works with."""

    files: ImageFiles
    preferences: PreferenceService
    jobs: Jobs


def install(client: Client, app: Services) -> None:
    """Add the commands and their buttons to the client."""
    group = app_commands.Group(name="style", description="This server's styles for /imagine.", guild_only=True)

    @group.command(name="list")
    @shows_errors
    async def list_(interaction: Interaction) -> None:
        """The styles of this server, with an example of each that has one."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        await _show(app, interaction, 0)

    _changing(app, group)
    client.tree.add_command(group)

    @client.on_button(Action.STYLES)
    async def page(interaction: Interaction, number: int) -> None:
        await interaction.response.defer()
        await _show(app, interaction, number)


def _changing(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        name="Small letters, digits and dashes, such as ink-drawing; an existing one is changed",
        template="How to paint; {prompt} is where the prompt goes, such as: ink drawing of {prompt}, fine lines",
        negative="What this style leaves out",
        example="The number of a public job whose first picture shows it (see /history)",
    )
    @guarded
    async def add(
        interaction: Interaction,
        name: Range[str, 1, 30],
        template: Range[str, 1, styles.MAX_TEMPLATE_CHARS],
        negative: Range[str, 1, styles.MAX_NEGATIVE_CHARS] | None = None,
        example: Range[int, 1] | None = None,
    ) -> None:
        """Add a style, or change one (for those who manage this server)."""
        await _add(app, interaction, styles.make(name, template, negative or "", example))

    @group.command()
    @app_commands.describe(name="Which one")
    @guarded
    async def remove(interaction: Interaction, name: str) -> None:
        """Remove a style (for those who manage this server)."""
        removed = await app.preferences.remove_style(check_admin(interaction), name)
        await interaction.response.send_message(f"The style `{removed}` is gone.", ephemeral=True)

    @remove.autocomplete("name")
    async def names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        known = await app.preferences.styles(interaction.guild_id or 0)
        found = [style.name for style in known if typed.casefold().strip() in style.name]
        return [Choice(name=name, value=name) for name in found[:25]]


async def _add(app: Services, interaction: Interaction, style: Style) -> None:
    if style.example_job is not None and await _example(app, interaction, style) is None:
        raise BadInput(
            f"Job {style.example_job} cannot be the example: use a public job of this server with a picture."
        )
    new = await app.preferences.save_style(check_admin(interaction), style)
    text = (
        f"The style **{style.name}** was {'added' if new else 'changed'}: {shown(style.template, 1000)}\n"
        f"-# Use it with the option `style` of **/imagine**, or `--style {style.name}` in the prompt."
    )
    await interaction.response.send_message(view=notice(text), ephemeral=True)


async def _show(app: Services, interaction: Interaction, number: int) -> None:
    known = await app.preferences.styles(interaction.guild_id or 0)
    page = known[number * PAGE : (number + 1) * PAGE]
    files = {style.name: file for style in page if (file := await _example(app, interaction, style))}
    view = gallery(page, set(files), number, len(known))
    await interaction.edit_original_response(view=view, attachments=list(files.values()))


async def _example(app: Services, interaction: Interaction, style: Style) -> discord.File | None:
    """The picture that shows a style; None when it has none (any more), or not for everybody's eyes."""
    if style.example_job is None:
        return None
    try:
        job = await app.jobs.get(style.example_job)
        images = await app.jobs.images(style.example_job)
        if job.private or not images or not may_see(viewer_of(interaction), job):
            return None
        data = await app.files.read(images[0].path, images[0].sha256)
    except NotFound:
        return None
    small = await asyncio.to_thread(lambda: image_tools.thumbnail(image_tools.opened(data)))
    return discord.File(io.BytesIO(small), filename=f"style-{style.name}.webp")
