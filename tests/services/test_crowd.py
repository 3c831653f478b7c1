"""Many members ask many times at once: all are answered, the queue stays bounded, nothing grows."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import pairwise
from pathlib import Path

from benchmarks.crowd import Tally, ask, opened, settled
from bot.config import Settings

MEMBERS, EACH, MAX_QUEUE = 40, 10, 30


async def test_a_crowd_is_answered_and_leaves_nothing_behind(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, min_free_mib=0, max_queue=MAX_QUEUE, max_queued=4)
    tally = Tally()
    app = await opened(settings, tally)
    try:
        await ask(app, MEMBERS, EACH, tally, EACH)  # the engine is not started: everything waits
        assert len(tally.acknowledged) == len(tally.answered) == MEMBERS * EACH
        assert await app.jobs.queue_length() == MAX_QUEUE
        refused = {words.split(",")[0] for words in tally.words}
        assert refused <= {"The queue is full", "You have 4 jobs waiting or running"}
        assert sum(tally.words.values()) == MEMBERS * EACH - MAX_QUEUE
        await app.start()
        await settled(app)
        assert tally.delivered == MAX_QUEUE
        assert await _grown_by(app, tally) < 2_000_000
        assert await app.store.problems() == []
    finally:
        await app.__aexit__(None, None, None)


async def _grown_by(app: object, tally: Tally) -> int:
    """Bytes of Python objects that every further such crowd leaves behind; others in this process leave some once."""
    tracemalloc.start()
    try:
        held = []
        for _ in range(3):
            await ask(app, MEMBERS, EACH, tally)  # type: ignore[arg-type]
            await settled(app)  # type: ignore[arg-type]
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
        return min(after - before for before, after in pairwise(held))
    finally:
        tracemalloc.stop()
