"""Cancelling and deleting jobs, one's own or as a moderator: the one path of buttons and of /admin jobs.

Knows no Discord.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bot.errors import BadInput, NotFound
from bot.features.audit.service import Audit
from bot.features.jobs import acts
from bot.features.jobs import store as rows
from bot.features.jobs.store import Gone
from bot.jobs.records import Job
from bot.jobs.service import Jobs
from bot.orders.actor import Actor
from bot.store.clock import Clock
from bot.store.store import Store

UNDO_MS = 60_000
PORTION = 100  # jobs of one transaction


class ModeratedJobs:
    """Ends jobs; what a moderator does to another member's is an act. Members' own jobs are their own affair."""

    def __init__(self, jobs: Jobs, audit: Audit, store: Store, clock: Clock) -> None:
        self._jobs, self._audit, self._store, self._clock = jobs, audit, store, clock

    async def active(self, guild_id: int | None, user_id: int | None = None) -> list[Job]:
        """A server's active jobs (None = of all servers), one member's or everybody's, as they will be served."""
        return [job for job in await self._jobs.active_in(guild_id) if user_id in (None, job.user_id)]

    async def cancel(self, by: Actor, job_id: int, *, moderator: bool) -> Job:
        """End an active job: one's own, or as a moderator anybody's of this server (of any, for an operator).

        Raises: NotFound, NotYours, BadInput when it has ended.
        """
        job = await self._jobs.get(job_id)
        if not moderator or job.user_id == by.user_id:
            ended = [await self._jobs.cancel(job_id, by.user_id)] if job.active else []
        else:
            _check_server(by, job)
            ended = await self._end(by, [job])
        if not ended or ended[0].state != "cancelled":
            raise BadInput("Job {job_id} has already ended.", job_id=job_id)
        return ended[0]

    async def cancel_all(self, by: Actor, guild_id: int | None, user_id: int) -> list[Job]:
        """End every active job of a member in a server (None = in all): all of them or, when that fails, none."""
        return await self._end(by, await self.active(guild_id, user_id))

    async def delete(self, by: Actor, job_id: int, *, moderator: bool) -> None:
        """Forget a job and its images; whose, is as for `cancel`. Raises: NotFound, NotYours."""
        job = await self._jobs.get(job_id)
        if not moderator or job.user_id == by.user_id:
            await self._jobs.delete(job_id, by.user_id)
        else:
            _check_server(by, job)
            await self._jobs.end([job_id], lambda: self._audit.perform(acts.delete, by, by.guild_id, job_id))

    async def delete_all(self, by: Actor, user_id: int, job_ids: Sequence[int]) -> None:
        """Forget jobs of a member that are in this server, as a moderator, a portion at a time."""
        for start in range(0, len(job_ids), PORTION):
            some = job_ids[start : start + PORTION]
            await self._jobs.end(some, partial(self._audit.perform, acts.delete_all, by, by.guild_id, user_id, some))

    async def hide(self, by: Actor, job_id: int, message_id: int | None) -> bool:
        """Delete one's own delivered job so that it can be had back for a minute; False where that isn't possible.

        `message_id`: of the message that offers that; None where only they see it.
        """
        if (await self._jobs.get(job_id)).user_id != by.user_id:
            return False
        now_ms = self._clock.now_ms()
        return await self._store.write(rows.hide, job_id, message_id, now_ms + UNDO_MS, now_ms)

    async def restore(self, by: Actor, job_id: int) -> Job:
        """Have back what one deleted a moment ago. Raises: NotFound."""
        return await self._store.write(rows.restore, job_id, by.user_id)

    async def finish_deletions(self) -> list[Gone]:
        """Delete for good what can't be had back any more."""
        gone = await self._store.write(rows.finish, self._clock.now_ms())
        await self._jobs.remove_ended_files()
        return gone

    async def undelivered(self, guild_id: int | None, limit: int) -> list[Job]:
        """A server's jobs (None = of all servers) whose images couldn't be delivered, newest first."""
        return await self._jobs.undelivered(guild_id, limit)

    async def deliver_again(self, by: Actor, job_id: int) -> Job:
        """Try once more to deliver the images of a job of this server (of any, for an operator).

        Raises: NotFound, NotEnoughCredits, BadInput.
        """
        _check_server(by, await self._jobs.get(job_id))
        return await self._jobs.end([], lambda: self._audit.perform(acts.deliver_again, by, by.guild_id, job_id))

    async def _end(self, by: Actor, jobs: list[Job]) -> list[Job]:
        ids = [job.id for job in jobs]
        return await self._jobs.end(ids, lambda: self._audit.perform(acts.cancel, by, by.guild_id, ids))


def _check_server(by: Actor, job: Job) -> None:
    if job.guild_id != by.guild_id and not by.is_operator:
        raise NotFound("There's no job {id} in this server.", id=job.id)
