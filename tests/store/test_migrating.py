"""The migration runner, the lock of the data directory, and damaged files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.store import key_values
from bot.store.clock import ManualClock
from bot.store.errors import AlreadyRunning, ChangedMigration, CorruptDatabase, NewerDatabase
from bot.store.migrations import Migration, migrate, shipped, statements
from bot.store.store import Store
from tests.job_rows import JobRows

NEXT = Migration(version=9000, name="9000_next.sql", sql="CREATE TABLE extra (id INTEGER) STRICT;")


def schema(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name").fetchall()


def test_every_shipped_schema_migrates_to_head(tmp_path: Path) -> None:
    steps = shipped()
    migrate(tmp_path / "fresh.db", 0)
    for count in range(1, len(steps) + 1):
        path = tmp_path / f"from-{count}.db"
        migrate(path, 0, steps[:count])
        migrate(path, 1)
        assert schema(path) == schema(tmp_path / "fresh.db")


def test_migrations_are_numbered_without_gaps_and_run_once(tmp_path: Path) -> None:
    assert [step.version for step in shipped()] == list(range(1, len(shipped()) + 1))
    assert migrate(tmp_path / "easel.db", 0) == [step.name for step in shipped()]
    assert migrate(tmp_path / "easel.db", 0) == []
    assert not (tmp_path / "backups").exists(), "an empty database needs no backup"


def test_an_existing_database_is_backed_up_before_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    migrate(path, 0)
    before = schema(path)
    assert migrate(path, 5, (*shipped(), NEXT)) == [NEXT.name]
    assert schema(tmp_path / "backups" / "before-9000-5.db") == before
    assert "extra" in dict(schema(path))


def test_a_failing_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    migrate(path, 0)
    before = schema(path)
    broken = Migration(version=9000, name="9000_broken.sql", sql=NEXT.sql + "INSERT INTO nowhere VALUES (1);")
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(path, 0, (*shipped(), broken))
    assert schema(path) == before


def test_migrations_run_all_or_none(tmp_path: Path) -> None:
    """A new database is whole or empty, and an old one is as its backup has it, whatever fails between."""
    broken = Migration(version=9001, name="9001_broken.sql", sql="INSERT INTO nowhere VALUES (1);")
    migrate(tmp_path / "old.db", 0)
    before = schema(tmp_path / "old.db")
    for path in (tmp_path / "old.db", tmp_path / "new.db"):
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            migrate(path, 0, (*shipped(), NEXT, broken))
    assert (schema(tmp_path / "old.db"), schema(tmp_path / "new.db")) == (before, [])


def test_a_newer_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    migrate(tmp_path / "easel.db", 0, (*shipped(), NEXT))
    with pytest.raises(NewerDatabase, match="newer Easel"):
        migrate(tmp_path / "easel.db", 0)


def test_a_changed_migration_is_refused(tmp_path: Path) -> None:
    migrate(tmp_path / "easel.db", 0, (NEXT,))
    with pytest.raises(ChangedMigration, match="9000_next"):
        migrate(tmp_path / "easel.db", 0, (Migration(version=9000, name=NEXT.name, sql="SELECT 1;"),))


def test_a_damaged_database_is_refused_with_the_restore_command(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    migrate(path, 0)
    migrate(path, 5, (*shipped(), NEXT))
    data = bytearray(path.read_bytes())
    data[4096 : 4096 * 3] = b"\x55" * 8192
    path.write_bytes(data)
    with pytest.raises(CorruptDatabase, match=r"cp .*before-9000-5\.db"):
        migrate(path, 6)


def test_statements_keep_triggers_whole() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT ';'; END;"
    assert [s.strip() for s in statements(f"SELECT 1;\n{trigger}\n-- the end")] == ["SELECT 1;", trigger]


async def test_a_second_process_is_refused_with_a_sentence(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "easel.db", ManualClock()):
        with pytest.raises(AlreadyRunning, match="Another Easel is running"):
            async with Store.open(tmp_path / "easel.db", ManualClock()):
                pass
    async with JobRows.open(tmp_path / "easel.db", ManualClock()) as store:
        assert await store.pending() == 0


async def test_a_backup_is_a_database(store: JobRows, tmp_path: Path) -> None:
    await store.write(key_values.remember, "key", "value")
    await store.db.backup(tmp_path / "copy" / "easel.db")
    async with Store.open(tmp_path / "copy" / "easel.db", ManualClock()) as copy:
        assert await copy.read(key_values.recall, "key") == "value"


def add_job(db: sqlite3.Connection, spec: str, kind: str = "imagine") -> None:
    """A job as the first versions stored it."""
    db.execute("INSERT OR IGNORE INTO guild VALUES (1, 0)")
    db.execute("INSERT OR IGNORE INTO user VALUES (1, 5, 0)")
    db.execute(
        "INSERT INTO job (interaction_id, guild_id, channel_id, user_id, kind, vtime, cost, spec, spec_version,"
        " quote, application_id, reply_until, created_at)"
        " VALUES ((SELECT count(*) + 1 FROM job), 1, 1, 1, ?, 0, 1, ?, 1, 0, 1, 0, 0)",
        (kind, spec),
    )


def test_jobs_of_the_first_version_keep_their_uploads(tmp_path: Path) -> None:
    path, sha = tmp_path / "easel.db", "ab" * 32
    migrate(path, 0, shipped()[:1])
    with closing(sqlite3.connect(path)) as db:
        add_job(db, f'{{"init_image": "{sha}"}}')
        db.commit()
    migrate(path, 0)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT job_id, sha256 FROM job_input").fetchall() == [(1, sha)]


def test_jobs_of_controlnets_get_the_kind_that_they_are(tmp_path: Path) -> None:
    path = tmp_path / "easel.db"
    migrate(path, 0, shipped()[:8])
    jobs = [("imagine", '{"task":"control"}'), ("vary", '{"task":"control"}'), ("imagine", "{}"), ("blend", "{}")]
    with closing(sqlite3.connect(path)) as db:
        for kind, spec in jobs:
            add_job(db, spec, kind)
        db.execute("DELETE FROM job WHERE id = 4")
        db.commit()
        assert db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job'").fetchone() == (4,)
    migrate(path, 0)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT id, kind FROM job").fetchall() == [(1, "control"), (2, "vary"), (3, "imagine")]
        assert db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job'").fetchone() == (4,)
        add_job(db, "{}", "video2")  # a task of tomorrow
        with pytest.raises(sqlite3.IntegrityError):
            add_job(db, "{}", "What's this?")
        views = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")]
        assert {view: db.execute(f"SELECT * FROM {view}").fetchall() for view in views if view.startswith("bad_")} == {
            view: [] for view in views if view.startswith("bad_")
        }
        with pytest.raises(sqlite3.IntegrityError, match="illegal job transition"):
            db.execute("UPDATE job SET state = 'done'")


def test_no_two_migrations_have_one_number() -> None:
    numbers = [step.version for step in shipped()]
    assert numbers == sorted(set(numbers))
