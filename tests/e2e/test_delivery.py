"""The result arrives whatever Discord does, once, and old buttons outlive the views they came with."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.delivery import image_tools
from bot.delivery.contents import HIDDEN_WORDS
from bot.delivery.job_messages import PATIENCE
from bot.demo.simulation import Stage
from bot.jobs.outbox import TryLater
from bot.jobs.records import Job, OutboxEntry
from bot.kit.components import notice
from bot.ledger.limits import default_terms
from tests.e2e.screen import buttons, closed_to, delete, paint, press, words

WEBHOOK = "/webhooks/*/*/messages/*"
CHANNEL = "/channels/*/messages/*"


async def slash(studio: Stage, prompt: str = "a red boat", **options: Any) -> Any:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt=prompt, **options)
    assert result.acknowledged
    return result


def grids(studio: Stage) -> list[Any]:
    return [message for message in studio.channel.history() if message.attachments]


async def painted(studio: Stage) -> Job:
    """Wait until Ann's newest job is painted; it."""
    while True:
        job = (await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id))[0]
        if job.state not in ("queued", "running"):
            return job
        await asyncio.sleep(0.01)


async def deliver(studio: Stage, job: Job, attempts: int) -> int | None:
    """Deliver a result as the outbox does after so many failed tries; its own pauses would take seconds."""
    owed = OutboxEntry(id=1, job_id=job.id, kind="result", nonce="nonce", attempts=attempts, created_at=0)
    return await studio.app.messages.deliver(owed, job, await studio.app.jobs.images(job.id))


@pytest.mark.parametrize(
    ("status", "code"), [(401, 50027), (404, 10015), (404, 10008), (403, 50001), (400, 50035), (429, 30046)]
)
async def test_a_closed_token_leads_to_an_edit_in_the_channel(studio: Stage, status: int, code: int) -> None:
    studio.env.inject_error("PATCH", WEBHOOK, status=status, code=code, times=None)
    result = await slash(studio)
    await studio.idle()
    assert [message.id for message in grids(studio)] == [result.response.id]


async def test_an_archived_thread_is_posted_in_anew(studio: Stage) -> None:
    for path in (WEBHOOK, CHANNEL):
        studio.env.inject_error("PATCH", path, status=400, code=50083, times=None)
    await slash(studio)
    await studio.idle()
    assert len(grids(studio)) == 1
    assert (await painted(studio)).charged_mc == 4000


async def test_words_that_a_filter_blocks_are_left_out_and_the_pictures_arrive(studio: Stage) -> None:
    studio.env.inject_error("PATCH", WEBHOOK, status=400, code=200000, times=None)
    result = await slash(studio, "a red boat --no waves")
    await studio.idle()
    assert [message.id for message in grids(studio)] == [result.response.id]
    assert HIDDEN_WORDS in words(result.response)
    assert "red boat" not in str(result.response.components)
    assert "waves" not in str(result.response.components)


async def test_a_message_that_always_fails_is_left_for_the_next_way(studio: Stage) -> None:
    await studio.app.outbox.stop()
    studio.env.inject_error("PATCH", WEBHOOK, status=500, times=None)
    studio.env.inject_error("PATCH", CHANNEL, status=503, times=None)
    await slash(studio)
    job = await painted(studio)
    with pytest.raises(TryLater):
        await deliver(studio, job, attempts=PATIENCE - 1)
    assert grids(studio) == []
    await deliver(studio, job, attempts=PATIENCE)
    assert len(grids(studio)) == 1
    studio.env.backend.faults.clear()
    await studio.app.outbox.start()
    await studio.idle()


def refuse_once(studio: Stage, status: int, code: int = 0) -> None:
    """Let each way to Ann fail one time."""
    for method, path in (
        *(("PATCH", WEBHOOK), ("PATCH", CHANNEL)),
        *(("POST", f"/channels/{studio.channel.id}/messages"), ("GET", "/users/*")),
    ):
        studio.env.inject_error(method, path, status=status, code=code, times=1)


async def test_who_waits_for_discord_is_told_so_once(studio: Stage) -> None:
    await studio.app.outbox.stop()
    result = await slash(studio)
    job = await painted(studio)
    told = []
    for attempts in range(PATIENCE + 2):
        refuse_once(studio, 500)
        with pytest.raises(TryLater):
            await deliver(studio, job, attempts)
        told.append("Easel keeps trying" in words(result.response))
        if told[-1]:
            await (
                studio.bot.get_partial_messageable(studio.channel.id)
                .get_partial_message(result.response.id)
                .edit(view=notice("seen"))
            )
        studio.env.backend.faults.clear()
    assert told == [attempts == PATIENCE for attempts in range(PATIENCE + 2)]
    await studio.app.outbox.start()
    await studio.idle()
    assert [message.id for message in grids(studio)] == [result.response.id]


async def test_who_cannot_be_sent_the_pictures_is_told_where_they_are(studio: Stage) -> None:
    await studio.app.outbox.stop()
    result = await slash(studio)
    await painted(studio)
    refuse_once(studio, 400, 50035)
    await studio.app.outbox.start()
    await studio.idle()
    assert "doesn't let me post them here" in words(result.response)
    shown = await press(studio, result.response, "Show")
    assert shown.response.attachments


async def test_a_file_that_is_always_too_large_ends_in_a_sentence(studio: Stage) -> None:
    for method, path in (("PATCH", WEBHOOK), ("PATCH", CHANNEL), ("POST", "/channels/*/messages")):
        studio.env.inject_error(method, path, status=413, code=40005, times=None)
    await slash(studio)
    await studio.idle()
    job = await painted(studio)
    assert (job.state, job.error_code, job.charged_mc) == ("failed", "undeliverable", 0)
    studio.env.backend.faults.clear()
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 5) == 7, "no worker thread is caught in a loop"


async def files_of(studio: Stage, job: Job) -> list[Path]:
    return [studio.settings.images_dir / image.path for image in await studio.app.jobs.images(job.id)]


async def test_pictures_whose_files_are_lost_cost_only_themselves(studio: Stage) -> None:
    await studio.app.outbox.stop()
    result = await slash(studio)
    gone, torn, *_ = await files_of(studio, await painted(studio))
    gone.unlink()
    torn.write_bytes(torn.read_bytes()[:200])
    await studio.app.outbox.start()
    await studio.idle()
    job = await painted(studio)
    assert (job.state, job.charged_mc) == ("done", 2000)
    assert "The files of 2 of 4 pictures are gone from the disk and were not charged" in words(result.response)
    assert {"U1", "U2"} <= buttons(result.response).keys()
    assert "U3" not in buttons(result.response)
    assert (await press(studio, result.response, "U2")).response.attachments


async def test_a_result_whose_files_are_all_lost_is_refunded_and_said(studio: Stage) -> None:
    await studio.app.outbox.stop()
    result = await slash(studio)
    for file in await files_of(studio, await painted(studio)):
        file.unlink()
    await studio.app.outbox.start()
    await studio.idle()
    job = await painted(studio)
    assert (job.state, job.error_code, job.charged_mc) == ("failed", "lost", 0)
    assert "their files are gone from the disk" in words(result.response)


async def test_what_is_lost_later_is_left_out_when_it_is_shown(studio: Stage) -> None:
    await slash(studio)
    await studio.idle()
    job = await painted(studio)
    first, *others = await files_of(studio, job)
    first.write_bytes(b"")
    shown = (await studio.members["Ann"].slash(studio.channel, "show", job=job.id)).response
    assert "The files of 1 of 4 pictures are gone" in words(shown)
    assert len(shown.attachments) == 1
    for file in others:
        file.unlink()
    refused = await studio.members["Ann"].slash(studio.channel, "show", job=job.id)
    assert "gone from the disk" in refused.followups[-1].content
    assert (await studio.members["Ann"].slash(studio.channel, "history")).response


async def test_a_revoked_bot_token_stops_the_process_and_loses_nothing(studio: Stage) -> None:
    stopped = asyncio.Event()
    studio.app.on_failure = stopped.set
    studio.env.inject_error("PATCH", WEBHOOK, status=401, code=50027, times=None)
    studio.env.inject_error("PATCH", CHANNEL, status=401, times=None)
    result = await slash(studio)
    await asyncio.wait_for(stopped.wait(), 10)
    assert "EASEL_TOKEN" in studio.app.failure
    assert (await painted(studio)).state == "rendered"
    studio.env.backend.faults.clear()
    await studio.restart()
    await studio.idle()
    assert [message.id for message in grids(studio)] == [result.response.id]


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
    job = await painted(studio)
    with pytest.raises(TryLater):
        await deliver(studio, job, attempts=0)
    studio.env.backend.faults.clear()
    await studio.restart()  # the outbox tries at once again; waiting would take its back-off
    await studio.idle()
    assert [message.id for message in grids(studio)] == [job_message.response.id]


async def credits_of(studio: Stage, who: str = "Ann") -> int:
    terms = default_terms(studio.settings)
    return (await studio.app.credits.balance(studio.members[who].id, studio.guild.id, terms)).free_mc


async def test_when_everything_is_closed_nothing_is_charged_until_the_pictures_are_shown(studio: Stage) -> None:
    all_mc = studio.settings.credits_a_day * 1000
    with closed_to(studio, "Ann"):
        await slash(studio, private=True)
        await studio.idle()
    assert await credits_of(studio) == all_mc
    ann = studio.members["Ann"]
    page = (await ann.slash(studio.channel, "history")).response
    assert "a red boat" in words(page)
    assert page.attachments == [], "not even a small picture of it"
    for refused in (
        await ann.slash(studio.channel, "vary", source="1.1"),
        await ann.slash(studio.channel, "upscale", source="1.2"),
        await ann.slash(studio.channel, "describe", source="1.3"),
    ):
        assert "aren't paid for yet" in (refused.response or refused.followups[-1]).content
    shown = await press(studio, page, "Show")
    assert shown.followups or shown.response
    assert await credits_of(studio) == all_mc - 4000
    again = (await ann.slash(studio.channel, "show", job=1)).response
    assert again.attachments
    assert await credits_of(studio) == all_mc - 4000, "paid once"
    assert (await painted(studio)).state == "done"


async def test_what_could_not_be_delivered_is_shown_to_nobody_but_its_owner(studio: Stage) -> None:
    with closed_to(studio, "Ann"):
        await slash(studio)
        await studio.idle()
    refused = await studio.members["Ben"].slash(studio.channel, "show", job=1)
    assert "aren't paid for yet" in (refused.response or refused.followups[-1]).content
    assert await credits_of(studio) == await credits_of(studio, "Ben") == studio.settings.credits_a_day * 1000


async def test_who_cannot_pay_for_what_waits_is_told_so(studio: Stage) -> None:
    with closed_to(studio, "Ann"):
        await slash(studio)
        await studio.idle()
    for n in range(24):
        await slash(studio, f"a boat {n}")
        await studio.idle()
    await slash(studio, "the last boat --n 1")
    await studio.idle()
    refused = await studio.members["Ann"].slash(studio.channel, "show", job=1)
    assert "This costs 4 credits and you have 3" in refused.followups[-1].content
    assert refused.response is None or not refused.response.attachments


async def test_an_admin_has_it_delivered_again_for_its_price(studio: Stage) -> None:
    with closed_to(studio, "Ann"):
        await slash(studio)
        await studio.idle()
    listed = (await studio.members["Ada"].slash(studio.channel, "admin undelivered")).response
    assert "a red boat" in words(listed)
    assert "not delivered" in words(listed)
    said = await press(studio, listed, "Deliver again", "Ada")
    assert "are on their way" in words(said.response)
    assert len(grids(studio)) == 1
    job = await painted(studio)
    assert (job.state, job.charged_mc) == ("done", 4000)
    listed = (await studio.members["Ada"].slash(studio.channel, "admin undelivered")).response
    assert "Every image was delivered" in words(listed)


async def test_what_cannot_be_delivered_again_is_refunded_again(studio: Stage) -> None:
    with closed_to(studio, "Ann"):
        await slash(studio)
        await studio.idle()
    for _ in range(2):
        studio.env.backend.faults.clear()
        listed = (await studio.members["Ada"].slash(studio.channel, "admin undelivered")).response
        deliver_again = buttons(listed)["Deliver again"]
        for method in ("PATCH", "POST"):
            studio.env.inject_error(method, "/channels/*", status=403, code=50013, times=None)
        studio.env.inject_error("GET", f"/users/{studio.members['Ann'].id}", status=403, code=50007, times=None)
        await studio.members["Ada"].click(listed.message, custom_id=deliver_again)
        await studio.idle()
        assert (await painted(studio)).unpaid
        assert await credits_of(studio) == studio.settings.credits_a_day * 1000
    studio.env.backend.faults.clear()


async def test_too_large_a_file_is_made_smaller(studio: Stage) -> None:
    studio.env.inject_error("PATCH", WEBHOOK, status=413, code=40005, times=1)
    studio.env.inject_error("PATCH", WEBHOOK, status=413, code=40005, times=1)
    await slash(studio)
    await studio.idle()
    assert len(grids(studio)) == 1


async def test_one_messages_end_does_not_kill_the_buttons_of_others(studio: Stage) -> None:
    """discord.py forgets a dynamic item's class when a view that holds it with plain items stops."""
    first, second = await paint(studio, "a red boat"), await paint(studio, "a blue boat")
    await delete(studio, second)
    failed = await paint(studio, "!fail --n 1")
    await press(studio, failed, "Try again")
    assert (await press(studio, first, "U1")).response.attachments


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


async def test_a_grid_is_put_together_without_decoding_what_was_just_encoded(
    studio: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, opened = list[int](), image_tools.opened
    monkeypatch.setattr(image_tools, "opened", lambda data: decoded.append(len(data)) or opened(data))  # type: ignore[func-returns-value]
    await studio.app.outbox.stop()
    await slash(studio)
    job = await painted(studio)
    images = await studio.app.jobs.images(job.id)
    _, first = await studio.app.messages.result(job, images)
    assert decoded == []
    _, again = await studio.app.messages.result(job, images)
    assert len(decoded) == len(images) == 4
    assert again.data == first.data, "as after a restart"
    await studio.app.outbox.start()
    await studio.idle()
