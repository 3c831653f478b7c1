"""Who asks is read from each interaction anew: roles, rights, operators."""

from __future__ import annotations

import discord
import pytest

from bot.demo.simulation import Stage
from bot.features.generate.submission import actor_of
from bot.kit.checks import guarded
from bot.kit.client import Client
from bot.orders.actor import Actor
from tests.e2e.screen import words


@pytest.fixture
async def heard(studio: Stage) -> list[Actor]:
    """What a command hears of who asks; a second one is for admins only."""
    askers: list[Actor] = []

    @studio.bot.tree.command()
    async def hear(interaction: discord.Interaction[Client]) -> None:
        """Listen."""
        askers.append(actor_of(interaction))
        await interaction.response.send_message("heard")

    @studio.bot.tree.command()
    @guarded
    async def rule(interaction: discord.Interaction[Client]) -> None:
        """Rule."""
        await interaction.response.send_message("ruled")

    await studio.bot.tree.sync()
    return askers


async def test_a_member_an_admin_and_their_roles(studio: Stage, heard: list[Actor]) -> None:
    for who in ("Ann", "Ada"):
        await studio.members[who].slash(studio.channel, "hear")
    ann, ada = heard
    assert (ann.user_id, ann.guild_id, ann.channel_id) == (studio.members["Ann"].id, studio.guild.id, studio.channel.id)
    assert (ann.role_ids, ann.is_admin, ann.may_administer) == (frozenset({studio.guild.id}), False, False)
    assert (len(ada.role_ids), ada.is_admin, ada.is_operator, ada.may_administer) == (2, True, False, True)


async def test_only_admins_and_operators_rule(studio: Stage, heard: list[Actor]) -> None:
    refused = await studio.members["Ann"].slash(studio.channel, "rule")
    assert "Manage Server" in words(refused.response)
    assert refused.response.ephemeral
    assert words((await studio.members["Ada"].slash(studio.channel, "rule")).response).strip() == "ruled"
    studio.settings.operators = (studio.members["Ann"].id,)
    assert words((await studio.members["Ann"].slash(studio.channel, "rule")).response).strip() == "ruled"
