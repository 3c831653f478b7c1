"""/admin quota, grant and take: how much whom is allowed, and credits by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.delivery import layouts
from bot.errors import BadInput
from bot.features.credits import views
from bot.kit.checks import check_admin, guarded
from bot.kit.client import Client, Interaction
from bot.kit.components import notice
from bot.ledger.records import Quota, QuotaChange
from bot.ledger.terms import default_quota, overlaid
from bot.orders import drafts
from bot.orders.actor import Actor
from bot.prompt.durations import ends_at_ms
from bot.prompt.text import quoted
from engine.tasks.txt2img import MAX_STEPS

MOST_CREDITS = 1_000_000
MOST_PIXELS = 8192 * 8192
OPTIONS = {
    "role": "Whom it is for; of several roles the most generous counts, field by field",
    "user": "Instead: one person, whatever their roles say",
    "until": "With user: how long, such as 12h, 7d or 2027-01-31; without, for good",
    "credits_a_day": "Free credits a day",
    "credits_a_month": "Instead: free credits a month",
    "max_running": "Jobs that may be painted at once",
    "max_queued": "Jobs that may wait or be painted at once",
    "max_pixels": "Largest picture: width times height",
    "max_steps": "Most steps of a picture",
    "models": "Models that may be used, separated by commas; * for all",
    "loras": "LoRAs that may be used, separated by commas; * for all, none for none",
    "weight": "Share of the queue against others; 1 is normal",
    "relax": "Without credits: paint for nothing, more slowly",
    "server_credits_a_day": "What all members together may spend a day; 0 = no cap",
    "gifts_a_day": "Credits a member may give away a day with /gift; 0 = /gift is off",
    "clear": "Forget what was set for this role or person, or for the server",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What /admin quota was called with, but for the quota itself."""

    role: discord.Role | None
    user: discord.User | discord.Member | None
    until: str
    clear: bool
    quota: Quota
    cap: int | None
    gifts: int | None


def install(client: Client, group: app_commands.Group) -> None:
    """Add the subcommands to /admin."""
    _quota(group)
    _by_hand(group)


def _quota(group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(**OPTIONS)
    @guarded
    async def quota(
        interaction: discord.Interaction[Client],
        role: discord.Role | None = None,
        user: discord.User | None = None,
        until: Range[str, 0, 20] = "",
        credits_a_day: Range[int, 0, MOST_CREDITS] | None = None,
        credits_a_month: Range[int, 0, MOST_CREDITS] | None = None,
        max_running: Range[int, 1, 64] | None = None,
        max_queued: Range[int, 1, 1000] | None = None,
        max_pixels: Range[int, 4096, MOST_PIXELS] | None = None,
        max_steps: Range[int, 1, MAX_STEPS] | None = None,
        models: Range[str, 0, 1000] | None = None,
        loras: Range[str, 0, 1000] | None = None,
        weight: Range[float, 0.1, 100.0] | None = None,
        relax: bool | None = None,
        server_credits_a_day: Range[int, 0, MOST_CREDITS] | None = None,
        gifts_a_day: Range[int, 0, MOST_CREDITS] | None = None,
        clear: bool = False,
    ) -> None:
        """See or change how much members may paint here."""
        amount, period = _allowance(credits_a_day, credits_a_month)
        said = Quota(
            allowance_mc=amount,
            period=period,
            max_running=max_running,
            max_queued=max_queued,
            max_pixels=max_pixels,
            max_steps=max_steps,
            models=read_models(interaction, models),
            loras=_read_loras(interaction, loras),
            weight=weight,
            relax=relax,
        )
        asked = Asked(
            role=role, user=user, until=until, clear=clear, quota=said, cap=server_credits_a_day, gifts=gifts_a_day
        )
        await _answer(interaction, asked)

    @quota.autocomplete("models")
    async def model_names(interaction: Interaction, typed: str) -> list[Choice[str]]:
        """The list so far with one more model."""
        *before, last = typed.split(",")
        keys = [info.key for info in interaction.client.studio.backend.models() if last.strip().lower() in info.key]
        return [Choice(name=name[:100], value=name[:100]) for key in keys[:25] if (name := ",".join([*before, key]))]


def _allowance(day: int | None, month: int | None) -> tuple[int | None, Any]:
    """(millicredits, period). Raises: BadInput."""
    if day is not None and month is not None:
        raise BadInput("Free credits come by the day or by the month. Use credits_a_day or credits_a_month, not both.")
    if day is not None:
        return day * 1000, "day"
    return (None, None) if month is None else (month * 1000, "month")


def read_models(interaction: Interaction, text: str | None) -> frozenset[str] | None:
    """The models' keys. Raises: BadInput."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = interaction.client.studio.backend.models()
    found = frozenset("*" if name == "*" else drafts.find_model(known, name).key for name in names)
    if not found:
        raise BadInput("Name at least one model, or * for all.")
    return found


def _read_loras(interaction: Interaction, text: str | None) -> frozenset[str] | None:
    """The LoRAs' keys. Raises: BadInput."""
    if text is None or text.strip().casefold() == "none":
        return None if text is None else frozenset()
    known = {key.casefold(): key for info in interaction.client.studio.backend.models() for key in info.loras}
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name != "*" and name.casefold() not in known]
    if unknown or not names:
        there = ", ".join(known.values()) or "none yet"
        raise BadInput(f"There is no LoRA {quoted(', '.join(unknown))}. Name some of these, or * for all: {there}.")
    return frozenset(known.get(name.casefold(), name) for name in names)


async def _answer(interaction: Interaction, asked: Asked) -> None:
    by, changes = check_admin(interaction), asked.quota != Quota()
    if asked.role and asked.user:
        raise BadInput("A quota is for a role or for a person. Leave one of them out.")
    if (asked.cap is not None or asked.gifts is not None) and (asked.role or asked.user or changes):
        raise BadInput("What holds for the whole server is set alone: leave role, user and the other options out.")
    if asked.role or asked.user:
        text = await (_change(interaction, by, asked) if changes or asked.clear else _one(interaction, asked))
    elif changes:
        raise BadInput("Say for whom: choose a role (@everyone for all) or a user.")
    elif asked.clear or asked.cap is not None or asked.gifts is not None:
        text = await _budget(interaction, by, asked)
    else:
        text = await _all(interaction, by)
    await interaction.response.send_message(view=notice(text), ephemeral=True)


async def _change(interaction: Interaction, by: Actor, asked: Asked) -> str:
    """Lay what was said over what held; the answer says what changed."""
    studio = interaction.client.studio
    if asked.until and not asked.user:
        raise BadInput("Only a person's quota has an end. Leave until out, or choose a user.")
    until_ms = ends_at_ms(asked.until, studio.clock.now_ms(), "A quota")
    before, kept_until_ms = await _said(interaction, asked)
    until_ms = until_ms or kept_until_ms
    quota = None if asked.clear else overlaid(before, asked.quota)
    change = QuotaChange(
        role_id=asked.role.id if asked.role else 0,
        user_id=asked.user.id if asked.user else 0,
        quota=quota,
        said=asked.quota,
        until_ms=until_ms if asked.user else None,
    )
    await studio.quotas.set_quota(by, change)
    if quota is None:
        return f"Forgotten for {_name(by, asked)}. {views.FALLBACK}"
    return (
        f"Changed for {_name(by, asked)}: {views.quota_text(asked.quota, until_ms)}\n{await _one(interaction, asked)}"
    )


async def _said(interaction: Interaction, asked: Asked) -> tuple[Quota, int | None]:
    """What is set for this role or person now."""
    server = await interaction.client.studio.quotas.server(interaction.guild_id or 0)
    if asked.user:
        return server.people.get(asked.user.id, (Quota(), None))
    return server.roles.get(asked.role.id if asked.role else 0, Quota()), None


async def _one(interaction: Interaction, asked: Asked) -> str:
    """What is set for one role or person, and what a person comes to."""
    quota, until_ms = await _said(interaction, asked)
    by = check_admin(interaction)
    lines = [f"**{_name(by, asked)}**: {views.quota_text(quota, until_ms)}"]
    if isinstance(asked.user, discord.Member):
        roles = frozenset(role.id for role in asked.user.roles)
        member = Actor(user_id=asked.user.id, guild_id=by.guild_id, channel_id=by.channel_id, role_ids=roles)
        lines.append(f"With their roles: {views.terms_text(await interaction.client.studio.quotas.terms(member))}")
    return "\n".join(lines)


async def _all(interaction: Interaction, by: Actor) -> str:
    """Everything that is set in this server."""
    studio = interaction.client.studio
    server = await studio.quotas.server(by.guild_id)
    return views.server_text(server, default_quota(studio.settings), by.guild_id, studio.clock.now_ms())


async def _budget(interaction: Interaction, by: Actor, asked: Asked) -> str:
    studio = interaction.client.studio
    before = await studio.quotas.server(by.guild_id)
    cap, gifts = before.cap_mc, before.gifts_mc
    if asked.cap is not None or asked.clear:
        cap = (asked.cap or 0) * 1000 or None
    if asked.gifts is not None or asked.clear:
        gifts = (asked.gifts or 0) * 1000 or None
    await studio.quotas.set_budget(by, cap, gifts)
    return "Changed.\n" + views.budget_text(await studio.quotas.server(by.guild_id))


def _name(by: Actor, asked: Asked) -> str:
    if asked.role:
        return "everyone" if asked.role.id == by.guild_id else f"<@&{asked.role.id}>"
    return f"<@{asked.user.id}>" if asked.user else "the server"


# ---------------------------------------------------------------- credits by hand
def _by_hand(group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(user="Who gets them", amount="Credits; they do not expire", reason="For the audit log")
    @guarded
    async def grant(
        interaction: discord.Interaction[Client],
        user: discord.User,
        amount: Range[float, 0.001, 1e6],
        reason: Range[str, 0, 150] = "",
    ) -> None:
        """Give somebody credits."""
        _check_person(user)
        amount_mc, by, studio = round(amount * 1000), check_admin(interaction), interaction.client.studio
        await studio.credits.grant(by, user.id, amount_mc, reason, str(interaction.id))
        await _answer_with_balance(interaction, by, user, f"Granted: {layouts.credits_text(amount_mc)}.", "now has")

    @group.command()
    @app_commands.describe(
        user="Who loses them", amount="Credits; never more than there are", reason="For the audit log"
    )
    @guarded
    async def take(
        interaction: discord.Interaction[Client],
        user: discord.User,
        amount: Range[float, 0.001, 1e6],
        reason: Range[str, 0, 150] = "",
    ) -> None:
        """Take back credits that were granted, given or bought for this server."""
        _check_person(user)
        amount_mc, by, studio = round(amount * 1000), check_admin(interaction), interaction.client.studio
        await studio.credits.take(by, user.id, amount_mc, reason, str(interaction.id))
        await _answer_with_balance(interaction, by, user, f"Taken: {layouts.credits_text(amount_mc)}.", "has left")


def _check_person(user: discord.User | discord.Member) -> None:
    if user.bot:
        raise BadInput(f"{quoted(user.display_name)} is a bot. Credits are for people.")


async def _answer_with_balance(interaction: Interaction, by: Actor, user: discord.User, done: str, verb: str) -> None:
    balance = await interaction.client.studio.credits.balance(user.id, by.guild_id)
    text = f"{done} <@{user.id}> {verb} {layouts.credits_text(balance.paid_mc)} besides the free ones."
    await interaction.response.send_message(view=notice(text), ephemeral=True)
