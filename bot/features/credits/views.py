"""Quotas, terms, balances and the ledger's lines in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from discord.ui import Item, LayoutView, Separator, TextDisplay

from bot.delivery.layouts import credits_text
from bot.kit.components import ACCENT, view
from bot.ledger.records import Balance, Entry, Quota, ServerQuotas
from bot.ledger.terms import Terms, overlaid
from bot.prompt.text import shown

FALLBACK = "The roles, or else what holds for everyone, count again."
ROOM = 3300  # characters; a message holds 4,000
BAR = 12
NOTHING = "Nothing yet. Try **/imagine** a red boat."
REASONS = {
    "price": "set aside for",
    "pictures": "pictures of",
    "refund": "given back for",
    "expired": "free credits that were left over",
    "gift": "a gift",
}


def quota_text(quota: Quota, until_ms: int | None = None) -> str:
    """What a quota says, in a line."""
    parts = [
        None if quota.allowance_mc is None else f"{credits_text(quota.allowance_mc)} a {quota.period}",
        None if quota.max_running is None else f"{quota.max_running} painted at once",
        None if quota.max_queued is None else f"{quota.max_queued} on their way",
        None if quota.max_pixels is None else f"up to {quota.max_pixels:,} pixels",
        None if quota.max_steps is None else f"up to {quota.max_steps} steps",
        None if quota.models is None else _list_text("models", quota.models),
        None if quota.loras is None else _list_text("LoRAs", quota.loras),
        None if quota.weight is None else f"weight {quota.weight:g}",
        None if quota.relax is None else f"relax lane {'on' if quota.relax else 'off'}",
    ]
    text = " · ".join(part for part in parts if part) or "nothing set"
    return text + (f" · until <t:{until_ms // 1000}:f>" if until_ms else "")


def terms_text(terms: Terms) -> str:
    """What somebody may do, in a line."""
    return quota_text(
        Quota(
            allowance_mc=terms.allowance_mc,
            period=terms.period,
            max_running=terms.max_running,
            max_queued=terms.max_queued,
            max_pixels=terms.max_pixels,
            max_steps=terms.max_steps,
            models=terms.models,
            loras=terms.loras,
            weight=terms.weight,
            relax=terms.relax,
        )
    )


def _list_text(what: str, names: frozenset[str]) -> str:
    if not names:
        return f"no {what}"
    return f"all {what}" if "*" in names else f"{what} " + ", ".join(shown(name, 80) for name in sorted(names))


def server_text(server: ServerQuotas, default: Quota, guild_id: int, now_ms: int) -> str:
    """Everything that a server set, the newest ends first to be cut."""
    everyone = overlaid(default, server.roles.get(guild_id, Quota()))
    lines = [f"**Everyone**: {quota_text(everyone)}"]
    lines += [f"<@&{role}>: {quota_text(quota)}" for role, quota in server.roles.items() if role != guild_id]
    lines += [
        f"<@{person}>: {quota_text(quota, until_ms)}"
        for person, (quota, until_ms) in server.people.items()
        if until_ms is None or until_ms > now_ms
    ]
    lines += [budget_text(server), "-# Of several roles the most generous counts, field by field; a person's own wins."]
    text = "\n".join(lines)
    return text if len(text) <= ROOM else text[:ROOM].rsplit("\n", 1)[0] + "\n-# … and more"


def budget_text(server: ServerQuotas) -> str:
    cap = f"**The whole server** may spend {credits_text(server.cap_mc)} a day" if server.cap_mc else "No cap a day"
    gifts = f"/gift: up to {credits_text(server.gifts_mc)} a day" if server.gifts_mc else "/gift is off"
    return f"{cap} · {gifts}"


# ---------------------------------------------------------------- /credits
def credits_view(balance: Balance, terms: Terms, entries: Sequence[Entry], costs: str, on_their_way: int) -> LayoutView:
    """One's own account: what is left, what things cost, what happened last."""
    parts: list[Item[LayoutView]] = [
        TextDisplay(_left(balance, terms, on_their_way)),
        Separator(),
        TextDisplay(f"**What things cost**\n{costs}"),
    ]
    parts += [
        Separator(),
        TextDisplay("\n".join(["**Lately**", *(map(entry_line, entries) if entries else [NOTHING])])),
    ]
    parts += [Separator(), TextDisplay(f"-# Here you may have: {terms_text(terms)}")]
    return view(parts, ACCENT)


def _left(balance: Balance, terms: Terms, on_their_way: int) -> str:
    lines = [f"## {credits_text(balance.free_mc + balance.paid_mc)}"]
    if terms.allowance_mc:
        share = min(1.0, balance.free_mc / terms.allowance_mc)
        bar = "▰" * round(share * BAR) + "▱" * (BAR - round(share * BAR))
        free = f"{credits_text(balance.free_mc).split()[0]} of {credits_text(terms.allowance_mc)}"
        lines.append(f"{bar} {free} free this {terms.period}, new ones <t:{balance.renews_at_ms // 1000}:R>")
    if balance.paid_mc:
        lines.append(f"{credits_text(balance.paid_mc)} that stay, used after the free ones")
    if on_their_way:
        jobs = "1 job" if on_their_way == 1 else f"{on_their_way} jobs"
        lines.append(f"{credits_text(balance.reserved_mc)} set aside for {jobs} on the way")
    if terms.relax:
        lines.append("Without credits you go on in the relax lane: free, and slower.")
    return "\n".join(lines)


def entry_line(entry: Entry) -> str:
    """A line of somebody's account."""
    amount = credits_text(abs(entry.amount_mc)).split()[0]
    what = REASONS.get(entry.reason, shown(entry.reason, 100))
    job = f" job #{entry.job_id}" if entry.job_id else ""
    return f"`{'+' if entry.amount_mc > 0 else '-'}{amount}` {what}{job} · <t:{entry.at_ms // 1000}:R>"
