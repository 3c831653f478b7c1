"""The demo's page follows the bot by itself, keeps its people, and shows the last run's pictures again."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path

from bot.config import Settings
from bot.demo import simulation
from bot.demo.page import LivePage, dress_bot
from bot.demo.simulation import stage
from engine.fake import FakeEngine
from tests.e2e.screen import buttons, paint, press


def settings(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder, min_free_mib=0)


async def test_the_page_is_served_and_shows_what_the_bot_does(tmp_path: Path) -> None:
    async with stage(settings(tmp_path), make_engine=FakeEngine) as studio:
        assets = dress_bot(studio.env, "Easel", simulation._avatar())
        viewers = list(studio.members.values())
        async with LivePage(studio.env, studio.channel, viewers, port=0, assets=assets) as page:
            html = await asyncio.to_thread(lambda: urllib.request.urlopen(page.url).read())
            assert b"<html" in html.lower()
            before = page._preview._python.revision
            job = (await paint(studio, "a red boat")).id
            async with asyncio.timeout(20):
                while str(job) not in json.dumps(page._preview._python.snapshot):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # the page refreshes by itself: nobody acts on it here
            assert page._preview._python.revision > before


async def test_a_new_run_shows_the_last_ones_pictures_with_working_buttons(tmp_path: Path) -> None:
    async with stage(settings(tmp_path), make_engine=FakeEngine) as studio:
        await paint(studio, "a red boat")
        ann = studio.members["Ann"].id
    async with stage(settings(tmp_path), make_engine=FakeEngine) as studio:
        assert studio.members["Ann"].id == ann
        await simulation._repost(studio)
        message = studio.channel.last_message
        assert message is not None
        shown = await studio.members["Ann"].slash(studio.channel, "show", job=1)
        assert (await press(studio, shown.response, "V1")).response.attachments
        again = await paint(studio, "a blue boat")
        assert buttons(again)["U1"] != buttons(shown.response)["U1"]  # a new job, not an old one's answer
        assert len(message.attachments) == 1
