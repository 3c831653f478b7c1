"""The demo behind its page: what it serves, refuses and tells, its times, and what a new run keeps of the last."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, FormData
from PIL import Image

from bot.config import Settings
from bot.demo import demo, simulated_discord, welcome
from bot.demo.page import Sight
from bot.demo.serve import HOST, Address
from bot.demo.simulated_discord import WallClock
from bot.demo.simulation import stage
from bot.kit.interactions import DoubleClicks
from bot.store.clock import SystemClock
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import buttons, paint, press
from tests.features.edit.conftest import EDITOR

NOW = timedelta(seconds=30)  # a busy machine may take so long


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0, shutdown_grace_s=0.0)


class Browser:
    """A page without a window: hears what is told, and acts."""

    def __init__(self, session: ClientSession, socket: Any, where: dict[str, str]) -> None:
        self._session, self._socket, self._where = session, socket, where
        self.place: dict[str, Any] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.more = False

    async def hear(self) -> None:
        news = await asyncio.wait_for(self._socket.receive_json(), 30)
        self.place |= news.get("place", {})
        for number in news.get("gone", ()):
            del self.messages[number]
        self.messages |= {message["id"]: message for message in news.get("put", ())}
        self.more = news.get("more", self.more)

    async def until(self, text: str) -> dict[str, Any]:
        """The newest message that says a text, once there is one."""
        while not (found := [each for each in self.messages.values() if text in json.dumps(each, ensure_ascii=False)]):
            await self.hear()
        return found[-1]

    async def act(self, what: dict[str, Any], **files: bytes) -> dict[str, Any]:
        form = FormData()
        form.add_field("what", json.dumps(self._where | what))
        for name, data in files.items():
            form.add_field(name, io.BytesIO(data), filename=f"{name}.png", content_type="image/png")
        async with self._session.post("act", data=form) as answer:
            return dict(await answer.json())

    async def run(self, name: str, **options: Any) -> dict[str, Any]:
        return await self.act({"do": "run", "name": name, "options": options})

    async def get(self, path: str) -> Any:
        return await self._session.get(path)


@asynccontextmanager
async def browser(url: str, name: str = "Ann", channel: str = "", first: str = "Welcome") -> AsyncIterator[Browser]:
    params = {"as": name, "channel": channel, "count": "40"}
    async with ClientSession(base_url=url) as session, session.ws_connect("live", params=params) as socket:
        page = Browser(session, socket, {"as": name, "channel": channel})
        await page.until(first)
        yield page


def controls(message: dict[str, Any], kind: int) -> list[dict[str, Any]]:
    """The buttons (2) or selects (3) of a message."""
    found = []
    pending = list(message["parts"])
    while pending:
        part = pending.pop(0)
        pending = [*part.get("components", ()), *filter(None, [part.get("accessory")]), *pending]
        if part["type"] == kind:
            found.append(part)
    return found


def labelled(message: dict[str, Any], label: str) -> dict[str, Any]:
    found = next(part for part in controls(message, 2) if part.get("label") == label)
    return {"do": "press", "message": message["id"], "id": found["custom_id"]}


# ---------------------------------------------------------------- what is served
async def test_only_who_has_the_secret_gets_anything(settings: Settings) -> None:
    async with demo(settings, make_engine=FakeEngine) as (url, _), ClientSession() as session:
        async with session.get(url) as answer:
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Referrer-Policy"] == "no-referrer"
        root = url.split("/", 3)[:3]
        for path in ("/", "/act", "/live", "/guess/", "/guess/static/demo.js"):
            async with session.get("/".join(root) + path) as answer:
                assert answer.status == 404


async def test_pictures_are_shown_and_all_else_is_a_download(settings: Settings) -> None:
    async with demo(settings, make_engine=FakeEngine) as (url, _), browser(url) as page:
        shown = (await page.until("Welcome"))["parts"][0]["components"][1]["items"][0]
        async with await page.get(shown["url"]) as answer:
            assert answer.headers["Content-Type"] == "image/webp"
            assert Image.open(io.BytesIO(await answer.read())).size == (shown["w"], shown["h"])
        async with await page.get(shown["url"].replace("welcome", "other")) as answer:
            assert answer.status == 404
        await page.act({"do": "say", "text": "look"}, files=b"<script>")
        async with await page.get((await page.until("look"))["files"][0]["url"]) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        await page.run("imagine", prompt="a red boat")
        await page.until("Remix")
        await page.run("privacy export")
        archive = (await page.until(".zip"))["files"][0]["url"]
        async with await page.get(archive) as answer:
            assert answer.headers["Content-Disposition"] == "attachment"
            assert answer.headers["Content-Type"] == "application/octet-stream"


# ---------------------------------------------------------------- what people do
async def test_every_kind_of_act(settings: Settings) -> None:
    async with demo(settings, make_engine=FakeEngine) as (url, _), browser(url) as page:
        first, *others = (each["name"] for each in page.place["slash"])
        assert (first, others) == ("imagine", sorted(others))
        asked = await page.run("imagine", prompt="a red boat", seed="7")
        grid = await page.until("Remix")
        assert grid["id"] == asked["message"]
        assert (grid["used"], grid["for"]) == ("/imagine", page.place["me"])
        form = (await page.act(labelled(grid, "Remix")))["form"]
        values = {"prompt": "a blue boat", "negative": "", "seed": "8", "size": "", "steps": ""}
        assert (await page.act({"do": "submit", "form": form["key"], "values": values}))["message"]
        await page.until("a blue boat")
        again = await page.act({"do": "submit", "form": form["key"], "values": values})
        assert "sent already" in again["refused"]
        await page.run("settings")
        mine = await page.until("Your settings")
        model = controls(mine, 3)[0]
        chosen = {"do": "choose", "message": mine["id"], "id": model["custom_id"], "values": ["mini"]}
        assert (await page.act(chosen))["message"] == mine["id"]
        while [each["value"] for each in controls(page.messages[mine["id"]], 3)[0]["options"] if each["default"]] != [
            "mini"
        ]:
            await page.hear()
        read = await page.act({"do": "menu", "message": grid["id"], "name": "Read parameters"})
        assert (await page.until('"used": "Read parameters"'))["id"] == read["message"]
        typed = {"do": "complete", "name": "upscale", "option": "source", "typed": "", "options": {}}
        assert "a red boat" in json.dumps((await page.act(typed))["choices"])


async def test_easel_is_talked_to_by_mentions_and_replies(settings: Settings) -> None:
    async with demo(settings, make_engine=lambda: FakeEngine((MINI, EDITOR))) as (url, running), browser(url) as page:
        easel = f"<@{page.place['bot']}>"
        asked = await page.act({"do": "say", "text": f"{easel} a red boat"})
        grid = await page.until("Remix")
        assert grid["answers"] == {"id": asked["message"], "author": page.place["me"], "text": f"{easel} a red boat"}
        single = (await page.act(labelled(grid, "U2")))["message"]
        running.bot.clicks = DoubleClicks(running.app.clock)  # a person would take a moment longer
        said = await page.act({"do": "say", "text": f"{easel} make it night", "answers": single})
        edited = await page.until("Edit of picture 2 of")
        assert edited["answers"]["id"] == said["message"]
        assert page.messages[said["message"]]["answers"]["id"] == single
        gone = await page.act({"do": "say", "text": "hello", "answers": "1"})
        assert "can't be posted" in gone["refused"]


async def test_and_in_direct_messages(settings: Settings) -> None:
    async with demo(settings, make_engine=lambda: FakeEngine((MINI, EDITOR))) as (url, running):
        await (await running.bot.fetch_user(running.members["Ann"].id)).send("psst")
        direct, easel = str(running.members["Ann"].user.dm_channel.id), f"<@{running.env.bot_id}>"
        async with browser(url, channel=direct, first="psst") as alone:
            cat = io.BytesIO()
            Image.new("RGB", (64, 64), "orange").save(cat, "PNG")
            psst = (await alone.until("psst"))["id"]
            mine = await alone.act({"do": "say", "text": "my cat", "answers": psst}, files=cat.getvalue())
            assert (await alone.until("my cat"))["answers"]["id"] == psst
            await alone.act({"do": "say", "text": f"{easel} as a robot", "answers": mine["message"]})
            assert (await alone.until("Edit of an uploaded picture"))["answers"]


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ({"do": "run", "name": "fly", "options": {}}, "There is no /fly here."),
        ({"do": "run", "name": "imagine", "options": {"prompt": "x", "seed": "seven"}}, "can't be used as seed"),
        ({"do": "run", "name": "imagine", "options": {}}, "prompt"),
        ({"do": "press", "message": "1", "id": "v1:r:1"}, "This message has just changed."),
        ({"do": "press", "message": "x", "id": "v1:r:1"}, "Reload the page"),
        ({"do": "dance"}, "Reload the page"),
        ({}, "Reload the page"),
        ({"do": "submit", "form": "0", "values": {}}, "sent already"),
        ({"do": "say", "text": ""}, "can't be posted"),
    ],
)
async def test_what_cannot_be_done_is_said(settings: Settings, what: dict[str, Any], sentence: str) -> None:
    async with demo(settings, make_engine=FakeEngine) as (url, _), browser(url) as page:
        assert sentence in (await page.act(what))["refused"]


async def test_a_message_may_be_pressed_while_it_changes(settings: Settings) -> None:
    async with demo(settings, make_engine=lambda: FakeEngine(step_s=0.05)) as (url, _), browser(url) as page:
        await page.run("imagine", prompt="a red boat")
        painting = await page.until("Cancel")
        presses = [page.act(labelled(painting, "Cancel")) for _ in range(3)]
        assert all("refused" not in answer for answer in await asyncio.gather(*presses))
        await page.until("Try again")


async def test_people_act_and_see_each_for_themselves(settings: Settings) -> None:
    async with (
        demo(settings, make_engine=FakeEngine) as (url, _),
        browser(url) as ann,
        browser(url, "Ben") as ben,
        browser(url, "Ada") as ada,
    ):
        assert [each["admin"] for each in ada.place["people"] if each["id"] == ada.place["me"]] == [True]
        assert "admin panel" in {each["name"] for each in ada.place["slash"]}
        assert "admin panel" not in {each["name"] for each in ann.place["slash"]}
        await asyncio.gather(ann.run("imagine", prompt="a gray castle"), ben.run("imagine", prompt="a blue house"))
        for page in (ann, ben):
            assert (await page.until("a gray castle"))["for"] == ann.place["me"]
            assert (await page.until("a blue house"))["for"] == ben.place["me"]
        await ben.run("credits")
        assert (await ben.until("/credits"))["private"]
        await ben.act({"do": "say", "text": "hello"})
        await ann.until("hello")
        assert not any(message["private"] for message in ann.messages.values())


async def test_direct_messages_are_a_channel_of_their_own(settings: Settings) -> None:
    async with demo(settings, make_engine=FakeEngine) as (url, running), browser(url) as page:
        await (await running.bot.fetch_user(running.members["Ann"].id)).send("psst")
        while len(page.place["channels"]) < 2:
            await page.hear()
        direct = page.place["channels"][1]
        assert (direct["dm"], direct["name"]) == (True, "Easel")
        async with browser(url, channel=direct["id"], first="psst") as alone:
            assert len(alone.messages) == 1
            await alone.act({"do": "say", "text": "hello"})
            await alone.until("hello")
            assert (await alone.run("help"))["message"]
            await alone.until("/help")
        async with browser(url, "Ben", channel=direct["id"]) as ben:  # whose it isn't gets the first channel
            assert [each["dm"] for each in ben.place["channels"]] == [False]


async def test_only_what_is_new_is_told() -> None:
    class Viewer:
        def __init__(self) -> None:
            self.shown = [{"id": str(number), "text": "x"} for number in range(1, 6)]

        def place(self, channel_id: int) -> dict[str, Any]:
            return {"me": "1", "people": len(self.shown)}

        def messages(self, channel_id: int, count: int, since: int) -> tuple[list[dict[str, Any]], bool]:
            found = [each for each in self.shown if int(each["id"]) >= since] if since else self.shown[-count:]
            return found, len(found) < len(self.shown)

    viewer = Viewer()
    sight = Sight(viewer, 1, 2)  # type: ignore[arg-type]
    news = sight.news()
    assert (news["place"], news["more"]) == ({"me": "1", "people": 5}, True)
    assert [each["id"] for each in news["put"]] == ["4", "5"]
    assert sight.news() == {}
    viewer.shown[-1]["text"] = "y"
    assert sight.news() == {"put": [{"id": "5", "text": "y"}], "gone": [], "more": True}
    viewer.shown += [{"id": "6", "text": "x"}]
    del viewer.shown[3]
    assert sight.news() == {"put": [{"id": "6", "text": "x"}], "gone": ["4"], "more": True}
    viewer.shown.append({"id": "7", "text": "x"})  # what was shown stays, though there are more than two
    assert sight.news() == {"place": {"people": 6}, "put": [{"id": "7", "text": "x"}], "gone": [], "more": True}


# ---------------------------------------------------------------- run after run
async def test_the_address_stays_and_pictures_come_back_with_their_times(settings: Settings) -> None:
    began = datetime.now(UTC)
    async with demo(settings, make_engine=FakeEngine) as (url, _), browser(url) as page:
        assert abs(datetime.fromisoformat((await page.until("Welcome"))["at"]) - began) < NOW
        await page.run("imagine", prompt="a red boat")
        painted = await page.until("Remix")
        assert abs(datetime.fromisoformat(painted["at"]) - datetime.now(UTC)) < NOW
        me, first = page.place["me"], (await page.until("Welcome"))["at"]
    assert stat.S_IMODE((settings.data_dir / "demo.json").stat().st_mode) == 0o600
    await asyncio.sleep(2)
    async with demo(settings, make_engine=FakeEngine) as (again, _), browser(again) as page:
        assert (again, page.place["me"]) == (url, me)
        old = await page.until("Remix")
        assert list(page.messages.values())[-1] == old
        assert abs(datetime.fromisoformat(old["at"]) - datetime.fromisoformat(painted["at"])) < timedelta(seconds=2)
        assert (await page.until("Welcome"))["at"][:19] == first[:19]
        assert (await page.act(labelled(old, "V1")))["message"]


async def test_a_taken_port_is_replaced_and_kept(settings: Settings) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        settings.data_dir.mkdir()
        Address(secret="s" * 22, since_ms=1, port=port, editor_port=port).save(settings.data_dir / "demo.json")
        async with demo(settings, make_engine=FakeEngine) as (url, _):
            assert url.startswith(f"http://{HOST}:")
            assert f":{port}/" not in url
            assert url.endswith(f"/{'s' * 22}/")
            assert Address.load(settings.data_dir / "demo.json").port == int(url.split(":")[2].split("/")[0])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"port": 1}', '{"secret": "x", "since_ms": 1, "colour": 2}'])
def test_an_address_that_cannot_be_read_is_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "demo.json").write_text(text)
    assert len(Address.load(tmp_path / "demo.json").secret) >= 20


async def test_what_was_asked_for_in_one_run_arrives_in_the_next(settings: Settings) -> None:
    async with demo(settings, make_engine=lambda: FakeEngine(step_s=30.0)) as (url, _), browser(url) as page:
        await page.run("imagine", prompt="a red boat")
        await page.until("Cancel")
    async with demo(settings, make_engine=FakeEngine) as (url, _), browser(url) as page:
        assert (await page.until("Remix"))["parts"]
        assert [each["dm"] for each in page.place["channels"]] == [False]


async def test_a_new_run_shows_the_last_ones_pictures_with_working_buttons(settings: Settings) -> None:
    async with stage(settings, make_engine=FakeEngine) as studio:
        await paint(studio, "a red boat")
        ann = studio.members["Ann"].id
    async with stage(settings, make_engine=FakeEngine) as studio:
        assert studio.members["Ann"].id == ann
        await welcome.post(studio, 0)
        message = studio.channel.last_message
        assert message is not None
        shown = await studio.members["Ann"].slash(studio.channel, "show", job=1)
        assert (await press(studio, shown.response, "V1")).response.attachments
        again = await paint(studio, "a blue boat")
        assert buttons(again)["U1"] != buttons(shown.response)["U1"]  # a new job, not an old one's answer
        assert len(message.attachments) == 1


# ---------------------------------------------------------------- the simulated Discord
async def test_previews_are_forgotten_and_what_is_shown_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_discord, "UNSEEN_S", 0.0)
    monkeypatch.setattr(simulated_discord, "TURN_S", 0.05)
    async with demo(settings, make_engine=FakeEngine) as (url, running), browser(url) as page:
        await page.run("imagine", prompt="a red boat")
        await page.until("Remix")
        stored = running.env.backend.cdn._blobs
        shown = {each.url for message in running.channel.history() for each in message.attachments}
        async with asyncio.timeout(30):
            while set(stored) != shown:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert len(shown) == 2


async def test_the_clock_follows_the_machines_and_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_800_000_000_000]
    monkeypatch.setattr(SystemClock, "now_ms", lambda self: now[0])
    begun = simulated_discord.Clock()
    begun.advance(now[0] / 1000 - begun.now().timestamp())
    clock = WallClock(begun)
    assert clock.now().timestamp() == pytest.approx(1_800_000_000)
    now[0] += 5_000
    assert clock.now().timestamp() == pytest.approx(1_800_000_005)
    now[0] -= 3_600_000
    assert clock.now().timestamp() == pytest.approx(1_800_000_005)
    clock.advance(1.0)
    assert clock.now().timestamp() == pytest.approx(1_800_000_006)


async def test_records_are_bounded(settings: Settings) -> None:
    async with stage(settings, make_engine=FakeEngine, live=True) as studio:
        for _ in range(5 * simulated_discord.KEPT_RECORDS):
            studio.env.backend.transcript.append(("HTTP", "GET /", None))
        assert len(studio.env.backend.transcript) <= 2 * simulated_discord.KEPT_RECORDS
