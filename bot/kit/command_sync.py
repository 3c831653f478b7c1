"""Publishing the slash commands, when they changed: Discord allows 200 creations a day."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from discord import app_commands

from bot.store.key_value_store import KeyValues


class CommandSync:
    """Compares the commands with what was published last. `always`: publish in any case."""

    def __init__(self, key_values: KeyValues, *, always: bool = False) -> None:
        self._key_values, self._always = key_values, always

    async def sync(self, tree: app_commands.CommandTree[Any], application_id: int) -> bool:
        """Publish the commands if they changed; whether they were published."""
        payload = json.dumps([command.to_dict(tree) for command in tree.get_commands()], sort_keys=True)
        digest, key = hashlib.sha256(payload.encode()).hexdigest(), f"commands:{application_id}"
        if not self._always and await self._key_values.recall(key) == digest:
            return False
        await tree.sync()
        await self._key_values.remember(key, digest)
        return True
