"""The result arrives whatever Discord does, once, and old buttons outlive the views they came with."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
import pytest

from bot.demo.simulation import Stage
from bot.jobs.protocols import TryLater
from tests.e2e.screen import buttons, paint, press, words

WEBHOOK = "/webhooks/*/*/messages/*"


async def slash(studio: Stage, prompt: str = "a red boat", **options: Any) -> Any:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt=prompt, **options)
    assert result.acknowledged
    return result


def grids(studio: Stage) -> list[Any]:
    return [message for message in studio.channel.history() if message.attachments]


async def test_after_the_token_expired_the_same_message_is_edited(studio: Stage) -> None:
    studio.env.inject_error("PATCH", WEBHOOK, status=401, code=50027, times=None)
    result = await slash(studio)
    await studio.idle()
    assert [message.id for message in grids(studio)] == [result.response.id]


async def test_a_deleted_progress_message_is_replaced_by_one_that_mentions(studio: Stage) -> None:
    studio.env.inject_error("PATCH", WEBHOOK, status=404, code=10008, times=None)
    studio.env.inject_error("PATCH", "/channels/*/messages/*", status=404, code=10008, times=None)
    await slash(studio)
    await studio.idle()
    (message,) = grids(studio)
    assert f"<@{studio.members['Ann'].id}>, this took a while" in str(message.components)


async def test_a_closed_channel_leads_to_a_direct_message(studio: Stage) -> None:
    for method, path in (("PATCH", WEBHOOK), ("PATCH", "/channels/*/messages/*")):
        studio.env.inject_error(method, path, status=404, code=10008, times=None)
    studio.env.inject_error("POST", f"/channels/{studio.channel.id}/messages", status=403, code=50013, times=None)
    await slash(studio)
    await studio.idle()
    assert grids(studio) == []
    backend = studio.env.backend
    inbox = backend.dm_channels[studio.members["Ann"].id]
    assert [bool(message.attachments) for message in backend.messages[inbox].values()] == [True]


async def test_a_private_result_is_never_posted_in_the_channel(studio: Stage) -> None:
    studio.env.inject_error("PATCH", WEBHOOK, status=401, code=50027, times=None)
    await slash(studio, private=True)
    await studio.idle()
    assert grids(studio) == []
    assert studio.members["Ann"].id in studio.env.backend.dm_channels


async def test_an_outage_is_waited_out(studio: Stage) -> None:
    studio.env.inject_error("PATCH", WEBHOOK, status=500, times=None)
    studio.env.inject_error("PATCH", "/channels/*/messages/*", status=500, times=None)
    job_message = await slash(studio)
    job = (await studio.app.store.history(studio.members["Ann"].id, studio.guild.id))[0]
    while (await studio.app.store.job(job.id)).state != "rendered":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    images = await studio.app.store.images(job.id)
    with pytest.raises(TryLater):
        await studio.app.messages.deliver(await studio.app.store.job(job.id), images, "result", "nonce")
    studio.env.backend.faults.clear()
    await studio.restart()  # the outbox tries at once again; waiting would take its back-off
    await studio.idle()
    assert [message.id for message in grids(studio)] == [job_message.response.id]


async def test_when_everything_is_closed_nothing_is_charged_and_the_history_has_it(studio: Stage) -> None:
    for method in ("PATCH", "POST"):
        studio.env.inject_error(method, "/channels/*", status=403, code=50013, times=None)
        studio.env.inject_error(method, "/users/*", status=403, code=50007, times=None)
    studio.env.inject_error("PATCH", WEBHOOK, status=404, code=10008, times=None)
    await slash(studio)
    await studio.idle()
    studio.env.backend.faults.clear()
    balance = await studio.app.jobs.balance(studio.members["Ann"].id, studio.guild.id)
    assert balance.free_mc == studio.settings.credits_a_day * 1000
    page = (await studio.members["Ann"].slash(studio.channel, "history")).response
    assert "a red boat" in words(page)


async def test_too_large_a_file_is_made_smaller(studio: Stage) -> None:
    studio.env.inject_error("PATCH", WEBHOOK, status=413, code=40005, times=1)
    studio.env.inject_error("PATCH", WEBHOOK, status=413, code=40005, times=1)
    await slash(studio)
    await studio.idle()
    assert len(grids(studio)) == 1


async def test_one_messages_end_does_not_kill_the_buttons_of_others(studio: Stage) -> None:
    """discord.py forgets a dynamic item's class when a view that holds it with plain items stops."""
    first, second = await paint(studio, "a red boat"), await paint(studio, "a blue boat")
    await press(studio, second, "Delete")
    failed = await paint(studio, "!fail --n 1")
    await press(studio, failed, "Try again")
    assert (await press(studio, first, "U1")).response.attachments


async def test_a_cancelled_job_says_so_and_can_be_tried_again(studio: Stage) -> None:
    studio.engine.step_s = 0.05  # type: ignore[attr-defined]
    result = await slash(studio)
    refused = await studio.members["Ben"].click(result.response.message, custom_id=buttons(result.response)["Cancel"])
    assert "Only the person who asked" in refused.followups[-1].content
    await press(studio, result.response, "Cancel")
    assert "Nothing was charged" in words(result.response)
    assert list(buttons(result.response)) == ["Try again"]


async def test_a_restart_in_the_middle_delivers_into_the_same_message_once(studio: Stage) -> None:
    studio.engine.step_s = 0.05  # type: ignore[attr-defined]
    result = await slash(studio)
    await asyncio.sleep(0.2)
    await studio.restart()
    await studio.idle()
    assert [message.id for message in grids(studio)] == [result.response.id]


async def test_a_bot_without_permissions_says_which_before_painting(studio: Stage) -> None:
    me = studio.guild.me
    assert me is not None
    closed = studio.guild.create_text_channel(
        "closed", overwrites={me: discord.PermissionOverwrite(attach_files=False)}
    )
    result = await studio.members["Ann"].slash(closed, "imagine", prompt="a red boat")
    assert "Attach Files" in result.response.content
    assert result.ephemeral
