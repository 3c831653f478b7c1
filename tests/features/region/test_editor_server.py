"""The mask editor's server alone: what it serves, what it refuses, and what its headers forbid."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import AsyncIterator
from importlib import resources

import pytest
from aiohttp import ClientSession, FormData
from pydantic import ValidationError
from yarl import URL

from bot.cli.checks import machine
from bot.cli.main import _exit_code as exit_code
from bot.config import Settings
from bot.errors import BadInput
from bot.features.region.doors import NoDoor
from bot.features.region.editor_server import MAX_BODY, EditorPage, EditorServer
from bot.features.region.words import EDITOR, GONE
from bot.languages.pages import SAID, english_of
from bot.process import FAILED, MISCONFIGURED

GOOD = "g" * 43
STATIC = resources.files("bot.features.region") / "static"


class Desk:
    """One link, good until it is used; a mask of the word "bad" is refused."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, str]] = []

    async def open(self, token: str) -> EditorPage | None:
        return None if token != GOOD or self.sent else EditorPage(prompt='a "boat" </textarea><script>{base}')

    async def picture(self, token: str) -> bytes | None:
        return None if token != GOOD or self.sent else b"RIFF"

    async def welcomes(self, token: str) -> bool | None:
        return None if token != GOOD or self.sent else True

    async def send(self, token: str, mask: bytes, prompt: str, *, agreed: bool) -> bool | None:
        if prompt == "crash":
            raise RuntimeError("a fault of ours")
        if mask == b"bad":
            raise BadInput("Nothing is marked yet.")
        self.sent.append((mask, prompt))
        return True


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def session(desk: Desk) -> AsyncIterator[ClientSession]:
    server = EditorServer(desk, host="127.0.0.1", port=0, address="auto")
    address = await server.start()
    async with ClientSession(base_url=address) as session:
        yield session
    await server.stop()


def form(mask: bytes = b"mask", prompt: str = "a boat") -> FormData:
    data = FormData()
    data.add_field("mask", io.BytesIO(mask), filename="mask.png", content_type="image/png")
    data.add_field("prompt", prompt)
    return data


async def test_the_page_its_picture_and_its_files_are_served(session: ClientSession) -> None:
    async with session.get(f"/mask/{GOOD}") as answer:
        page = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
    assert "a &quot;boat&quot; &lt;/textarea&gt;&lt;script&gt;{base}</textarea>" in page
    for name, kind in (("editor.css", "text/css"), ("editor.js", "text/javascript")):
        assert f'"/mask/static/{name}"' in page
        async with session.get(f"/mask/static/{name}") as answer:
            assert (answer.status, answer.content_type) == (200, kind)
    async with session.get(f"/mask/{GOOD}/picture") as answer:
        assert (answer.status, await answer.read()) == (200, b"RIFF")


@pytest.mark.parametrize("path", [f"/mask/{GOOD}", f"/mask/{GOOD}/picture", "/mask/static/editor.js", "/nothing"])
async def test_every_answer_is_guarded(session: ClientSession, path: str) -> None:
    async with session.get(path) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Server"] == "Easel"
        assert (answer.headers["Cache-Control"] == "no-store") == ("static" not in path)
        assert "Set-Cookie" not in answer.headers


async def test_the_page_needs_nothing_that_the_policy_forbids(session: ClientSession) -> None:
    async with session.get(f"/mask/{GOOD}") as answer:
        page = await answer.text()
    assert "<style" not in page
    assert " style=" not in page
    assert " onclick=" not in page
    assert page.count("<script") == 1
    assert "http://" not in page.replace("http://127.0.0.1", "")
    assert "https://" not in page


async def test_the_page_speaks_as_the_browser_asks(session: ClientSession) -> None:
    german = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}
    async with session.get(f"/mask/{GOOD}", headers=german) as answer:
        page = await answer.text()
        assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("no-store", "Accept-Language")
    assert '<html lang="de">' in page
    assert "<title>Markiere, was neu gemalt wird · Easel</title>" in page
    assert 'title="Pinsel (B)"' in page
    assert "drück auf <b>Malen</b>. Mit zwei Fingern" in page
    assert "a &quot;boat&quot; &lt;/textarea&gt;&lt;script&gt;{base}</textarea>" in page
    assert english_in(page) & set(EDITOR) <= {"Lasso", "Lasso (L)", "Zoom"}
    told = json.loads(html.unescape(re.findall(r'data-words="([^"]*)"', page)[0]))
    assert told["Sending …"] == "Wird gesendet …"
    async with session.get("/mask/nobody's", headers=german) as answer:
        assert "Hier ist nichts" in await answer.text()
    async with session.get(f"/mask/{GOOD}") as answer:  # on the same connection
        assert english_in(await answer.text()) >= {"Mark what to redraw", "Brush (B)"}


async def test_the_pages_say_what_the_catalogues_know() -> None:
    script = (STATIC / "editor.js").read_text("utf-8")
    editor, gone = (english_in((STATIC / name).read_text("utf-8")) for name in ("editor.html", "gone.html"))
    assert editor | set(re.findall(r'\bt\("(.+?)"', script)) == set(EDITOR)
    assert gone == set(GONE)
    lines = [re.sub(r'\bt\(".+?"|^ *//.*| // .*', "", line) for line in script.splitlines()]
    assert [
        line for line in lines if re.search(r'["`](?:[A-Z]|\$\{)[^"`()]* [a-z]{3}|textContent = "[A-Z]', line)
    ] == []


def english_in(page: str) -> set[str]:
    """What a page says, but keys, numbers and what its person wrote."""
    said = {english_of(found) for found in SAID.finditer(page)}
    return {text for text in said if re.search("[a-z]{2}", re.sub(r"<kbd>.*?</kbd>|<.*?>|\{.*?\}|\bpx\b", "", text))}


async def test_every_failure_looks_the_same(session: ClientSession) -> None:
    bodies = set()
    wrong = "w" * 43
    asked = [
        ("GET", "/", None), ("GET", "/mask/", None), ("GET", f"/mask/{wrong}", None),
        ("GET", f"/mask/{wrong}/picture", None), ("POST", f"/mask/{wrong}", form()),
        ("POST", f"/mask/{wrong}", form(b"x" * (MAX_BODY + 9))), ("PUT", f"/mask/{GOOD}", None),
        ("DELETE", f"/mask/{GOOD}", None), ("GET", "/mask/static/server.py", None),
        ("GET", "/mask/static/..%2fserver.py", None), ("POST", f"/mask/{GOOD}", None),
        ("POST", f"/mask/{GOOD}", form(prompt="x" * 4001)), ("POST", f"/mask/{GOOD}", form(prompt="crash")),
    ]  # fmt: skip
    for method, path, data in asked:
        async with session.request(method, URL(path, encoded=True), data=data) as answer:
            assert answer.status == 404, (method, path)
            bodies.add(await answer.text())
    assert len(bodies) == 1
    assert "There is nothing here" in bodies.pop()


async def test_a_mask_is_taken_once(session: ClientSession, desk: Desk) -> None:
    async with session.post(f"/mask/{GOOD}", data=form()) as answer:
        assert answer.status == 200
        assert "Discord" in (await answer.json())["said"]
    assert desk.sent == [(b"mask", "a boat")]
    async with session.post(f"/mask/{GOOD}", data=form()) as answer:
        assert answer.status == 404
    assert len(desk.sent) == 1


@pytest.mark.parametrize(
    ("mask", "says"), [(b"bad", "Nothing is marked"), (bytes(MAX_BODY + 9), "too large")], ids=["empty", "large"]
)
async def test_a_refused_mask_gets_its_sentence_and_another_try(
    session: ClientSession, desk: Desk, mask: bytes, says: str
) -> None:
    async with session.post(f"/mask/{GOOD}", data=form(mask)) as answer:
        assert answer.status == 422
        assert says in (await answer.json())["said"]
    async with session.post(f"/mask/{GOOD}", data=form()) as answer:
        assert answer.status == 200


async def test_a_taken_port_is_a_sentence(desk: Desk) -> None:
    first = EditorServer(desk, host="127.0.0.1", port=0, address="auto")
    port = int((await first.start()).rpartition(":")[2])
    second = EditorServer(desk, host="127.0.0.1", port=port, address="auto")
    with pytest.raises(NoDoor, match="EASEL_WEB_PORT") as taken:
        await second.start()
    await first.stop()
    assert exit_code(taken.value) == FAILED


@pytest.mark.parametrize("host", ["256.1.1.1", "a..b"])
async def test_a_host_that_cannot_be_is_a_sentence(desk: Desk, host: str) -> None:
    with pytest.raises(NoDoor, match="EASEL_WEB_HOST") as never:
        await EditorServer(desk, host=host, port=0, address="auto").start()
    assert exit_code(never.value) == MISCONFIGURED


async def test_behind_a_proxy_the_page_finds_its_files_below_its_address(desk: Desk) -> None:
    server = EditorServer(desk, host="127.0.0.1", port=0, address="https://example.org/easel/")
    assert await server.start() == "https://example.org/easel"
    assert '"/easel/mask/static/editor.js"' in server._html("editor.html", "en").text
    await server.stop()


@pytest.mark.parametrize(
    "address", ["", "auto", "https://example.org", "http://10.0.0.5:8642", "https://example.org/easel/"]
)
def test_addresses_that_a_link_can_have(address: str) -> None:
    assert Settings(_env_file=None, web_address=address).web_address == address


@pytest.mark.parametrize("address", ["example.org", "ftp://example.org", "https://", "https://a b", "https://a/?x=1"])
def test_other_addresses_are_refused_at_start(address: str) -> None:
    with pytest.raises(ValidationError, match="web_address"):
        Settings(_env_file=None, web_address=address)


@pytest.mark.parametrize(
    ("address", "verdict"), [("", "ok"), ("https://example.org", "ok"), ("http://example.org", "note")]
)
def test_the_doctor_looks_at_the_address(address: str, verdict: str) -> None:
    assert next(iter(machine.web_server(Settings(_env_file=None, web_address=address)))).verdict == verdict
