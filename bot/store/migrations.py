"""Bring a database to the shipped schema: numbered SQL, forward only, all in one transaction. Knows no tables."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bot.store.errors import ChangedMigration, CorruptDatabase, ForeignDatabase, NewerDatabase, unopened, unusable

BOOKKEEPING = """
CREATE TABLE IF NOT EXISTS migration (
  version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at INTEGER NOT NULL
) STRICT"""
OF_BOOKKEEPING = {"version", "name", "sha256", "applied_at"}
LOCKED_S = 30.0  # how long another program may work on the database before it's refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> tuple[Migration, ...]:
    """The migrations of this installation, in order."""
    files = [file for file in resources.files("migrations").iterdir() if file.name.endswith(".sql")]
    named = sorted((file.name, file.read_text(encoding="utf-8").replace("\r\n", "\n")) for file in files)
    return tuple(Migration(version=int(name[:4]), name=name, sql=sql) for name, sql in named)


def migrate(
    path: Path,
    now_ms: int,
    migrations: tuple[Migration, ...] | None = None,
    *,
    whole: bool = False,
    timeout_s: float = LOCKED_S,
) -> list[str]:
    """Check the database, back it up if it will change, apply what is missing; the names of what ran.

    Checking reads all of it, so it is left out for one that is known to be `whole`.

    Raises: CorruptDatabase, ForeignDatabase, NewerDatabase, ChangedMigration, FolderUnusable, NoSpace, DatabaseLocked;
    nothing was changed then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_writable(path)
        return _migrate(path, now_ms, shipped() if migrations is None else migrations, whole, timeout_s)
    except OSError as error:
        raise unusable(path.parent, error) from error
    except sqlite3.DatabaseError as error:
        raise unopened(path, error) or error from error


def check_writable(path: Path) -> None:
    """SQLite opens a file that may only be read all the same, and the first job fails. Raises: FolderUnusable."""
    if path.exists() and not os.access(path, os.W_OK):
        raise unusable(path.parent, PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)))


def _migrate(path: Path, now_ms: int, steps: tuple[Migration, ...], whole: bool, timeout_s: float) -> list[str]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=timeout_s)) as db:
        if not whole:
            _check(db, path)
        missing = _missing(steps, _applied(db))
        if missing and _applied(db):
            backup(path, path.parent / "backups" / f"before-{missing[0].name[:4]}-{now_ms}.db")
        return _apply(db, missing, now_ms) if missing else []


def backup(path: Path, target: Path) -> None:
    """Copy a database consistently, also while it is written to; a plain file copy is not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = sqlite3.connect(read_only_uri(path), uri=True)
    with closing(source), closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def backups(path: Path) -> list[Path]:
    """The copies that migrations made of a database before they changed it, oldest first."""
    return sorted((path.parent / "backups").glob("before-*.db"), key=lambda file: file.stat().st_mtime)


def read_only_uri(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def _check(db: sqlite3.Connection, path: Path) -> None:
    try:
        verdict = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # of the surroundings
        raise
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        raise CorruptDatabase(f"The database {path} is damaged ({verdict}). {_restore_hint(path)}")


def _restore_hint(path: Path) -> str:
    beside = path.parent / "backups"
    found = sorted([*beside.glob("*.db"), *beside.glob("easel-*.zip")], key=lambda file: file.stat().st_mtime)
    if not found:
        return "There is no backup beside it. Restore one of yours, or move the file away to start empty."
    if found[-1].suffix == ".zip":
        return f"Restore the newest backup: easel restore {found[-1]}"
    return f"Restore the newest backup: rm -f {path}-wal {path}-shm && cp {found[-1]} {path}"


def _applied(db: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    """What ran on a database, by version. Raises: ForeignDatabase where no Easel made its tables."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    others = [name for name in tables if name != "migration" and not name.startswith("sqlite_")]
    columns = {name for (name,) in db.execute("SELECT name FROM pragma_table_info('migration')")}
    ours = columns == OF_BOOKKEEPING
    rows = db.execute("SELECT version, name, sha256 FROM migration").fetchall() if ours else []
    if (columns and not ours) or (others and not rows):
        raise ForeignDatabase(f"{_path_of(db)} is another program's database. Move it away, or set EASEL_DATA_DIR.")
    return {version: (name, sha256) for version, name, sha256 in rows}


def _path_of(db: sqlite3.Connection) -> str:
    return str(db.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()[0])


def _missing(steps: tuple[Migration, ...], applied: dict[int, tuple[str, str]]) -> list[Migration]:
    if newer := sorted(applied.keys() - {step.version for step in steps}):
        raise NewerDatabase(
            f"The database was used by a newer Easel ({applied[newer[-1]][0]}). Install that version again, "
            "or restore the backup it made before it changed the database."
        )
    for step in steps:
        if step.version in applied and applied[step.version][1] != step.sha256:
            raise ChangedMigration(f"{step.name} is not the file that made this database. Install Easel again.")
    return [step for step in steps if step.version not in applied]


def missing_steps(db: sqlite3.Connection) -> list[str]:
    """Names of the shipped migrations that a database still needs. Raises: NewerDatabase, ChangedMigration."""
    return [step.name for step in _missing(shipped(), _applied(db))]


def _apply(db: sqlite3.Connection, steps: Sequence[Migration], now_ms: int) -> list[str]:
    """Run migrations, all of them or none; the names of those with which no other process was faster."""
    with immediate(db):
        db.execute(BOOKKEEPING)
        applied = _applied(db)
        missing = [step for step in steps if step.version not in applied]
        for step in missing:
            for statement in statements(step.sql):
                db.execute(statement)
            row = (step.version, step.name, step.sha256, now_ms)
            db.execute("INSERT INTO migration VALUES (?, ?, ?, ?)", row)
    return [step.name for step in missing]


def statements(sql: str) -> Iterator[str]:
    """The statements of a script; `executescript` would commit behind our back, and triggers hold semicolons."""
    rest = ""
    for piece in sql.split(";"):
        rest += piece + ";"
        if sqlite3.complete_statement(rest):
            yield rest
            rest = ""


@contextmanager
def immediate(db: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: the lock is taken first, so a transaction never fails half-way for being late."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # a full disk rolls back by itself
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def problems(db: sqlite3.Connection) -> list[str]:
    """One line for each row of each `bad_*` view."""
    views = db.execute("SELECT name FROM sqlite_schema WHERE type = 'view' AND name GLOB 'bad_*' ORDER BY name")
    return [
        f"{view['name']}: {dict(row)}"
        for view in views.fetchall()
        for row in db.execute(f"SELECT * FROM {view['name']} LIMIT 20")
    ]
