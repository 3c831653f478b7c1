"""Connecting to Discord's gateway the first time. The only place that touches the inside of discord.py's sharding.

discord.py tries again by calling itself, deeper each time, whatever the gateway says, and logs a traceback a try.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import discord
from discord.gateway import DiscordWebSocket
from discord.shard import Shard

log = logging.getLogger(__name__)
WAITS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # between tries to reach Discord; the last one again and again
FATAL = frozenset({4004, 4010, 4011, 4012, 4013, 4014})  # bad token, shard, API version, intents: no try mends them


def wait_s(tries: int) -> float:
    """How long to wait after so many tries that failed."""
    return WAITS_S[min(tries, len(WAITS_S)) - 1]


class PatientClient(discord.AutoShardedClient):
    """A client that waits for the gateway, and raises what no waiting mends."""

    async def launch_shard(self, gateway: Any, shard_id: int, *, initial: bool = False) -> None:
        """Connect one shard. Raises: ConnectionClosed with one of the codes `FATAL`."""
        tries = 0
        while True:
            coming = DiscordWebSocket.from_client(
                self, initial=initial and not tries, gateway=gateway, shard_id=shard_id
            )
            try:
                ws = await asyncio.wait_for(coming, timeout=self.shard_connect_timeout)
                break
            except Exception as error:  # as discord.py: whatever a library of the network raises, the next may work
                if isinstance(error, discord.ConnectionClosed) and error.code in FATAL:
                    raise
                tries += 1
                log.warning("the gateway can't be reached (%r); trying again in %.0f s", error, wait_s(tries))
                await asyncio.sleep(wait_s(tries))
        inside: Any = self.__dict__
        shard = Shard(ws, self, inside["_AutoShardedClient__queue"].put_nowait)
        inside["_AutoShardedClient__shards"][shard_id] = shard
        shard.launch()
