"""The mask editor with the whole bot behind it: by plain requests, and driven in Chromium by mouse, touch and keys."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, FormData
from PIL import Image

from bot.config import Settings
from bot.demo.simulation import Stage
from bot.features.region.store import TOKEN_MS
from bot.languages.speech import ENGLISH, LANGUAGES
from bot.orders.actor import Actor
from tests.e2e.chromium import DESKTOP, PHONE, Chromium, chromium
from tests.e2e.chromium import Page as Window
from tests.e2e.screen import paint, parts, picture, press, words
from tests.features.region.hands import Hands
from tests.features.region.test_regions_chosen import credits_of, job_of, mask_of, png, redrawn

SHOTS = os.environ.get("EASEL_SHOTS", "")  # a folder for pictures of the page, for people to look at


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0, web_address="auto", web_port=0)


def link_of(message: Any) -> str:
    return next(part["url"] for part in parts(message.components) if part["type"] == 2 and part.get("style") == 5)


async def opened(studio: Stage, who: str = "Ann", prompt: str = "a green boat", private: bool = False) -> Any:
    """Paint a picture and press Vary (Region); the chooser."""
    grid = await paint(studio, prompt, **({"private": True} if private else {}))
    alone = (await press(studio, grid, "U1")).response
    return (await press(studio, alone, "Vary (Region)", who)).response


def form(mask: bytes, prompt: str = "a flag", agreed: str = "no") -> FormData:
    data = FormData()
    data.add_field("agreed", agreed)
    data.add_field("mask", io.BytesIO(mask), filename="mask.png", content_type="image/png")
    data.add_field("prompt", prompt)
    return data


def marked(box: tuple[int, int, int, int] = (10, 20, 60, 90), size: tuple[int, int] = (128, 128)) -> bytes:
    mask = Image.new("RGB", size, "black")
    mask.paste("white", box)
    return png(mask)


async def post(link: str, data: FormData) -> tuple[int, str]:
    async with ClientSession() as session, session.post(link, data=data) as answer:
        return answer.status, await answer.text()


async def newest(studio: Stage) -> Any:
    """The last message of the channel once all is painted, as `tests.e2e.screen` reads messages."""
    await studio.idle()
    message = studio.channel.history()[-1]
    components = [component.to_dict() for component in message.components]
    return SimpleNamespace(content="", components=components, attachments=message.attachments, message=message)


# ---------------------------------------------------------------- by plain requests
async def test_a_posted_mask_becomes_a_job_in_the_channel_once(studio: Stage) -> None:
    link = link_of(await opened(studio))
    status, said = await post(link, form(marked()))
    assert (status, "Discord" in said) == (200, True)
    message = await newest(studio)
    assert await redrawn(studio, message) == (10, 20, 60, 90)
    job = await job_of(studio, message)
    assert (job.user_id, job.parent_image_id, job.spec.prompt) == (studio.members["Ann"].id, 1, "a flag")
    count = len(studio.channel.history())
    assert (await post(link, form(marked())))[0] == 404
    async with ClientSession() as session, session.get(link) as answer:
        assert answer.status == 404
    assert len(studio.channel.history()) == count
    assert (await press(studio, message, "U2")).response.attachments


async def test_of_many_posts_at_once_one_starts_a_job(studio: Stage) -> None:
    link = link_of(await opened(studio))
    answers = await asyncio.gather(*(post(link, form(marked())) for _ in range(8)))
    await studio.idle()
    assert sorted(status for status, _ in answers) == [200, *[404] * 7]
    jobs = await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)
    assert [job.kind for job in jobs] == ["inpaint", "imagine"]


@pytest.mark.parametrize(
    ("mask", "prompt", "says"),
    [
        (marked((0, 0, 0, 0)), "a flag", "Nothing is marked"),
        (marked((0, 0, 128, 128)), "a flag", "whole picture"),
        (marked(size=(64, 128)), "a flag", "another picture"),
        (b"no picture", "a flag", "isn't a picture"),
        (marked()[:60], "a flag", "damaged"),
        (marked(), "a flag --foo", "--foo"),
        (marked(), "{a, b} flag", "one job"),
        (marked(), "", "Describe a picture"),
    ],
)
async def test_a_refused_mask_costs_nothing_and_leaves_the_link_good(
    studio: Stage, mask: bytes, prompt: str, says: str
) -> None:
    link = link_of(await opened(studio))
    before, count = await credits_of(studio), len(studio.channel.history())
    status, said = await post(link, form(mask, prompt))
    assert status == 422
    assert says in said
    assert await credits_of(studio) == before
    assert len(studio.channel.history()) == count
    assert (await post(link, form(marked())))[0] == 200
    await studio.idle()


async def test_without_credits_the_page_says_so_and_nothing_stays_in_the_channel(studio: Stage) -> None:
    link = link_of(await opened(studio))
    for _ in range(24):
        await paint(studio, "a boat")
    count = len(studio.channel.history())
    status, said = await post(link, form(marked(), "a flag --steps 60", "yes"))
    assert status == 422
    assert "credits" in said
    assert len(studio.channel.history()) == count


async def test_what_is_dear_says_its_price_first(studio: Stage) -> None:
    link = link_of(await opened(studio))
    count = len(studio.channel.history())
    status, said = await post(link, form(marked(), "a flag --steps 20"))
    assert status == 409
    assert "This costs" in said
    assert len(studio.channel.history()) == count
    assert (await post(link, form(marked(), "a flag --steps 20", "yes")))[0] == 200
    await studio.idle()


async def test_words_for_the_whole_picture_in_a_small_mark_are_asked_about(studio: Stage) -> None:
    link = link_of(await opened(studio, prompt="a green boat on the sea"))
    small = marked((80, 10, 110, 40))
    status, said = await post(link, form(small, "a green boat on the sea"))
    assert (status, "squeezed" in said) == (409, True)
    assert (await post(link, form(small, "a green boat on the sea", "yes")))[0] == 200
    await studio.idle()


async def test_a_banned_person_is_refused_on_the_page_too(studio: Stage) -> None:
    link = link_of(await opened(studio, "Ben"))
    ada, ben, server = studio.members["Ada"], studio.members["Ben"], studio.guild.id
    admin = Actor(user_id=ada.id, guild_id=server, channel_id=studio.channel.id, is_admin=True)
    await studio.app.moderation.ban(admin, server, ben.id, "rude", None)
    status, said = await post(link, form(marked()))
    assert status == 422
    assert "rude" in said
    assert await studio.app.jobs.queue_length() == 0


async def test_who_left_the_server_is_refused(studio: Stage) -> None:
    link = link_of(await opened(studio, "Ben"))
    studio.guild.remove_member(studio.members["Ben"])
    status, said = await post(link, form(marked()))
    assert status == 422
    assert "no longer in that server" in said


async def test_a_blocked_word_is_refused_on_the_page_too(studio: Stage) -> None:
    link = link_of(await opened(studio))
    admin = Actor(user_id=1, guild_id=studio.guild.id, channel_id=studio.channel.id, is_admin=True)
    await studio.app.moderation.add_word(admin, studio.guild.id, "gun", "block")
    status, said = await post(link, form(marked(), "a gun"))
    assert (status, "gun" in said) == (422, True)
    assert (await post(link, form(marked(), "a flag")))[0] == 200
    await studio.idle()


async def test_a_link_outlives_a_restart_but_not_its_hour(studio: Stage) -> None:
    chooser = await opened(studio)
    path = "/mask/" + link_of(chooser).rpartition("/")[2]
    await studio.restart()
    address = studio.app.region_selection.address
    assert (await post(f"{address}{path}", form(marked())))[0] == 200
    await studio.idle()
    await press(studio, chooser, "Cells")
    await press(studio, chooser, "Back")  # a fresh link
    fresh = link_of(chooser)
    await studio.app.store.write(
        lambda db: db.execute("UPDATE mask_token SET expires_at = expires_at - ?", (TOKEN_MS,))
    )
    assert (await post(fresh, form(marked())))[0] == 404


async def test_a_private_pictures_result_stays_private(studio: Stage) -> None:
    chooser = await opened(studio, private=True)
    count = len(studio.channel.history(viewer=studio.members["Ben"]))
    assert (await post(link_of(chooser), form(marked())))[0] == 200
    await studio.idle()
    assert len(studio.channel.history(viewer=studio.members["Ben"])) == count
    jobs = await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)
    assert (jobs[0].private, jobs[0].state) == (True, "done")
    assert chooser.attachments  # its own message became the result
    assert "a flag" in words(chooser)


async def test_the_link_works_for_its_person_with_their_credits(studio: Stage) -> None:
    link = link_of(await opened(studio, "Ben"))
    before = await credits_of(studio)
    await post(link, form(marked()))
    message = await newest(studio)
    assert (await job_of(studio, message)).user_id == studio.members["Ben"].id
    assert await credits_of(studio) == before


async def test_the_page_shows_the_picture_small_enough_for_a_phone(studio: Stage) -> None:
    large = Image.new("RGB", (3000, 1500), "teal")
    asked = await studio.members["Ann"].slash(studio.channel, "inpaint", prompt="a boat", image=("l.png", png(large)))
    async with ClientSession() as session, session.get(f"{link_of(asked.response)}/picture") as answer:
        shown = Image.open(io.BytesIO(await answer.read()))
    assert (shown.size, shown.format) == ((1536, 768), "WEBP")


async def test_without_an_address_there_is_no_button(studio: Stage) -> None:
    studio.app.region_selection.address = None
    chooser = await opened(studio)
    assert not [part for part in parts(chooser.components) if part.get("style") == 5]


# ---------------------------------------------------------------- in Chromium
@pytest.fixture
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as running:
        yield running


class Page:
    """The editor as a person sees it; faults of the page fail the test."""

    def __init__(self, window: Window) -> None:
        self.window, self.page = window, Hands(window)

    @property
    def faults(self) -> list[str]:
        return self.window.faults

    async def open(self) -> None:
        await self.window.until("document.body?.matches('[data-ready]')", "the editor is ready")
        box = await self.window.run(
            "(() => { const box = view.getBoundingClientRect();"
            " return [box.x + origin.x, box.y + origin.y, mask.width * scale, mask.height * scale] })()"
        )
        self.left, self.top, self.width, self.height = box

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A place on the screen, from a share of the picture."""
        return self.left + x * self.width, self.top + y * self.height

    async def drag(self, *points: tuple[float, float]) -> None:
        await self.page.mouse.move(*self.at(*points[0]))
        await self.page.mouse.down()
        for point in points[1:]:
            await self.page.mouse.move(*self.at(*point), steps=8)
        await self.page.mouse.up()

    async def share(self) -> str:
        return await self.page.text("#share")

    async def percent(self) -> int:
        text = await self.share()
        return int(text.split(" ")[0]) if text[0].isdigit() else 0

    async def send(self, prompt: str = "a flag") -> None:
        await self.page.fill("#prompt", prompt)
        await self.page.click("#send")
        await self.page.wait_for("#done:not([hidden])")

    async def shot(self, name: str) -> None:
        if SHOTS:
            await self.window.shot(Path(SHOTS, f"{name}.png"))


async def editor(browser: Chromium, link: str, size: tuple[int, int] = DESKTOP) -> Page:
    page = Page(await browser.open(link, size))
    await page.open()
    return page


@pytest.mark.browser
async def test_by_mouse_paint_undo_redo_send(studio: Stage, browser: Chromium) -> None:
    chooser = await opened(studio)
    link = link_of(chooser)
    page = await editor(browser, link)
    assert await page.page.value("#prompt") == ""
    assert await page.page.is_disabled("#send")
    await page.drag((0.2, 0.2), (0.5, 0.3), (0.3, 0.5))
    first = await page.percent()
    assert 3 < first < 40
    await page.drag((0.8, 0.8), (0.8, 0.9))
    both = await page.percent()
    assert both > first
    await page.shot("editor-brush")
    await page.page.click("#undo")
    assert await page.percent() == first
    await page.page.click("#redo")
    assert await page.percent() == both
    await page.page.keyboard.press("Control+z")
    await page.send()
    await page.shot("editor-done")
    message = await newest(studio)
    left, _top, right, _bottom = await redrawn(studio, message) or (0, 0, 0, 0)
    assert left < 128 * 0.2 < right
    assert right < 128 * 0.75
    gone = Page(await browser.open(link))
    await gone.window.until(
        "document.body?.innerText.length && !document.querySelector('#view')", "the link is used up"
    )
    await gone.shot("editor-gone")
    assert page.faults == []
    assert picture(studio, (await press(studio, message, "U1")).response).size == (128, 128)


@pytest.mark.browser
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_every_language_fits(studio: Stage, browser: Chromium, size: tuple[int, int]) -> None:
    link = link_of(await opened(studio))
    page = await editor(browser, link, size)
    agent = await page.window.run("navigator.userAgent")
    for language in (ENGLISH, *sorted(set(LANGUAGES.values()))):
        await page.window.ask("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        await page.window.run("delete document.body.dataset.ready")
        await page.window.ask("Page.navigate", url=link)
        await page.open()
        assert await page.window.run("document.documentElement.lang") == language
        wide = "[...document.querySelectorAll('body, header, aside, button')].filter(each => each.checkVisibility()"
        wide += " && (each.scrollWidth > each.clientWidth + 1 || each.getBoundingClientRect().right > innerWidth))"
        assert await page.window.run(f"{wide}.map(each => each.innerText)") == [], language
        await page.shot(f"editor-{language}-{size[0]}")
    assert page.faults == []


@pytest.mark.browser
async def test_every_tool_marks_what_it_says(studio: Stage, browser: Chromium) -> None:
    page = await editor(browser, link_of(await opened(studio)))
    await page.page.keyboard.press("r")
    await page.drag((0.25, 0.25), (0.75, 0.75))
    assert await page.percent() == 25
    await page.page.click("[data-tool=lasso]")
    await page.drag((0, 0), (0.25, 0), (0.25, 0.25), (0, 0.25))
    assert 30 <= await page.percent() <= 32
    await page.page.keyboard.press("e")
    await page.drag((0.5, 0.3), (0.5, 0.7))
    erased = await page.percent()
    assert erased < 30
    await page.page.keyboard.press("i")
    assert abs(await page.percent() - (100 - erased)) <= 1
    await page.page.click("#clear")
    assert "Nothing" in await page.share()
    await page.page.click("#undo")
    await page.page.keyboard.press("l")
    await page.page.keyboard.down("Alt")
    await page.drag((0, 0.5), (1, 0.5), (1, 1), (0, 1))
    await page.page.keyboard.up("Alt")
    assert await page.percent() < 50
    assert page.faults == []


@pytest.mark.browser
async def test_zoomed_in_strokes_land_where_they_are_seen(studio: Stage, browser: Chromium) -> None:
    page = await editor(browser, link_of(await opened(studio)))
    await page.page.mouse.move(*page.at(0.75, 0.75))
    for _ in range(6):
        await page.page.mouse.wheel(0, -100)
    await page.page.keyboard.press("r")
    x, y = page.at(0.75, 0.75)
    await page.page.mouse.down()
    await page.page.mouse.move(x + 100, y + 100, steps=4)
    await page.page.mouse.up()
    await page.page.keyboard.press("0")
    await page.send()
    left, top, right, _bottom = await redrawn(studio, await newest(studio)) or (0, 0, 0, 0)
    assert max(abs(left - 96), abs(top - 96)) <= 1
    scale = page.width / 128 * 1.3**6
    assert abs((right - left) - 100 / scale) <= 4


@pytest.mark.browser
async def test_by_keys_alone(studio: Stage, browser: Chromium) -> None:
    page = await editor(browser, link_of(await opened(studio)))
    await page.page.fill("#prompt", "a flag")
    await page.page.focus("#view")
    for key in ("r", "Space", *["Shift+ArrowRight"] * 3, *["Shift+ArrowDown"] * 3, "Space"):
        await page.page.keyboard.press(key)
    box = await page.percent()
    assert 4 <= box <= 8
    await page.shot("editor-keys")
    await page.page.keyboard.press("b")
    await page.page.keyboard.down("Space")
    for _ in range(5):
        await page.page.keyboard.press("Shift+ArrowLeft")
    await page.page.keyboard.up("Space")
    assert await page.percent() > box
    await page.page.keyboard.press("?")
    assert await page.page.is_visible("#help")
    await page.shot("editor-help")
    await page.page.keyboard.press("Escape")
    assert not await page.page.is_visible("#help")
    for _ in range(20):  # every control is reached by Tab, and one sees where one is
        await page.page.keyboard.press("Tab")
        seen = await page.window.run("document.activeElement.id")
        if seen == "send":
            break
    assert seen == "send"
    await page.page.keyboard.press("Enter")
    await page.page.wait_for("#done:not([hidden])")
    assert (await job_of(studio, await newest(studio))).spec.prompt == "a flag"
    assert page.faults == []


@pytest.mark.browser
async def test_by_touch_on_a_phone(studio: Stage, browser: Chromium) -> None:
    page = await editor(browser, link_of(await opened(studio)), PHONE)
    await page.shot("phone-empty")

    async def touch(kind: str, *points: tuple[float, float]) -> None:
        spots = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(page.at(*point) for point in points)]
        await page.window.ask("Input.dispatchTouchEvent", type=kind, touchPoints=spots)

    async def swipe(start: tuple[float, float], end: tuple[float, float]) -> None:
        await touch("touchStart", start)
        for n in range(1, 9):
            await touch("touchMove", tuple(a + (b - a) * n / 8 for a, b in zip(start, end, strict=True)))  # type: ignore[arg-type]
        await touch("touchEnd")

    await swipe((0.3, 0.3), (0.7, 0.4))
    first = await page.percent()
    assert first >= 3
    await swipe((0.2, 0.8), (0.4, 0.8))
    assert await page.percent() > first
    await page.shot("phone-brush")
    await page.page.click("#undo")  # not a tap: on a busy machine it lasts as long as a long press, which is no click
    assert await page.percent() == first
    await touch("touchStart", (0.4, 0.4), (0.6, 0.6))  # two fingers zoom, and paint nothing
    await touch("touchMove", (0.3, 0.3), (0.7, 0.7))
    await touch("touchMove", (0.2, 0.2), (0.8, 0.8))
    await touch("touchEnd")
    assert await page.percent() == first
    assert int((await page.page.text("#zoom-fit")).rstrip("%")) > 150
    await page.page.click("#zoom-fit")
    overflow = await page.window.run("document.documentElement.scrollWidth > innerWidth")
    assert not overflow
    await page.page.fill("#prompt", "a flag")
    await page.page.click("#send")
    await page.page.wait_for("#done:not([hidden])")
    mask = np.asarray(await mask_of(studio, (await job_of(studio, await newest(studio))).spec))
    assert mask[int(128 * 0.35), 64] == 255
    assert page.faults == []


@pytest.mark.browser
async def test_a_dear_job_is_sent_by_a_second_press(studio: Stage, browser: Chromium) -> None:
    page = await editor(browser, link_of(await opened(studio)))
    await page.drag((0.2, 0.2), (0.8, 0.3))
    await page.page.fill("#prompt", "a flag --steps 20")
    await page.page.click("#send")
    await page.page.wait_for("#said:not(:empty)")
    assert "This costs" in await page.page.text("#said")
    await page.page.click("#send")
    await page.page.wait_for("#done:not([hidden])")
    assert await redrawn(studio, await newest(studio))


@pytest.mark.browser
async def test_a_refusal_is_shown_and_the_marks_stay(studio: Stage, browser: Chromium) -> None:
    page = await editor(browser, link_of(await opened(studio)))
    await page.drag((0.2, 0.2), (0.5, 0.3))
    await page.page.fill("#prompt", "a flag --foo")
    await page.page.click("#send")
    await page.page.wait_for("#said:not(:empty)")
    assert "--foo" in await page.page.text("#said")
    await page.shot("editor-refused")
    await page.send()
    assert await redrawn(studio, await newest(studio))
