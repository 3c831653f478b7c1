"""Small facts and open questions by key, for services."""

from __future__ import annotations

from bot.store import key_values
from bot.store.store import Store


class KeyValues:
    """The facts, for services and whoever asks questions that outlive the process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def remember(self, key: str, value: str) -> None:
        """Keep a small fact (the published commands' hash, an open question)."""
        await self._store.write(key_values.remember, key, value)

    async def recall(self, key: str) -> str | None:
        return await self._store.read(key_values.recall, key)

    async def take(self, key: str) -> str | None:
        """Recall a fact and forget it; of several callers one gets it."""
        return await self._store.write(key_values.take, key)
