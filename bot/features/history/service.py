"""A member's jobs by what they look for, and how pictures came from one another. Knows no Discord."""

from __future__ import annotations

from collections.abc import Sequence

from bot.features.audit.service import Audit
from bot.features.history import acts
from bot.features.history import store as rows
from bot.features.history.store import Wanted
from bot.jobs.records import Job
from bot.orders.actor import Actor
from bot.orders.visibility import Viewer, may_see
from bot.store import key_values
from bot.store.store import Store


class History:
    """Looks things up, and knows which galleries are open."""

    def __init__(self, store: Store, audit: Audit) -> None:
        self._store, self._audit = store, audit

    async def secret(self, key: str) -> str:
        """A random text under a key, the same from then on."""
        known: str | None = await self._store.read(key_values.recall, key)
        return known if known is not None else await self._store.write(rows.secret, key)

    async def open_gallery(self, by: Actor, *, is_open: bool) -> None:
        """Let everyone see the server's gallery in a browser, or nobody any more."""
        await self._audit.perform(acts.open_gallery, by, by.guild_id, is_open)

    async def hanging(self, guild_id: int, before_id: int | None, limit: int) -> list[Job] | None:
        """What everyone may see of a server's gallery, newest first; None where it isn't open."""
        if not guild_id or not await self._store.read(rows.is_open, guild_id):
            return None
        return await self._store.read(rows.hanging, guild_id, before_id, limit, None)

    async def hangs(self, job_id: int) -> bool:
        """Whether everyone may see a job, in an open gallery."""
        return bool(await self._store.read(rows.hanging, 0, None, 1, job_id))

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
