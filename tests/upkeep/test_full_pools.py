"""Pools of threads that are used up: members read a sentence, and what was acknowledged is done all the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from bot.demo.simulation import Stage
from bot.store.clock import ManualClock
from bot.threads.pools import EDITOR, FILES, PICTURES, TEXTS, UPLOADS
from tests.e2e.conftest import settings, studio, unhurried
from tests.e2e.screen import paint, picture, press, words
from tests.services.workbench import asked, until, workbench

__all__ = ["settings", "studio", "unhurried"]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No more may wait anywhere."""
    for pool in (FILES, PICTURES, UPLOADS, EDITOR, TEXTS):
        monkeypatch.setattr(pool, "most", 0)
    return monkeypatch


def said(result: Any) -> str:
    shown = [*result.followups, *([result.response] if result.response else [])]
    return "\n".join(words(each) for each in shown)


async def test_members_read_what_is_full(studio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, first = studio.members["Ann"], await paint(studio, "a red boat")
    upload = io.BytesIO()
    picture(studio, first).save(upload, "PNG")
    monkeypatch.setattr(UPLOADS, "most", 0)
    refused = await ann.slash(studio.channel, "vary", image=("a.png", upload.getvalue()))
    assert "Too many uploads are being read. Try again in a minute; nothing was charged." in said(refused)
    again = await paint(studio, "a blue boat")
    monkeypatch.setattr(PICTURES, "most", 0)
    shown = await ann.slash(studio.channel, "show", job=1)
    assert "Too many pictures are being made ready." in said(shown)
    pressed = await press(studio, again, "U1")
    assert "Too many pictures are being made ready." in said(pressed)
    monkeypatch.undo()
    assert (await press(studio, again, "U1")).response.attachments


async def test_what_was_acknowledged_is_painted_and_delivered(full: pytest.MonkeyPatch, studio: Stage) -> None:
    for pool in (FILES, TEXTS):  # which refuse new jobs
        full.setattr(pool, "most", 64)
    message = await paint(studio, "a red boat")
    assert message.attachments


async def test_a_disk_that_is_behind_costs_no_job(tmp_path: Path, full: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    async with workbench(tmp_path, clock, start=False) as bench:
        full.undo()
        job = await bench.jobs.submit(asked())
        full.setattr(FILES, "most", 0)
        await bench.dispatcher.start()

        async def painted() -> bool:
            return (await bench.store.job(job.id)).state == "rendered"

        await until(painted)
        await bench.outbox.start()
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]
