"""Reports: made by members, decided by moderators, and their outcome told once. Knows no Discord."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.errors import BadInput, NotFound
from bot.features.audit.service import Audit
from bot.features.reports import acts
from bot.features.reports import store as rows
from bot.features.reports.store import Report, Waiting
from bot.jobs.records import Job
from bot.orders.actor import Actor
from bot.store.store import Store

PORTION = 20  # outcomes told in one go


async def _nobody_hears(_: Report) -> None:
    """Until somebody says how members are told."""


class Reports:
    """The queue of reports. `tell` brings an outcome to its reporter; it must not raise."""

    def __init__(self, store: Store, audit: Audit) -> None:
        self._store, self._audit = store, audit
        self.tell: Callable[[Report], Awaitable[None]] = _nobody_hears

    async def report(self, by: Actor, job: Job, reason: str) -> None:
        """Report a job that this member can see. Raises: BadInput."""
        check_reportable(by, job)
        await self._audit.perform(acts.report, by, by.guild_id, job, reason)

    async def waiting(self, by: Actor, limit: int) -> list[Waiting]:
        """Return a server's reported jobs, oldest first, without the moderator's own."""
        return await self._store.read(rows.waiting, by.guild_id, by.user_id, limit)

    async def of_job(self, by: Actor, job: Job) -> list[Report]:
        """Return a job's open reports, oldest first. Raises: NotFound when there are none."""
        _check_theirs(by, job)
        reports = await self._store.read(rows.of_job, job.id)
        if not reports:
            raise NotFound("Someone else decided this already, or it was never reported.")
        return reports

    async def dismiss(self, by: Actor, job: Job) -> None:
        """Close a job's reports; it stays. Raises: NotFound, BadInput."""
        _check_theirs(by, job)
        await self._audit.perform(acts.dismiss, by, by.guild_id, job)
        await self.tell_outcomes()

    async def tell_outcomes(self) -> None:
        """Tell the next reporters how theirs ended: at most once each, for who was told twice would wonder."""
        for each in await self._store.write(rows.take_untold, PORTION):
            await self.tell(each)


def check_reportable(by: Actor, job: Job) -> None:
    """Raises: BadInput."""
    if not by.guild_id:
        raise BadInput("Only you can see what is made here, so there's no one to report it to.")
    if job.user_id == by.user_id:
        raise BadInput("This is yours. **Delete** under it removes it.")


def _check_theirs(by: Actor, job: Job) -> None:
    if job.guild_id != by.guild_id:
        raise NotFound("There's no job {id} in this server.", id=job.id)
    if job.user_id == by.user_id:
        raise NotFound("Reports about your own images are for the other moderators.")
