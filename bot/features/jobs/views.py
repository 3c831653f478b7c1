"""The list of everyone's active jobs. Pure: jobs in, a fresh view out."""

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
    parts: list[discord.ui.Item[LayoutView]] = []
    for job in jobs[:MAX_JOBS]:
        words = "(private)" if job.private else shown(job.spec.prompt, 150) or "(no prompt)"
        where = f"<#{job.channel_id}>" if job.guild_id else "direct messages"
        line = f"#{job.id} <@{job.user_id}> in {where}, {STATE_WORDS[job.state]}, <t:{job.created_at // 1000}:R>"
        cancel = Button(ButtonId(Action.STOP, job.id), "Cancel", emoji="✖️")
        parts.append(Section(f"{line}\n{words}", accessory=cast(Any, cancel)))
    if len(jobs) > MAX_JOBS:
        parts.append(TextDisplay(f"-# … and {len(jobs) - MAX_JOBS} more"))
    return view(parts or [TextDisplay("No job is queued or running.")], ACCENT)
