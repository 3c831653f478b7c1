"""Members who want it are mentioned when a job took long: an edited message notifies nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.demo.simulation import Stage
from bot.jobs.records import OutboxEntry
from tests.e2e.conftest import settings, studio, unhurried
from tests.e2e.screen import paint

__all__ = ["settings", "studio", "unhurried"]
MINUTE_MS = 60_000


async def delivered(studio: Stage, minutes: int, **options: Any) -> list[Any]:
    """Deliver a result that took so long; what was posted besides it."""
    await paint(studio, **options)
    job = (await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id))[0]
    before = {message.id for message in studio.channel.history()}
    job = replace(job, created_at=job.created_at - minutes * MINUTE_MS)
    owed = OutboxEntry(id=1, job_id=job.id, kind="result", nonce="n" * 24, attempts=0, created_at=0)
    await studio.app.messages.deliver(owed, job, await studio.app.jobs.images(job.id))
    return [message for message in studio.channel.history() if message.id not in before]


@pytest.mark.parametrize(("wanted", "took", "mentions"), [(5, 6, 1), (5, 4, 0), (None, 600, 0)])
async def test_a_mention_follows_what_took_longer_than_its_person_said(
    studio: Stage, wanted: int | None, took: int, mentions: int
) -> None:
    ann = studio.members["Ann"].id
    await studio.app.preferences.prefer(ann, studio.guild.id, mention_minutes=wanted)
    posted = await delivered(studio, took)
    assert len(posted) == mentions
    assert all(f"<@{ann}>" in str(message.components) for message in posted)
    assert all([user.id for user in message.mentions] == [ann] for message in posted)


async def test_a_private_result_is_mentioned_to_its_person_alone(studio: Stage) -> None:
    await studio.app.preferences.prefer(studio.members["Ann"].id, studio.guild.id, mention_minutes=1)
    assert await delivered(studio, 2, private=True) == []
