"""/words: see, keep and remove word lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.errors import BadInput, NotFound
from bot.features.word_lists import service, views
from bot.features.word_lists.service import WordLists
from bot.features.word_lists.store import WordList
from bot.kit import modals
from bot.kit.checks import check_admin
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.kit.custom_ids import Action
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import actor_of
from bot.languages.speech import _
from bot.orders.actor import Actor

MINE, SERVERS = 0, 1  # the number of a form
NAME = "Lowercase letters, digits and dashes, such as colour; in a prompt write __colour__"
WORDS = "The words, with commas: red, blue; 3::red is three times as likely"
SERVER = "The server's list instead of your own (needs Manage Server)"
MAX_CHOICES = 25  # Discord's


class Services(Protocol):
    """What this module works with."""

    word_lists: WordLists


def install(client: Client, app: Services) -> None:
    """Add the commands and their form to the client."""
    group = app_commands.Group(
        name="words",
        description="Lists of words to draw from in a prompt.",
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=False),
    )
    _seeing(app, group)
    _keeping(app, group)
    client.tree.add_command(group)

    @client.on_modal(Action.WORD_LIST)
    async def edited(interaction: Interaction, number: int) -> None:
        said = modals.answers(interaction)
        await _save(app, interaction, said.get("name", ""), said.get("words", ""), server=number == SERVERS)


def _seeing(app: Services, group: app_commands.Group) -> None:
    @group.command(name="list")
    @shows_errors
    async def list_(interaction: Interaction) -> None:
        """See the lists you can use here: the server's and your own."""
        view = views.listed(*await _known(app, interaction))
        await interaction.response.send_message(view=view, ephemeral=True)

    @group.command()
    @app_commands.describe(name="Which list")
    @shows_errors
    async def show(interaction: Interaction, name: Range[str, 1, 60]) -> None:
        """See the words of a list."""
        server, mine = await _known(app, interaction)
        view = views.shown_list(_find([*mine, *server], name))
        await interaction.response.send_message(view=view, ephemeral=True)

    show.autocomplete("name")(_names(app))


def _keeping(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(name=NAME, words=WORDS, server=SERVER)
    @shows_errors
    async def save(
        interaction: Interaction, name: Range[str, 1, 60], words: Range[str, 1, 4000], server: bool = False
    ) -> None:
        """Keep a list, or change it."""
        await _save(app, interaction, name, words, server=server)

    @group.command()
    @app_commands.describe(name="Which list", server=SERVER)
    @shows_errors
    async def edit(interaction: Interaction, name: Range[str, 1, 60], server: bool = False) -> None:
        """Change a list in a form, one entry a line."""
        _actor(interaction, server=server)
        known = (await _known(app, interaction))[0 if server else 1]
        form = views.edit_form(SERVERS if server else MINE, _find(known, name))
        await interaction.client.forms.send(interaction, form)

    @group.command()
    @app_commands.describe(name="Which list", server=SERVER)
    @shows_errors
    async def remove(interaction: Interaction, name: Range[str, 1, 60], server: bool = False) -> None:
        """Remove a list."""
        await app.word_lists.remove(_actor(interaction, server=server), name, server=server)
        text = _("Removed the list `{read_name}`.", read_name=service.read_name(name))
        await interaction.response.send_message(view=notice(text), ephemeral=True)

    save.autocomplete("name")(_names(app))
    edit.autocomplete("name")(_names(app))
    remove.autocomplete("name")(_names(app))


async def _save(app: Services, interaction: Interaction, name: str, words: str, *, server: bool) -> None:
    new = await app.word_lists.save(_actor(interaction, server=server), name, words, server=server)
    await interaction.response.send_message(view=views.saved(new), ephemeral=True)


def _actor(interaction: Interaction, *, server: bool) -> Actor:
    """Who keeps a list. Raises: BadInput, NotYours."""
    if server and interaction.guild_id is None:
        raise BadInput("A server's lists are kept in that server.")
    return check_admin(interaction) if server else actor_of(interaction)


async def _known(app: Services, interaction: Interaction) -> tuple[list[WordList], list[WordList]]:
    """The server's lists and one's own."""
    lists = app.word_lists
    return await lists.of_server(interaction.guild_id or 0), await lists.of_member(interaction.user.id)


def _find(known: Sequence[WordList], name: str) -> WordList:
    """Raises: NotFound."""
    wanted = service.read_name(name)
    for each in known:
        if each.name == wanted:
            return each
    raise NotFound("There's no word list `{wanted}` here. **/words list** shows those there are.", wanted=wanted)


def _names(app: Services) -> Any:
    async def complete(interaction: discord.Interaction[Client], typed: str) -> list[Choice[str]]:
        server, mine = await _known(app, interaction)
        names = dict.fromkeys(each.name for each in (*mine, *server) if typed.strip("_ ").casefold() in each.name)
        return [Choice(name=name, value=name) for name in [*names][:MAX_CHOICES]]

    return complete
