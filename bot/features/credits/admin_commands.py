"""/admin quota, grant and take: what members are allowed, and credits by hand."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.errors import BadInput
from bot.features.credits import panel_members, panel_quotas, views
from bot.features.credits.names import LoadedNames
from bot.features.credits.records import QuotaChange
from bot.features.credits.service import Credits, Quotas
from bot.features.moderation.service import Moderation
from bot.jobs.service import Jobs
from bot.kit.admin_panel import AdminArea
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.languages.speech import _
from bot.ledger.amounts import credits_text
from bot.ledger.limit_kinds import Option
from bot.ledger.limits import MEMBER_LIMITS, SERVER_LIMITS, Budget, Quota
from bot.orders.actor import Actor
from bot.prompt.durations import ends_at_ms
from bot.prompt.text import quoted
from bot.store.clock import Clock
from engine.backend import Backend

Member: TypeAlias = discord.User | discord.Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What /admin quota was called with."""

    role: discord.Role | None
    user: Member | None
    until: str
    clear: bool
    quota: Quota
    budget: Budget

    @property
    def name(self) -> str:
        if self.role:
            return _("everyone") if self.role.is_default() else f"<@&{self.role.id}>"
        return f"<@{self.user.id}>" if self.user else _("the server")


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    clock: Clock
    credits: Credits
    jobs: Jobs
    moderation: Moderation
    quotas: Quotas


def install(client: Client, area: AdminArea, app: Services) -> None:
    """Add the subcommands of /admin and the pages of its panel."""
    names = LoadedNames(app.backend.models)
    _quota(area.group, app.quotas, names, app.clock)
    _grant(area.group, app.credits)
    _take(area.group, app.credits)
    panel_quotas.install(client, area.panel, quotas=app.quotas, names=names, clock=app.clock)
    panel_quotas.install_limits(client, area.panel, quotas=app.quotas, names=names)
    panel_members.install(client, area.panel, app)


# ---------------------------------------------------------------- quotas
def _quota(group: app_commands.Group, quotas: Quotas, names: LoadedNames, clock: Clock) -> None:
    async def quota(interaction: discord.Interaction[Client], /, **given: Any) -> None:
        """See or change how much members can generate here."""
        asked = Asked(
            role=given.get("role"),
            user=given.get("user"),
            until=given.get("until", ""),
            clear=given.get("clear", False),
            quota=Quota.from_options(given, names),
            budget=Budget.from_options(given, names),
        )
        text = await _outcome(quotas, clock, check_admin(interaction), asked)
        await interaction.response.send_message(view=notice(text), ephemeral=True)

    quota.__signature__ = inspect.Signature(list(_parameters()))  # type: ignore[attr-defined]  # what discord.py reads
    command: app_commands.Command[Any, ..., Any] = group.command()(
        app_commands.describe(**_descriptions())(guarded(quota))
    )

    @command.autocomplete("models")
    async def model_names(_interaction: Interaction, typed: str) -> list[Choice[str]]:
        """The list so far with one more model."""
        return [Choice(name=name[:100], value=name[:100]) for name in names.matching(typed)[:25]]


def _limit_options() -> dict[str, Option]:
    """An option or two for each row of the table."""
    rows = (*MEMBER_LIMITS.values(), *SERVER_LIMITS.values())
    return {name: option for row in rows for name, option in row.options.items()}


def _descriptions() -> dict[str, str]:
    return {
        "role": "Who it's for; members with several roles get the most generous value of each limit",
        "user": "Instead: one member, whatever their roles say",
        "until": "With user: when it ends, such as 12h, 7d or 2027-01-31; leave out for never",
        **{name: option.text for name, option in _limit_options().items()},
        "clear": "Forget what was set for this role or member, or for the server",
    }


def _parameters() -> Iterator[inspect.Parameter]:
    """Of /admin quota: who it's for, an option or two for each row of the table, and `clear`."""
    yield inspect.Parameter("interaction", inspect.Parameter.POSITIONAL_ONLY, annotation=discord.Interaction[Client])
    yield _parameter("role", discord.Role | None, None)
    yield _parameter("user", discord.User | None, None)
    yield _parameter("until", Range[str, 0, 20], "")
    for name, option in _limit_options().items():
        yield _parameter(name, _annotation(option) | None, None)
    yield _parameter("clear", bool, False)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _annotation(option: Option) -> Any:
    return bool if option.kind is bool else Range[option.kind, option.kind(option.low), option.kind(option.high)]


async def _outcome(quotas: Quotas, clock: Clock, by: Actor, asked: Asked) -> str:
    """Do what was asked and say what holds now. Raises: BadInput."""
    changes, server_wide = asked.quota != Quota(), asked.budget != Budget()
    if asked.role and asked.user:
        raise BadInput("A quota is for a role or for a member. Leave one of them out.")
    if server_wide and (asked.role or asked.user or changes):
        raise BadInput("Limits for the whole server can't be combined with other options. Set them on their own.")
    if asked.role or asked.user:
        if changes or asked.clear:
            return await _change(quotas, clock, by, asked)
        return await _one(quotas, by, asked)
    if changes:
        raise BadInput("Say who it's for: choose a role (@everyone for all) or a user.")
    if asked.clear or server_wide:
        budget = Budget() if asked.clear else (await quotas.server(by.guild_id)).budget
        await quotas.set_budget(by, budget.overlaid(asked.budget))
        return _("Changed.") + "\n" + views.budget_text(await quotas.server(by.guild_id))
    return views.server_text(await quotas.server(by.guild_id), quotas.default, by.guild_id, clock.now_ms())


async def _change(quotas: Quotas, clock: Clock, by: Actor, asked: Asked) -> str:
    """Set the options that were given; the answer says what changed. Raises: BadInput."""
    if asked.until and not asked.user:
        raise BadInput("Only a member's quota can end. Leave out until, or choose a user.")
    until_ms = ends_at_ms(asked.until, clock.now_ms(), "A quota")
    before, kept_until_ms = await _current(quotas, by, asked)
    change = QuotaChange(
        role_id=asked.role.id if asked.role else 0,
        user_id=asked.user.id if asked.user else 0,
        quota=None if asked.clear else before.overlaid(asked.quota),
        said=asked.quota,
        until_ms=until_ms or kept_until_ms,
    )
    await quotas.set_quota(by, change)
    if asked.clear:
        return _("Cleared for {name}. {fallback}", name=asked.name, fallback=_(views.FALLBACK))
    said = views.quota_text(asked.quota, change.until_ms)
    changed = _("Changed for {name}: {said}", name=asked.name, said=said)
    return f"{changed}\n{await _one(quotas, by, asked)}"


async def _current(quotas: Quotas, by: Actor, asked: Asked) -> tuple[Quota, int | None]:
    """What is set for this role or member now, and when it ends."""
    server = await quotas.server(by.guild_id)
    if asked.user:
        return server.people.get(asked.user.id, (Quota(), None))
    return server.roles.get(asked.role.id if asked.role else 0, Quota()), None


async def _one(quotas: Quotas, by: Actor, asked: Asked) -> str:
    """What is set for one role or member, and what a member comes to."""
    quota, until_ms = await _current(quotas, by, asked)
    lines = [f"**{asked.name}**: {views.quota_text(quota, until_ms)}"]
    if isinstance(asked.user, discord.Member):
        roles = frozenset(role.id for role in asked.user.roles)
        member = Actor(user_id=asked.user.id, guild_id=by.guild_id, channel_id=by.channel_id, role_ids=roles)
        lines.append(_("With their roles: {limits}", limits=views.terms_text(await quotas.terms(member))))
    return "\n".join(lines)


# ---------------------------------------------------------------- credits by hand
def _grant(group: app_commands.Group, credits: Credits) -> None:
    @group.command()
    @app_commands.describe(user="Who gets them", amount="Credits; they don't expire", reason="For the audit log")
    @guarded
    async def grant(
        interaction: discord.Interaction[Client],
        user: discord.User,
        amount: Range[float, 0.001, 1e6],
        reason: Range[str, 0, 150] = "",
    ) -> None:
        """Give a member credits."""
        _check_human(user)
        by, amount_mc = check_admin(interaction), round(amount * 1000)
        await credits.grant(by, user.id, amount_mc, reason, str(interaction.id))
        await _answer(
            interaction,
            _(
                "Granted: {credits}. <@{user}> now has {paid} besides the free ones.",
                credits=credits_text(amount_mc),
                user=user.id,
                paid=credits_text((await credits.balance(user.id, by.guild_id)).paid_mc),
            ),
        )


def _take(group: app_commands.Group, credits: Credits) -> None:
    @group.command()
    @app_commands.describe(user="Who loses them", amount="Credits; at most what they have", reason="For the audit log")
    @guarded
    async def take(
        interaction: discord.Interaction[Client],
        user: discord.User,
        amount: Range[float, 0.001, 1e6],
        reason: Range[str, 0, 150] = "",
    ) -> None:
        """Take back credits that were granted, given or bought for this server."""
        _check_human(user)
        by, amount_mc = check_admin(interaction), round(amount * 1000)
        await credits.take(by, user.id, amount_mc, reason, str(interaction.id))
        await _answer(
            interaction,
            _(
                "Taken: {credits}. <@{user}> has left {paid} besides the free ones.",
                credits=credits_text(amount_mc),
                user=user.id,
                paid=credits_text((await credits.balance(user.id, by.guild_id)).paid_mc),
            ),
        )


def _check_human(user: Member) -> None:
    if user.bot:
        raise BadInput("{display_name} is a bot. Only people can have credits.", display_name=quoted(user.display_name))


async def _answer(interaction: Interaction, text: str) -> None:
    await interaction.response.send_message(view=notice(text), ephemeral=True)
