"""Reporting an image, and keeping one that was reported, each with its row in the audit log. Knows no Discord.

Deleting a reported image is the act `job.delete`, as any moderator's deleting is.
"""

from __future__ import annotations

import sqlite3

from bot.errors import BadInput
from bot.features.audit.acts import Author, Note, act
from bot.features.reports import store as rows
from bot.jobs.records import Job
from bot.prompt.text import is_blank, visible

MAX_OPEN = 10  # of one member in a server, waiting for a decision
MAX_REASON_CHARS = 500


@act("report.open")
def report(db: sqlite3.Connection, by: Author, job: Job, reason: str) -> tuple[None, list[Note]]:
    """Report a job's images to the moderators; the log doesn't say who did. Raises: BadInput."""
    reason = visible(reason).strip()[:MAX_REASON_CHARS]
    if is_blank(reason):
        raise BadInput("Say in a few words what's wrong with it.")
    if rows.open_by(db, by.guild_id, by.actor_id) >= MAX_OPEN:
        raise BadInput(
            "{max_open} of your reports wait for a moderator. Try again once one is decided.", max_open=MAX_OPEN
        )
    if not rows.add(db, by.guild_id, job.id, by.actor_id, reason, by.now_ms):
        raise BadInput("You've already reported this.")
    return None, [Note(target=f"job:{job.id}", details={"owner": job.user_id}, nameless=True)]


@act("report.dismiss")
def dismiss(db: sqlite3.Connection, by: Author, job: Job) -> tuple[int, list[Note]]:
    """Close all open reports of a job, which stays; how many there were. Raises: BadInput."""
    closed = rows.dismiss(db, job.id)
    if not closed:
        raise BadInput("Someone else decided this already.")
    return closed, [Note(target=f"job:{job.id}", details={"owner": job.user_id, "reports": closed})]
