"""Messages about moderation: bans, words, rules, pauses, appeals. Pure; everything written is shown harmlessly."""

from __future__ import annotations

from collections.abc import Sequence

from discord.ui import LayoutView

from bot.features.moderation.service import REASON
from bot.features.moderation.store import Appeal, Ban, BlockedWord, Pause, Rules
from bot.kit.button import Button
from bot.kit.components import notice
from bot.kit.custom_ids import Action, ButtonId
from bot.prompt.text import shown

WORD_ACTIONS = {"block": "refused", "age": "allowed in age-restricted channels only", "flag": "noted in the audit log"}
MODES = {
    "pause": "isn't taking new jobs or starting queued ones",
    "drain": "isn't taking new jobs, and is finishing queued ones",
    "notice": "works as usual and shows a notice",
}


def ban_line(ban: Ban) -> str:
    until = f" until <t:{ban.until_ms // 1000}:f>" if ban.until_ms else ""
    reason = f": {shown(ban.reason, REASON)}" if ban.reason else ""
    return f"<@{ban.user_id}>{until}, by <@{ban.actor_id}>{reason}"


def word_line(word: BlockedWord) -> str:
    where = (f" · list {shown(word.source, 100)}" if word.source else "") + (
        " · everywhere" if word.guild_id == 0 else ""
    )
    return f"{shown(word.word, 200)} · {WORD_ACTIONS[word.action]}{where}"


def list_line(name: str, action: str) -> str:
    """A shared list that holds here."""
    return f"list **{shown(name, 100)}** · {WORD_ACTIONS[action]}"


def rules_text(rules: Rules, pauses: Sequence[Pause]) -> str:
    """Return a server's rules and pauses, one a line."""
    places = ", ".join(f"<#{channel}>" for channel in sorted(rules.allowed)[:40])
    lines = [
        f"**Easel works** in {places or 'every channel where members can use its commands'}",
        "**Age-restricted channels** only" if rules.age_only else "Channels don't have to be age-restricted",
        f"**Gallery** <#{rules.gallery_channel}>, from {rules.stars} ⭐" if rules.gallery_channel else "No gallery",
        f"**Audit** and appeals in <#{rules.audit_channel}>" if rules.audit_channel else "No audit channel, no appeals",
        f"**Moderators** are <@&{rules.moderator_role}> and people with **Manage Server**"
        if rules.moderator_role
        else "**Moderators** are people with **Manage Server**",
        "**Flagged images** are posted as spoilers in age-restricted channels, and withheld elsewhere"
        if rules.spoiler
        else "**Flagged images** are withheld",
        "**Mentions** of Easel paint and edit" if rules.answers_mentions else "**Mentions** of Easel do nothing",
        *(f"**Now** {pause_line(pause)}" for pause in pauses),
    ]
    return "\n".join(lines)


def pause_line(pause: Pause) -> str:
    where = "every server" if pause.guild_id == 0 else "this server"
    said = f": {shown(pause.sentence, 500)}" if pause.sentence else ""
    return f"Easel {MODES[pause.mode]} in {where}{said}"


def approval_line(approved: Appeal) -> str:
    """Which prompt of whom was approved, by whom and when."""
    when = f", <t:{approved.decided_ms // 1000}:R>" if approved.decided_ms else ""
    by = f"<@{approved.actor_id}>" if approved.actor_id else "someone who left"
    return f"#{approved.id} <@{approved.user_id}>: {shown(approved.prompt, 120)}, by {by}{when}"


def appeal_buttons(appeal_id: int) -> list[Button]:
    """What decides an appeal."""
    yes = Button(ButtonId(Action.APPROVE, appeal_id), "Approve", emoji="✅")
    return [yes, Button(ButtonId(Action.DENY, appeal_id), "Deny", emoji="🚫")]


def appeal(asked: Appeal) -> LayoutView:
    """Return an appeal for the admins to decide, or who decided it."""
    text = (
        f"**Appeal** by <@{asked.user_id}> against the rule {shown(asked.rule, 150)}\n"
        f"{shown(asked.prompt, 2500)}\n-# If you approve, this member can use this exact prompt."
    )
    if asked.state != "open":
        return notice(f"{text}\n**{asked.state.capitalize()}** by <@{asked.actor_id}>")
    return notice(text, *appeal_buttons(asked.id))
