"""/style from, codes and forget: a server's styles made from pictures, by a name and a short code."""

from __future__ import annotations

import io
from typing import Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.delivery import image_tools
from bot.errors import BadInput, NotFound, Refused
from bot.features.generate import edits, image_lookup
from bot.features.generate.discord_files import DiscordFile
from bot.features.generate.image_lookup import FoundImage
from bot.features.looks import views
from bot.features.looks.service import MAX_PICTURES, Looks, read_name
from bot.features.looks.store import Look
from bot.jobs.records import Job
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import actor_of
from bot.languages.speech import N_, _
from bot.threads.pools import PICTURES

MAX_CHOICES = 25  # Discord's
REMOVED = N_("Removed the style `{name}`. Its code no longer works; what was painted with it stays.")
HIDDEN = N_(
    "That picture is from a channel that not everyone here can read, and a style is for everyone. Use **/style from** "
    "in that channel, or attach the picture."
)


class Services(edits.Services, Protocol):
    """What this module works with."""

    looks: Looks


def install(client: Client, app: Services) -> None:
    """Add to /style what is made from pictures."""
    group = client.tree.get_command("style")
    assert isinstance(group, app_commands.Group), "styles were installed before"
    _making(app, group)
    _seeing(app, group)

    @client.on_button(Action.LOOKS)
    async def page(interaction: Interaction, number: int) -> None:
        await interaction.response.defer()
        await _show(app, interaction, number)


def _making(app: Services, group: app_commands.Group) -> None:
    @group.command(name="from")
    @app_commands.describe(
        name="Lowercase letters, digits and dashes, beginning with a letter, such as ink-wash",
        sources="Pictures by message links or job numbers such as 12.3, with spaces between; they come after images",
        everywhere="Whether its code works in other servers that have this Easel, too",
    )
    @guarded
    async def from_(
        interaction: Interaction,
        name: Range[str, 1, 30],
        image1: discord.Attachment | None = None,
        image2: discord.Attachment | None = None,
        image3: discord.Attachment | None = None,
        image4: discord.Attachment | None = None,
        image5: discord.Attachment | None = None,
        image6: discord.Attachment | None = None,
        image7: discord.Attachment | None = None,
        image8: discord.Attachment | None = None,
        sources: str | None = None,
        everywhere: bool = False,
    ) -> None:
        """Make a style from one to eight pictures, for --sref (needs Manage Server)."""
        check_admin(interaction)
        read_name(name)
        files = [each for each in (image1, image2, image3, image4, image5, image6, image7, image8) if each is not None]
        found = [FoundImage(file=DiscordFile.attached(file)) for file in files]
        named = (sources or "").split()
        if not 1 <= len(found) + len(named) <= MAX_PICTURES:
            raise BadInput(
                "A style is made from 1 to {most} pictures: attach them, or name them in `sources`.", most=MAX_PICTURES
            )
        found += [await image_lookup.in_text(app, interaction, text) for text in named]
        await _make(app, interaction, name, found, everywhere=everywhere)

    @group.command()
    @app_commands.describe(name="The style from pictures to remove, or its code")
    @guarded
    async def forget(interaction: Interaction, name: str) -> None:
        """Remove a style that was made from pictures (needs Manage Server)."""
        gone = await app.looks.remove(check_admin(interaction), name)
        await interaction.response.send_message(view=notice(_(REMOVED, name=gone.name)), ephemeral=True)

    @forget.autocomplete("name")
    async def names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        known = await app.looks.of_server(interaction.guild_id or 0)
        found = [look.name for look in known if typed.casefold().strip() in look.name]
        return [Choice(name=name, value=name) for name in found[:MAX_CHOICES]]


async def _make(
    app: Services, interaction: Interaction, name: str, found: list[FoundImage], *, everywhere: bool
) -> None:
    for each in found:
        each.check_single()
        if each.job is not None:
            _check_open(interaction, each.job)
    sources = [await edits.of_found(app, interaction, each, private=True) for each in found]
    pictures = [source.picture for source in sources]
    look = await app.looks.add(actor_of(interaction), name, pictures, everywhere=everywhere)
    await interaction.edit_original_response(view=views.kept(look))


def _check_open(interaction: Interaction, job: Job) -> None:
    """Everyone here may use a style, so nothing goes into one that not everyone may see. Raises: Refused."""
    if job.private:
        raise Refused("That picture is private, and a style is for everyone here.")
    if interaction.guild is None or job.channel_id == interaction.channel_id:
        return
    channel = interaction.guild.get_channel_or_thread(job.channel_id)
    hidden = isinstance(channel, discord.Thread) and channel.is_private()
    parent = channel.parent if isinstance(channel, discord.Thread) else channel
    if hidden or parent is None or not parent.permissions_for(interaction.guild.default_role).read_messages:
        raise Refused(HIDDEN)


def _seeing(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @shows_errors
    async def codes(interaction: Interaction) -> None:
        """See this server's styles from pictures and their codes for --sref."""
        await interaction.response.defer(thinking=True, ephemeral=True)
        await _show(app, interaction, 0)


async def _show(app: Services, interaction: Interaction, number: int) -> None:
    known = await app.looks.of_server(interaction.guild_id or 0)
    page = known[number * views.PAGE : (number + 1) * views.PAGE]
    nsfw = actor_of(interaction).nsfw
    files = {look.code: file for look in page if (nsfw or not look.aged) and (file := await _picture(app, look))}
    view = views.codes(page, set(files), number, len(known))
    await interaction.edit_original_response(view=view, attachments=list(files.values()))


async def _picture(app: Services, look: Look) -> discord.File | None:
    """The first picture of a look, small; None if its file can't be read."""
    try:
        first = await app.jobs.input_image(look.pictures[0][0])
        data = await app.files.read(first.file.path)
    except NotFound:
        return None
    small = await PICTURES.run(lambda: image_tools.thumbnail(image_tools.opened(data)))
    return discord.File(io.BytesIO(small), filename=f"look-{look.code}.webp")
