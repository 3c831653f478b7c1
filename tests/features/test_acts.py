"""Every act and its rows in the audit log are one: when it can't be noted, nothing happened and the person is told so.

The list of acts is the product's own, so a new act fails here until a way to it is added.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.__main__ import main
from bot.demo.simulation import Stage
from bot.features.audit import store as audit_store
from bot.features.audit.acts import ACTS
from bot.features.audit.store import AuditQuery
from tests.e2e.screen import words
from tests.e2e.test_panel import choose, fill, open_panel

Step = Callable[[Stage], Awaitable[Any]]
CHANGING = ("refusal",)  # tables that count also what failed
BY_ITSELF = "upkeep"  # a fact that the bot notes when it pleases


def said(result: Any) -> str:
    """Everything an interaction answered."""
    assert result.acknowledged
    messages = [*result.followups, *([result.response] if result.response else [])]
    return "\n".join(message.content or words(message) for message in messages)


@dataclass(frozen=True)
class Way:
    """One way to an act: what must be so before it, and the step itself, which answers with words."""

    act: Step
    given: tuple[Step, ...] = ()


def command(name: str, *given: Step, who: str = "Ada", **options: Any) -> Way:
    """A slash command; members and roles are named."""

    async def act(studio: Stage) -> str:
        known = {"everyone": studio.guild.default_role, **studio.members}
        filled = {option: known.get(value, value) for option, value in options.items()}
        return said(await studio.members[who].slash(studio.channel, name, **filled))

    return Way(act, given)


def panel(page: str, *given: Step, button: str, member: str = "", **answers: str) -> Way:
    """A button of a page of the panel, with its form."""

    async def act(studio: Stage) -> str:
        message = await open_panel(studio, page)
        if member:
            await choose(studio, message, "s1:ape:0", studio.members[member])
        return said(await fill(studio, message, button, **answers))

    return Way(act, given)


def command_line(*arguments: str, given: tuple[Step, ...] = ()) -> Way:
    """`easel admin`, beside the running bot; members are named."""

    async def act(studio: Stage) -> str:
        ids = {name: str(member.id) for name, member in studio.members.items()}
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            await asyncio.to_thread(main, ["admin", *(ids.get(each, each) for each in arguments)])
        return out.getvalue()

    return Way(act, given)


GRANTED = command("admin grant", user="Ann", amount=10).act
GIFTS_ON = command("admin quota", gifts_a_day=10).act
QUOTA_OF_ANN = command("admin quota", user="Ann", max_queued=9).act

WAYS: dict[str, dict[str, Way]] = {
    "credits.grant": {
        "command": command("admin grant", user="Ann", amount=5),
        "panel": panel("People", member="Ann", button="Give credits …", amount="25", reason=""),
        "command line": command_line("grant", "Ann", "5"),
    },
    "credits.take": {"command": command("admin take", GRANTED, user="Ann", amount=5)},
    "member.gift": {"command": command("gift", GRANTED, GIFTS_ON, who="Ann", user="Ben", amount=5)},
    "quota.set": {
        "role": command("admin quota", role="everyone", max_steps=5),
        "member": command("admin quota", user="Ben", max_steps=5),
        "panel": panel("Quotas", button="Everyone …", credits="7 a day", jobs="", most="", models="", queue=""),
    },
    "quota.clear": {"command": command("admin quota", QUOTA_OF_ANN, user="Ann", clear=True)},
    "quota.server": {
        "command": command("admin quota", server_credits_a_day=5),
        "panel": panel("Quotas", button="Whole server …", cap="1000", gifts="5"),
    },
}


async def world(studio: Stage) -> list[Any]:
    """Everything in the database, and what is kept of it in memory."""

    def rows(db: sqlite3.Connection) -> list[Any]:
        names = [row["name"] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = [(name, *row) for name in names if name not in CHANGING for row in db.execute(f"SELECT * FROM {name}")]
        return [row for row in found if row[1] != BY_ITSELF]

    return [*await studio.app.store.read(rows), await studio.app.quotas.server(studio.guild.id)]


async def noted(studio: Stage) -> list[str]:
    """The actions of the log, oldest first."""
    return [entry.action for entry in reversed(await studio.app.audit.search(AuditQuery(), 100))]


def unwritable(*_: Any, **__: Any) -> None:
    raise sqlite3.OperationalError("disk I/O error")


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line finds the bot's data, and no settings of the machine it runs on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "data"))


def test_there_is_a_way_to_every_act() -> None:
    assert set(WAYS) == set(ACTS)


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(("action", "way"), [(action, way) for action, ways in WAYS.items() for way in ways])
async def test_an_act_that_cannot_be_noted_does_not_happen(
    failing_studio: Stage, monkeypatch: pytest.MonkeyPatch, action: str, way: str
) -> None:
    studio, chosen = failing_studio, WAYS[action][way]
    for step in chosen.given:
        await step(studio)
    before, log = await world(studio), await noted(studio)
    heard: list[str] = []
    studio.app.audit.listeners.append(lambda entry: heard.append(entry.action))
    with monkeypatch.context() as patch:
        patch.setattr(audit_store, "add", unwritable)
        assert "nothing was changed" in await chosen.act(studio)
    assert await world(studio) == before
    assert heard == []
    assert "nothing was changed" not in await chosen.act(studio)
    assert await noted(studio) == [*log, action]
    assert heard == ([] if way == "command line" else [action])
    assert await world(studio) != before
