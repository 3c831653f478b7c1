"""A member reports an image, moderators decide about it, and the reporter is told once how it ended."""

from __future__ import annotations

import sqlite3
from typing import Any

import discord
import pytest

from bot.demo.simulation import Stage
from bot.features.audit.store import AuditQuery
from bot.features.jobs.service import UNDO_MS
from bot.features.privacy import personal_data
from bot.features.reports.acts import MAX_OPEN
from bot.orders.actor import Actor
from bot.store import users
from tests.e2e.screen import buttons, paint, parts, press, words
from tests.features.admin.test_panel import choose
from tests.features.moderation.test_moderation import _forged, admin, said
from tests.features.moderation.test_moderators import moderate, studio

__all__ = ["studio"]
PAGE = "9"
KEPT = "looked at the image you reported, and it stays"
DELETED = "was deleted"


async def report(studio: Stage, message: Any, who: str = "Ben", reason: str = "blood **all** over") -> str:
    """Press Report under a message and fill in the form."""
    shown = await press(studio, message, "Report", who)
    if shown.modal is None:
        return said(shown)
    return said(await studio.members[who].submit_modal(shown, {"reason": reason}))


async def queue(studio: Stage, who: str = "Mo") -> Any:
    shown = (await moderate(studio, who)).response
    await choose(studio, shown, "s1:adm:0", PAGE, who)
    return shown


async def look(studio: Stage, job: int = 1, who: str = "Mo") -> Any:
    shown = await queue(studio, who)
    await choose(studio, shown, "s1:are:0", str(job), who)
    return shown


def inbox(studio: Stage, who: str = "Ben") -> list[str]:
    """What a member got as direct messages."""
    backend = studio.env.backend
    channel = backend.dm_channels.get(studio.members[who].id)
    return [str(message.components) for message in backend.messages[channel].values()] if channel else []


async def log(studio: Stage) -> list[tuple[str, int]]:
    return [(entry.action, entry.actor_id) for entry in reversed(await studio.app.audit.search(AuditQuery(), 100))]


async def test_a_report_is_looked_at_and_dismissed(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    assert "Reported" in await report(studio, message)
    await studio.restart()
    shown = await look(studio)
    ann, ben, mo = (studio.members[name].id for name in ("Ann", "Ben", "Mo"))
    assert f"by <@{ann}>" in words(shown)
    assert f"<@{ben}>" in words(shown)
    assert "blood \\*\\*all\\*\\* over" in words(shown)
    assert "a red boat" in words(shown)
    assert len(shown.attachments) == 1
    await press(studio, shown, "Dismiss", "Mo")
    assert "No image is reported" in words(shown)
    assert not shown.attachments
    assert [KEPT in each for each in inbox(studio)] == [True]
    await studio.app.reports.tell_outcomes()
    assert len(inbox(studio)) == 1
    assert "already reported" in await report(studio, message)
    assert await log(studio) == [("rules.set", studio.members["Ada"].id), ("report.open", 0), ("report.dismiss", mo)]


async def test_a_reported_image_is_deleted_with_its_message_and_not_refunded(studio: Stage) -> None:
    ann, guild = studio.members["Ann"].id, studio.guild.id
    message = await paint(studio, "a red boat")
    terms = await studio.app.quotas.terms(_actor(studio, "Ann"))
    before = await studio.app.credits.balance(ann, guild, terms)
    await report(studio, message)
    shown = await look(studio)
    await press(studio, shown, "Delete image", "Mo")
    assert "isn't given back" in words(shown)
    assert await studio.app.jobs.images(1) == []
    assert [each for each in studio.channel.history() if each.attachments] == []
    assert await studio.app.credits.balance(ann, guild, terms) == before
    assert [DELETED in each for each in inbox(studio)] == [True]
    assert await _rows(studio) == 0


def _actor(studio: Stage, who: str) -> Actor:
    return Actor(user_id=studio.members[who].id, guild_id=studio.guild.id, channel_id=studio.channel.id)


async def _rows(studio: Stage) -> int:
    return int(await studio.app.store.read(lambda db: db.execute("SELECT count(*) FROM report").fetchone()[0]))


async def test_whoever_deletes_it_the_reporter_hears_of_it(studio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    message = await paint(studio, "a red boat")
    await report(studio, message)
    for again in range(2):
        await press(studio, message, "Delete", "Ann")
        await press(studio, message, "Yes, delete", "Ann")
        assert "No image is reported" in words(await queue(studio))
        await studio.app.reconciler.once()
        assert inbox(studio) == [], "it can still be undone"
        if not again:
            await press(studio, message, "Undo", "Ann")
            assert "1 report" in words(await queue(studio))
    later = studio.app.clock.now_ms() + 2 * UNDO_MS
    with monkeypatch.context() as patch:
        patch.setattr(studio.app.clock, "now_ms", lambda: later)
        await studio.app.reconciler.once()
    assert [DELETED in each for each in inbox(studio)] == [True]
    assert await _rows(studio) == 0


async def test_the_menu_reports_too(studio: Stage) -> None:
    message = (await paint(studio, "a red boat")).message
    shown = await studio.members["Ben"].context_menu(studio.channel, "Report", message)
    assert "Reported" in said(await studio.members["Ben"].submit_modal(shown, {"reason": "stolen"}))
    assert "1 report" in words(await queue(studio))
    own = await studio.members["Ann"].context_menu(studio.channel, "Report", message)
    assert "This is yours" in said(own)
    other = (
        await studio.members["Ann"].post(studio.channel, "hello") if hasattr(studio.members["Ann"], "post") else None
    )
    assert other is None or other.acknowledged


async def test_the_reported_sees_neither_the_report_nor_who_made_it(studio: Stage) -> None:
    """Not even as a moderator, nor in the log or in their data."""
    message = await paint(studio, "a red boat", "Mo")
    await report(studio, message)
    ben = studio.members["Ben"].id
    assert "No image is reported" in words(await queue(studio, "Mo"))
    for forged in ("v1:rk:1", "v1:rq:1"):
        assert "other moderators" in said(await _forged(studio, "Mo", forged))
    assert "1 report" in words(await queue(studio, "Ada"))
    found = await admin(studio, "audit", action="report")
    assert "report.open" in found.replace("\\", "")
    assert f"<@{ben}>" not in found
    assert await _exported(studio, "Mo") == 0
    assert await _exported(studio, "Ben") == 1


async def _exported(studio: Stage, who: str) -> int:
    """How many reports are in a member's export."""
    user_id = studio.members[who].id

    def read(db: sqlite3.Connection) -> int:
        return len(personal_data.export(db, users.find(db, user_id) or 0, user_id)["report"])

    return await studio.app.store.read(read)


async def test_only_what_others_can_see_is_reported(studio: Stage) -> None:
    assert "Report" not in buttons(await paint(studio, "a red boat", private=True))
    for who in ("Ben", "Mo"):
        assert "no such image" in said(await _forged(studio, who, "v1:rt:1"))


async def test_a_moderator_who_cannot_see_it_decides_without_looking(studio: Stage) -> None:
    seen = discord.PermissionOverwrite(view_channel=True)
    closed = {
        studio.guild.default_role: discord.PermissionOverwrite(view_channel=False),
        **{who: seen for who in (studio.members["Ann"], studio.members["Ben"], studio.bot.user)},
    }
    hidden = studio.guild.create_text_channel("hidden", overwrites=closed)
    result = await studio.members["Ann"].slash(hidden, "imagine", prompt="a zebra")
    await studio.idle()
    assert "Reported" in await report(studio, result.response)
    shown = await look(studio)
    assert "zebra" not in words(shown)
    assert not shown.attachments
    await press(studio, shown, "Dismiss", "Mo")
    assert "zebra" in words(result.response)


async def test_only_what_was_reported_is_deleted_as_reported(studio: Stage) -> None:
    await paint(studio, "a red boat", private=True)
    assert "never reported" in said(await _forged(studio, "Mo", "v1:rq:1"))
    assert await studio.app.jobs.images(1)


async def test_nobody_floods_the_queue(studio: Stage) -> None:
    for _ in range(MAX_OPEN):
        assert "Reported" in await report(studio, await paint(studio, "a boat --n 1"))
    last = await paint(studio, "a boat --n 1")
    assert "wait for a moderator" in await report(studio, last)
    assert "Reported" in await report(studio, last, "Ada")
    shown = await queue(studio)
    assert len(list(parts(shown.components))) <= 40


@pytest.mark.parametrize("reason", [" ", "\u200b\u2800"])
async def test_a_report_needs_a_reason(studio: Stage, reason: str) -> None:
    assert "Say in a few words" in await report(studio, await paint(studio), reason=reason)


async def test_a_banned_member_reports_nothing(studio: Stage) -> None:
    message = await paint(studio)
    await admin(studio, "ban", user=studio.members["Ben"])
    assert "can't use Easel" in await report(studio, message)


async def test_a_report_leaves_with_its_reporter(studio: Stage) -> None:
    await report(studio, await paint(studio))
    ben = studio.members["Ben"].id
    await studio.app.privacy.forget(ben)
    assert await _rows(studio) == 0
