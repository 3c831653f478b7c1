"""The lists of everyone's active jobs, and of those that couldn't be delivered. Pure: jobs in, a fresh view out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import discord
from discord.ui import LayoutView, Section, TextDisplay

from bot.delivery.layouts import STATE_WORDS
from bot.jobs.records import Job
from bot.kit.button import Button
from bot.kit.components import ACCENT, view
from bot.kit.custom_ids import Action, ButtonId
from bot.prompt.text import shown

MAX_JOBS = 10  # shown: each takes three of a message's 40 components


def jobs_view(jobs: Sequence[Job]) -> LayoutView:
    """The first jobs, each with a button that cancels it. Private prompts stay private."""
    rows = [(job, Button(ButtonId(Action.STOP, job.id), "Cancel", emoji="✖️")) for job in jobs[:MAX_JOBS]]
    return _view(rows, len(jobs) - len(rows), "No job is queued or running.")


def undelivered_view(jobs: Sequence[Job]) -> LayoutView:
    """The first jobs whose images couldn't be delivered, each with a button that tries again."""
    rows = [(job, Button(ButtonId(Action.DELIVER, job.id), "Deliver again", emoji="📨")) for job in jobs[:MAX_JOBS]]
    return _view(rows, len(jobs) - len(rows), "Every image was delivered.")


def _view(rows: Sequence[tuple[Job, Button]], more: int, nothing: str) -> LayoutView:
    parts: list[discord.ui.Item[LayoutView]] = []
    for job, button in rows:
        words = "(private)" if job.private else shown(job.spec.prompt, 150) or "(no prompt)"
        where = f"<#{job.channel_id}>" if job.guild_id else "direct messages"
        state = "not delivered" if job.unpaid else STATE_WORDS[job.state]
        line = f"#{job.id} <@{job.user_id}> in {where}, {state}, <t:{job.created_at // 1000}:R>"
        parts.append(Section(f"{line}\n{words}", accessory=cast(Any, button)))
    if more > 0:
        parts.append(TextDisplay(f"-# … and {more} more"))
    return view(parts or [TextDisplay(nothing)], ACCENT)
