"""Workers that dial in over the bot's web server: tokens, painting, coming back, other versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fakes import asked, check_painted, events_of, until
from machines import Bot, bot, joined

from bot.cli.main import main
from bot.errors import BadInput, NotFound
from bot.features.workers.tokens import FILE, WorkerTokens
from engine.api.errors import InvalidSetup, UnknownModel
from engine.api.events import Finished
from engine.fake import MINI, FakeEngine, recipe_of
from engine.fleet import serving
from engine.fleet.machines import dialing
from engine.fleet.machines.dialing import address_of, join
from engine.fleet.machines.remembering import FILE as REMEMBERED
from engine.fleet.machines.remembering import Remembered
from engine.tasks.txt2img import Txt2Img
from engine.wire.frames import joined as joined_frame
from engine.wire.messages import PROTOCOL
from engine.wire.records import Plain


def frame(said: Any, *attachments: bytes) -> bytes:
    return b"".join(bytes(part) for part in joined_frame(said, attachments))


def state(**facts: Any) -> Any:
    status = {"facts": {"rounds": 1, **facts}}
    return {"is": "State", "status": status, "models": [Plain().of(MINI)]}


@asynccontextmanager
async def peer(there: Bot, *, greets: bool = True) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Something with a token that says what the test wants."""
    headers = {"Authorization": f"Bearer {there.tokens.make('odd')}"}
    async with aiohttp.ClientSession() as session, session.ws_connect(there.address, headers=headers) as socket:
        if greets:
            await socket.send_bytes(frame({"is": "Hello", "protocol": PROTOCOL, "version": "?"}))
        yield socket


async def test_a_worker_dials_in_paints_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialing, "FIRST_S", 0.05)
    async with bot(tmp_path) as there, joined(there, FakeEngine(step_s=0.02), there.tokens.make("garage")):
        await until(lambda: [member.name for member in there.fleet.members] == ["garage"])
        assert [info.key for info in there.fleet.models()] == ["mini"]
        check_painted(await events_of(there.fleet.submit(asked(3, num_images=2))), 3, 2)
        ticket = there.fleet.submit(asked(5, num_images=4))
        await until(lambda: any(job.started for job in there.fleet.jobs.values()))
        await there.page.close()  # the network fails
        events = await events_of(ticket)
        check_painted(events, 5, 4)
        assert isinstance(events[-1], Finished)


async def test_two_workers_with_one_token_are_two(tmp_path: Path) -> None:
    async with bot(tmp_path) as there:
        token = there.tokens.make("rented")
        async with joined(there, FakeEngine(), token), joined(there, FakeEngine(), token):
            await until(lambda: len(there.fleet.members) == 2)
            assert {member.name for member in there.fleet.members} == {"rented", "rented-2"}
        await until(lambda: not there.fleet.members)


async def test_the_default_model_is_the_same_whoever_comes_first(tmp_path: Path) -> None:
    """That of the first worker by name, also while it's away."""
    engines = {name: (replace(MINI, key=f"of-{name}"),) for name in ("attic", "garage")}
    async with bot(tmp_path) as there:
        tokens = {name: there.tokens.make(name) for name in engines}
        async with joined(there, FakeEngine(engines["garage"]), tokens["garage"]):
            await until(lambda: [info.key for info in there.fleet.models()] == ["of-garage"])
            async with joined(there, FakeEngine(engines["attic"]), tokens["attic"]):
                await until(lambda: [info.key for info in there.fleet.models()] == ["of-attic", "of-garage"])
            await until(lambda: len(there.fleet.members) == 1)
            assert [info.key for info in there.fleet.models()] == ["of-attic", "of-garage"]


async def test_jobs_wait_for_a_worker_that_is_away_also_after_a_restart(tmp_path: Path) -> None:
    async with bot(tmp_path) as there:
        token = there.tokens.make("garage")
        async with joined(there, FakeEngine(), token):
            await until(lambda: bool(there.fleet.models()))
    async with bot(tmp_path) as again:
        assert again.fleet.models() == (MINI,)
        ticket = again.fleet.submit(asked(8))
        async with joined(again, FakeEngine(), token):
            check_painted(await events_of(ticket), 8, 1)


async def test_a_token_that_is_none_opens_no_door(tmp_path: Path) -> None:
    async with bot(tmp_path) as there:
        revoked = there.tokens.make("garage")
        there.tokens.revoke("garage")
        for token in ("", "wrong", revoked):
            with pytest.raises(InvalidSetup, match="doesn't know this token"):
                await asyncio.wait_for(join(there.address, token, FakeEngine()), 10)
        plain = there.address.replace("ws://", "http://")
        async with aiohttp.ClientSession() as session, session.get(plain) as answer:
            assert answer.status == 404
        assert there.fleet.members == []


async def test_whoever_has_joined_with_a_revoked_token_is_let_go(tmp_path: Path) -> None:
    """And what only they could do is offered no more, also not after a restart."""
    async with bot(tmp_path) as there:
        token = there.tokens.make("garage")
        async with (
            joined(there, FakeEngine((replace(MINI, key="flux"),), step_s=0.2), token) as joining,
            joined(there, FakeEngine(), there.tokens.make("attic")) as staying,
        ):
            await until(lambda: len(there.fleet.members) == 2)
            ticket = there.fleet.submit(replace(asked(5), model="flux"))
            await until(lambda: any(job.started for job in there.fleet.jobs.values()))
            await there.page.look()
            assert not joining.done()
            there.tokens.make("garage")  # the old one is good no more, and there's a new one
            await there.page.look()
            with pytest.raises(InvalidSetup, match="knows the token of this worker no more"):
                await asyncio.wait_for(joining, 10)
            await until(lambda: [member.name for member in there.fleet.members] == ["attic"])
            assert {info.key for info in there.fleet.models()} == {"flux", "mini"}
            there.tokens.revoke("garage")
            await there.page.look()
            assert isinstance((await events_of(ticket))[-1].error, UnknownModel)
            assert [info.key for info in there.fleet.models()] == ["mini"]
            assert not staying.done()
    assert [*Remembered(tmp_path).models] == ["mini"]


async def test_tokens_that_cant_be_read_let_nobody_go(tmp_path: Path) -> None:
    async with bot(tmp_path) as there, joined(there, FakeEngine(), there.tokens.make("garage")):
        await until(lambda: bool(there.fleet.members))
        (tmp_path / FILE).unlink()
        (tmp_path / FILE).mkdir()  # a disk that fails
        await there.page.look()
        assert [member.name for member in there.fleet.members] == ["garage"]
        assert there.fleet.models() == (MINI,)


async def test_a_worker_that_has_joined_comes_back_past_a_proxy_that_finds_no_bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dialing, "FIRST_S", 0.05)
    async with bot(tmp_path) as there, joined(there, FakeEngine(), there.tokens.make("garage")):
        await until(lambda: bool(there.fleet.members))
        (tmp_path / FILE).rename(tmp_path / "away")  # the same 404 for whoever asks
        await there.page.close()
        await until(lambda: "404" in caplog.text)
        (tmp_path / "away").rename(tmp_path / FILE)
        await until(lambda: bool(there.fleet.members))


async def test_a_drained_worker_that_comes_back_before_it_was_missed_stays_drained(tmp_path: Path) -> None:
    async with bot(tmp_path) as there:
        token = there.tokens.make("garage")
        there.fleet.drain(["garage"])
        async with joined(there, FakeEngine(), token), joined(there, FakeEngine(), token):
            await until(lambda: len(there.fleet.members) == 2)
            assert [member.drained for member in there.fleet.members] == [True, True]
            there.fleet.drain(["garage-2"])
            assert [member.drained for member in there.fleet.members] == [False, True]


def test_a_model_that_a_worker_has_no_more_is_forgotten(tmp_path: Path) -> None:
    flux, fox = (replace(MINI, key=key) for key in ("flux", "fox"))
    known = Remembered(tmp_path)
    known.note("garage", "garage", (MINI, flux))
    known.note("garage", "garage-2", (fox,))
    known.note("garage", "garage", (MINI,))
    assert [*known.models] == [*Remembered(tmp_path).models] == ["mini", "fox"]
    (tmp_path / REMEMBERED).write_bytes(b"\x80\x04cos\nsystem\n")
    assert Remembered(tmp_path).models == {}


async def test_another_version_is_told_so_and_stays_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PROTOCOL", 2)
    async with bot(tmp_path) as there:
        with pytest.raises(InvalidSetup, match="speaks another protocol"):
            await asyncio.wait_for(join(there.address, there.tokens.make("new"), FakeEngine()), 10)
        assert there.fleet.members == []


async def test_a_peer_that_talks_nonsense_is_let_go(tmp_path: Path) -> None:
    async with bot(tmp_path) as there, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {there.tokens.make('odd')}"}
        for nonsense in (b"\x80\x04cos\nsystem\n", b"", b"\xff" * 5000):
            async with session.ws_connect(there.address, headers=headers) as socket:
                await socket.send_bytes(nonsense)
                assert (await socket.receive(timeout=10)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert there.fleet.members == []


PAINTED: dict[str, Any] = {"form": "raw", "mode": "L", "size": [1, 1], "data": 0}
RECIPE = Plain().of(recipe_of(Txt2Img(prompt="x", seed=1), 0))


@pytest.mark.parametrize(
    "event",
    [
        {"is": "Progress", "step": 1, "steps": 0},
        {"is": "Progress", "step": -1, "steps": 4},
        {"is": "ImageReady", "index": 1, "image": PAINTED, "seed": 1, "recipe": RECIPE},
        {"is": "Preview", "index": -1, "image": PAINTED},
        {"is": "Finished", "wait_s": 0.0, "run_s": 0.0},
    ],
    ids=["nothing", "less", "another", "no-preview", "without-pictures"],
)
async def test_a_worker_that_tells_what_cant_be_is_let_go_and_others_paint(tmp_path: Path, event: Any) -> None:
    async with bot(tmp_path) as there, peer(there) as socket:
        await socket.send_bytes(frame(state()))
        await until(lambda: bool(there.fleet.members))
        ticket = there.fleet.submit(asked(3))
        await until(lambda: any(job.holder for job in there.fleet.jobs.values()))
        await socket.send_bytes(frame({"is": "Told", "job": 1, "event": event}, b"\0"))
        await until(lambda: not there.fleet.members)
        async with joined(there, FakeEngine(), there.tokens.make("good")):
            check_painted(await events_of(ticket), 3, 1)


@pytest.mark.parametrize("fact", ["rounds", "memory_bytes", "free_bytes"])
@pytest.mark.parametrize("value", ["many", None, [], -1, 0.5])
async def test_a_worker_that_counts_in_words_stops_nobody(tmp_path: Path, fact: str, value: Any) -> None:
    async with bot(tmp_path) as there, joined(there, FakeEngine(), there.tokens.make("good")), peer(there) as socket:
        await until(lambda: [member.name for member in there.fleet.members] == ["good"])
        await socket.send_bytes(frame(state()))
        await until(lambda: len(there.fleet.members) == 2)
        await socket.send_bytes(frame(state(**{fact: value})))
        await until(lambda: len(there.fleet.members) == 1)
        check_painted(await events_of(there.fleet.submit(asked(3))), 3, 1)
        assert there.fleet.status().facts["rounds"]


async def test_a_worker_says_first_which_protocol_it_speaks(tmp_path: Path) -> None:
    async with bot(tmp_path) as there, peer(there, greets=False) as socket:
        await socket.send_bytes(frame(state()))
        assert (await socket.receive(timeout=10)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert there.fleet.members == []


def test_tokens_are_kept_as_hashes(tmp_path: Path) -> None:
    tokens = WorkerTokens(tmp_path)
    one, other = tokens.make("garage"), tokens.make("attic")
    assert (tokens.name_of(one), tokens.name_of(other)) == ("garage", "attic")
    assert one not in (tmp_path / FILE).read_text()
    assert tokens.make("garage") != one
    assert tokens.name_of(one) is None
    with pytest.raises(BadInput):
        tokens.make("../etc")
    with pytest.raises(NotFound, match="attic, garage"):
        tokens.revoke("cellar")


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("easel.example.org", "wss://easel.example.org/worker"),
        ("https://easel.example.org/bot/", "wss://easel.example.org/bot/worker"),
        ("ws://10.0.0.2:8642/worker", "ws://10.0.0.2:8642/worker"),
    ],
)
def test_addresses_as_people_write_them(given: str, means: str) -> None:
    assert address_of(given) == means
    with pytest.raises(InvalidSetup):
        address_of("ftp://there")


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("EASEL_WEB_ADDRESS", "https://easel.example.org")
    assert main(["worker", "token", "garage"]) == 0
    told = capsys.readouterr().out
    assert "easel worker --join wss://easel.example.org --token " in told
    assert "EASEL_WORKERS=true" in told
    assert WorkerTokens(tmp_path).name_of(told.split("--token ")[1].split()[0]) == "garage"
    assert main(["worker", "list"]) == 0
    assert capsys.readouterr().out == "garage\n"
    assert main(["worker", "revoke", "garage"]) == 0
    assert main(["worker", "token"]) == 2
    assert main(["worker"]) == 2
