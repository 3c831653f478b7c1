"""A worker that has dialled in, from its first word to its last, as a member of the fleet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress

from engine.fleet.fleet import Fleet
from engine.fleet.remote_engine import OtherVersion, RemoteEngine
from engine.wire.links import Gone, Link
from engine.wire.messages import Refused


async def host(fleet: Fleet, name: str, link: Link) -> str:
    """Serve a worker until it is gone; returns why. `name`: of its token; a second one with it gets a number."""
    joined = ""

    def look() -> None:
        nonlocal joined
        if joined:
            fleet.changed()
        elif engine.status().facts.get("rounds"):  # its engine has been through its set-up
            joined = next(each for each in _names(name) if each not in {member.name for member in fleet.members})
            fleet.up(joined, engine, name)

    engine = RemoteEngine(link, look)
    why = "the bot ends"
    try:
        why = await engine.serve()
    except OtherVersion as other:
        why = str(other)
        with suppress(Gone):
            await link.send(Refused(text=why))
    finally:
        if joined:
            fleet.down(joined, why, crashed=False, hopeless=False)
        engine.abandon()
    return why


def _names(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))
