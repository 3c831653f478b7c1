"""The panel's page for people: what a member has, giving credits, banning."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

import discord
from discord.ui import TextDisplay

from bot.features.credits.service import Credits, Quotas
from bot.features.credits.views import terms_text
from bot.features.moderation import views
from bot.features.moderation.service import Moderation
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, ask, button, buttons, line
from bot.kit.checks import check_admin, check_bannable, check_moderator
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, SelectId
from bot.kit.select import Select, row_of
from bot.languages.speech import N_, _
from bot.ledger.amounts import credits_mc, credits_text
from bot.ledger.limits import Terms
from bot.orders.actor import Actor
from bot.prompt.durations import ends_at_ms
from bot.store.clock import Clock

TAB = Tab(2, N_("People"), "👥", N_("A member's jobs and images; bans, and for admins credits."), moderators=True)
MOST_SHOWN = 15
Show: TypeAlias = Callable[..., Awaitable[None]]
"""Turns the message to a member's page: interaction, their id, what was changed."""


class Services(Protocol):
    """What this page works with."""

    clock: Clock
    credits: Credits
    jobs: Jobs
    moderation: Moderation
    quotas: Quotas


def install(client: Client, panel: Panel, app: Services) -> None:
    """Add the page. The member's id is the number of every button and form."""

    async def show(interaction: Interaction, user_id: int, note: str = "") -> None:
        await panel.show_parts(interaction, TAB, await _member_parts(app, interaction, user_id), note)

    @client.on_select(Action.PERSON)
    async def chosen(interaction: Interaction, _number: int, values: tuple[str, ...]) -> None:
        check_moderator(interaction)
        await show(interaction, int(values[0]))

    @client.on_button(Action.PERSON)
    async def back(interaction: Interaction, user_id: int) -> None:
        check_moderator(interaction)
        await show(interaction, user_id)

    panel.add(TAB, lambda interaction: _parts(app, interaction))
    _install_grants(client, app, show)
    _install_bans(client, app, show)


def _install_grants(client: Client, app: Services, show: Show) -> None:
    @client.on_button(Action.GRANT)
    async def grant(interaction: Interaction, user_id: int) -> None:
        check_admin(interaction)
        amount = line("amount", _("Credits; they don't expire"), "50", 12, needed=True)
        reason = line("reason", _("Reason, for the audit log"))
        form = ask(_("Give credits"), Action.GRANT, user_id, amount, reason)
        await interaction.client.forms.send(interaction, form)

    @client.on_modal(Action.GRANT)
    async def granted(interaction: Interaction, user_id: int) -> None:
        by, said = check_admin(interaction), modals.answers(interaction)
        amount_mc = credits_mc(said.get("amount", ""), low=0.001)
        await app.credits.grant(by, user_id, amount_mc, said.get("reason", ""), str(interaction.id))
        await show(
            interaction, user_id, _("Gave {credits} to <@{user}>.", credits=credits_text(amount_mc), user=user_id)
        )


def _install_bans(client: Client, app: Services, show: Show) -> None:
    @client.on_button(Action.BAN)
    async def ban(interaction: Interaction, user_id: int) -> None:
        check_moderator(interaction)
        until = line("until", _("Until"), "7d", 20, hint=_("12h, 7d or 2027-01-31; empty: never ends"))
        reason = line("reason", _("Reason, shown to them"), "", 300)
        await interaction.client.forms.send(interaction, ask(_("Ban a member"), Action.BAN, user_id, until, reason))

    @client.on_modal(Action.BAN)
    async def banned(interaction: Interaction, user_id: int) -> None:
        await show(interaction, user_id, await _ban(app, interaction, user_id))

    @client.on_button(Action.UNBAN)
    async def unban(interaction: Interaction, user_id: int) -> None:
        by = check_moderator(interaction)
        await app.moderation.unban(by, by.guild_id, user_id)
        await show(interaction, user_id, _("<@{user}> can use Easel again.", user=user_id))


async def _parts(app: Services, interaction: Interaction) -> list[Any]:
    bans = await app.moderation.bans(interaction.guild_id or 0)
    lines = [views.ban_line(ban) for ban in bans[:MOST_SHOWN]]
    lines += [_("-# … and {n} more: /admin ban", n=len(bans) - MOST_SHOWN)] if len(bans) > MOST_SHOWN else []
    listed = "\n".join(lines) or _("No one is banned here.")
    return [_select(), TextDisplay(_("**Banned**\n{listed}", listed=listed))]


async def _member_parts(app: Services, interaction: Interaction, user_id: int) -> list[Any]:
    """One member, under the page's name; what they have and may do is for admins."""
    by = check_moderator(interaction)
    active = await app.jobs.active(user_id, by.guild_id)
    ban = next((ban for ban in await app.moderation.bans(by.guild_id) if ban.user_id == user_id), None)
    lines = [
        f"### <@{user_id}>",
        _("**Active jobs** {n}", n=len(active)),
        _("**Banned** {ban}", ban=views.ban_line(ban)) if ban else _("Not banned"),
    ]
    row = [button(Action.PICTURES, user_id, _("Images …"))]
    row.append(
        button(Action.UNBAN, user_id, _("Unban")) if ban else button(Action.BAN, user_id, _("Ban …"), danger=True)
    )
    if by.may_administer:
        lines[1:1] = await _wealth(app, interaction, user_id)
        row.insert(0, button(Action.GRANT, user_id, _("Give credits …")))
    return [_select(), TextDisplay("\n".join(lines)), buttons(*row)]


async def _wealth(app: Services, interaction: Interaction, user_id: int) -> list[str]:
    terms = await _terms(app.quotas, interaction, user_id)
    balance = await app.credits.balance(user_id, interaction.guild_id or 0, terms)
    return [
        _(
            "**Credits** {free} free, {paid} granted or bought",
            free=credits_text(balance.free_mc),
            paid=credits_text(balance.paid_mc),
        ),
        _("**Limits** {limits}", limits=terms_text(terms)),
    ]


async def _terms(quotas: Quotas, interaction: Interaction, user_id: int) -> Terms:
    """What this member is allowed here, with their roles."""
    guild = interaction.guild
    member = await _member(guild, user_id) if guild is not None else None
    roles = frozenset(role.id for role in member.roles) if isinstance(member, discord.Member) else frozenset()
    actor = Actor(
        user_id=user_id, guild_id=interaction.guild_id or 0, channel_id=interaction.channel_id or 0, role_ids=roles
    )
    return await quotas.terms(actor)


def _select() -> Any:
    return row_of(Select.person(SelectId(Action.PERSON, 0), _("Choose a member")))


async def _ban(app: Services, interaction: Interaction, user_id: int) -> str:
    """Raises: BadInput, NotYours."""
    by, said = check_moderator(interaction), modals.answers(interaction)
    if interaction.guild is not None:
        check_bannable(interaction, await _member(interaction.guild, user_id))
    until_ms = ends_at_ms(said.get("until", ""), app.clock.now_ms())
    ban = await app.moderation.ban(by, by.guild_id, user_id, said.get("reason", ""), until_ms)
    return _("Banned: {ban}", ban=views.ban_line(ban))


async def _member(guild: discord.Guild, user_id: int) -> discord.Member | discord.Object:
    """The member, if they are one: without the members intent they have to be fetched."""
    try:
        return guild.get_member(user_id) or await guild.fetch_member(user_id)
    except discord.NotFound:
        return discord.Object(user_id)
