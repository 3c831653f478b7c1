"""The demo in a browser: a newcomer's path from the welcome to an old button after a restart, as they see it."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.config import Settings
from bot.demo import demo, welcome
from bot.kit.interactions import DoubleClicks
from engine.fake import MINI, FakeEngine
from tests.e2e.chromium import PHONE, Chromium, Page, chromium
from tests.features.edit.conftest import EDITOR

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("EASEL_SHOTS", "")  # a folder for pictures of the page, for people to look at
PRESSES = 60
COMPONENT = 3  # the type of an interaction that is a press
LAST = "[...document.querySelectorAll('li.message')].pop()"
PICTURES = "[...document.querySelectorAll('li.message .picture img')]"
WHOLE = f"{PICTURES}.every((img) => img.naturalWidth > 0 && img.src === new URL(img.url, location).href)"


@pytest.fixture
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0)


class Newcomer:
    """A person in front of the page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def sees(self, text: str) -> None:
        """Wait until a text stands in the last message, and that message's end is in view."""
        quoted = json.dumps(text)
        await self.page.until(f"{LAST}?.innerText.includes({quoted})", f"the last message says {text!r}")
        await self.page.until(
            f"(() => {{ const box = {LAST}.getBoundingClientRect(), view = log.getBoundingClientRect();"
            " return box.bottom <= view.bottom + 1 && box.bottom > view.top })()",
            f"the answer {text!r} is in view",
        )

    async def presses(self, label: str, *, within: str = "document") -> None:
        """Press the last button of that label."""
        await self.page.press(self.button(label, within))

    async def gets(self, label: str, *texts: str, within: str = "document") -> None:
        """Press a button, and see the message that answers it say these texts in the end."""
        count = await self.count()
        await self.presses(label, within=within)
        await self.answered(count, *texts)

    async def answered(self, count: int, *texts: str) -> None:
        """See a message after the first `count` ones say these texts in the end."""
        await self.page.until(f"document.querySelectorAll('li.message').length > {count}", "there is an answer")
        for text in texts:
            await self.sees(text)

    @staticmethod
    def button(label: str, within: str = "document") -> str:
        found = f"[...({within})?.querySelectorAll('button.button') ?? []]"
        return f"{found}.filter((each) => each.innerText.trim().endsWith({json.dumps(label)})).pop()"

    async def imagines(self, prompt: str) -> None:
        await self.page.press("document.getElementById('line')")
        await self.page.type(f"/imagine {prompt}")
        await self.page.key("Enter")

    async def count(self) -> int:
        return int(await self.page.run("document.querySelectorAll('li.message').length"))

    async def has_pictures(self) -> None:
        """Wait until every picture has loaded."""
        await self.page.until(WHOLE, "all pictures are there")

    async def shot(self, name: str) -> None:
        if SHOTS:
            await self.page.shot(Path(SHOTS, f"{name}.png"))


async def opened(browser: Chromium, url: str, **how: Any) -> Newcomer:
    page = await browser.open(url, **how)
    await page.until("document.querySelector('li.message')", "there are messages")
    return Newcomer(page)


async def test_a_picture_is_changed_by_saying_what(browser: Chromium, settings: Settings) -> None:
    async with demo(settings, make_engine=lambda: FakeEngine((MINI, EDITOR))) as (url, _):
        ann = await opened(browser, url)
        await ann.imagines("a red boat")
        await ann.answered(1, "a red boat", "Delete")
        await ann.gets("U2", "a red boat", "Edit")
        count = await ann.count()
        await ann.presses("Edit")
        await ann.page.press("document.querySelector('#form textarea')")
        await ann.page.type("make it night")
        await ann.shot("edit-form")
        await ann.presses("Submit")
        await ann.answered(count, "make it night", "Edit of picture 2 of", "U4")
        await ann.has_pictures()
        await ann.shot("edited")
        await ann.gets("U1", "make it night", "Undo")
        await ann.gets("Compare", "Before and after")
        await ann.has_pictures()
        await ann.shot("before-and-after")
        await ann.gets("Undo", "a red boat")
        await ann.page.press("document.getElementById('line')")
        await ann.page.type("/edit")
        assert (await ann.page.until("document.querySelector('#list button').innerText")).startswith("/edit")


async def test_easel_is_talked_to(browser: Chromium, settings: Settings) -> None:
    async with demo(settings, make_engine=lambda: FakeEngine((MINI, EDITOR))) as (url, running):
        ann = await opened(browser, url)
        await ann.page.press("document.getElementById('line')")
        await ann.page.type("@ea")
        assert await ann.page.until("document.querySelector('#list button')?.innerText") == "@Easel"
        await ann.page.key("Enter")
        await ann.page.type("a red boat")
        await ann.page.key("Enter")
        await ann.answered(2, "a red boat", "Delete")
        await ann.gets("U2", "a red boat", "Edit")
        running.bot.clicks = DoubleClicks(running.app.clock)  # a person would take a moment longer
        count = await ann.count()
        reply = f"{LAST}.querySelector('[aria-label=Reply]')"
        await ann.page.press(reply)
        await ann.page.until("document.getElementById('answering').innerText.includes('Replying to Easel')")
        await ann.page.key("Escape")
        await ann.page.until("document.getElementById('answering').hidden", "Escape takes it back")
        await ann.page.press(reply)
        await ann.page.type("@Easel make it night")
        await ann.shot("reply")
        await ann.page.key("Enter")
        await ann.answered(count + 1, "make it night", "Edit of picture 2 of", "U4")
        assert await ann.page.run("document.getElementById('answering').hidden")
        said = "[...document.querySelectorAll('li.message')].at(-2).innerText"
        assert "@Easel make it night" in await ann.page.run(said)
        assert "↰ Ann @Easel make it night" in await ann.page.run(f"{LAST}.innerText")
        await ann.has_pictures()
        await ann.shot("answered")
        await ann.gets("U1", "Undo")
        await ann.page.press(f"{LAST}.querySelector('summary[title=Apps]')")
        await ann.shot("apps")
        await ann.page.press(f"{LAST}.querySelector('[data-menu=Edit]')")
        await ann.page.until("document.getElementById('form').open", "the menu asks what to change")
        assert ann.page.faults == []


async def test_a_newcomers_path(browser: Chromium, settings: Settings) -> None:
    async with demo(settings, make_engine=FakeEngine) as (url, _):
        ann = await opened(browser, url)
        await ann.sees("Welcome! I'm Easel.")
        await ann.has_pictures()
        assert await ann.page.run("document.title") == "#easel · Easel"
        await ann.shot("welcome")
        for example in welcome.EXAMPLES:
            await ann.gets(example.prompt, example.prompt, "Delete", within="document.querySelector('li.message')")
        await ann.page.press("document.getElementById('line')")
        await ann.page.type("/")
        assert (await ann.page.until("document.querySelector('#list button').innerText")).startswith("/imagine")
        await ann.page.key("Backspace")
        await ann.imagines("a red boat under a yellow moon")
        await ann.answered(1 + len(welcome.EXAMPLES), "a red boat under a yellow moon", "Delete")
        await ann.gets("U2", "a red boat under a yellow moon", "Upscale (2x)")
        await ann.gets("Zoom Out 1.5x", "Zoom Out 1.5x of picture 2 of", "U4")
        await ann.gets("Upscale (2x)", "Upscale", "Delete")
        await ann.presses("Delete")
        await ann.sees("Delete this picture, with the prompt and the files?")
        await ann.shot("asked-before-deleting")
        await ann.presses("Yes, delete")
        await ann.sees("For a minute you can have it back.")
        await ann.presses("Undo")
        await ann.sees("Upscale 2x")
        await ann.has_pictures()
        await ann.gets("V3", "Variation", "U4")
        count = await ann.count()
        await ann.presses("Remix")
        await ann.page.press("document.querySelector('#form textarea')")
        await ann.page.type(" and a star")
        await ann.presses("Submit")
        await ann.answered(count, "and a star", "U4")
        await ann.has_pictures()
        await ann.shot("remixed")
    await ann.page.until("!document.getElementById('lost').hidden", "the page tells that Easel has stopped")
    async with demo(settings, make_engine=FakeEngine) as (again, _):
        assert again == url
        await ann.page.until("document.getElementById('lost').hidden", "the open tab comes back by itself")
        await ann.page.until(f"document.querySelectorAll('li.message').length < {count}", "it shows the new run")
        await ann.sees("and a star")
        await ann.has_pictures()
        await ann.gets("U1", "and a star", "Upscale (2x)")
        assert await ann.page.run("document.querySelector('li.message').innerText.includes('Welcome')")
    assert [fault for fault in ann.page.faults if "ERR_CONNECTION_REFUSED" not in fault] == []


async def test_no_press_is_lost_while_a_job_paints(browser: Chromium, settings: Settings) -> None:
    async with demo(settings, make_engine=lambda: FakeEngine(step_s=2.0)) as (url, running):
        ben = running.members["Ben"]
        await ben.slash(running.channel, "imagine", prompt="a long job --size 64x64 --steps 20")
        ann = await opened(browser, url)
        cancel = f"({ann.button('Cancel')})"
        await ann.page.until(f"Boolean({cancel})", "the job is shown")
        await ann.page.run(
            "window.pressed = 0;"
            "addEventListener('click', (event) => (pressed += Boolean(event.target.closest('.button'))), true)"
        )
        await ann.page.run(
            f"window.same = {cancel}; window.texts = new Set();"
            "new MutationObserver(() => texts.add(same.closest('li').innerText)).observe("
            "same.closest('li'), { subtree: true, childList: true, characterData: true })"
        )
        for _ in range(PRESSES):
            await ann.page.press("document.getElementById('line')")  # which a press then takes the focus from
            await ann.page.press(cancel, hold_s=0.1)
        assert await ann.page.run("pressed") == PRESSES
        assert await ann.page.run("texts.size") > 2, "the message changed meanwhile"
        assert await ann.page.run(f"same === {cancel}"), "and kept its button"
        await ann.page.until(f"document.querySelectorAll('li.private').length === {PRESSES}", "each has its answer")
        presses = [each for each in running.env.backend.interactions.values() if each.type == COMPONENT]
        assert len(presses) == PRESSES
        assert ann.page.faults == []
        await ben.click(running.channel.history()[1], label="Cancel")


async def test_a_picture_stays_until_the_next_one_has_loaded(browser: Chromium, settings: Settings) -> None:
    async with demo(settings, make_engine=lambda: FakeEngine(step_s=0.15)) as (url, _):
        ann = await opened(browser, url)
        await ann.page.run(
            "window.broken = []; window.shown = new Set();"
            "(function look() { for (const img of document.querySelectorAll('.picture img[src]')) {"
            " shown.add(img.src); if (!img.complete || !img.naturalWidth) broken.push(img.src) }"
            " requestAnimationFrame(look) })()"
        )
        await ann.imagines("a red boat --size 64x64 --steps 20")
        await ann.sees("Delete")
        await ann.has_pictures()
        assert await ann.page.run("shown.size") >= 3, "the welcome's, a preview and the result"
        assert await ann.page.run("broken") == []


async def test_two_windows_two_people(browser: Chromium, settings: Settings) -> None:
    async with demo(settings, make_engine=FakeEngine) as (url, _):
        ann, ben = await opened(browser, url), await opened(browser, f"{url}?as=Ben")
        await asyncio.gather(ann.imagines("a red boat"), ben.imagines("a blue house"))
        for person in (ann, ben):
            await person.page.until(
                "[...document.querySelectorAll('li.message')].filter((each) => /used .imagine/.test(each.innerText)"
                " && each.innerText.includes('Delete')).length === 2",
                "both see both",
            )
        await ben.imagines("x --steps 99999")
        await ben.sees("Only you can see this")
        assert not await ann.page.run("document.querySelector('li.private')")
        await ann.page.press("document.querySelector('.only, #line')")
        assert await ann.page.run("document.getElementById('as').value") == "Ann"
        assert await ben.page.run("document.getElementById('as').value") == "Ben"
        assert ann.page.faults + ben.page.faults == []


async def test_it_speaks_the_language_of_its_address(browser: Chromium, settings: Settings) -> None:
    async with demo(settings, make_engine=FakeEngine) as (url, _):
        ann = await opened(browser, f"{url}?lang=de")
        assert await ann.page.run("document.documentElement.lang") == "de"
        await ann.sees("Willkommen! Ich bin Easel.")
        assert await ann.page.run("document.getElementById('line').placeholder") == "/ tippen für Befehle"
        await ann.imagines("a red boat")
        german = "[...document.querySelectorAll('button.button')].some((each) => each.innerText.includes('Löschen'))"
        await ann.page.until(german, "the buttons are German")
        assert re.fullmatch(r"Heute um \d\d:\d\d", await ann.page.run("document.querySelector('time').innerText"))
        ben = await opened(browser, f"{url}?as=Ben")
        assert await ben.page.run("document.documentElement.lang") == "en"
        assert ann.page.faults + ben.page.faults == []


async def test_on_a_phone(browser: Chromium, settings: Settings) -> None:
    async with demo(settings, make_engine=FakeEngine) as (url, _):
        ann = await opened(browser, url, size=PHONE)
        await ann.sees("Welcome! I'm Easel.")
        await ann.has_pictures()
        await ann.shot("phone-welcome")
        await ann.page.tap(ann.button(welcome.EXAMPLES[1].prompt))
        await ann.sees("Delete")
        await ann.page.tap("document.getElementById('slash')")
        await ann.page.tap("document.querySelector('#list button')")
        await ann.page.type("a tree on a hill")
        await ann.shot("phone-imagine")
        await ann.page.tap("document.getElementById('send')")
        await ann.answered(2, "a tree on a hill", "Delete")
        await ann.has_pictures()
        await ann.shot("phone-result")
        assert await ann.page.run("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut at the side"
        assert ann.page.faults == []
