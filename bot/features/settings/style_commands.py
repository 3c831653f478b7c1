"""/style: the server's styles, shown with images; its admins add and remove them."""

from __future__ import annotations

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
from bot.languages.speech import N_, _
from bot.orders.visibility import may_see
from bot.prompt.text import shown
from bot.threads.pools import PICTURES


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
        """See this server's styles, with an example image where there is one."""
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
        name="Lowercase letters, digits and dashes, such as ink-drawing; an existing style is changed",
        template="{prompt} is where the prompt goes, for example: ink drawing of {prompt}, fine lines",
        negative="This style's negative prompt",
        example="The number of a public job whose first image shows the style (see /history)",
    )
    @guarded
    async def add(
        interaction: Interaction,
        name: Range[str, 1, 30],
        template: Range[str, 1, styles.MAX_TEMPLATE_CHARS],
        negative: Range[str, 1, styles.MAX_NEGATIVE_CHARS] | None = None,
        example: Range[int, 1] | None = None,
    ) -> None:
        """Add or change a style (needs Manage Server)."""
        await _add(app, interaction, styles.make(name, template, negative or "", example))

    @group.command()
    @app_commands.describe(name="The style to remove")
    @guarded
    async def remove(interaction: Interaction, name: str) -> None:
        """Remove a style (needs Manage Server)."""
        removed = await app.preferences.remove_style(check_admin(interaction), name)
        await interaction.response.send_message(_("Removed the style `{removed}`.", removed=removed), ephemeral=True)

    @remove.autocomplete("name")
    async def names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        known = await app.preferences.styles(interaction.guild_id or 0)
        found = [style.name for style in known if typed.casefold().strip() in style.name]
        return [Choice(name=name, value=name) for name in found[:25]]


async def _add(app: Services, interaction: Interaction, style: Style) -> None:
    if style.example_job is not None and await _example(app, interaction, style) is None:
        raise BadInput(
            "Job {example_job} can't be the example. Use a public job from this server that has an image.",
            example_job=style.example_job,
        )
    new = await app.preferences.save_style(check_admin(interaction), style)
    done = (
        N_("The style **{name}** was added: {template}") if new else N_("The style **{name}** was changed: {template}")
    )
    use = _("-# Use it with the option `style` of **/imagine**, or `--style {name}` in the prompt.", name=style.name)
    text = f"{_(done, name=style.name, template=shown(style.template, 1000))}\n{use}"
    await interaction.response.send_message(view=notice(text), ephemeral=True)


async def _show(app: Services, interaction: Interaction, number: int) -> None:
    known = await app.preferences.styles(interaction.guild_id or 0)
    page = known[number * PAGE : (number + 1) * PAGE]
    files = {style.name: file for style in page if (file := await _example(app, interaction, style))}
    view = gallery(page, set(files), number, len(known))
    await interaction.edit_original_response(view=view, attachments=list(files.values()))


async def _example(app: Services, interaction: Interaction, style: Style) -> discord.File | None:
    """Return the image that shows a style; None if there's none (any more), or not everyone may see it."""
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
    small = await PICTURES.run(lambda: image_tools.thumbnail(image_tools.opened(data)))
    return discord.File(io.BytesIO(small), filename=f"style-{style.name}.webp")
