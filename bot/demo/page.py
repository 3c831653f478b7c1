"""The demo's page: a browser shows what a member sees and sends what they do. Knows HTTP, and no Discord.

The address holds a secret, since whoever has it can type. What changed is pushed over a WebSocket, each message whole;
a page that lost its connection asks again until somebody answers, and gets everything anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import resources
from typing import Any, Protocol

from aiohttp import WSCloseCode, web

from bot.demo.words import PAGE
from bot.errors import UserError
from bot.languages.pages import translated
from bot.languages.speech import accepted, speak

log = logging.getLogger(__name__)
Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Files = Mapping[str, list[tuple[str, bytes]]]
FILES = {"demo.css": "text/css", "demo.js": "text/javascript", "easel.svg": "image/svg+xml"}
MAX_BODY = 32 * 2**20
PAUSE_S = 0.05  # what happens within is told at once
HEARTBEAT_S = 20.0
SHOWN = ("image/png", "image/jpeg", "image/webp", "image/gif")  # all else is offered as a download
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address is the secret
    "Server": "Easel",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Viewer(Protocol):
    """One member, as the page serves them. Every channel is one of `channels`."""

    def speak(self, locale: str) -> None:
        """Their page is in this language from now on."""
        ...

    def channels(self) -> list[int]:
        """The ids of the channels that they can see, at least one."""
        ...

    def place(self, channel_id: int) -> Json:
        """The server around a channel: people, channels, commands."""
        ...

    def messages(self, channel_id: int, count: int, since: int) -> tuple[list[Json], bool]:
        """The newest messages and all from the id `since` on, oldest first; whether there are older ones."""
        ...

    async def act(self, channel_id: int, what: Json, files: Files) -> Json:
        """Do something. Raises: UserError."""
        ...


class World(Protocol):
    """What is behind the page."""

    @property
    def viewers(self) -> Mapping[str, Viewer]:
        """Those who can look, by name; at least one."""
        ...

    def watch(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` when something may have changed; returns how to stop."""
        ...

    def file(self, path: str) -> bytes | None: ...

    async def greet(self) -> None:
        """Say in the language that is spoken what everybody reads."""
        ...


class DemoPage:
    """Serves the page of a world under a secret."""

    def __init__(self, world: World, secret: str) -> None:
        self._world, self._secret = world, secret
        self._sockets: set[web.WebSocketResponse] = set()
        self._version = hashlib.sha256("".join(map(_file, ("demo.html", *FILES))).encode()).hexdigest()[:12]

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[str]:
        """Listen on a port, or on any free one where it is taken; gives the address."""
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError:
                await web.TCPSite(runner, host, 0).start()
            yield f"http://{host}:{runner.addresses[0][1]}/{self._secret}/"
        finally:
            for socket in tuple(self._sockets):
                await socket.close(code=WSCloseCode.GOING_AWAY)
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        base = f"/{self._secret}"
        app.router.add_get(f"{base}/", self._index)
        app.router.add_get(f"{base}/static/{{name}}", self._static)
        app.router.add_get(f"{base}/files/{{path:.+}}", self._posted)
        app.router.add_get(f"{base}/live", self._live)
        app.router.add_post(f"{base}/act", self._act)
        app.on_response_prepare.append(_protect)
        return app

    # ------------------------------------------------------------ files
    async def _index(self, request: web.Request) -> web.StreamResponse:
        speak(_locale(request))
        text = translated(_file("demo.html").replace("{version}", self._version), PAGE)
        return web.Response(text=text, content_type="text/html", charset="utf-8")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in FILES:
            raise web.HTTPNotFound
        return web.Response(text=_file(name), content_type=FILES[name], charset="utf-8")

    async def _posted(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        data = self._world.file(path)
        if data is None:
            raise web.HTTPNotFound
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}
        if kind not in SHOWN:
            kind, headers["Content-Disposition"] = "application/octet-stream", "attachment"
        return web.Response(body=data, content_type=kind, headers=headers)

    # ------------------------------------------------------------ what happens
    async def _live(self, request: web.Request) -> web.StreamResponse:
        """Push what one member sees of one channel, for as long as the page is open."""
        viewer, locale = self._viewer(request.query.get("as", "")), _locale(request)
        speak(locale)
        viewer.speak(locale)
        await self._world.greet()
        channel_id = _channel(viewer, request.query.get("channel", ""))
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S)
        await socket.prepare(request)
        self._sockets.add(socket)
        pushing = asyncio.create_task(self._push(socket, viewer, channel_id, _number(request.query.get("count", ""))))
        try:
            async for _ in socket:
                pass  # the page says nothing here; this ends when it closes
        finally:
            self._sockets.discard(socket)
            pushing.cancel()
            with suppress(asyncio.CancelledError):
                await pushing
        return socket

    async def _push(self, socket: web.WebSocketResponse, viewer: Viewer, channel_id: int, count: int) -> None:
        sight = Sight(viewer, channel_id, max(count, 1))
        changed = asyncio.Event()
        stop = self._world.watch(changed.set)
        try:
            await socket.send_json({"version": self._version, "channel": str(channel_id)})
            while True:
                changed.clear()
                if news := sight.news():
                    await socket.send_json(news)
                await changed.wait()
                await asyncio.sleep(PAUSE_S)
        except ConnectionError:
            pass  # the page was closed
        except Exception:  # the outer edge: without this the page would stand still and nobody know why
            log.exception("the demo's page isn't told of what happens any more")
            await socket.close(code=WSCloseCode.INTERNAL_ERROR)
        finally:
            stop()

    async def _act(self, request: web.Request) -> web.StreamResponse:
        what, files = await _form(request)
        speak(accepted(str(what.get("lang", ""))) if what.get("lang") else _locale(request))
        viewer = self._viewer(str(what.get("as", "")))
        try:
            answer = await viewer.act(_channel(viewer, str(what.get("channel", ""))), what, files)
        except UserError as refusal:
            return web.json_response({"refused": str(refusal)}, status=422)
        return web.json_response(answer)

    def _viewer(self, name: str) -> Viewer:
        """Whoever the page is for; the first one when nobody is called so."""
        viewers = self._world.viewers
        return viewers.get(name) or next(iter(viewers.values()))


class Sight:
    """What one page was told, to tell it only what is new."""

    def __init__(self, viewer: Viewer, channel_id: int, count: int) -> None:
        self._viewer, self._channel_id, self._count = viewer, channel_id, count
        self._told: dict[str, str] = {}  # messages by id
        self._since = 0  # what was shown stays, however much comes after it
        self._place: dict[str, str] = {}

    def news(self) -> Json:
        """What changed since the last call: parts of the place, messages, and the ids of those that are gone."""
        news: Json = {}
        place = self._viewer.place(self._channel_id)
        fresh = {key: json.dumps(value) for key, value in place.items()}
        if changed := [key for key in fresh if self._place.get(key) != fresh[key]]:
            news["place"] = {key: place[key] for key in changed}
        self._place = fresh
        messages, more = self._viewer.messages(self._channel_id, self._count, self._since)
        self._since = self._since or int(messages[0]["id"] if messages else 0)
        shown = {message["id"]: json.dumps(message) for message in messages}
        put = [message for message in messages if self._told.get(message["id"]) != shown[message["id"]]]
        gone = [number for number in self._told if number not in shown]
        if put or gone:
            news |= {"put": put, "gone": gone, "more": more}
        self._told = shown
        return news


async def _form(request: web.Request) -> tuple[Json, Files]:
    """What a page asks for, and its files by the option or field they are of. Raises: HTTPBadRequest."""
    form = await request.post()
    try:
        what = json.loads(str(form.get("what", "")))
    except ValueError:
        raise web.HTTPBadRequest from None
    files: dict[str, list[tuple[str, bytes]]] = {}
    for key, value in form.items():
        if isinstance(value, web.FileField):
            files.setdefault(key, []).append((value.filename, value.file.read()))
    if not isinstance(what, dict):
        raise web.HTTPBadRequest
    return what, files


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def _channel(viewer: Viewer, asked: str) -> int:
    """The channel asked for; the first one when it isn't there (any more)."""
    channels = viewer.channels()
    return _number(asked) if _number(asked) in channels else channels[0]


def _locale(request: web.Request) -> str:
    """One of Discord's locales: as the address says, `?lang=de`, else as the browser does."""
    return accepted(request.query.get("lang", "") or request.headers.get("Accept-Language", ""))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _file(name: str) -> str:
    return (resources.files("bot.demo") / "static" / name).read_text(encoding="utf-8")
