"""A job's life in the database: states, credits and what is owed change together."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from bot.errors import Busy, NotEnoughCredits, NotFound, TooManyJobs
from bot.jobs import images as image_rows
from bot.jobs.records import InputImage, NewImage, NewJob, StoredFile
from bot.ledger.records import Limits
from bot.store.clock import ManualClock
from bot.store.errors import NotRunning
from engine.tasks.pictures import StoredPicture
from tests.job_rows import JobRows

Asked = Callable[..., NewJob]
Pictures = Callable[..., list[NewImage]]
FREE = 100_000
DAY_S = 86_400


async def test_the_same_interaction_gives_the_same_job(store: JobRows, asked: Asked) -> None:
    new = asked()
    first, again = await asyncio.gather(store.enqueue(new, FREE), store.enqueue(new, FREE))
    assert first == again
    assert (await store.balance(10, 1, FREE)).reserved_mc == 4000


async def test_a_job_comes_back_as_it_was_asked_for(store: JobRows, asked: Asked) -> None:
    new = asked(private=True, variations=((5, 0.15),), kind="vary")
    job = await store.enqueue(new, FREE)
    assert (job.spec, job.private, job.kind, job.user_id, job.state) == (new.spec, True, "vary", 10, "queued")
    assert "secret" not in repr(job) + repr(new)


async def test_settled_for_what_was_delivered(store: JobRows, asked: Asked, pictures: Pictures) -> None:
    job = await store.enqueue(asked(), FREE)
    await store.claim("boot", 1)
    job = await store.rendered(job.id, "boot", pictures(job.id, 3))
    assert (job.state, job.charged_mc) == ("rendered", 3000)
    [owed] = await store.due_deliveries()
    assert owed.kind == "result"
    assert len(owed.nonce) <= 25
    await store.delivered(owed.id, 99)
    done = await store.job(job.id)
    assert (done.state, done.message_id, done.reply_token) == ("done", 99, None)
    balance = await store.balance(10, 1, FREE)
    assert (balance.free_mc, balance.reserved_mc, await store.pending()) == (FREE - 3000, 0, 0)
    assert [image.seed for image in await store.images(job.id)] == [7, 8, 9]


@pytest.mark.parametrize("running", [False, True])
async def test_cancelling_gives_everything_back(store: JobRows, asked: Asked, running: bool) -> None:
    job = await store.enqueue(asked(), FREE)
    if running:
        await store.claim("boot", 1)
    assert (await store.cancel(job.id)).state == "cancelled"
    assert (await store.cancel(job.id)).state == "cancelled"
    assert (await store.balance(10, 1, FREE)).free_mc == FREE
    assert [owed.kind for owed in await store.due_deliveries()] == ["cancelled"]
    with pytest.raises(NotRunning):
        await store.fail(job.id, "boot", "late", "too late")


@pytest.mark.parametrize(("painted", "charged_mc"), [((1, 3), 1333), ((2, 3), 2666), ((19, 20), 3800), ((1, 1), 4000)])
async def test_cancelling_late_costs_the_share_that_was_painted(
    store: JobRows, asked: Asked, painted: tuple[int, int], charged_mc: int
) -> None:
    job = await store.enqueue(asked(), FREE)
    await store.claim("boot", 1)
    for _ in range(2):  # the second time changes nothing
        ended = await store.cancel(job.id, Fraction(*painted))
        assert (ended.state, ended.charged_mc) == ("cancelled", charged_mc)
    balance = await store.balance(10, 1, FREE)
    assert (balance.free_mc, balance.reserved_mc) == (FREE - charged_mc, 0)
    assert await store.problems() == []
    await store.delete_job(job.id)
    assert (await store.balance(10, 1, FREE)).free_mc == FREE - charged_mc
    assert await store.problems() == []


async def test_an_undeliverable_result_is_refunded_and_waits_in_the_history(
    store: JobRows, asked: Asked, pictures: Pictures
) -> None:
    job = await store.enqueue(asked(), FREE)
    await store.claim("boot", 1)
    await store.rendered(job.id, "boot", pictures(job.id))
    [owed] = await store.due_deliveries()
    await store.delivery_failed(owed.id, retry_at_ms=None)
    [lost] = await store.history(10, 1)
    assert (lost.state, lost.error_code, lost.charged_mc) == ("failed", "undeliverable", 0)
    assert len(await store.images(job.id)) == 4
    assert (await store.balance(10, 1, FREE)).free_mc == FREE
    assert await store.pending() == 0


async def test_a_late_delivery_is_tried_again_in_time(store: JobRows, asked: Asked, clock: ManualClock) -> None:
    job = await store.enqueue(asked(), FREE)
    await store.cancel(job.id)
    [owed] = await store.due_deliveries()
    await store.delivery_failed(owed.id, retry_at_ms=clock.now_ms() + 5000)
    assert await store.due_deliveries() == []
    assert await store.next_delivery_ms() == clock.now_ms() + 5000
    clock.advance(5)
    [again] = await store.due_deliveries()
    assert (again.nonce, again.attempts) == (owed.nonce, 1)


async def test_only_the_process_that_runs_a_job_may_end_it(store: JobRows, asked: Asked, pictures: Pictures) -> None:
    job = await store.enqueue(asked(), FREE)
    await store.claim("boot", 1)
    with pytest.raises(NotRunning):
        await store.rendered(job.id, "another", pictures(job.id))
    assert await store.images(job.id) == []


async def test_a_dead_process_loses_its_jobs_and_three_starts_are_enough(store: JobRows, asked: Asked) -> None:
    job = await store.enqueue(asked(), FREE)
    for start in range(3):
        [claimed] = await store.claim(f"boot-{start}", 5)
        assert claimed.attempts == start + 1
        recovered = await store.recover(f"boot-{start + 1}")
    assert recovered.failed == (job.id,)
    assert (await store.job(job.id)).error_code == "given_up"
    assert (await store.balance(10, 1, FREE)).free_mc == FREE


async def test_requeueing_may_not_count_and_may_wait(store: JobRows, asked: Asked, clock: ManualClock) -> None:
    job = await store.enqueue(asked(), FREE)
    await store.claim("boot", 1)
    assert (await store.requeue(job.id, "boot", count_attempt=False, delay_ms=5000)).attempts == 0
    assert await store.claim("boot", 1) == []
    clock.advance(5)
    assert [claimed.id for claimed in await store.claim("boot", 1)] == [job.id]


async def test_limits_are_refused_with_sentences(store: JobRows, asked: Asked) -> None:
    for _ in range(2):
        await store.enqueue(asked(price_mc=0), FREE)
    with pytest.raises(TooManyJobs, match="/queue"):
        await store.enqueue(asked(), FREE, Limits(max_queued=2))
    with pytest.raises(Busy, match="queue is full"):
        await store.enqueue(asked(user_id=11), FREE, Limits(max_queue=2))
    with pytest.raises(NotEnoughCredits, match="costs 101 credits and you have 100 left"):
        await store.enqueue(asked(price_mc=101_000), FREE)
    assert await store.queue_length() == 2


async def test_several_jobs_are_queued_together_or_not_at_all(store: JobRows, asked: Asked) -> None:
    new = [asked(price_mc=40_000, interaction_id=5, part=part) for part in range(3)]
    with pytest.raises(NotEnoughCredits):
        await store.enqueue_all(new, FREE, Limits())
    assert await store.history(10, 1) == []
    assert len(await store.enqueue_all(new[:2], FREE, Limits())) == 2


async def test_one_person_with_many_jobs_does_not_hold_up_the_others(store: JobRows, asked: Asked) -> None:
    many = [(await store.enqueue(asked(user_id=1), FREE)).id for _ in range(5)]
    one = (await store.enqueue(asked(user_id=2), FREE)).id
    relaxed = (await store.enqueue(asked(user_id=3, lane="relax", price_mc=0), FREE)).id
    assert await store.position(one) == 1
    assert [job.id for job in await store.active(1, 1)] == many
    assert [job.id for job in await store.claim("boot", 10)] == [many[0], one, *many[1:], relaxed]


async def test_waiting_jobs_are_served_in_fair_order(store: JobRows, asked: Asked) -> None:
    first = [(await store.enqueue(asked(user_id=1), FREE)).id for _ in range(3)]
    [head] = await store.claim("boot", 1)
    second = [(await store.enqueue(asked(user_id=2), FREE)).id for _ in range(3)]
    rest = [(await store.claim("boot", 1))[0].id for _ in range(5)]
    assert head.id == first[0]
    assert rest == [second[0], first[1], second[1], first[2], second[2]]


async def test_the_allowance_comes_once_a_day_and_does_not_pile_up(
    store: JobRows, asked: Asked, clock: ManualClock
) -> None:
    await store.enqueue(asked(price_mc=30_000), FREE)
    clock.advance(40 * DAY_S)
    assert (await store.balance(10, 1, FREE)).free_mc == FREE
    await store.enqueue(asked(price_mc=10_000), FREE)
    clock.advance(-2 * DAY_S)
    await store.enqueue(asked(price_mc=10_000), FREE)
    balance = await store.balance(10, 1, FREE)
    assert (balance.free_mc, balance.reserved_mc) == (80_000, 50_000)
    assert balance.renews_at_ms > clock.now_ms() + 2 * DAY_S * 1000


async def test_free_credits_are_spent_before_paid_ones(store: JobRows, asked: Asked, pictures: Pictures) -> None:
    for _ in range(2):
        await store.give_credits(10, 1, 50_000, "thanks", "order-1")
    job = await store.enqueue(asked(price_mc=120_000), FREE)
    balance = await store.balance(10, 1, FREE)
    assert (balance.free_mc, balance.paid_mc) == (0, 30_000)
    await store.claim("boot", 1)
    await store.rendered(job.id, "boot", pictures(job.id, 2))
    balance = await store.balance(10, 1, FREE)
    assert (balance.free_mc, balance.paid_mc, balance.reserved_mc) == (40_000, 50_000, 0)
    assert [entry.amount_mc for entry in await store.entries(10, 1)] == [-60_000, 100_000, 50_000]


async def test_servers_do_not_share_credits(store: JobRows, asked: Asked) -> None:
    await store.enqueue(asked(guild_id=1, price_mc=FREE), FREE)
    await store.enqueue(asked(guild_id=2, price_mc=FREE), FREE)
    assert (await store.balance(10, 3, FREE)).free_mc == FREE


async def test_a_deleted_job_is_gone_with_its_prompt(
    store: JobRows, asked: Asked, pictures: Pictures, tmp_path: Path
) -> None:
    job = await store.enqueue(asked(prompt="zebra crossing"), FREE)
    await store.claim("boot", 1)
    await store.rendered(job.id, "boot", pictures(job.id, 1))
    [image] = await store.images(job.id)
    assert await store.job_of_image(image.id) == (await store.job(job.id), image)
    assert await store.delete_job(job.id) == 1
    assert await ended(store) == {f"{job.id}-0.png", f"0000/{job.id}-*"}
    for gone in (store.job(job.id), store.job_of_image(image.id), store.delete_job(job.id)):
        with pytest.raises(NotFound):
            await gone
    assert await store.history(10, 1) == []
    assert (await store.balance(10, 1, FREE)).free_mc == FREE, "it had not been delivered"
    assert await store.pending() == 0


async def test_an_upload_lives_as_long_as_a_job_needs_it(store: JobRows, asked: Asked, clock: ManualClock) -> None:
    sha = "ab" * 32
    upload = InputImage(file=StoredFile(path="inputs/ab.png", sha256=sha, bytes=3), width=8, height=8)
    with pytest.raises(NotFound, match="Attach it again"):
        await store.enqueue(asked(task="img2img", init_image=sha), FREE)
    assert await store.store_input(upload) == await store.store_input(upload) == sha
    jobs = [await store.enqueue(asked(task="img2img", init_image=sha), FREE) for _ in range(2)]
    clock.advance(7200)
    await store.forget_expired()
    assert await store.input_image(sha) == upload
    assert await store.delete_job(jobs[0].id) == 0
    assert await store.delete_job(jobs[1].id) == 1
    assert "inputs/ab.png" in await ended(store)
    with pytest.raises(NotFound):
        await store.input_image(sha)


async def test_an_upload_that_somebody_else_gave_too_stays_for_an_hour(
    store: JobRows, asked: Asked, clock: ManualClock
) -> None:
    sha = "ab" * 32
    upload = InputImage(file=StoredFile(path="inputs/first.png", sha256=sha, bytes=3), width=8, height=8)
    again = InputImage(file=StoredFile(path="inputs/second.png", sha256=sha, bytes=3), width=8, height=8)
    await store.store_input(upload, 10)
    job = await store.enqueue(asked(task="img2img", init_image=sha), FREE)
    clock.advance(7200)
    await store.store_input(again, 11)
    assert await ended(store) == {"inputs/second.png"}, "the same content keeps its first file"
    await store.delete_job(job.id)
    await store.forget_expired()
    other = await store.enqueue(asked(task="img2img", init_image=sha, user_id=11), FREE)
    await store.delete_job(other.id)
    clock.advance(3601)
    await store.forget_expired()
    with pytest.raises(NotFound):
        await store.input_image(sha)
    assert "inputs/first.png" in await ended(store)


async def test_history_comes_in_pages_newest_first(store: JobRows, asked: Asked) -> None:
    ids = [(await store.enqueue(asked(price_mc=0), FREE)).id for _ in range(5)]
    page = await store.history(10, 1, limit=2)
    rest = await store.history(10, 1, before_id=page[-1].id)
    assert [job.id for job in page + rest] == ids[::-1]


async def test_expired_reply_tokens_are_forgotten(store: JobRows, asked: Asked, clock: ManualClock) -> None:
    job = await store.enqueue(asked(), FREE)
    await store.forget_expired()
    assert (await store.job(job.id)).reply_token == "secret"
    clock.advance(900)
    await store.forget_expired()
    assert (await store.job(job.id)).reply_token is None


async def test_the_ledger_cannot_be_changed_afterwards(store: JobRows, asked: Asked, tmp_path: Path) -> None:
    await store.enqueue(asked(), FREE)
    with sqlite3.connect(tmp_path / "easel.db") as db:
        for statement in ("UPDATE transfer SET amount = 1", "DELETE FROM transfer"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)
        with pytest.raises(sqlite3.IntegrityError, match="illegal job transition"):
            db.execute("UPDATE job SET state = 'done'")
    db.close()


async def test_every_picture_of_an_edit_lives_as_long_as_its_job(store: JobRows, asked: Asked) -> None:
    source, mask = "ab" * 32, "cd" * 32
    for sha in (source, mask):
        if sha == mask:
            with pytest.raises(NotFound, match="Attach it again"):
                await store.enqueue(_inpaint(asked, source, mask), FREE)
        file = StoredFile(path=f"inputs/{sha[:2]}.png", sha256=sha, bytes=3)
        await store.store_input(InputImage(file=file, width=8, height=8))
    job = await store.enqueue(_inpaint(asked, source, mask), FREE)
    assert (await store.job(job.id)).spec == _inpaint(asked, source, mask).spec
    other = await store.enqueue(asked(task="img2img", init_image=source), FREE)
    await store.delete_job(job.id)
    assert {"inputs/cd.png", "inputs/ab.png"} & await ended(store) == {"inputs/cd.png"}
    await store.delete_job(other.id)
    assert "inputs/ab.png" in await ended(store)


async def ended(store: JobRows) -> set[str]:
    """The paths of the files that are to be removed."""
    return set(await store.read(image_rows.ended_files, "", 100))


def _inpaint(asked: Asked, source: str, mask: str) -> NewJob:
    return asked(task="inpaint", init_image=source, mask=StoredPicture(sha256=mask, box=(0, 0, 4, 4)))
