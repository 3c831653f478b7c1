"""What moderators do to other members' jobs, each with its row in the audit log. Knows no Discord."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from bot.errors import BadInput
from bot.features.audit.acts import Author, Note, act
from bot.features.jobs import store as rows
from bot.jobs import lifecycle
from bot.jobs.records import Job


@act("job.cancel")
def cancel(db: sqlite3.Connection, by: Author, job_ids: Collection[int]) -> tuple[list[Job], list[Note]]:
    """End those of the jobs that are active, unpaid; they as they ended. The others are passed over."""
    active = [job.id for job in lifecycle.active_in(db, None) if job.id in job_ids]
    ended = [lifecycle.cancel(db, job_id, by.now_ms) for job_id in active]
    return ended, [_note(job) for job in ended]


@act("job.delete")
def delete(db: sqlite3.Connection, by: Author, job_id: int) -> tuple[int, list[Note]]:
    """Forget a job; how many files nothing refers to any more. Raises: NotFound."""
    job = lifecycle.get(db, job_id)
    return lifecycle.delete(db, job_id, by.now_ms), [_note(job)]


@act("job.delete_all")
def delete_all(db: sqlite3.Connection, by: Author, user_id: int, job_ids: Collection[int]) -> tuple[int, list[Note]]:
    """Forget several jobs of one member; how many there were."""
    there = [job_id for job_id in job_ids if rows.is_there(db, job_id)]
    for job_id in there:
        lifecycle.delete(db, job_id, by.now_ms)
    return len(there), [Note(target=f"user:{user_id}", details={"jobs": there})] if there else []


@act("job.deliver")
def deliver_again(db: sqlite3.Connection, by: Author, job_id: int) -> tuple[Job, list[Note]]:
    """Owe a result once more that could not be delivered, for its price.

    Raises: NotFound, NotEnoughCredits, BadInput when it was delivered.
    """
    if not lifecycle.get(db, job_id).unpaid:
        raise BadInput("The images of job {job_id} don't wait to be delivered.", job_id=job_id)
    job = lifecycle.collect(db, job_id, by.now_ms)
    return job, [_note(job)]


def _note(job: Job) -> Note:
    return Note(target=f"job:{job.id}", details={"owner": job.user_id}, guild_id=job.guild_id)
