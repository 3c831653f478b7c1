"""Entries of the audit log as people read them. Pure; everything written is shown harmlessly."""

from __future__ import annotations

from bot.features.audit.store import AuditEntry
from bot.languages.speech import _
from bot.ledger.amounts import credits_text
from bot.prompt.text import shown


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
        return _("until {time}", time=f"<t:{value // 1000}:f>")
    if key.endswith("_mc"):
        return f"{label}: {credits_text(value)}"
    if key.endswith("channel"):
        return f"{label}: <#{value}>"
    return f"{label}: <@{value}>" if key == "owner" else f"{label}: {value}"


def _target(target: str) -> str:
    """People and channels as Discord shows them (no one is pinged), all else as text."""
    kind, _, rest = target.partition(":")
    number = rest if rest.isdecimal() else ""
    return {"user": f"<@{number}>", "channel": f"<#{number}>", "role": f"<@&{number}>"}.get(
        kind if number else "", shown(target, 200)
    )
