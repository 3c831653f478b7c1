"""Quotas, terms, balances and the ledger's lines in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from discord.ui import Item, LayoutView, Separator, TextDisplay

from bot.features.credits.records import ServerQuotas
from bot.features.moderation.store import Pause
from bot.features.moderation.views import pause_line
from bot.kit.components import ACCENT, view
from bot.ledger.amounts import amount_text, credits_text
from bot.ledger.limits import SERVER_LIMITS, Quota, Terms, quota_of
from bot.ledger.records import Balance, Entry
from bot.prompt.text import shown

FALLBACK = "Their roles, or else the limits for everyone, apply again."
ROOM = 3300  # characters; a message holds 4,000
BAR = 12
NOTHING = "Nothing yet. Try **/imagine** a red boat."
REASONS = {
    "price": "reserved for",
    "pictures": "images of",
    "refund": "refunded for",
    "expired": "unused free credits",
    "gift": "a gift",
}


def quota_text(quota: Quota, until_ms: int | None = None) -> str:
    """What a quota sets, in a line."""
    text = " · ".join(quota.texts()) or "nothing set"
    return text + (f" · until <t:{until_ms // 1000}:f>" if until_ms else "")


def terms_text(terms: Terms) -> str:
    """What a member is allowed, in a line."""
    return quota_text(quota_of(terms))


def server_text(server: ServerQuotas, default: Quota, guild_id: int, now_ms: int) -> str:
    """Everything that a server has set; what is too long is cut at the end."""
    everyone = default.overlaid(server.roles.get(guild_id, Quota()))
    lines = [f"**Everyone**: {quota_text(everyone)}"]
    lines += [f"<@&{role}>: {quota_text(quota)}" for role, quota in server.roles.items() if role != guild_id]
    lines += [
        f"<@{person}>: {quota_text(quota, until_ms)}"
        for person, (quota, until_ms) in server.people.items()
        if until_ms is None or until_ms > now_ms
    ]
    lines += [
        budget_text(server),
        "-# Members with several roles get the most generous value of each limit; a member's own quota wins.",
    ]
    text = "\n".join(lines)
    return text if len(text) <= ROOM else text[:ROOM].rsplit("\n", 1)[0] + "\n-# … and more"


def budget_text(server: ServerQuotas) -> str:
    """What holds for the whole server, in a line."""
    values = server.budget.values
    return " · ".join(row.text(values.get(name, 0)) for name, row in SERVER_LIMITS.items())


# ---------------------------------------------------------------- /credits
def credits_view(
    balance: Balance,
    terms: Terms,
    entries: Sequence[Entry],
    costs: str,
    *,
    active: int,
    queued: int,
    pauses: Sequence[Pause],
) -> LayoutView:
    """A member's account: what is left, what things cost, what happened last, and what is running.

    `active` jobs are theirs, `queued` ones wait in the whole queue.
    """
    parts: list[Item[LayoutView]] = [
        TextDisplay(
            "\n".join([_left(balance, terms, active, queued), *(f"**{pause_line(each)}**" for each in pauses)])
        ),
        Separator(),
        TextDisplay(f"**What things cost**\n{costs}"),
    ]
    parts += [
        Separator(),
        TextDisplay("\n".join(["**Recent**", *(map(entry_line, entries) if entries else [NOTHING])])),
    ]
    parts += [Separator(), TextDisplay(f"-# Your limits here: {terms_text(terms)}")]
    return view(parts, ACCENT)


def _left(balance: Balance, terms: Terms, active: int, queued: int) -> str:
    lines = [f"## {credits_text(balance.free_mc + balance.paid_mc)}"]
    if terms.allowance_mc:
        share = min(1.0, balance.free_mc / terms.allowance_mc)
        bar = "▰" * round(share * BAR) + "▱" * (BAR - round(share * BAR))
        free = f"{amount_text(balance.free_mc)} of {credits_text(terms.allowance_mc)}"
        lines.append(f"{bar} {free} free this {terms.period}, new ones <t:{balance.renews_at_ms // 1000}:R>")
    if balance.paid_mc:
        lines.append(f"{credits_text(balance.paid_mc)} that don't expire, used after the free ones")
    if active:
        jobs = "1 active job" if active == 1 else f"{active} active jobs"
        lines.append(f"{credits_text(balance.reserved_mc)} reserved for {jobs}")
    if queued:
        lines.append(f"{queued} {'job waits' if queued == 1 else 'jobs wait'} in the whole queue")
    if terms.relax:
        lines.append("Once you run out, your jobs go to the relax lane: free, but slower.")
    return "\n".join(lines)


def entry_line(entry: Entry) -> str:
    """A line of a member's account."""
    amount = amount_text(abs(entry.amount_mc))
    what = REASONS.get(entry.reason, shown(entry.reason, 100))
    job = f" job #{entry.job_id}" if entry.job_id else ""
    return f"`{'+' if entry.amount_mc > 0 else '-'}{amount}` {what}{job} · <t:{entry.at_ms // 1000}:R>"
