"""One's pictures in the browser: behind a signed link for a day, and nobody else's; a server's where it's open."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from PIL import Image

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.features.history.store import Wanted
from bot.store.clock import DAY_MS
from engine.fake import FakeEngine
from tests.e2e.screen import paint, parts, press
from tests.features.moderation.test_moderation import admin
from tests.features.moderation.test_pictures_moderated import with_gallery


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"web_address": "auto", "web_port": 0})


@pytest.fixture
async def web(studio: Stage) -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def got(web: ClientSession, address: str) -> tuple[int, str]:
    async with web.get(address) as answer:
        return answer.status, (await answer.read()).decode("utf-8", "replace")


async def link(studio: Stage, who: str = "Ann", **wanted: Any) -> str:
    found = await studio.app.gallery_page.link(studio.members[who].id, studio.guild.id, Wanted(**wanted))
    assert found is not None
    return found


async def test_the_link_of_the_history_shows_ones_own_pictures(studio: Stage, web: ClientSession) -> None:
    await paint(studio, "a <b>red</b> boat")
    await paint(studio, "a blue boat", "Ben")
    page = (await studio.members["Ann"].slash(studio.channel, "history", words="red")).response
    (address,) = [part["url"] for part in parts(page.components) if "url" in part and part["type"] == 2]
    status, text = await got(web, address)
    assert status == 200
    assert "a &lt;b&gt;red&lt;/b&gt; boat" in text
    assert "blue" not in text
    base = address.partition("?")[0].rpartition("/")[0]
    small, whole = re.search(r'src="([^"]+)"', text), re.search(r'href="([^"]+png)"', text)
    assert small is not None
    assert whole is not None
    async with web.get(f"{base}/{small[1]}") as answer:
        shown = Image.open(io.BytesIO(await answer.read()))
        assert (shown.format, shown.width / shown.height) == ("WEBP", 1.0)
    async with web.get(f"{base}/{whole[1]}") as answer:
        image = (await studio.app.jobs.images(1))[0]
        assert await answer.read() == await studio.app.files.read(image.path)
        assert answer.headers["Cache-Control"].startswith("private")
    assert (await got(web, f"{base}/static/gallery.css"))[0] == 200


async def test_a_link_is_good_for_its_person_and_a_day(
    studio: Stage, web: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await paint(studio, "a blue boat", "Ben")
    mine = await link(studio)
    base, _, token = mine.rpartition("/")
    forged = token.replace(str(studio.members["Ann"].id), str(studio.members["Ben"].id))
    image = (await studio.app.jobs.images(1))[0]
    for address in (f"{base}/{forged}", f"{base}/{token[:-1]}", f"{mine}/{image.id}.png", f"{mine}/x.png", f"{base}/x"):
        assert (await got(web, address))[0] == 404, address
    assert (await got(web, mine))[0] == 200
    await studio.restart()
    again = studio.app.gallery_page.address or ""
    assert (await got(web, f"{again}/gallery/{token}"))[0] == 200
    now_ms = studio.app.clock.now_ms()
    monkeypatch.setattr(studio.app.clock, "now_ms", lambda: now_ms + DAY_MS + 2000)
    assert (await got(web, f"{again}/gallery/{token}"))[0] == 404


async def test_whoever_is_banned_sees_nothing(studio: Stage, web: ClientSession) -> None:
    mine = await link(studio)
    await admin(studio, "ban", user=studio.members["Ann"])
    assert (await got(web, mine))[0] == 404


async def test_a_servers_gallery_is_closed_until_an_admin_opens_it(studio: Stage, web: ClientSession) -> None:
    await with_gallery(studio, stars=1)
    await press(studio, await paint(studio, "a red boat"), "⭐", "Ben")
    await paint(studio, "a blue boat")
    address = studio.app.gallery_page.public_link(studio.guild.id) or ""
    assert (await got(web, address))[0] == 404
    assert address in await admin(studio, "gallery", public=True)
    status, text = await got(web, address)
    assert status == 200
    assert ("a red boat" in text, "a blue boat" in text) == (True, False)
    hanging, other = (await studio.app.jobs.images(1))[0].id, (await studio.app.jobs.images(2))[0].id
    assert (await got(web, f"{address}/{hanging}.webp"))[0] == 200
    assert (await got(web, f"{address}/{other}.webp"))[0] == 404
    await admin(studio, "gallery", public=False)
    assert (await got(web, f"{address}/{hanging}.webp"))[0] == 404


async def test_without_a_web_server_there_is_no_link(settings: Settings) -> None:
    plain = settings.model_copy(update={"web_address": ""})
    async with stage(plain, make_engine=FakeEngine) as studio:
        await paint(studio, "a red boat")
        page = (await studio.members["Ann"].slash(studio.channel, "history")).response
        assert not [part for part in parts(page.components) if "url" in part and part["type"] == 2]
        assert "EASEL_WEB_ADDRESS" in await admin(studio, "gallery", public=True)
