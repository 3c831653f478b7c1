"""The mask editor's web server: a page, its picture, and one mask back. Knows neither Discord nor the database.

Whoever holds a link's token may use it, and nobody else learns anything: every failure is the same page, a 404.
"""

from __future__ import annotations

import asyncio
import html
import json
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any, Protocol
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bot.errors import UserError, said
from bot.features.region.bodies import Bodies, fields_of, no_answer
from bot.features.region.doors import DoorLimits, Doors, NoDoor
from bot.features.region.words import EDITOR, GONE
from bot.languages.pages import translated
from bot.languages.speech import N_, _, accepted, speak, speaking
from bot.prompt.parser import MAX_PROMPT_CHARS
from engine.api.errors import EngineError

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STAY = web.RequestKey("stay", partial)  # of a request: call it, and its connection has no time limit
BACKLOG = 16  # connections that the loop accepts in one go: each takes it about 0.1 ms
PICTURES, WINDOW_S = 20, 10.0  # a page asks for its picture once
MAX_BODY = 4 * 2**20  # a mask of two colours has a few hundred KiB
SENT = N_("Go back to Discord: your picture appears there. You can close this page.")
TOO_LARGE = N_("The mask is too large to be sent. Mark less fine detail.")
PAGES = {"editor.html": EDITOR, "gone.html": GONE}
FILES = {"editor.css": "text/css", "editor.js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",  # the address is the secret
    "Server": "Easel",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


class ServerLog(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp logs. Requests that are none are their senders' fault: no error of ours, and no traceback."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:
        if isinstance(exc_info, (HttpProcessingError, web.RequestPayloadError)):
            self.debug("a request can't be read: %s", type(exc_info).__name__)
        else:
            self.error(msg, *args, exc_info=exc_info, **more)


def bearer(request: web.Request) -> str:
    """The token that a request bears; "" for none, and for bytes that are no text."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.isprintable() else ""


class PriceChanged(UserError):
    """The job costs more than one expects; it is started when it is asked for again."""

    code = "costly"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorPage:
    """What the page begins with."""

    prompt: str


class EditorService(Protocol):
    """What happens behind the page. Each method gives None for a token that is unknown, used or too old.

    Each raises a `UserError` when its person may not see the picture any more.
    """

    async def open(self, token: str) -> EditorPage | None: ...

    async def picture(self, token: str) -> bytes | None:
        """The picture to be marked, as WebP."""
        ...

    async def welcomes(self, token: str) -> bool | None:
        """Whether a mask would be taken now, asked before it's read. Raises: UserError, when it would not."""
        ...

    async def send(self, token: str, mask: bytes, prompt: str, *, agreed: bool) -> bool | None:
        """Use the token for a job; `agreed` to its price, if it is dear.

        Raises: Costly, UserError, EngineError; the token is good again then.
        """
        ...


class EditorServer:
    """Listens on `host` and `port` (0 = any). `address` is where browsers find it, or "auto" for just there.

    `pages` are further ones of the same server, by path, or by method and path as in "POST /there"; `limits` hold for
    all of them.
    """

    def __init__(
        self,
        desk: EditorService,
        *,
        host: str,
        port: int,
        address: str,
        pages: Mapping[str, Handler] | None = None,
        limits: DoorLimits | None = None,
    ) -> None:
        self._pages, self._limits = pages or {}, limits or DoorLimits()
        self._desk, self._host, self._port, self._address = desk, host, port, address.rstrip("/")
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self.doors: Doors | None = None
        self._bodies = Bodies()
        self._since, self._asked = -WINDOW_S, Counter[str]()
        self._base = "/mask/"

    async def start(self) -> str:
        """Begin to listen; the address of the editor. Raises: NoDoor."""
        self._runner = web.AppRunner(
            self._app(), access_log=None, logger=ServerLog(log), keepalive_timeout=15.0, shutdown_timeout=5.0
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self.doors = Doors(self._runner.server, self._limits)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self.doors, self._host, self._port, backlog=BACKLOG)
        except (OSError, UnicodeError) as error:
            await self._runner.cleanup()
            raise NoDoor(self._host, self._port, error) from None
        if self._address == "auto":
            return f"http://{self._host}:{self.port}"
        self._base = f"{urlsplit(self._address).path}/mask/"
        return self._address

    @property
    def port(self) -> int:
        """Where it listens. Raises: AssertionError before it does."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._same_for_all])
        own: dict[str, Handler] = {
            "/mask/static/{name}": self._static,
            "/mask/{token}": self._page,
            "POST /mask/{token}": self._send,
            "/mask/{token}/picture": self._picture,
            "* /{path:.*}": self._nothing,  # else aiohttp answers some of these itself
        }
        for key, handler in {**self._pages, **own}.items():
            method, _, path = key.rpartition(" ")
            app.router.add_route(method or "GET", path, handler, expect_handler=no_answer)
        app.on_response_prepare.append(_protect)
        return app

    @web.middleware
    async def _same_for_all(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whatever fails looks alike from outside."""
        assert self.doors is not None
        transport = request.transport
        self.doors.begin(transport)
        request[STAY] = partial(self.doors.stay, transport)
        try:
            return await handler(request)
        except (web.HTTPException, UserError, TimeoutError, ConnectionError):
            pass
        except Exception:  # the outer edge: aiohttp would answer 500, which tells more than nothing
            log.exception("a page of the web server failed")
        finally:
            self.doors.end(transport)
        return self._html("gone.html", _locale(request), status=404)

    async def _nothing(self, _request: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound

    async def _static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in FILES:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "public, max-age=300"}
        return web.Response(text=_file(name), content_type=FILES[name], charset="utf-8", headers=headers)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        sheet = await self._desk.open(request.match_info["token"])
        if sheet is None:
            raise web.HTTPNotFound
        return self._html("editor.html", _locale(request), prompt=sheet.prompt)

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        token = request.match_info["token"]
        data = await self._desk.picture(token) if self._seldom(token) else None
        if data is None:
            raise web.HTTPNotFound
        return web.Response(body=data, content_type="image/webp")

    def _seldom(self, token: str) -> bool:
        """Whether a picture isn't asked for over and over: sending it takes the loop's time."""
        now = asyncio.get_running_loop().time()
        if now - self._since > WINDOW_S:
            self._since, self._asked = now, Counter()
        self._asked[token] += 1
        return self._asked[token] <= PICTURES

    async def _send(self, request: web.Request) -> web.StreamResponse:
        token = request.match_info["token"]
        speak(_locale(request))
        try:
            if await self._desk.welcomes(token) is None:
                raise web.HTTPNotFound
            async with self._bodies.taken(request, MAX_BODY, token) as body:
                mask, prompt, agreed = _fields(request, body)
                if await self._desk.send(token, mask, prompt, agreed=agreed) is None:
                    raise web.HTTPNotFound
        except web.HTTPRequestEntityTooLarge:
            return _said(_(TOO_LARGE), 422)
        except PriceChanged as question:
            return _said(said(question), 409)
        except (UserError, EngineError) as refusal:
            return _said(said(refusal), 422)
        return _said(_(SENT), 200)

    def _html(self, name: str, locale: str, *, prompt: str = "", status: int = 200) -> web.Response:
        with speaking(locale):  # no longer than this: programs ask on the same connections, and hear English
            text = translated(_file(name), PAGES[name])
        values = {"prompt": html.escape(prompt), "base": html.escape(self._base)}
        text = re.sub(r"\{(prompt|base)\}", lambda found: values[found[1]], text)
        headers = {"Vary": "Accept-Language"}
        return web.Response(text=text, content_type="text/html", charset="utf-8", status=status, headers=headers)


def _fields(request: web.Request, body: bytearray) -> tuple[bytes, str, bool]:
    """Mask, prompt, and whether the price was agreed to. Raises: HTTPBadRequest."""
    form = dict(fields_of(request.headers.get("Content-Type", ""), body))
    prompt = form.get("prompt", b"").decode(errors="replace")
    if not {"mask", "prompt"} <= form.keys() or len(prompt) > MAX_PROMPT_CHARS:
        raise web.HTTPBadRequest
    return form["mask"], prompt, form.get("agreed") == b"yes"


def _locale(request: web.Request) -> str:
    """One of Discord's locales, as the browser asks."""
    return accepted(request.headers.get("Accept-Language", ""))


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def _said(text: str, status: int) -> web.Response:
    return web.Response(text=json.dumps({"said": text}), content_type="application/json", status=status)


def _file(name: str) -> str:
    return (resources.files("bot.features.region") / "static" / name).read_text(encoding="utf-8")
