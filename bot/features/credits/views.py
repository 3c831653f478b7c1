"""Quotas, terms, balances and the ledger's lines in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from discord.ui import Item, LayoutView, Separator, TextDisplay

from bot.features.credits.records import ServerQuotas
from bot.features.moderation.store import Pause
from bot.features.moderation.views import pause_line
from bot.kit.components import ACCENT, view
from bot.languages.speech import N_, _, ngettext
from bot.ledger import allowance, transfers
from bot.ledger.amounts import amount_text, credits_text
from bot.ledger.limits import SERVER_LIMITS, Quota, Terms, quota_of
from bot.ledger.records import Balance, Entry
from bot.prompt.text import shown

FALLBACK = N_("Their roles, or else the limits for everyone, apply again.")
ROOM = 3300  # characters; a message holds 4,000
BAR = 12
NOTHING = N_("Nothing yet. Try **/imagine** a red boat.")
REASONS = {
    "price": N_("reserved for"),
    "pictures": N_("images of"),
    "refund": N_("refunded for"),
    "expired": N_("unused free credits"),
    "gift": N_("a gift"),
    "granted": N_("granted by an admin"),  # on the command line
}
KEPT = (N_("granted by an admin"), N_("taken by an admin"), N_("bought on Discord"), transfers.GIVEN_BACK)
DATED = (allowance.GRANTED, allowance.RAISED)
"""Reasons that the ledger holds in English, without and with the period they are of."""


def quota_text(quota: Quota, until_ms: int | None = None) -> str:
    """What a quota sets, in a line."""
    text = " · ".join(quota.texts()) or _("nothing set")
    return text + (" · " + _("until {time}", time=f"<t:{until_ms // 1000}:f>") if until_ms else "")


def terms_text(terms: Terms) -> str:
    """What a member is allowed, in a line."""
    return quota_text(quota_of(terms))


def server_text(server: ServerQuotas, default: Quota, guild_id: int, now_ms: int) -> str:
    """Everything that a server has set; what is too long is cut at the end."""
    everyone = default.overlaid(server.roles.get(guild_id, Quota()))
    lines = [_("**Everyone**: {quota_text}", quota_text=quota_text(everyone))]
    lines += [f"<@&{role}>: {quota_text(quota)}" for role, quota in server.roles.items() if role != guild_id]
    lines += [
        f"<@{person}>: {quota_text(quota, until_ms)}"
        for person, (quota, until_ms) in server.people.items()
        if until_ms is None or until_ms > now_ms
    ]
    lines += [
        budget_text(server),
        _("-# Members with several roles get the most generous value of each limit; a member's own quota wins."),
    ]
    text = "\n".join(lines)
    return text if len(text) <= ROOM else text[:ROOM].rsplit("\n", 1)[0] + _("\n-# … and more")


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
        TextDisplay(_("**What things cost**\n{costs}", costs=costs)),
    ]
    parts += [
        Separator(),
        TextDisplay("\n".join([_("**Recent**"), *(map(entry_line, entries) if entries else [_(NOTHING)])])),
    ]
    parts += [Separator(), TextDisplay(_("-# Your limits here: {terms_text}", terms_text=terms_text(terms)))]
    return view(parts, ACCENT)


def _left(balance: Balance, terms: Terms, active: int, queued: int) -> str:
    lines = [f"## {credits_text(balance.free_mc + balance.paid_mc)}"]
    if terms.allowance_mc:
        share = min(1.0, balance.free_mc / terms.allowance_mc)
        bar = "▰" * round(share * BAR) + "▱" * (BAR - round(share * BAR))
        left, all_ = amount_text(balance.free_mc), credits_text(terms.allowance_mc)
        free = _("{left} of {all}", left=left, all=all_)
        when = f"<t:{balance.renews_at_ms // 1000}:R>"
        if terms.period == "day":
            lines.append(f"{bar} " + _("{free} free this day, new ones {when}", free=free, when=when))
        else:
            lines.append(f"{bar} " + _("{free} free this month, new ones {when}", free=free, when=when))
    if balance.paid_mc:
        lines.append(_("{paid} that don't expire, used after the free ones", paid=credits_text(balance.paid_mc)))
    if active:
        jobs = ngettext("1 active job", "{n} active jobs", active)
        lines.append(_("{reserved} reserved for {jobs}", reserved=credits_text(balance.reserved_mc), jobs=jobs))
    if queued:
        lines.append(ngettext("{n} job waits in the whole queue", "{n} jobs wait in the whole queue", queued))
    if terms.relax:
        lines.append(_("Once you run out, your jobs go to the relax lane: free, but slower."))
    return "\n".join(lines)


def entry_line(entry: Entry) -> str:
    """A line of a member's account."""
    amount = amount_text(abs(entry.amount_mc))
    job = " " + _("job #{job}", job=entry.job_id) if entry.job_id else ""
    return f"`{'+' if entry.amount_mc > 0 else '-'}{amount}` {_reason(entry.reason)}{job} · <t:{entry.at_ms // 1000}:R>"


def _reason(reason: str) -> str:
    """Why an account changed; what somebody wrote themselves stays as it is."""
    if reason in REASONS or reason in KEPT:
        return _(REASONS.get(reason, reason))
    for words in DATED:
        head = words.partition("{")[0]
        if reason.startswith(head):
            return _(words, period=shown(reason.removeprefix(head), 20))
    return shown(reason, 100)
