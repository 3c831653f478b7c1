"""Messages about moderation: lists, the audit log, appeals. Pure; all words are shown harmlessly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import discord
from discord.ui import ActionRow, Container, LayoutView, TextDisplay

from bot.delivery.layouts import credits_text
from bot.features.audit.store import AuditEntry
from bot.features.moderation.service import REASON
from bot.features.moderation.store import Appeal, Ban, BlockedWord, Pause, Rules
from bot.kit.button import Button
from bot.kit.components import ACCENT
from bot.kit.custom_ids import Action, ButtonId
from bot.prompt.text import shown

ROOM = 3500  # characters of one list; a message holds 4,000 in all
WORD_ACTIONS = {"block": "refused", "age": "only in age-restricted channels", "flag": "noted in the audit log"}
MODES = {
    "pause": "takes no new jobs and starts none that wait",
    "drain": "takes no new jobs and finishes those that wait",
    "notice": "works, and tells everybody",
}


def listing(title: str, lines: Iterable[str], empty: str) -> LayoutView:
    """A list, cut where a message ends."""
    shown_lines, room = [f"**{title}**"], ROOM
    rest = list(lines) or [empty]
    while rest and len(rest[0]) < room:
        room -= len(rest[0]) + 1
        shown_lines.append(rest.pop(0))
    if rest:
        shown_lines.append(f"-# … and {len(rest)} more")
    return view([TextDisplay("\n".join(shown_lines))])


def ban_line(ban: Ban) -> str:
    until = f" until <t:{ban.until_ms // 1000}:f>" if ban.until_ms else ""
    reason = f": {shown(ban.reason, REASON)}" if ban.reason else ""
    return f"<@{ban.user_id}>{until}, by <@{ban.actor_id}>{reason}"


def word_line(word: BlockedWord) -> str:
    where = " · everywhere" if word.guild_id == 0 else ""
    return f"{shown(word.word, 200)} · {WORD_ACTIONS[word.action]}{where}"


def rules_text(rules: Rules, pauses: Sequence[Pause]) -> str:
    """What holds in a server, a line each."""
    places = ", ".join(f"<#{channel}>" for channel in sorted(rules.allowed)[:40])
    lines = [
        f"**Easel paints** in {places or 'every channel where people may use its commands'}",
        "**Age-restricted channels** only" if rules.age_only else "Channels need not be age-restricted",
        f"**Gallery** <#{rules.gallery_channel}>, from {rules.stars} ⭐" if rules.gallery_channel else "No gallery",
        f"**Audit** and appeals in <#{rules.audit_channel}>" if rules.audit_channel else "No audit channel, no appeals",
        "**Flagged pictures** are posted as spoilers in age-restricted channels, else withheld"
        if rules.spoiler
        else "**Flagged pictures** are withheld",
        *(f"**Now** {pause_line(pause)}" for pause in pauses),
    ]
    return "\n".join(lines)


def pause_line(pause: Pause) -> str:
    where = "every server" if pause.guild_id == 0 else "this server"
    said = f": {shown(pause.sentence, 500)}" if pause.sentence else ""
    return f"Easel {MODES[pause.mode]} in {where}{said}"


def audit_line(entry: AuditEntry) -> str:
    """One act in a line or two: when, who, what, and its details."""
    who = f"<@{entry.actor_id}>" if entry.actor_id else "Easel"
    details = " · ".join(_detail(str(key), value) for key, value in entry.details.items() if value is not None)
    target = "" if entry.target == f"user:{entry.actor_id}" else _target(entry.target)
    what = f"-# #{entry.id} <t:{entry.at_ms // 1000}:f> {who} **{shown(entry.action, 50)}** {target}".rstrip()
    return f"{what}\n{details}" if details else what


def _detail(key: str, value: object) -> str:
    """One detail; ids, times and credits as people read them."""
    label = shown(key.removesuffix("_ms").removesuffix("_mc").replace("_", " "), 40)
    if not isinstance(value, int) or isinstance(value, bool):
        return f"{label}: {shown(str(value), 200)}"
    if key == "until_ms":
        return f"until <t:{value // 1000}:f>"
    if key.endswith("_mc"):
        return f"{label}: {credits_text(value)}"
    if key.endswith("channel"):
        return f"{label}: <#{value}>"
    return f"{label}: <@{value}>" if key == "owner" else f"{label}: {value}"


def _target(target: str) -> str:
    """People and channels as Discord shows them (nobody is pinged), all else as text."""
    kind, _, rest = target.partition(":")
    number = rest if rest.isdecimal() else ""
    return {"user": f"<@{number}>", "channel": f"<#{number}>", "role": f"<@&{number}>"}.get(
        kind if number else "", shown(target, 200)
    )


def appeal(asked: Appeal) -> LayoutView:
    """An appeal for those who decide; once decided, by whom."""
    text = (
        f"**Appeal** of <@{asked.user_id}> against the rule {shown(asked.rule, 150)}\n"
        f"{shown(asked.prompt, 2500)}\n-# Approving lets this person use exactly this prompt."
    )
    if asked.state != "open":
        return view([TextDisplay(f"{text}\n**{asked.state.capitalize()}** by <@{asked.actor_id}>")])
    yes = Button(ButtonId(Action.APPROVE, asked.id), "Approve", emoji="✅")
    no = Button(ButtonId(Action.DENY, asked.id), "Deny", emoji="🚫")
    return view([TextDisplay(text), ActionRow(*cast(tuple[Any, ...], (yes, no)))])


def view(parts: Sequence[discord.ui.Item[LayoutView]]) -> LayoutView:
    # never a timeout: a view that ends takes its button class out of the whole bot
    made = LayoutView(timeout=None)
    made.add_item(Container(*parts, accent_colour=ACCENT))
    return made
