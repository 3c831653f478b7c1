"""easel admin: short changes beside a running bot, each once, each noted."""

from __future__ import annotations

import csv
import io
import itertools
import os
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.cli import parsers
from bot.cli.main import build_parser
from bot.config import Settings
from bot.features.audit import store as audit_store
from bot.store import key_values
from bot.store.clock import SystemClock
from bot.store.migrations import migrate
from tests.job_rows import JobRows

ANN = 4_000_000_001


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for key in [key for key in os.environ if key.startswith("EASEL_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "easel.db"
    migrate(path, 0)
    return path


async def test_granting_beside_a_running_bot_counts_once_by_its_key(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with JobRows.open(database, SystemClock()) as running:
        assert main(["admin", "grant", str(ANN), "12.5", "--key", "may", "--reason", "prize"]) == 0
        assert main(["admin", "grant", str(ANN), "12.5", "--key", "may"]) == 0
        await running.write(key_values.remember, "the bot", "writes on")
        assert (await running.balance(ANN, 7, 0)).paid_mc == 12_500
        assert await running.problems() == []
    assert "used already" in capsys.readouterr().out


async def test_a_grant_that_cannot_be_noted_does_not_happen(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unwritable(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(audit_store, "add", unwritable)
        assert main(["admin", "grant", str(ANN), "12.5", "--key", "may"]) != 0
    assert "nothing was changed" in capsys.readouterr().err
    async with JobRows.open(database, SystemClock()) as store:
        assert (await store.balance(ANN, 7, 0)).paid_mc == 0


@pytest.mark.usefixtures("database")
def test_banning_listing_and_lifting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "ban", str(ANN), "--reason", "spam", "--until", "7d"]) == 0
    assert main(["admin", "ban"]) == 0
    assert f"{ANN}  until" in capsys.readouterr().out
    assert main(["admin", "ban", str(ANN), "--lift"]) == 0
    assert main(["admin", "ban", str(ANN), "--lift"]) == 2
    assert main(["admin", "audit", "--action", "ban"]) == 0
    captured = capsys.readouterr()
    assert "isn't banned" in captured.err
    assert [line.split("  ")[4] for line in captured.out.splitlines()[-2:]] == ["ban.lift", "ban.set"]


@pytest.mark.usefixtures("database")
def test_stats_and_the_log_as_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["admin", "grant", str(ANN), "1"])
    assert main(["admin", "audit", "--csv", "log.csv"]) == 0
    rows = list(csv.reader(io.StringIO((tmp_path / "log.csv").read_text("utf-8-sig"))))
    assert rows[1][4] == "credits.grant"
    assert main(["admin", "stats", "--days", "7", "--csv", "s.csv", "--png", "s.png"]) == 0
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert "images" in capsys.readouterr().out


@pytest.mark.usefixtures("database")
def test_everything_of_a_person_as_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "export", str(ANN), "--out", "ann.zip"]) == 2
    main(["admin", "grant", str(ANN), "1"])
    assert main(["admin", "export", str(ANN), "--out", "ann.zip"]) == 0
    with zipfile.ZipFile(tmp_path / "ann.zip") as file:
        assert "data/transfer.json" in file.namelist()
    assert "has no data" in capsys.readouterr().err


def test_without_a_database_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "stats"]) == 2
    assert "There is no database" in capsys.readouterr().err
    assert not Settings().database_path.exists()


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("arguments", "says"), [("ban 5 --until soon", "isn't a time"), ("stats --days 4000", "1 to 3650")]
)
def test_what_cannot_be_is_refused(arguments: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", *arguments.split()]) == 2
    assert says in capsys.readouterr().err


def takes() -> Iterator[str]:
    """Every command line of `easel admin` with `ID` or `N` in the place of each number that it takes."""
    for line, options in (
        ("grant ID 5", "--guild ID"),
        ("ban ID", "--guild ID"),
        ("audit", "--guild ID --actor ID --limit N"),
        ("stats", "--guild ID --days N"),
        ("key ID --guild ID", "--channel ID"),
        ("undelivered", "--guild ID --again N"),
        ("export ID --out x.zip", ""),
    ):
        words = options.split()
        yield line
        yield from (
            f"{line.replace('ID', '5')} {name} {what}" for name, what in zip(words[::2], words[1::2], strict=True)
        )


def test_these_are_all_numbers_that_it_takes() -> None:
    topics = build_parser()._subparsers._group_actions[0].choices["admin"]._subparsers._group_actions[0].choices  # type: ignore
    numbers = {
        f"{topic} {(action.option_strings or [''])[0]}".strip()
        for topic, parser in topics.items()
        for action in parser._actions
        if action.type not in (None, Path, parsers.words, parsers.credits_)
    }
    lines = [line.split() for line in takes()]
    named = {f"{w[0]} {before}".strip() for w in lines for before, v in itertools.pairwise(w) if v in ("ID", "N")}
    assert {name.replace(f" {name.split()[0]}", "") for name in named} == numbers


@pytest.mark.parametrize("number", ["99999999999999999999999", str(2**63), "-3", "0", "x", "1.5", "\u0663"])
@pytest.mark.parametrize("line", [line for line in takes() if "ID" in line or "N" in line])
def test_a_number_that_is_none_is_refused(line: str, number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["admin", *(number if word in ("ID", "N") else word for word in line.split())])
    assert refused.value.code == 2
    assert "can't be used" in capsys.readouterr().err or number.startswith("-")


@pytest.mark.parametrize("line", ["admin grant 5 nan", "admin grant 5 inf", "admin grant 5 -3", "demo --port 99999"])
def test_an_amount_or_port_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(SystemExit) as refused:
        main(line.split())
    assert refused.value.code == 2


@pytest.mark.parametrize(
    "line", ["grant 5 1 --reason BAD", "grant 5 1 --key BAD", "ban 5 --until BAD", "audit --text BAD"]
)
def test_text_that_is_no_utf_8_is_refused(line: str) -> None:
    """As Python gives bytes of a terminal that it can't read."""
    with pytest.raises(SystemExit) as refused:
        main(["admin", *(word.replace("BAD", "\udcff") for word in line.split())])
    assert refused.value.code == 2
