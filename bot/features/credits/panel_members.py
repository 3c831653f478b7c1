"""The panel's page for people: what one has, giving credits, keeping somebody out."""

from __future__ import annotations

from typing import Any

import discord
from discord.ui import TextDisplay

from bot.delivery.layouts import credits_text
from bot.errors import BadInput
from bot.features.credits.views import terms_text
from bot.features.moderation import views
from bot.features.moderation.admin_commands import check_not_admin
from bot.kit import modals
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, ask, button, buttons, line
from bot.kit.checks import check_admin
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, SelectId
from bot.kit.select import Select, row_of
from bot.ledger.terms import Terms
from bot.orders.actor import Actor
from bot.prompt.durations import ends_at_ms
from bot.prompt.text import quoted

TAB = Tab("People", "👥", "One person's credits and jobs; grants and bans.")
MOST_CREDITS = 1_000_000
MOST_SHOWN = 15


def install(client: Client, panel: Panel) -> None:
    """The person's id is the number of every button and form here."""

    @client.on_select(Action.PERSON)
    async def chosen(interaction: Interaction, _number: int, values: tuple[str, ...]) -> None:
        check_admin(interaction)
        await _show(panel, interaction, int(values[0]))

    @client.on_button(Action.GRANT)
    async def grant(interaction: Interaction, user_id: int) -> None:
        check_admin(interaction)
        amount = line("amount", "Credits; they do not expire", "50", 12, needed=True)
        form = ask("Give credits", Action.GRANT, user_id, amount, line("reason", "Reason, for the audit log"))
        await interaction.response.send_modal(form)

    @client.on_modal(Action.GRANT)
    async def granted(interaction: Interaction, user_id: int) -> None:
        await _show(panel, interaction, user_id, await _grant(interaction, user_id))

    @client.on_button(Action.BAN)
    async def ban(interaction: Interaction, user_id: int) -> None:
        check_admin(interaction)
        until = line("until", "Until", "7d", 20, hint="12h, 7d or 2027-01-31; empty: for good")
        reason = line("reason", "Reason; they read it", "", 300)
        await interaction.response.send_modal(ask("Keep somebody out", Action.BAN, user_id, until, reason))

    @client.on_modal(Action.BAN)
    async def banned(interaction: Interaction, user_id: int) -> None:
        await _show(panel, interaction, user_id, await _ban(interaction, user_id))

    @client.on_button(Action.UNBAN)
    async def unban(interaction: Interaction, user_id: int) -> None:
        by = check_admin(interaction)
        await interaction.client.studio.moderation.unban(by, by.guild_id, user_id)
        await _show(panel, interaction, user_id, f"<@{user_id}> may use Easel again.")


async def parts(interaction: Interaction) -> list[Any]:
    bans = await interaction.client.studio.moderation.bans(interaction.guild_id or 0)
    lines = [views.ban_line(ban) for ban in bans[:MOST_SHOWN]]
    lines += [f"-# … and {len(bans) - MOST_SHOWN} more: /admin ban"] if len(bans) > MOST_SHOWN else []
    listed = "\n".join(lines) or "Nobody is banned here."
    return [_select(), TextDisplay(f"**Banned**\n{listed}")]


async def _show(panel: Panel, interaction: Interaction, user_id: int, note: str = "") -> None:
    """One person under the page's name."""
    studio, guild_id = interaction.client.studio, interaction.guild_id or 0
    terms = await _terms(interaction, user_id)
    balance = await studio.jobs.balance(user_id, guild_id, terms)
    active = await studio.store.active(user_id, guild_id)
    ban = next((ban for ban in await studio.moderation.bans(guild_id) if ban.user_id == user_id), None)
    lines = [
        f"### <@{user_id}>",
        f"**Credits** {credits_text(balance.free_mc)} free, {credits_text(balance.paid_mc)} granted or bought",
        f"**On their way** {len(active)} jobs",
        f"**May** {terms_text(terms)}",
        f"**Banned** {views.ban_line(ban)}" if ban else "Not banned",
    ]
    out = button(Action.UNBAN, user_id, "Let them back") if ban else button(Action.BAN, user_id, "Ban …", danger=True)
    row = buttons(button(Action.GRANT, user_id, "Give credits …"), out)
    await panel.show_parts(interaction, TAB, [_select(), TextDisplay("\n".join(lines)), row], note)


async def _terms(interaction: Interaction, user_id: int) -> Terms:
    """What this person may do here, with their roles."""
    guild = interaction.guild
    member = await _member(guild, user_id) if guild is not None else None
    roles = frozenset(role.id for role in member.roles) if isinstance(member, discord.Member) else frozenset()
    asker = Actor(
        user_id=user_id, guild_id=interaction.guild_id or 0, channel_id=interaction.channel_id or 0, role_ids=roles
    )
    return await interaction.client.studio.quotas.terms(asker)


def _select() -> Any:
    return row_of(Select.person(SelectId(Action.PERSON, 0), "Choose a person"))


async def _grant(interaction: Interaction, user_id: int) -> str:
    """Raises: BadInput."""
    by, studio, said = check_admin(interaction), interaction.client.studio, modals.answers(interaction)
    amount_mc = _amount_mc(said.get("amount", ""))
    await studio.credits.grant(by, user_id, amount_mc, said.get("reason", ""), str(interaction.id))
    return f"Gave {credits_text(amount_mc)} to <@{user_id}>."


def _amount_mc(text: str) -> int:
    """Raises: BadInput."""
    plain = text.strip().replace(",", ".", 1)
    number = float(plain) if plain.isascii() and plain.replace(".", "", 1).isdigit() and len(plain) < 12 else 0.0
    if not 0.001 <= number <= MOST_CREDITS:
        raise BadInput(f"{quoted(text)} credits cannot be given. Use 0.001 to {MOST_CREDITS:,}.")
    return round(number * 1000)


async def _ban(interaction: Interaction, user_id: int) -> str:
    """Raises: BadInput, NotYours."""
    by, studio, said = check_admin(interaction), interaction.client.studio, modals.answers(interaction)
    if interaction.guild is not None:
        check_not_admin(await _member(interaction.guild, user_id), by)
    until_ms = ends_at_ms(said.get("until", ""), studio.clock.now_ms())
    ban = await studio.moderation.ban(by, by.guild_id, user_id, said.get("reason", ""), until_ms)
    return f"Banned: {views.ban_line(ban)}"


async def _member(guild: discord.Guild, user_id: int) -> discord.Member | discord.Object:
    """The member, if they are one: without the members intent they have to be asked for."""
    try:
        return guild.get_member(user_id) or await guild.fetch_member(user_id)
    except discord.NotFound:
        return discord.Object(user_id)
