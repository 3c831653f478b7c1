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

WORD_ACTIONS = {"block": "refused", "age": "only in age-restricted channels", "flag": "noted in the audit log"}
MODES = {
    "pause": "takes no new jobs and starts none that wait",
    "drain": "takes no new jobs and finishes those that wait",
    "notice": "works, and tells everybody",
}


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


def appeal(asked: Appeal) -> LayoutView:
    """An appeal for those who decide; once decided, by whom."""
    text = (
        f"**Appeal** of <@{asked.user_id}> against the rule {shown(asked.rule, 150)}\n"
        f"{shown(asked.prompt, 2500)}\n-# Approving lets this person use exactly this prompt."
    )
    if asked.state != "open":
        return notice(f"{text}\n**{asked.state.capitalize()}** by <@{asked.actor_id}>")
    yes = Button(ButtonId(Action.APPROVE, asked.id), "Approve", emoji="✅")
    no = Button(ButtonId(Action.DENY, asked.id), "Deny", emoji="🚫")
    return notice(text, yes, no)
