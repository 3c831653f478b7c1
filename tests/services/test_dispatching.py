"""Jobs on their way through the engine: success, failure, retry, cancel, shutdown, recovery."""

from __future__ import annotations

import asyncio
import sqlite3
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from workbench import Ear, Postman, asked, until, workbench

from bot.config import Settings
from bot.errors import Busy, NotFound, NotYours
from bot.jobs.dispatcher import UNREADABLE
from bot.jobs.outbox import TryLater
from bot.jobs.records import Job
from bot.ledger.limits import Terms, default_terms
from bot.store.clock import ManualClock
from engine.api.errors import OutOfMemory, RenderFailed
from engine.api.metadata import decode
from engine.fake import FakeEngine


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_job_becomes_four_files_one_message_and_a_charge(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        job = await bench.jobs.submit(asked())
        await bench.idle()
        done = await bench.store.job(job.id)
        assert (done.state, done.charged_mc, done.message_id) == ("done", 4000, 900 + job.id)
        assert bench.post.sent == [(job.id, "result", 4)]
        images = await bench.store.images(job.id)
        assert [(image.seed, image.width, image.mime) for image in images] == [
            (seed, 64, "image/png") for seed in (7, 8, 9, 10)
        ]
        recipe = decode(await bench.files.read(images[1].path))
        assert recipe is not None
        assert (recipe.seed, recipe.request["prompt"]) == (8, "a red boat")
        assert images[1].recipe["seed"] == 8
        assert [name for _, name in bench.ear.heard][-1] == "Finished"


async def test_a_failure_costs_nothing_and_says_why(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        job = await bench.jobs.submit(asked("!fail", num_images=1))
        await bench.idle()
        failed = await bench.store.job(job.id)
        assert (failed.state, failed.error_code, failed.charged_mc) == ("failed", "render_failed", 0)
        assert failed.error_text is not None
        assert failed.error_text.endswith("asked for it).")
        assert bench.post.sent == [(job.id, "error", 0)]
        assert (await bench.balance(10, 1)).free_mc == 100_000


async def test_what_was_ready_before_a_failure_is_delivered_and_paid(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        job = await bench.jobs.submit(asked("!fail"))
        await bench.idle()
        assert (await bench.store.job(job.id)).charged_mc == 3000
        assert bench.post.sent == [(job.id, "result", 3)]


async def test_a_lost_device_is_tried_three_times_with_pauses(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        job = await bench.jobs.submit(asked("!lost", num_images=1))
        for pause_s, attempts in ((5, 1), (30, 2)):
            await bench.waits(job.id, attempts)
            assert await bench.store.next_ready_ms() == clock.now_ms() + pause_s * 1000
            clock.advance(pause_s)
            bench.wake()
        await bench.idle()
        assert (await bench.store.job(job.id)).error_code == "device_lost"


async def test_an_error_of_the_engine_at_submit_is_told(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        job = await bench.jobs.submit(asked(model="nowhere"))
        await bench.idle()
        assert (await bench.store.job(job.id)).error_code == "unknown_model"


async def test_out_of_memory_is_not_tried_again(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(fail=lambda _: OutOfMemory())) as bench:
        job = await bench.jobs.submit(asked(num_images=1))
        await bench.idle()
        assert (await bench.store.job(job.id)).attempts == 1


async def test_a_waiting_job_is_cancelled(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.02), max_running=1) as bench:
        first = await bench.jobs.submit(asked())
        second = await bench.jobs.submit(asked())
        await bench.heard("Started")
        assert [(job.id, await bench.store.position(job.id)) for job in await bench.store.active(10, 1)] == [
            (first.id, None),
            (second.id, 0),
        ]
        with pytest.raises(NotYours, match="Manage Messages"):
            await bench.jobs.cancel(second.id, by=11)
        assert (await bench.jobs.cancel(second.id, by=10)).state == "cancelled"
        await bench.idle()
        assert sorted(bench.post.sent) == [(first.id, "result", 4), (second.id, "cancelled", 0)]
        assert (await bench.balance(10, 1)).free_mc == 96_000


async def test_a_running_job_is_cancelled_and_its_files_go(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.005)) as bench:
        job = await bench.jobs.submit(asked())
        await bench.heard("ImageReady")
        assert (await bench.jobs.cancel(job.id, by=10)).state == "cancelled"
        heard = len(bench.ear.heard)
        await bench.idle()
        await bench.nothing_runs()
        assert bench.post.sent == [(job.id, "cancelled", 0)]
        assert [name for _, name in bench.ear.heard[heard:]] in ([], ["Cancelled"]), "no progress over the notice"
        assert list((tmp_path / "images").rglob("*.png")) == []


@pytest.mark.parametrize("way", ["cancel", "delete"])
async def test_what_was_painted_of_a_job_that_is_ended_late_is_paid(
    tmp_path: Path, clock: ManualClock, way: str
) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.01)) as bench:
        job = await bench.jobs.submit(asked())
        free_mc = (await bench.balance(10, 1)).free_mc

        async def half_painted() -> bool:
            return bench.dispatcher.painted(job.id) >= Fraction(1, 2)

        await until(half_painted)
        await getattr(bench.jobs, way)(job.id, by=10)
        await bench.nothing_runs()
        paid_mc = 4000 - ((await bench.balance(10, 1)).free_mc - free_mc)
        assert paid_mc in range(2000, 4001, 250), "so many of its 16 steps"
        assert bench.dispatcher.painted(job.id) == 0
        if way == "cancel":
            assert (await bench.store.job(job.id)).charged_mc == paid_mc


async def test_what_easel_cancels_by_itself_costs_nothing(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.01)) as bench:
        job = await bench.jobs.submit(asked())
        await bench.heard("Progress")
        for run, _ in bench.dispatcher._runs.values():
            assert run.ticket is not None
            run.ticket.cancel()
        await bench.idle()
        ended = await bench.store.job(job.id)
        assert (ended.state, ended.charged_mc) == ("cancelled", 0)


async def test_a_job_whose_end_cannot_be_written_goes_on(tmp_path: Path, clock: ManualClock) -> None:
    async def unwritable() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.005)) as bench:
        job = await bench.jobs.submit(asked())
        await bench.heard("Started")
        with pytest.raises(sqlite3.OperationalError):
            await bench.jobs.end([job.id], unwritable)
        heard = len(bench.ear.heard)
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]
        assert "Finished" in [name for _, name in bench.ear.heard[heard:]]
        assert "Progress" in [name for _, name in bench.ear.heard[heard:]], "its progress is shown again"


async def test_a_deleted_job_takes_its_files_with_it(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        job = await bench.jobs.submit(asked())
        await bench.idle()
        assert len(list((tmp_path / "images").rglob("*.png"))) == 4
        with pytest.raises(NotYours):
            await bench.jobs.delete(job.id, by=11)
        await bench.jobs.delete(job.id, by=10)
        assert list((tmp_path / "images").rglob("*.png")) == []
        with pytest.raises(NotFound):
            await bench.store.job(job.id)


async def test_a_job_deleted_while_it_runs_leaves_nothing(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.005)) as bench:
        job = await bench.jobs.submit(asked())
        await bench.heard("ImageReady")
        await bench.jobs.delete(job.id, by=10)
        await bench.nothing_runs()
        assert list((tmp_path / "images").rglob("*.png")) == []
        assert bench.post.sent == []


async def test_a_slow_listener_does_not_hold_up_anything_and_hears_the_latest(
    tmp_path: Path, clock: ManualClock
) -> None:
    ear = Ear(slow=lambda: asyncio.sleep(0.1))
    async with workbench(tmp_path, clock, ear=ear) as bench:
        jobs = [await bench.jobs.submit(asked(num_inference_steps=40)) for _ in range(3)]
        await bench.idle()
        assert len(bench.post.sent) == 3
        for job in jobs:
            names = [name for id_, name in ear.heard if id_ == job.id]
            assert names.count("Progress") < 20
            assert names[-1] == "Finished"


async def test_a_listener_that_breaks_harms_nobody(tmp_path: Path, clock: ManualClock) -> None:
    class Broken:
        async def on_event(self, job: object, event: object) -> None:
            raise RuntimeError("no such message")

    async with workbench(tmp_path, clock, ear=Broken()) as bench:
        job = await bench.jobs.submit(asked())
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]


async def test_a_bug_in_the_engine_fails_one_job_with_a_reference(tmp_path: Path, clock: ManualClock) -> None:
    class Buggy(FakeEngine):
        def submit(self, request, **how):  # type: ignore[no-untyped-def]
            if request.prompt == "bug":
                raise ZeroDivisionError
            return super().submit(request, **how)

    async with workbench(tmp_path, clock, engine=Buggy()) as bench:
        bad, good = await bench.jobs.submit(asked("bug")), await bench.jobs.submit(asked())
        await bench.idle()
        assert "reference" in str((await bench.store.job(bad.id)).error_text)
        assert sorted(bench.post.sent) == [(bad.id, "error", 0), (good.id, "result", 4)]


@pytest.mark.parametrize(
    "stored",
    [
        "{}",
        '{"version": 99, "task": "hologram"}',
        '{"task": "inpaint"}',
        '{"version": 5, "task": "txt2img", "prompt": "a"}',
        '{"version": 5, "task": "txt2img", "prompt": "a", "num_inference_steps": 9000}',
        '{"version": 5, "task": "txt2img", "prompt": "a", "variations": 7}',
    ],
)
async def test_a_job_that_cannot_be_read_fails_alone(tmp_path: Path, clock: ManualClock, stored: str) -> None:
    async with workbench(tmp_path, clock, start=False) as bench:
        strange, good = await bench.jobs.submit(asked(user_id=10)), await bench.jobs.submit(asked(user_id=11))
        await bench.store.write(lambda db: db.execute("UPDATE job SET spec = ? WHERE id = ?", (stored, strange.id)))
        await bench.dispatcher.start()
        await bench.outbox.start()
        await bench.idle()
        assert sorted(bench.post.sent) == [(strange.id, "error", 0), (good.id, "result", 4)]
        (failed,) = await bench.store.history(10, 1)
        assert failed.error_text == UNREADABLE
        assert (await bench.balance(10, 1)).free_mc == 100_000
        assert bench.dispatcher.loop.running


async def test_a_painted_job_that_cannot_be_read_is_delivered(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, post=Postman(answers=[TryLater(1.0)])) as bench:
        job = await bench.jobs.submit(asked())

        async def tried() -> bool:
            return bool(bench.post.nonces) and not await bench.store.due_deliveries()

        await until(tried)
        await bench.store.write(lambda db: db.execute("UPDATE job SET spec = '{\"version\": 99}'"))
        clock.advance(1)
        bench.wake()
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]


async def test_a_job_takes_its_owners_share_and_lane_into_the_engine(tmp_path: Path, clock: ManualClock) -> None:
    told: list[tuple[str, float, str]] = []

    class Scales(FakeEngine):
        def submit(self, request, *, user="", weight=1.0, lane="fast", adults=False):  # type: ignore[no-untyped-def]
            told.append((user, weight, lane))
            return super().submit(request, user=user, weight=weight, lane=lane)

    async with workbench(tmp_path, clock, engine=Scales()) as bench:
        heavy = Terms(**{**default_terms(Settings(data_dir=tmp_path)).values, "weight": 2.5})
        await bench.jobs.submit(asked(user_id=10), heavy)
        await bench.idle()
        await bench.jobs.submit(asked(user_id=11, lane="relax", price_mc=0))
        await bench.idle()
        assert told == [("10", 2.5, "fast"), ("11", 1.0, "relax")], "in one server, weights are as they were given"


async def test_shutdown_finishes_what_it_can_and_requeues_the_rest_uncounted(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.005)) as bench:
        jobs = [await bench.jobs.submit(asked()) for _ in range(3)]
        await bench.heard("ImageReady")
        await bench.dispatcher.stop(5.0)
        with pytest.raises(Busy, match="restarting"):
            await bench.jobs.submit(asked())
        await bench.outbox.stop(5.0)
        states = [await bench.store.job(job.id) for job in jobs]
        assert [(job.state, job.attempts) for job in states] == [("done", 1), ("queued", 0), ("queued", 0)]
    async with workbench(tmp_path, clock) as bench:
        await bench.idle()
        assert sorted(job for job, _, _ in bench.post.sent) == [jobs[1].id, jobs[2].id]


async def test_shutdown_without_grace_requeues_the_running_job_too(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.005)) as bench:
        job = await bench.jobs.submit(asked())
        await bench.heard("ImageReady")
        await bench.dispatcher.stop(0.0)
        waiting = await bench.store.job(job.id)
        assert (waiting.state, waiting.attempts) == ("queued", 0)
        assert list((tmp_path / "images").rglob("*.png")) == []


async def test_a_closed_engine_puts_its_jobs_back_uncounted(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, engine=FakeEngine(step_s=0.005)) as bench:
        job = await bench.jobs.submit(asked())
        await bench.heard("Started")
        await bench.engine.close()
        await bench.waits(job.id, attempts=0)


async def test_jobs_of_a_dead_process_are_done_by_the_next_one(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, start=False) as bench:
        job = await bench.jobs.submit(asked())
        await bench.store.claim("the dead", 5)
    async with workbench(tmp_path, clock) as bench:
        await bench.idle()
        assert (await bench.store.job(job.id)).attempts == 2
        assert bench.post.sent == [(job.id, "result", 4)]


async def test_an_upload_becomes_the_engines_init_image(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        sha = await bench.jobs.store_input(Image.new("RGB", (32, 24), "red"))
        assert await bench.jobs.store_input(Image.new("RGB", (32, 24), "red")) == sha
        job = await bench.jobs.submit(asked(task="img2img", init_image=sha, strength=0.5))
        await bench.idle()
        assert (await bench.store.images(job.id))[0].recipe["task"] == "img2img"


async def test_an_upload_whose_file_was_lost_is_whole_again_when_it_is_given_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    red, inputs = Image.new("RGB", (32, 24), "red"), tmp_path / "images" / "inputs"
    async with workbench(tmp_path, clock) as bench:
        sha = await bench.jobs.store_input(red)
        (first,) = inputs.rglob("*.png")
        await bench.jobs.store_input(red)
        assert list(inputs.rglob("*.png")) == [first], "the same picture is one file"
        first.unlink()
        assert await bench.jobs.store_input(red) == sha
        await bench.jobs.remove_ended_files()
        job = await bench.jobs.submit(asked(task="img2img", init_image=sha, strength=0.5))
        await bench.idle()
        assert bench.post.sent == [(job.id, "result", 4)]


async def test_two_people_give_the_same_picture_while_one_deletes_it(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        for shade in range(12):
            picture = Image.new("RGB", (32, 32), (shade, shade, 9))
            given = {"task": "img2img", "strength": 0.9, "num_images": 1, "price_mc": 0}
            sha = await bench.jobs.store_input(picture, 10)
            first = await bench.jobs.submit(asked(init_image=sha, user_id=10, **given))
            await bench.idle()

            async def ask(picture: Image.Image = picture, given: dict[str, Any] = given) -> Job:
                sha = await bench.jobs.store_input(picture, 11)
                return await bench.jobs.submit(asked(init_image=sha, user_id=11, **given))

            _, second = await asyncio.gather(bench.jobs.delete(first.id, by=10), ask())
            await bench.idle()
            assert (await bench.store.job(second.id)).state == "done"


async def test_a_full_disk_takes_no_jobs_and_says_so(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock, min_free_mib=10**9) as bench:
        with pytest.raises(Busy, match="disk is almost full"):
            await bench.jobs.submit(asked())


async def test_a_hundred_at_once_are_all_delivered(tmp_path: Path, clock: ManualClock) -> None:
    async with workbench(tmp_path, clock) as bench:
        tries = (bench.jobs.submit(asked(user_id=user, num_images=1)) for user in range(1, 101))
        jobs = await asyncio.gather(*tries)
        await bench.idle(30)
        assert sorted(job for job, _, _ in bench.post.sent) == sorted(job.id for job in jobs)


def test_errors_that_a_retry_cannot_mend_are_final() -> None:
    assert not RenderFailed(reason="x").retryable
