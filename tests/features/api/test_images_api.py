"""The images API, in the shape of OpenAI's: queue, credits and rules as in Discord, and errors that clients know."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from bot.__main__ import main
from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.features.api.page import MOST_FORM, MOST_IMAGES, MOST_WORDS
from bot.features.region.bodies import AT_ONCE
from bot.prompt.parser import MAX_NEGATIVE_CHARS, MAX_PROMPT_CHARS
from engine import Edit, Img2Img
from engine.api.metadata import decode
from engine.fake import FAIL_WORD, FLAG_WORD, MINI, FakeEngine, paint
from tests.features.edit.conftest import EDITOR, png

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"


@pytest.fixture
async def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "data"))
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0, web_port=0, api=True)
    async with stage(settings, make_engine=lambda: FakeEngine(step_s=0.01)) as running:
        yield running


def key_of(studio: Stage, capsys: pytest.CaptureFixture[str], name: str = "Ann", *more: str) -> str:
    member = str(studio.members[name].id)
    capsys.readouterr()
    assert main(["admin", "key", member, "--guild", str(studio.guild.id), *more]) == 0
    return capsys.readouterr().out.strip()


def address(studio: Stage, path: str) -> str:
    server = studio.app._editor._server
    assert server is not None
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"


async def post(studio: Stage, key: str, path: str = GENERATIONS, **sent: Any) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(address(studio, path), headers=headers, **sent) as answer,
    ):
        return answer.status, await answer.json()


async def balance_mc(studio: Stage) -> int:
    member = studio.members["Ann"].id
    return (await studio.app.credits.balance(member, studio.guild.id)).free_mc


def huge_png() -> bytes:
    """A file of a few bytes that says to be a picture of 60,000 x 60,000."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def opened(item: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(item["b64_json"])))


async def test_images_are_painted_paid_and_in_the_history(studio: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    key = key_of(studio, capsys)
    before = await balance_mc(studio)
    wish = {"prompt": "a red boat --ar 3:2", "n": 2, "size": "128x128", "model": "gpt-image-1", "seed": 5, "steps": 4}
    status, said = await post(studio, key, json=wish)
    assert status == 200
    assert [item["seed"] for item in said["data"]] == [5, 6]
    for item in said["data"]:
        image = opened(item)
        assert image.convert("RGB").tobytes() == paint(item["seed"], 128, 128).tobytes()
        assert "a red boat --ar 3:2" in image.text["parameters"]  # type: ignore[attr-defined]
        assert decode(base64.b64decode(item["b64_json"])) is not None
    assert before - await balance_mc(studio) == 2000
    await studio.idle()
    (job,) = await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)
    assert (job.state, job.charged_mc) == ("done", 2000)


async def test_a_picture_is_changed_and_a_part_redrawn(studio: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    key = key_of(studio, capsys)
    picture, mask = io.BytesIO(), io.BytesIO()
    paint(3, 128, 128).save(picture, "PNG")
    hole = Image.new("RGBA", (128, 128), (0, 0, 0, 255))
    hole.paste((0, 0, 0, 0), (0, 0, 64, 64))
    hole.save(mask, "PNG")

    def form(*, masked: bool) -> aiohttp.FormData:
        data = aiohttp.FormData({"prompt": "a boat", "n": "1"})
        data.add_field("image", picture.getvalue(), filename="a.png", content_type="image/png")
        if masked:
            data.add_field("mask", mask.getvalue(), filename="m.png", content_type="image/png")
        return data

    status, said = await post(studio, key, EDITS, data=form(masked=False))
    assert (status, opened(said["data"][0]).size) == (200, (128, 128))
    status, said = await post(studio, key, EDITS, data=form(masked=True))
    assert status == 200
    kept = opened(said["data"][0]).convert("RGB").crop((100, 100, 128, 128))
    assert kept.tobytes() == paint(3, 128, 128).crop((100, 100, 128, 128)).tobytes()
    status, said = await post(studio, key, EDITS, data={"prompt": "x"})
    assert (status, said["error"]["type"]) == (400, "invalid_request_error")
    for broken in (b"", mask.getvalue()[:200], picture.getvalue()[:200], huge_png()):
        data = form(masked=False)
        data.add_field("mask", broken, filename="m.png", content_type="image/png")
        status, said = await post(studio, key, EDITS, data=data)
        assert (status, said["error"]["code"]) == (400, "invalid_value")
        assert "mask must be" in said["error"]["message"]


REFUSED: tuple[tuple[Any, int, str, str], ...] = (
    ({"prompt": ""}, 400, "invalid_value", "'prompt' is missing"),
    ({"prompt": "\u200b\ud800 "}, 400, "invalid_value", "'prompt' is missing"),
    ({"prompt": "x", "n": 0}, 400, "invalid_value", "use 1 to 10"),
    ({"prompt": "x", "size": "0x0"}, 400, "invalid_value", "1024x1024"),
    ({"prompt": "x", "stream": True}, 400, "invalid_value", "'stream' can be false only"),
    ({"prompt": "x", "output_format": "jpeg"}, 400, "invalid_value", "'output_format' can be png only"),
    ({"prompt": "x", "n": 99}, 400, "invalid_value", "use 1 to 10"),
    ({"prompt": "x", "n": "many"}, 400, "invalid_value", "'n' must be a number"),
    ({"prompt": "x", "size": "huge"}, 400, "invalid_value", "1024x1024"),
    ({"prompt": "x", "model": "sdxxl"}, 400, "invalid_value", "There is no model"),
    ({"prompt": "x", "response_format": "url"}, 400, "invalid_value", "b64_json"),
    ({"prompt": "x" * 4001}, 400, "invalid_value", "'prompt' is longer"),
    ({"prompt": "x", "negative_prompt": "x" * 4001}, 400, "invalid_value", "'negative_prompt' is longer"),
    ({"prompt": "x", "negative_prompt": 5}, 400, "invalid_value", "must be a text"),
    ({"prompt": f"x {FAIL_WORD}", "n": 1}, 400, "refused", "the prompt asked for it"),
    ({"prompt": f"x {FLAG_WORD}", "n": 1}, 400, "moderation_blocked", "withheld"),
    (["prompt"], 400, "invalid_value", "no JSON object"),
)


async def test_what_can_not_be_painted_is_told_in_openais_shape(
    studio: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    key, before = key_of(studio, capsys), await balance_mc(studio)
    for wish, status, code, says in REFUSED:
        answered, said = await post(studio, key, data=json.dumps(wish))
        assert (answered, said["error"]["code"]) == (status, code)
        assert says in said["error"]["message"]
        assert set(said["error"]) == {"message", "type", "param", "code"}
    assert await balance_mc(studio) == before


UNREADABLE: tuple[tuple[str, str, str, bytes, int, str], ...] = (  # method, path, kind, body; status, code
    ("GET", GENERATIONS, "", b"", 405, "method_not_supported"),
    ("DELETE", EDITS, "", b"", 405, "method_not_supported"),
    ("POST", "/v1/models", "application/json", b"{}", 405, "method_not_supported"),
    ("GET", "/v1", "", b"", 404, "unknown_url"),
    ("POST", "/v1/chat/completions", "application/json", b"{}", 404, "unknown_url"),
    ("PUT", "/v1/images/generations/", "", b"", 404, "unknown_url"),
    ("POST", GENERATIONS, "application/json", b"[" * 100_000, 400, "invalid_value"),
    ("POST", GENERATIONS, "application/json", b" " * 300_000, 413, "too_large"),
    ("POST", EDITS, "application/json", b"{}", 400, "invalid_value"),
    ("POST", EDITS, "multipart/form-data", b"xx", 400, "invalid_request"),
    ("POST", EDITS, "multipart/form-data; boundary=b", b"--b\r\nfoo\r\n\r\nx\r\n--b--\r\n", 400, "invalid_request"),
    ("POST", EDITS, "multipart/form-data; boundary=b", b"--b\r\nContent-Disp", 400, "invalid_request"),
)


async def test_every_error_has_openais_shape(
    studio: Stage, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    good = f"Bearer {key_of(studio, capsys)}"
    async with aiohttp.ClientSession() as session:
        for method, path, kind, body, status, code in UNREADABLE:
            headers = {"Authorization": good, "Content-Type": kind} if kind else {"Authorization": good}
            async with session.request(method, address(studio, path), headers=headers, data=body) as answer:
                said = (await answer.json())["error"]
                assert (answer.status, said["code"]) == (status, code), (method, path)
                assert set(said) == {"message", "type", "param", "code"}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_the_longest_words_are_painted(studio: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Of four bytes each: what is stored of a job has room for them."""
    wish = {"prompt": "🚤" * MAX_PROMPT_CHARS, "negative_prompt": "🌧" * MAX_NEGATIVE_CHARS, "n": 1, "size": "64x64"}
    assert (await post(studio, key_of(studio, capsys), json=wish))[0] == 200


async def test_the_rules_are_those_of_the_server(studio: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    key = key_of(studio, capsys)
    ada = studio.members["Ada"]
    await ada.slash(studio.channel, "admin words", action="add", word="zeppelin")
    status, said = await post(studio, key, json={"prompt": "a zeppelin"})
    assert (status, said["error"]["code"]) == (400, "moderation_blocked")
    await ada.slash(studio.channel, "admin quota", user=studio.members["Ann"], credits_a_day=0)
    status, said = await post(studio, key, json={"prompt": "a boat"})
    assert (status, said["error"]["type"]) == (429, "insufficient_quota")
    await ada.slash(studio.channel, "admin ban", user=studio.members["Ann"])
    status, said = await post(studio, key, json={"prompt": "a boat"})
    assert (status, said["error"]["code"]) == (403, "banned")


async def test_an_instruction_is_followed_where_a_model_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "data"))
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0, web_port=0, api=True)
    small = replace(EDITOR, key="small", small_world=True)

    def form(count: int, **more: str) -> aiohttp.FormData:
        made = aiohttp.FormData({"prompt": "make it blue", "n": "1", **more})
        for number in range(count):
            made.add_field("image[]", png(), filename=f"{number}.png", content_type="image/png")
        return made

    for models, asked, count, wanted in (
        ((MINI, small), {}, 1, (Img2Img, "mini")),
        ((MINI, small), {"model": "small"}, 1, (Edit, "small")),
        ((MINI, EDITOR, small), {}, 1, (Edit, "editor")),
        ((MINI, EDITOR), {"model": "gpt-image-1"}, 3, (Edit, "editor")),
        ((MINI, EDITOR), {"model": "mini"}, 1, (Img2Img, "mini")),
        ((MINI, EDITOR), {}, 4, "can't look at 4 pictures"),
        ((MINI, EDITOR), {}, 7, "7 pictures can't be edited together"),
    ):
        async with stage(settings, make_engine=lambda models=models: FakeEngine(models)) as studio:  # type: ignore[misc]
            status, said = await post(studio, key_of(studio, capsys), EDITS, data=form(count, **asked))
            if isinstance(wanted, str):
                assert status == 400
                assert wanted in said["error"]["message"]
                continue
            assert status == 200, said
            (job, *_) = await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)
            assert (type(job.spec.request), job.spec.model) == wanted


async def test_keys_hold_until_they_are_revoked(studio: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    key, other = key_of(studio, capsys), key_of(studio, capsys, "Ben")
    for wrong in ("", "easel-wrong", key[:-1]):
        status, said = await post(studio, wrong, json={"prompt": "x"})
        assert (status, said["error"]["code"]) == (401, "invalid_api_key")
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(address(studio, "/v1/models"), headers=headers) as answer,
    ):
        assert [model["id"] for model in (await answer.json())["data"]] == ["mini"]
    assert "good no more" in key_of(studio, capsys, "Ann", "--revoke")
    assert (await post(studio, key, json={"prompt": "x"}))[0] == 401
    assert (await post(studio, other, json={"prompt": "x", "n": 1}))[0] == 200


async def test_whoever_hangs_up_cancels_the_job(studio: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    key = key_of(studio, capsys)
    asking = asyncio.create_task(post(studio, key, json={"prompt": "a boat", "n": 2, "steps": 50}))
    while not studio.app.dispatcher.running:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await studio.idle()
    (job,) = await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)
    assert job.state == "cancelled"


async def test_it_is_off_by_default(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path, min_free_mib=0, web_port=0, web_address="auto")
    async with stage(settings, make_engine=FakeEngine) as studio, aiohttp.ClientSession() as session:
        answer = await session.post(address(studio, GENERATIONS), json={"prompt": "x"})
        assert answer.status == 404


@asynccontextmanager
async def begun(
    studio: Stage, key: str, path: str, length: int, first: bytes = b"", *, wanted: bool = False
) -> AsyncIterator[asyncio.StreamReader]:
    """A request whose head has been sent, and of its body no more than `first`; `wanted`: it asks to be told when."""
    expects = "Expect: 100-continue\r\n" if wanted else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{expects}"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    )
    port = int(address(studio, "").rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + first)
    try:
        yield reader
    finally:
        writer.close()


async def answered(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The status, and the code of the error."""
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].split()[0])
        return int(head.split()[1]), json.loads(await reader.readexactly(length))["error"]["code"]


async def test_whoever_may_not_paint_is_told_before_the_body_is_read(
    studio: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of a body is sent at all, so an answer shows that none was waited for."""
    key, ann, ada = key_of(studio, capsys), studio.members["Ann"], studio.members["Ada"]

    async def told(path: str, key: str = key) -> tuple[int, str]:
        async with begun(studio, key, path, 1000) as reader:
            return await answered(reader)

    for path in (GENERATIONS, EDITS):
        await ada.slash(studio.channel, "admin pause", mode="drain")
        assert await told(path) == (503, "busy")
        await ada.slash(studio.channel, "admin pause", mode="off")
        await ada.slash(studio.channel, "admin ban", user=ann)
        assert await told(path) == (403, "banned")
        await ada.slash(studio.channel, "admin unban", user=ann)
        assert await told(path, "easel-wrong") == (401, "invalid_api_key")
        studio.settings.max_queue, most = 0, studio.settings.max_queue
        assert await told(path) == (503, "busy")
        studio.settings.max_queue = most
    studio.guild.remove_member(ann)
    for path in (GENERATIONS, EDITS):
        assert await told(path) == (400, "moderation_blocked")


async def test_a_body_has_a_size_in_all(studio: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    key = key_of(studio, capsys)
    for path, most in ((GENERATIONS, MOST_WORDS), (EDITS, MOST_FORM)):
        async with begun(studio, key, path, most + 1) as reader:
            assert await answered(reader) == (413, "too_large")
    picture = io.BytesIO()
    paint(3, 64, 64).save(picture, "PNG")
    data = aiohttp.FormData({"prompt": "a boat"})
    for _ in range(MOST_IMAGES + 1):
        data.add_field("image[]", picture.getvalue(), filename="a.png")
    status, said = await post(studio, key, EDITS, data=data)
    assert (status, said["error"]["code"]) == (400, "invalid_value")
    assert "10 at most" in said["error"]["message"]


async def test_a_member_sends_a_few_bodies_at_a_time(studio: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """The third, which is whole, waits for one of two that aren't; another member's doesn't."""
    ann, ben = key_of(studio, capsys), key_of(studio, capsys, "Ben")
    async with AsyncExitStack() as first, AsyncExitStack() as later:
        for _ in range(AT_ONCE):
            unfinished = await first.enter_async_context(begun(studio, ann, EDITS, 1000, wanted=True))
            async with asyncio.timeout(30):  # until it has its turn: the third may come sooner otherwise
                assert await unfinished.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        third = await later.enter_async_context(begun(studio, ann, EDITS, 5, b"--b--"))
        other = await later.enter_async_context(begun(studio, ben, EDITS, 5, b"--b--"))
        assert (await answered(other))[0] == 400
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):  # it would have been answered before the other
                await third.read()
        await first.aclose()
        assert (await answered(third))[0] == 400
