"""The lists of everyone's active jobs, and of those that couldn't be delivered. Pure: jobs in, a fresh view out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from discord.ui import Item, LayoutView, Section, TextDisplay

from bot.delivery.layouts import STATE_WORDS
from bot.jobs.records import Job
from bot.kit.button import Button
from bot.kit.components import ACCENT, view
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import _
from bot.orders.visibility import Viewer, may_read
from bot.prompt.text import shown

MAX_JOBS = 10  # shown: each takes three of a message's 40 components


def jobs_view(jobs: Sequence[Job], viewer: Viewer) -> LayoutView:
    """The first jobs, each with a button that cancels it."""
    return view(active_parts(jobs, viewer), ACCENT)


def active_parts(jobs: Sequence[Job], viewer: Viewer) -> list[Item[LayoutView]]:
    """What `jobs_view` consists of."""
    rows = [(job, Button(ButtonId(Action.STOP, job.id), _("Cancel"), emoji="✖️")) for job in jobs[:MAX_JOBS]]
    return _parts(rows, viewer, len(jobs) - len(rows), _("No job is queued or running."))


def undelivered_view(jobs: Sequence[Job], viewer: Viewer) -> LayoutView:
    """The first jobs whose images couldn't be delivered, each with a button that tries again."""
    rows = [(job, Button(ButtonId(Action.DELIVER, job.id), _("Deliver again"), emoji="📨")) for job in jobs[:MAX_JOBS]]
    return view(_parts(rows, viewer, len(jobs) - len(rows), _("Every image was delivered.")), ACCENT)


def _parts(rows: Sequence[tuple[Job, Button]], viewer: Viewer, more: int, nothing: str) -> list[Item[LayoutView]]:
    parts: list[Item[LayoutView]] = []
    for job, button in rows:
        where = f"<#{job.channel_id}>" if job.guild_id else _("direct messages")
        state = _("not delivered") if job.unpaid else _(STATE_WORDS[job.state])
        line = f"#{job.id} <@{job.user_id}> · {where} · {state} · <t:{job.created_at // 1000}:R>"
        parts.append(Section(f"{line}\n{_words(job, viewer)}", accessory=cast(Any, button)))
    if more > 0:
        parts.append(TextDisplay("-# " + _("… and {n} more", n=more)))
    return parts or [TextDisplay(nothing)]


def _words(job: Job, viewer: Viewer) -> str:
    """The prompt, for those who may read it where they are; private ones are nobody else's."""
    if job.private:
        return _("(private)")
    if not viewer.actor.is_operator and not may_read(viewer, job):
        return _("(not for this channel)")
    return shown(job.spec.prompt, 150) or _("(no prompt)")
