"""The audit log: appended, found again, exported, and blanked for those who leave."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.features.audit import store as audit_store
from bot.features.audit.service import Audit
from bot.features.audit.store import AuditQuery
from bot.store.clock import ManualClock
from bot.store.store import Store

GUILD, ADA, ANN = 7, 100, 200


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "easel.db", ManualClock()) as opened:
        yield opened


@pytest.fixture
async def log(store: Store) -> Audit:
    log = Audit(store, ManualClock())
    await log.record(GUILD, ADA, "ban.set", f"user:{ANN}", {"reason": "Bärenhunger"})
    await log.record(GUILD, ADA, "word.add", "word:Peg", {"action": "block"})
    await log.record(GUILD, ANN, "prompt.refused", f"user:{ANN}", {"prompt": "=1+1 secret canary"})
    await log.record(8, ADA, "ban.set", f"user:{ANN}")
    return log


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (AuditQuery(guild_id=GUILD), [3, 2, 1]),
        (AuditQuery(), [4, 3, 2, 1]),
        (AuditQuery(guild_id=GUILD, actor_id=ADA), [2, 1]),
        (AuditQuery(action="ban"), [4, 1]),
        (AuditQuery(action="ban.set", guild_id=8), [4]),
        (AuditQuery(action="ba"), []),
        (AuditQuery(target=f"user:{ANN}"), [4, 3, 1]),
        (AuditQuery(text="PEG"), [2]),
        (AuditQuery(text="Bärenhunger"), [1]),
        (AuditQuery(text="%' OR 1=1 --"), []),
        (AuditQuery(before_id=2), [1]),
    ],
)
async def test_entries_are_found(log: Audit, query: AuditQuery, found: list[int]) -> None:
    assert [entry.id for entry in await log.search(query)] == found


async def test_the_export_is_csv_that_runs_nothing(log: Audit) -> None:
    await log.record(GUILD, ADA, "word.add", "=HYPERLINK()", {})
    rows = list(csv.DictReader(io.StringIO((await log.export(AuditQuery(guild_id=GUILD))).decode("utf-8-sig"))))
    assert [row["action"] for row in rows] == ["word.add", "prompt.refused", "word.add", "ban.set"]
    assert rows[0]["target"] == "'=HYPERLINK()"
    assert rows[0]["actor"] == str(ADA)


async def test_odd_letters_are_noted_and_found(log: Audit) -> None:
    await log.record(
        GUILD, ADA, "ban.set", "user:5\ud800", {"a": "Ärger \ud800" + "😀" * 600, "b": "я" * 600, "c": '\\"' * 300}
    )
    (entry,) = await log.search(AuditQuery(text="Ärger"))
    assert entry.target == "user:5?"
    assert len(await log.search(AuditQuery(text='\\"\\"'))) == 1


async def test_listeners_hear_what_was_written(log: Audit) -> None:
    heard: list[str] = []
    log.listeners.append(lambda entry: heard.append(entry.action))
    await log.record(GUILD, 0, "job.cancel", "job:1")
    assert heard == ["job.cancel"]


async def test_the_log_cannot_be_rewritten(log: Audit, store: Store) -> None:
    for change in ("action = 'a.b'", "at = 1", "actor_id = 5", "details = '{\"a\":1}'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            await store.write(lambda db, change=change: db.execute(f"UPDATE audit SET {change} WHERE id = 1"))


async def test_a_person_who_leaves_takes_their_words_along(log: Audit, store: Store) -> None:
    await store.write(audit_store.forget_person, ANN)
    assert await log.search(AuditQuery(text="canary")) == []
    assert [entry.actor_id for entry in await log.search(AuditQuery(action="prompt"))] == [0]
    assert len(await log.search(AuditQuery(target=f"user:{ANN}", action="ban"))) == 2
