"""Every act and its rows in the audit log are one: when it can't be noted, nothing happened and the person is told so.

The list of acts is the product's own, so a new act fails here until a way to it is added.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

import bot
import bot.cli.admin  # knows acts that nothing else does
from bot.__main__ import main
from bot.config import Settings
from bot.demo.simulation import FIRST_USER_ID, Stage
from bot.features.audit import store as audit_store
from bot.features.audit.acts import ACTS
from bot.features.audit.service import Event
from bot.features.audit.store import AuditQuery
from tests.e2e.screen import closed_to, paint, press, words
from tests.features.admin.test_panel import choose, fill, open_panel
from tests.features.edit.conftest import png
from tests.features.moderation.test_moderation import _forged, with_audit_channel

Step = Callable[[Stage], Awaitable[Any]]
CHANGING = ("refusal", "input_image")  # tables that count also what failed, or when a picture was last given
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


def command(name: str, /, *given: Step, who: str = "Ada", **options: Any) -> Way:
    """A slash command; members and roles are named."""

    async def act(studio: Stage) -> str:
        known = {"everyone": studio.guild.default_role, **studio.members}
        filled = {
            option: known.get(value, value) if isinstance(value, str) else value for option, value in options.items()
        }
        return said(await studio.members[who].slash(studio.channel, name, **filled))

    return Way(act, given)


def panel(page: str, *given: Step, button: str, member: str = "", **answers: str) -> Way:
    """A button of a page of the panel, with its form if it has one."""

    async def act(studio: Stage) -> str:
        message = await open_panel(studio, page)
        if member:
            await choose(studio, message, "s1:ape:0", studio.members[member])
        pressing = fill(studio, message, button, **answers) if answers else press(studio, message, button, "Ada")
        return said(await pressing)

    return Way(act, given)


def panel_list(page: str, *given: Step, number: str, value: Step) -> Way:
    """A choice in a list of a page of the panel."""

    async def act(studio: Stage) -> str:
        message = await open_panel(studio, page)
        return said(await choose(studio, message, f"s1:{number}", await value(studio)))

    return Way(act, given)


def button(custom_id: str, *given: Step, who: str = "Ada") -> Way:
    """A button under a message."""

    async def act(studio: Stage) -> str:
        return said(await _forged(studio, who, f"v1:{custom_id}"))

    return Way(act, given)


def command_line(*arguments: str, given: tuple[Step, ...] = ()) -> Way:
    """`easel admin`, beside the running bot; members are named."""

    async def act(studio: Stage) -> str:
        ids = {name: str(member.id) for name, member in studio.members.items()} | {"GUILD": str(studio.guild.id)}
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


async def a_channel(studio: Stage) -> Any:
    return studio.guild.create_text_channel("pictures")


async def the_word(studio: Stage) -> str:
    (word,) = await studio.app.moderation.words(studio.guild.id)
    return str(word.id)


async def refused(studio: Stage) -> None:
    """Ann may appeal: appeal 1."""
    await with_audit_channel(studio)
    await LISTED(studio)
    assert "blocked" in await command("imagine", who="Ann", prompt="a peg").act(studio)


BANNED = command("admin ban", user="Ben").act
ATTACHED = command("admin words", action="attach", word="gore").act
LISTED = command("admin words", action="add", word="peg").act
DRAINED = command("admin pause", mode="drain").act
APPEALED = button("ap:1", refused, who="Ann").act
APPROVED = button("ay:1").act


async def of(value: str) -> str:
    return value


WAYS |= {
    "ban.set": {
        "command": command("admin ban", user="Ann", reason="spam"),
        "panel": panel("People", member="Ann", button="Ban …", until="7d", reason="spam"),
        "command line": command_line("ban", "Ann", "--reason", "spam"),
    },
    "ban.lift": {
        "command": command("admin unban", BANNED, user="Ben"),
        "panel": panel("People", BANNED, member="Ben", button="Unban"),
        "command line": command_line("ban", "Ben", "--lift", given=(command_line("ban", "Ben").act,)),
    },
    "word.add": {
        "command": command("admin words", action="add", word="peg"),
        "panel": panel("Words", button="Add …", word="peg", rule="block"),
    },
    "word.remove": {
        "command": command("admin words", LISTED, action="remove", word="peg"),
        "panel": panel_list("Words", LISTED, number="awo:0", value=the_word),
    },
    "word.import": {"command": command("admin words", action="import", file=("words.txt", b"peg"))},
    "word.attach": {
        "command": command("admin words", action="attach", word="gore"),
        "panel": panel_list("Words", number="awo:1", value=lambda _: of("gore")),
    },
    "word.detach": {"command": command("admin words", ATTACHED, action="detach", word="gore")},
    "rules.set": {
        "channels": command("admin channels", age_only=True),
        "words": command("admin words", tell=False),
        "panel's words": panel("Words", button="Refusals name the word: on"),
        "panel's age switch": panel("Channels", button="Age-restricted only: off"),
        "panel's image filter": panel("Channels", button="Flagged as spoilers: off"),
        "panel's stars": panel("Channels", button="Stars …", stars="5"),
        "panel's channels": panel_list("Channels", number="ach:0", value=a_channel),
        "panel's gallery": panel_list("Channels", number="ach:1", value=a_channel),
    },
    **{
        f"pause.{mode}": {
            "command": command("admin pause", mode=mode, sentence="Back at noon."),
            "panel": panel("Pause", button=f"{mode.capitalize()} …", sentence="Back at noon."),
        }
        for mode in ("pause", "drain", "notice")
    },
    "pause.off": {
        "command": command("admin pause", DRAINED, mode="off"),
        "panel": panel("Pause", DRAINED, button="Resume"),
    },
    "appeal.open": {"button": button("ap:1", refused, who="Ann")},
    "appeal.approve": {"button": button("ay:1", refused, APPEALED)},
    "appeal.revoke": {
        "list": panel_list("Appeals", refused, APPEALED, APPROVED, number="ap:0", value=lambda _: of("1"))
    },
    "appeal.deny": {"button": button("an:1", refused, APPEALED)},
}


async def queued(studio: Stage) -> None:
    """Ann's job 1 waits and isn't begun."""
    studio.settings.max_running = 0
    await command("imagine", who="Ann", prompt="a boat").act(studio)


async def painted(studio: Stage) -> None:
    """Ann's image 1."""
    await paint(studio)


async def undelivered(studio: Stage) -> None:
    """Ann's job 1 could not be delivered."""
    with closed_to(studio, "Ann"):
        await paint(studio)


async def reported(studio: Stage) -> None:
    """Ben reported Ann's job 1."""
    await painted(studio)
    await REPORT.act(studio)


async def report(studio: Stage) -> str:
    shown = await _forged(studio, "Ben", "v1:rt:1")
    return said(await studio.members["Ben"].submit_modal(shown, {"reason": "blood"}))


async def empty(studio: Stage) -> str:
    return await button(f"mpy:{studio.members['Ann'].id}").act(studio)


REPORT = Way(report, (painted,))
WAYS |= {
    "report.open": {"form": REPORT},
    "report.dismiss": {"button": button("rk:1", reported)},
    "job.cancel": {
        "command": command("admin jobs", queued, cancel=1),
        "command for all": command("admin jobs", queued, user="Ann", cancel=0),
        "button of the list": button("js:1", queued),
        "button of the job": button("c:1", queued),
    },
    "job.delete": {"button": button("dy:1", painted), "button of a report": button("rq:1", reported)},
    "job.delete_all": {"button": Way(empty, (painted,))},
    "job.deliver": {"button": button("jd:1", undelivered)},
}


COLOURS = command("words save", name="colour", words="red, blue", server=True).act
INK = command("style add", name="ink", template="ink {prompt}").act
WASH = command("style from", name="wash", image1=("a.png", png())).act

WAYS |= {
    "defaults.set": {
        "command": command("admin defaults", steps=7),
        "panel's list": panel_list("Defaults", number="ade:1", value=lambda _: of("3:2")),
        "panel's form": panel("Defaults", button="Steps, guidance, scheduler, negative …", steps="7"),
    },
    "style.add": {"command": command("style add", name="ink", template="ink {prompt}")},
    "style.remove": {"command": command("style remove", INK, name="INK")},
    "look.add": {"command": command("style from", WASH, name="again", image1=("a.png", png()))},
    "look.remove": {"command": command("style forget", WASH, name="Wash")},
    "words.save": {"command": command("words save", name="colour", words="red, blue", server=True)},
    "words.remove": {"command": command("words remove", COLOURS, name="colour", server=True)},
    "gallery.page": {"command": command("admin gallery", public=False)},
    "model.describe": {"command": command("admin models", model="mini", licence="MIT", about="Boats")},
}


KEYED = command_line("key", "Ann", "--guild", "GUILD").act
WAYS |= {
    "api.key": {"command line": command_line("key", "Ann", "--guild", "GUILD")},
    "api.revoke": {"command line": command_line("key", "Ann", "--guild", "GUILD", "--revoke", given=(KEYED,))},
}


async def asked_to_announce(studio: Stage) -> None:
    await with_audit_channel(studio)
    await command("admin announce", text="Tonight at eight").act(studio)


async def send_announcement(studio: Stage) -> str:
    ((number,),) = await studio.app.store.read(
        lambda db: db.execute("SELECT substr(key, 10) FROM note WHERE key GLOB 'announce:*'").fetchall()
    )
    return await button(f"ann:{number}").act(studio)


WAYS |= {"announce.send": {"button": Way(send_announcement, (asked_to_announce,))}}
EVENTS = {"announce.send": ["announce.sent"]}
"""What is noted after an act because of it."""


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


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Ada runs the bot."""
    return settings.model_copy(update={"operators": (FIRST_USER_ID + 2,)})


async def test_of_two_acts_at_once_both_happen_or_none(failing_studio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    studio, add = failing_studio, audit_store.add
    both = command("admin words", action="add", word="peg", tell=False)
    before = await world(studio)

    def full(*row: Any) -> Any:
        return unwritable() if "rules.set" in row else add(*row)

    with monkeypatch.context() as patch:
        patch.setattr(audit_store, "add", full)
        assert "nothing was changed" in await both.act(studio)
    assert await world(studio) == before
    assert "nothing was changed" not in await both.act(studio)
    assert await noted(studio) == ["word.add", "rules.set"]


def test_there_is_a_way_to_every_act() -> None:
    assert set(WAYS) == set(ACTS)


def test_nothing_else_writes_the_log() -> None:
    """An act is noted by its mark, an event by `Audit.record`, whose events are listed; there is no third way."""
    room = Path(audit_store.__file__).parent
    writers = [
        path
        for path in Path(bot.__file__).parent.rglob("*.py")
        if path.parent != room and re.search(r"\baudit_store\.add\(|INTO audit\b", path.read_text(encoding="utf-8"))
    ]
    assert writers == []
    assert set(ACTS).isdisjoint(get_args(Event))


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
    written = [action, *EVENTS.get(action, ())]
    assert await noted(studio) == [*log, *written]
    assert heard == ([] if way == "command line" else written)
    assert await world(studio) != before
