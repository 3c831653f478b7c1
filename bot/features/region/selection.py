"""Choosing a region: the cells pressed so far, and links to the browser's mask editor. Knows no Discord."""

from __future__ import annotations

import hashlib
import secrets

from bot.errors import NotYours
from bot.features.region import store as region_store
from bot.features.region.store import EditorPass, NewRegion, Region
from bot.store.clock import Clock
from bot.store.store import Store

TOKEN_BYTES = 32  # 256 bits: nobody guesses one


class RegionSelection:
    """What somebody may do with a picture of which they choose a part; it outlives the process.

    Attributes:
        address: where browsers reach the mask editor, without a slash at the end; None while there is none.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.address: str | None = None

    async def begin(self, new: NewRegion) -> Region:
        return await self._store.write(region_store.begin, new, self._clock.now_ms())

    async def get(self, region_id: int, by: int) -> Region:
        """Raises: NotFound, NotYours."""
        region = await self._store.read(region_store.get, region_id)
        if region.user_id != by:
            raise NotYours("Only the person who opened this may choose here. Use **Edit region** on the picture.")
        return region

    async def press(self, region_id: int, cell: int, by: int) -> Region:
        """Choose a cell, or take it back. Raises: NotFound, NotYours."""
        await self.get(region_id, by)
        return await self._store.write(region_store.press, region_id, cell)

    async def divide(self, region_id: int, side: int, by: int) -> Region:
        """Begin anew with `side` x `side` cells. Raises: NotFound, NotYours."""
        await self.get(region_id, by)
        return await self._store.write(region_store.divide, region_id, side)

    # ------------------------------------------------------------ links to the editor
    async def link(self, new: EditorPass) -> str | None:
        """A fresh address of the editor, good for one job and an hour; None while there is no editor."""
        if self.address is None:
            return None
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await self._store.write(region_store.mint, _hash(token), new, self._clock.now_ms())
        return f"{self.address}/mask/{token}"

    async def look(self, token: str) -> EditorPass | None:
        """What a link is good for; None when it is unknown, used or too old."""
        return await self._store.read(region_store.look, _hash(token), self._clock.now_ms())

    async def use(self, token: str) -> EditorPass | None:
        """Use a link up: of all who try, one gets it."""
        return await self._store.write(region_store.use, _hash(token), self._clock.now_ms())

    async def give_back(self, token: str) -> None:
        """Make a link good again, because what was sent with it was refused."""
        await self._store.write(region_store.give_back, _hash(token))

    async def finish(self, token: str) -> None:
        """Forget a used link's secrets."""
        await self._store.write(region_store.finish, _hash(token))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
