"""Looks every 15 s at the parts that a bot can't be without, and writes down how they are. Knows no Discord."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from bot.features.operations import heartbeat

log = logging.getLogger(__name__)
Look = Callable[[], Awaitable[str]]
ANSWER_S = 10.0  # whatever does not answer for so long hangs


class Pulse:
    """Asks each part how it is: "" = well, else a sentence. `folder` gets the heartbeat."""

    def __init__(self, folder: Path, looks: Mapping[str, Look]) -> None:
        self._folder, self._looks = folder, looks
        self.problems: dict[str, str] = {}
        self.lasting: dict[str, str] = {}  # those that were there at the look before, too

    async def beat(self) -> None:
        """Look at everything once, and write it down."""
        answers = await asyncio.gather(*(self._ask(look) for look in self._looks.values()))
        found = {part: answer for part, answer in zip(self._looks, answers, strict=True) if answer}
        for part, problem in found.items():
            if part not in self.problems:
                log.info("%s: %s", part, problem)
        for part in self.problems.keys() - found.keys():
            log.info("%s: well again", part)
        self.lasting = {part: problem for part, problem in found.items() if part in self.problems}
        self.problems = found
        try:
            heartbeat.write(self._folder, found, time.time())
        except OSError as error:  # a full disk, say: whoever reads sees that the last one is old
            log.warning("the heartbeat could not be written: %s", error)

    async def _ask(self, look: Look) -> str:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await look()
        except TimeoutError:
            return f"it did not answer within {ANSWER_S:.0f} s."
        except Exception as error:  # the outer edge: how a part fails is what is asked
            log.debug("a part could not say how it is", exc_info=True)
            return f"it fails ({type(error).__name__})."
