"""Pictures in the browser: one's own behind a signed link, and a server's gallery where its admins open it.

Whoever holds a link may see what its person may, for a day; a public page shows what hangs in the server's gallery.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Protocol
from urllib.parse import urlencode

from aiohttp import web

from bot.delivery import image_tools
from bot.delivery.job_messages import JobMessages
from bot.errors import NotFound
from bot.features.history.service import History
from bot.features.history.store import Wanted
from bot.features.moderation.service import Moderation
from bot.jobs.files import ImageFiles
from bot.jobs.lifecycle import NEWEST
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.languages.speech import N_, _, accepted, language, speak
from bot.orders.actor import Actor
from bot.orders.visibility import Viewer, may_see
from bot.store.clock import DAY_MS, Clock
from bot.store.key_value_store import KeyValues
from bot.threads.pools import PICTURES
from engine.api import metadata

MINE, PUBLIC = "/gallery", "/servers"
STATIC, STYLES = "static", "gallery.css"
NOTHING = N_("There's nothing here yet.")
KEY = "gallery key"  # note: what links are signed with
JOBS, SMALL_PX = 24, 640  # of a page; the longer side of what it shows
PRIVATE_CACHE = {"Cache-Control": "private, max-age=86400"}  # a stored picture never changes
PAGE = """<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="{styles}">
<link rel="icon" href="data:,"></head>
<body><header><h1>{title}</h1><p>{about}</p></header><main>{pictures}</main><footer>{older}</footer></body></html>"""


class Services(Protocol):
    """What the pages work with."""

    clock: Clock
    files: ImageFiles
    history: History
    jobs: Jobs
    key_values: KeyValues
    messages: JobMessages
    moderation: Moderation


class GalleryPage:
    """The pages, and the links to them.

    Attributes:
        address: where browsers reach the bot's web server; None while there is none.
    """

    def __init__(self, app: Services) -> None:
        self._app = app
        self.address: str | None = None

    # ------------------------------------------------------------ links
    async def link(self, user_id: int, guild_id: int, wanted: Wanted) -> str | None:
        """The address of a member's own pictures in a server, good for a day; None without a web server."""
        if self.address is None:
            return None
        until_s = (self._app.clock.now_ms() + DAY_MS) // 1000
        token = await self._signed(f"{user_id}.{guild_id}.{until_s}")
        return f"{self.address}{MINE}/{token}{_query(wanted)}"

    def public_link(self, guild_id: int) -> str | None:
        """The address of a server's gallery; None without a web server."""
        return None if self.address is None else f"{self.address}{PUBLIC}/{guild_id}"

    async def _signed(self, what: str) -> str:
        key = await self._key()
        sign = base64.urlsafe_b64encode(hmac.digest(key.encode(), what.encode(), hashlib.sha256)[:18]).decode()
        return f"{what}.{sign}"

    async def _key(self) -> str:
        return await self._app.history.secret(KEY)

    async def _holder(self, token: str) -> tuple[int, int]:
        """Whose link it is, and of which server. Raises: HTTPNotFound, Banned."""
        what = token.rpartition(".")[0]
        if not hmac.compare_digest(token.encode(), (await self._signed(what)).encode()):
            raise web.HTTPNotFound
        user_id, guild_id, until_s = map(int, what.split("."))
        if until_s * 1000 < self._app.clock.now_ms():
            raise web.HTTPNotFound
        await self._app.moderation.check_person(Actor(user_id=user_id, guild_id=guild_id, channel_id=0))
        return user_id, guild_id

    # ------------------------------------------------------------ one's own
    async def mine(self, request: web.Request) -> web.StreamResponse:
        """A page of a member's own pictures. Raises: HTTPNotFound."""
        token = request.match_info["token"]
        user_id, guild_id = await self._holder(token)
        wanted, before = _wanted(request)
        jobs = await self._app.history.search(user_id, guild_id, wanted, before, JOBS + 1)
        shown = [job for job in jobs[:JOBS] if may_see(_viewer(user_id, guild_id), job)]
        older = f"{token}{_query(wanted, jobs[JOBS - 1].id)}" if len(jobs) > JOBS else ""
        speak(accepted(request.headers.get("Accept-Language", "")))
        about = _("Only you have this address. It works for a day.")
        return await self._page(_("Your pictures"), about, token, shown, older)

    async def my_file(self, request: web.Request) -> web.StreamResponse:
        """One of a member's pictures, small or as it was painted; also the pages' styles. Raises: HTTPNotFound."""
        token = request.match_info["token"]
        if token == STATIC and request.match_info["file"] == STYLES:
            text = (resources.files("bot.features.history") / STATIC / STYLES).read_text(encoding="utf-8")
            return web.Response(text=text, content_type="text/css", headers={"Cache-Control": "public, max-age=300"})
        user_id, guild_id = await self._holder(token)
        job, image = await self._picture(request)
        if job.user_id != user_id or not may_see(_viewer(user_id, guild_id), job):
            raise web.HTTPNotFound
        return await self._file(request, image, words=True)

    # ------------------------------------------------------------ a server's
    async def public(self, request: web.Request) -> web.StreamResponse:
        """A page of a server's gallery, where it's open. Raises: HTTPNotFound."""
        guild_id = _number(request.match_info["guild"])
        before = _wanted(request)[1]
        jobs = await self._app.history.hanging(guild_id, before, JOBS + 1)
        if jobs is None:
            raise web.HTTPNotFound
        older = f"{guild_id}{_query(Wanted(), jobs[JOBS - 1].id)}" if len(jobs) > JOBS else ""
        speak(accepted(request.headers.get("Accept-Language", "")))
        about = _("What this server's members liked best.")
        return await self._page(_("Gallery"), about, f"{guild_id}", jobs[:JOBS], older)

    async def public_file(self, request: web.Request) -> web.StreamResponse:
        """A picture of an open gallery. Raises: HTTPNotFound."""
        job, image = await self._picture(request)
        if job.guild_id != _number(request.match_info["guild"]) or not await self._app.history.hangs(job.id):
            raise web.HTTPNotFound
        return await self._file(request, image, words=self._app.messages.tells_words(job))

    # ------------------------------------------------------------ both
    async def _picture(self, request: web.Request) -> tuple[Job, StoredImage]:
        try:
            return await self._app.jobs.image(_number(request.match_info["file"].partition(".")[0]))
        except NotFound:
            raise web.HTTPNotFound from None

    async def _file(self, request: web.Request, image: StoredImage, *, words: bool) -> web.StreamResponse:
        data = await self._app.files.read(image.path, image.sha256)
        if request.match_info["file"].endswith(".webp"):
            small = await PICTURES.run(lambda: image_tools.webp(image_tools.within(image_tools.opened(data), SMALL_PX)))
            return web.Response(body=small, content_type="image/webp", headers=PRIVATE_CACHE)
        told = data if words else metadata.without_words(data)
        signed = await PICTURES.run(self._app.messages.marks.signed, told, "png", image.made_with)
        return web.Response(body=signed, content_type=image.mime, headers=PRIVATE_CACHE)

    async def _page(self, title: str, about: str, base: str, jobs: Sequence[Job], older: str) -> web.Response:
        figures = [_figure(base, job, await self._app.jobs.images(job.id)) for job in jobs]
        values = {
            "language": language(),
            "title": title,
            "about": about,
            "styles": f"..{MINE}/{STATIC}/{STYLES}",
            "pictures": "".join(figures) or f"<p>{_(NOTHING)}</p>",
            "older": f'<a href="{html.escape(older)}">{_("Older")}</a>' if older else "",
        }
        return web.Response(text=PAGE.format(**values), content_type="text/html", charset="utf-8")


def _figure(base: str, job: Job, images: Sequence[StoredImage]) -> str:
    """A job's pictures with its words; what a safety check objects to stays in Discord."""
    words = html.escape(job.spec.prompt) or _("(no prompt)")
    shown = [image for image in images if not image.flagged]
    pictures = "".join(
        f'<a href="{base}/{image.id}.png" download="easel-{job.id}-{image.ordinal + 1}.png">'
        f'<img src="{base}/{image.id}.webp" alt="{words}" width="{image.width}" height="{image.height}" loading="lazy">'
        "</a>"
        for image in shown
    )
    day = datetime.fromtimestamp(job.created_at / 1000, UTC).strftime("%Y-%m-%d")
    about = f"#{job.id} · {html.escape(job.spec.model)} · {day}"
    many = "pictures" if 1 < len(shown) <= 4 else "pictures one" if len(shown) == 1 else "pictures board"
    return (
        f'<figure><div class="{many}">{pictures}</div><figcaption>{words}<small>{about}</small></figcaption></figure>'
    )


def _viewer(user_id: int, guild_id: int) -> Viewer:
    """A browser is no age-restricted channel."""
    return Viewer(actor=Actor(user_id=user_id, guild_id=guild_id, channel_id=0), reads=lambda _: False)


def _query(wanted: Wanted, before: int | None = None) -> str:
    said = {
        "words": " ".join(wanted.words),
        "model": wanted.model,
        "kind": wanted.kind,
        "starred": "1" if wanted.starred else "",
        "before": str(before or ""),
    }
    said = {name: value for name, value in said.items() if value}
    return f"?{urlencode(said)}" if said else ""


def _wanted(request: web.Request) -> tuple[Wanted, int | None]:
    said = request.query
    words = tuple(said.get("words", "")[:200].split())
    wanted = Wanted(words=words, model=said.get("model", ""), kind=said.get("kind", ""), starred="starred" in said)
    return wanted, _number(said["before"]) if "before" in said else None


def _number(text: str) -> int:
    """Raises: HTTPNotFound."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(NEWEST)) and int(text) <= NEWEST):
        raise web.HTTPNotFound
    return int(text)
