"""Files and folders that can't be read or written are a sentence, whichever command meets them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.cli import doctor
from bot.cli.generate import read_file
from bot.config import Settings
from bot.errors import BadInput
from bot.store.errors import ForeignDatabase
from bot.store.external_connection import reading
from bot.store.migrations import migrate
from engine.models.files.shared_table import SharedTable

COMMANDS = (
    "admin audit",
    "admin grant 5 1",
    "backup",
    "migrate",
    "restore b.zip",
    "worker token garage",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder, with a database."""
    monkeypatch.chdir(tmp_path)
    for key in [key for key in os.environ if key.startswith("EASEL_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "data"))
    migrate(tmp_path / "data" / "easel.db", 0)
    return tmp_path / "data"


@pytest.fixture
def closed(folder: Path) -> Iterator[Path]:
    """The data folder, and nobody may look in."""
    folder.chmod(0)
    try:
        if os.access(folder, os.R_OK):
            pytest.skip("who runs this may do everything")
        yield folder
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_of_somebody_elses(closed: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("easel: ")
    assert str(closed) in said or command.startswith("restore"), said


def test_the_doctor_goes_on_in_such_a_folder(closed: Path) -> None:
    found = [check for check in doctor.checks(Settings.load()) if check.verdict == "bad"]
    assert {"data", "database"} <= {check.what for check in found}
    assert all(str(closed) in check.sentence and check.vital and not check.passing for check in found)


def test_a_database_that_may_only_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be opened, and the first job would fail."""
    path = folder / "easel.db"
    path.chmod(0o400)
    if os.access(path, os.W_OK):
        pytest.skip("who runs this may do everything")
    assert main(["migrate"]) == 2
    assert "can't be written" in capsys.readouterr().err
    (check,) = (check for check in doctor.checks(Settings.load()) if check.what == "database")
    assert (check.verdict, check.vital, check.passing) == ("bad", True, False)
    assert str(path) in check.sentence


@pytest.mark.parametrize("command", ["admin audit", "backup", "migrate", "worker token garage"])
def test_a_folder_whose_name_is_too_long(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EASEL_DATA_DIR", "a" * 300)
    assert main(command.split()) == 2
    assert "File name too long" in capsys.readouterr().err
    assert main(["doctor"]) == 1
    assert "bad   data: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        "audit --csv nowhere/x.csv",
        "audit --csv .",
        "stats --csv nowhere/x",
        "stats --png .",
        "export 5 --out nowhere/x.zip",
    ],
)
def test_a_file_that_cannot_be_written(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "grant", "5", "1"]) == 0
    assert main(["admin", *command.split()]) == 2
    assert f"easel: {command.split()[-1]} can't be used" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="Linux's and macOS' own")
def test_a_device_that_never_ends_is_no_picture() -> None:
    with pytest.raises(BadInput, match="The limit is"):
        read_file(Path("/dev/zero"))


# ---------------------------------------------------------------- databases of other programs
def with_tables(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE job (y)")


def with_migrations_of_its_own(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE migration (version, name)")
    db.execute("INSERT INTO migration VALUES ('abc', 'x')")


@pytest.mark.parametrize("made", [with_tables, with_migrations_of_its_own])
def test_another_programs_database_is_let_be(made: object, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "easel.db"
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        made(db)  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(ForeignDatabase, match=str(path)):
        migrate(path, 0)
    with pytest.raises(ForeignDatabase), reading(path):
        pass
    (check,) = (check for check in doctor.checks(Settings.load()) if check.what == "database")
    assert (check.verdict, check.vital, check.passing) == ("bad", True, False)
    for command in COMMANDS[:5]:
        assert main(command.split()) == 2, command
    assert "another program's database" in capsys.readouterr().err
    assert path.read_bytes() == before


# ---------------------------------------------------------------- what is written for later only
def test_what_cannot_be_written_is_known_for_now(closed: Path) -> None:
    """A folder that can't be written stops nobody from painting."""
    table = SharedTable(closed / "hashes.json", str)
    assert table.add("a", "b") == "b"
    assert table.add("a", "c") == "b"
    assert table.get("a") == "b"
