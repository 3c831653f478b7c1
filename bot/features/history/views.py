"""A picture's family as a tree of lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from discord.ui import LayoutView

from bot.delivery import titles
from bot.jobs.records import Job
from bot.kit.components import listing
from bot.languages.speech import _
from bot.prompt.text import shown

DEEPEST = 8  # levels that are indented


def family(kin: Sequence[tuple[Job, int]], asked: int) -> LayoutView:
    """Every job of a family in a line, indented by its depth; the one that was asked about stands out."""
    lines = [_line(job, depth, asked=job.id == asked) for job, depth in kin]
    return listing(_("Family"), lines, _("Nothing was made from this, and this from nothing."))


def _line(job: Job, depth: int, *, asked: bool) -> str:
    what = titles.job_title(job.kind, job.spec) or "Imagine"
    which = _(" of picture {parent_number}", parent_number=job.parent_number) if job.parent_number and depth else ""
    words = f" · {shown(job.spec.prompt, 80)}" if job.spec.prompt else ""
    line = f"#{job.id} {what}{which}{words} · <t:{job.created_at // 1000}:R>"
    branch = "\u2003" * min(depth, DEEPEST) + ("└ " if depth else "")
    return f"{branch}{f'**{line}**' if asked else line}"
