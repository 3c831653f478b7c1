"""Files without a row, and rows without a file: a few folders are compared with the database at a time.

A file is never deleted because the database doesn't know it: databases are restored, copied and lost. It's moved aside
for 30 days, and only where the database is the one that wrote the pictures; a row that needs it brings it back.
"""

from __future__ import annotations

import logging
from fnmatch import fnmatchcase

from bot.errors import PicturesAway
from bot.jobs.files import AWAY, MARK, MARKED, TEMPORARY, ImageFiles
from bot.store import key_values
from bot.store.clock import DAY_MS, Clock
from bot.store.store import Store
from bot.threads.pools import FILES
from bot.upkeep import store as upkeep_store
from bot.upkeep.picture_folder import INPUTS, PictureFolder
from bot.upkeep.store import Known

log = logging.getLogger(__name__)
PARTS = 12  # folders of one look: of a thousand jobs, or of a 256th of the uploads
YOUNG_S = 3600.0  # an upload gets its row after its file; a file that is being written is younger, too
ASIDE_DAYS = 30


class StrayFiles:
    """Goes through the pictures' folder, again and again.

    Attributes:
        lost: how many rows of each folder have no file.
    """

    def __init__(self, store: Store, files: ImageFiles, clock: Clock) -> None:
        self._store, self._files, self._clock = store, files, clock
        self._folder = PictureFolder(files.folder)
        self._waiting: list[str] = []
        self._foreign = self._told = False
        self.lost: dict[str, int] = {}

    async def begin(self) -> None:
        """Know whether the folder is there, before anything is read or written. The first time, mark it."""
        self._files.marked = await self._store.read(key_values.recall, MARKED) is not None
        try:
            await self._ours()
        except OSError:  # a full disk, say: a minute later it's tried again
            log.warning("the pictures' folder can't be marked", exc_info=True)

    async def look(self) -> None:
        """Compare the next few folders. Raises: OSError."""
        if not await self._ours():
            return
        if not self._waiting:
            self._waiting = await FILES.run_always(self._folder.parts)
            before_ms = self._clock.now_ms() - ASIDE_DAYS * DAY_MS
            await FILES.run_always(self._folder.drop_aside, before_ms / 1000)
        for part in self._waiting[:PARTS]:
            await self._compare(part)
            self._waiting.remove(part)

    async def look_at_all(self) -> None:
        """Compare everything once."""
        await self.look()
        while self._waiting:
            await self.look()

    async def _ours(self) -> bool:
        """Whether the database wrote these pictures; it takes over a folder that is empty, or that it knows."""
        if await self._away():
            return False
        database_id = await self._store.read(upkeep_store.database_id)
        owner = await FILES.run_always(self._folder.owner)
        if not owner and await self._known():
            await FILES.run_always(self._folder.take_over, database_id)
            owner = database_id
        if owner != database_id and not self._foreign:
            folder = self._folder.folder
            log.warning(
                "the pictures in %s belong to another database, so none of them is tidied up. Restore that database; "
                "or, if they are to belong to this one, remove the file %s",
                folder,
                folder / MARK,
            )
        self._foreign = owner != database_id
        if not self._foreign and not self._files.marked:
            await self._store.write(key_values.remember, MARKED, "1")
            self._files.marked = True
        return not self._foreign

    async def _away(self) -> bool:
        """Whether the folder lost its mark, and nothing that is there shows that it's the right one all the same."""
        try:
            await FILES.run_always(self._files.check_there)
        except PicturesAway:
            nothing_lost = not await self._store.read(upkeep_store.any_pictures)
            if not await self._known(empty=nothing_lost):
                if not self._told:
                    mark = self._files.folder / MARK
                    log.critical("%s Is it mounted? If the pictures are gone for good: touch %s", AWAY, mark)
                self._told = True
                return True
        self._told = False
        return False

    async def _known(self, *, empty: bool = True) -> bool:
        """Whether the database knows one of the first pictures that there are; `empty` where there is none."""
        for part in await FILES.run_always(self._folder.parts):
            if files := await FILES.run_always(self._folder.listing, part):
                known = await self._store.read(upkeep_store.known, part)
                return bool(known.paths & files.keys())
        return empty

    async def _compare(self, part: str) -> None:
        files = await FILES.run_always(self._folder.listing, part)  # first: whatever is written later has no say
        known = await self._store.read(upkeep_store.known, part)
        await FILES.run_always(self._tidy, part, files, known)

    def _tidy(self, part: str, files: dict[str, float], known: Known) -> None:
        now_s = self._clock.now_ms() / 1000
        stray = [path for path in files.keys() - known.paths if not _wanted(path, known)]
        old = [path for path in stray if now_s - files[path] > YOUNG_S]
        self._folder.remove(path for path in old if path.endswith(TEMPORARY))  # half a file is of no use to anybody
        aside = [path for path in (old if part.startswith(INPUTS) else stray) if not path.endswith(TEMPORARY)]
        if aside:
            self._folder.set_aside(aside, now_s)
            log.info("%d files in %s have no row in the database and were moved aside", len(aside), part)
        self._note_lost(part, known.paths - files.keys())

    def _note_lost(self, part: str, paths: frozenset[str]) -> None:
        missing = self._folder.missing(paths)
        if back := self._folder.bring_back(missing):
            log.info("%d files of %s were moved back from aside", len(back), part)
        lost = len(missing) - len(back)
        if lost and self.lost.get(part) != lost:
            log.warning("%d pictures of %s have no file", lost, part)
        self.lost[part] = lost


def _wanted(path: str, known: Known) -> bool:
    """Whether a file may get its row yet, or is to be removed anyway."""
    job_id = path.rsplit("/", 1)[-1].split("-", 1)[0]
    painting = job_id.isdecimal() and int(job_id) in known.active
    return painting or any(fnmatchcase(path, pattern) for pattern in known.ending)
