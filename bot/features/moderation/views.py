"""Messages about moderation: bans, words, rules, pauses, appeals. Pure; everything written is shown harmlessly."""

from __future__ import annotations

from collections.abc import Sequence

from discord.ui import LayoutView

from bot.features.moderation.service import REASON
from bot.features.moderation.store import Appeal, Ban, BlockedWord, Pause, Rules
from bot.kit.button import Button
from bot.kit.components import notice
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import N_, _
from bot.prompt.text import shown

WORD_ACTIONS = {
    "block": N_("refused"),
    "age": N_("allowed in age-restricted channels only"),
    "flag": N_("noted in the audit log"),
}
ALWAYS = N_("sexual content with minors · always refused")
ADDED = N_("Added: {word}. Prompts with it are {rule}.")
MODES = {
    "pause": (
        N_("Easel isn't taking new jobs or starting queued ones in this server"),
        N_("Easel isn't taking new jobs or starting queued ones in every server"),
    ),
    "drain": (
        N_("Easel isn't taking new jobs, and is finishing queued ones in this server"),
        N_("Easel isn't taking new jobs, and is finishing queued ones in every server"),
    ),
    "notice": (
        N_("Easel works as usual and shows a notice in this server"),
        N_("Easel works as usual and shows a notice in every server"),
    ),
}
"""What a pause does, here and everywhere."""
DECIDED = {"approved": N_("**Approved** by <@{person}>"), "denied": N_("**Denied** by <@{person}>")}


def ban_line(ban: Ban) -> str:
    until = _(" until <t:{time}:f>", time=ban.until_ms // 1000) if ban.until_ms else ""
    reason = f": {shown(ban.reason, REASON)}" if ban.reason else ""
    return _("<@{user}>{until}, by <@{person}>", user=ban.user_id, until=until, person=ban.actor_id) + reason


def word_line(word: BlockedWord) -> str:
    parts = [shown(word.word, 200), _(WORD_ACTIONS[word.action])]
    parts += [_("list {name}", name=shown(word.source, 100))] if word.source else []
    parts += [_("everywhere")] if word.guild_id == 0 else []
    return " · ".join(parts)


def list_line(name: str, action: str) -> str:
    """A shared list that holds here."""
    return _("list {name}", name=f"**{shown(name, 100)}**") + f" · {_(WORD_ACTIONS[action])}"


def rules_text(rules: Rules, pauses: Sequence[Pause]) -> str:
    """Return a server's rules and pauses, one a line."""
    places = ", ".join(f"<#{channel}>" for channel in sorted(rules.allowed)[:40])
    lines = [
        _("**Easel works** in {places}", places=places)
        if places
        else _("**Easel works** in every channel where members can use its commands"),
        _("**Age-restricted channels** only") if rules.age_only else _("Channels don't have to be age-restricted"),
        _("**Gallery** <#{channel}>, from {stars} ⭐", channel=rules.gallery_channel, stars=rules.stars)
        if rules.gallery_channel
        else _("No gallery"),
        _("**Audit** and appeals in <#{channel}>", channel=rules.audit_channel)
        if rules.audit_channel
        else _("No audit channel, no appeals"),
        _("**Moderators** are <@&{role}> and people with **Manage Server**", role=rules.moderator_role)
        if rules.moderator_role
        else _("**Moderators** are people with **Manage Server**"),
        _("**Flagged images** are posted as spoilers in age-restricted channels, and withheld elsewhere")
        if rules.spoiler
        else _("**Flagged images** are withheld"),
        _("**Mentions** of Easel paint and edit") if rules.answers_mentions else _("**Mentions** of Easel do nothing"),
        *(_("**Now** {pause}", pause=pause_line(pause)) for pause in pauses),
    ]
    return "\n".join(lines)


def pause_line(pause: Pause) -> str:
    here, everywhere = MODES[pause.mode]
    said = f": {shown(pause.sentence, 500)}" if pause.sentence else ""
    return _(everywhere if pause.guild_id == 0 else here) + said


def approval_line(approved: Appeal) -> str:
    """Which prompt of whom was approved, by whom and when."""
    when = f", <t:{approved.decided_ms // 1000}:R>" if approved.decided_ms else ""
    by = f"<@{approved.actor_id}>" if approved.actor_id else _("someone who left")
    asked = f"#{approved.id} <@{approved.user_id}>: {shown(approved.prompt, 120)}"
    return _("{what}, by {person}", what=asked, person=by) + when


def appeal_buttons(appeal_id: int) -> list[Button]:
    """What decides an appeal."""
    yes = Button(ButtonId(Action.APPROVE, appeal_id), _("Approve"), emoji="✅")
    return [yes, Button(ButtonId(Action.DENY, appeal_id), _("Deny"), emoji="🚫")]


def appeal(asked: Appeal) -> LayoutView:
    """Return an appeal for the admins to decide, or who decided it."""
    text = _(
        "**Appeal** by <@{person}> against the rule {rule}\n{prompt}\n"
        "-# If you approve, this member can use this exact prompt.",
        person=asked.user_id,
        rule=shown(asked.rule, 150),
        prompt=shown(asked.prompt, 2500),
    )
    if asked.state in DECIDED:
        return notice(f"{text}\n{_(DECIDED[asked.state], person=asked.actor_id)}")
    return notice(text, *appeal_buttons(asked.id))
