"""A member's jobs by what they look for, and how pictures came from one another. Knows no Discord."""

from __future__ import annotations

from collections.abc import Sequence

from bot.features.history import store as rows
from bot.features.history.store import Wanted
from bot.jobs.records import Job
from bot.orders.visibility import Viewer, may_see
from bot.store.store import Store


class History:
    """Looks things up; nothing here changes anything."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def search(
        self, user_id: int, guild_id: int, wanted: Wanted, before_id: int | None = None, limit: int = 10
    ) -> list[Job]:
        """A member's jobs in a server, newest first, those before `before_id`."""
        return await self._store.read(rows.search, user_id, guild_id, wanted, before_id, limit)

    async def family(self, job: Job, viewer: Viewer) -> list[tuple[Job, int]]:
        """A job with all it came from and all that came from those, each with its depth, as a tree is read.

        Only what the viewer may see; what was made from something they may not begins a line of its own.
        """
        kin = [each for each in await self._store.read(rows.family, job.id) if may_see(viewer, each)]
        return in_order(kin)


def in_order(kin: Sequence[Job]) -> list[tuple[Job, int]]:
    """Jobs with their depths, every one behind what it was made from, oldest first."""
    known = {each.id for each in kin}
    children: dict[int | None, list[Job]] = {}
    for each in kin:
        children.setdefault(each.parent_job_id if each.parent_job_id in known else None, []).append(each)
    found: list[tuple[Job, int]] = []
    pending = [(each, 0) for each in reversed(children.get(None, []))]
    while pending:
        each, depth = pending.pop()
        found.append((each, depth))
        pending += [(child, depth + 1) for child in reversed(children.get(each.id, []))]
    return found
