"""A data directory of an earlier version, left by a process that was killed, is taken over with all that is in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.corpus import files, replay, today

UNFINISHED = ("queued", "running", "rendered")
SLOW_S = 0.5  # a step: longer than the test takes


@pytest.fixture(params=files.CORPORA, ids=lambda corpus: corpus.name)
def corpus(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def world(corpus: Path) -> dict[str, Any]:
    found: dict[str, Any] = files.read(corpus / "world.json")
    return found


@pytest.fixture
def folder(corpus: Path, tmp_path: Path) -> Path:
    return files.copy_of(corpus / "data", tmp_path / "data")


def unfinished(corpus: Path) -> list[int]:
    jobs = files.read(corpus / "jobs.json")
    return [int(number) for number, job in jobs.items() if job["state"] in UNFINISHED]


def told(job: dict[str, Any]) -> dict[str, Any]:
    """A job but for how far it is."""
    return {name: value for name, value in job.items() if name not in ("state", "charged")}


async def test_jobs_and_credits_are_as_they_were(corpus: Path, folder: Path, world: dict[str, Any]) -> None:
    recorded = {int(number): job for number, job in files.read(corpus / "jobs.json").items()}
    waiting = unfinished(corpus)
    assert {recorded[number]["state"] for number in waiting} == set(UNFINISHED)
    async with today.open_data_dir(folder, world, step_s=SLOW_S) as place:
        assert await place.problems() == []
        assert await place.balances() == world["balances"]
        jobs = await place.jobs()
        assert {number: told(job) for number, job in jobs.items()} == {n: told(job) for n, job in recorded.items()}
        assert {n: job for n, job in jobs.items() if n not in waiting} == {
            n: job for n, job in recorded.items() if n not in waiting
        }


async def test_what_waits_can_be_cancelled_by_its_old_buttons(
    corpus: Path, folder: Path, world: dict[str, Any]
) -> None:
    """By the person under the message, and by an admin in the list of jobs."""
    recorded = files.read(corpus / "jobs.json")
    waiting = [number for number in unfinished(corpus) if recorded[str(number)]["state"] != "rendered"]
    asked = {"cancel": waiting[:-1], "stop": waiting[-1:]}
    async with today.open_data_dir(folder, world, step_s=SLOW_S) as place:
        for message in world["messages"]:
            for part in replay.pressable(message):
                means = today.meaning(part["custom_id"]) or {}
                if means.get("number") in asked.get(means.get("does", ""), []):
                    asked[means["does"]].remove(means["number"])
                    shown = place.put_back(message)
                    pressed = await place.actor(message["asked"]).click(shown, custom_id=part["custom_id"])
                    assert pressed.acknowledged
        await place.idle()
        states = {number: (await place.job(number))["state"] for number in waiting}
        assert (states, asked) == (dict.fromkeys(waiting, "cancelled"), {"cancel": [], "stop": []})
        assert {balance["reserved"] for balance in (await place.balances()).values()} == {0}
        assert await place.problems() == []


async def test_everything_goes_on_and_old_buttons_and_forms_do_what_they_did(
    corpus: Path, folder: Path, world: dict[str, Any]
) -> None:
    seeds, wrong = files.seeds(corpus), []
    async with today.open_data_dir(folder, world) as place:
        await place.idle()
        await _is_delivered(place, corpus, world)
        for path in world["editor"]:
            async with ClientSession() as session, session.get(f"{place.editor_address}{path}") as page:
                assert page.status == 200
        recorded = files.read(corpus / "presses.json")
        for step, about in replay.steps(world, recorded):
            led_to = await replay.press(place, step, about, seeds)
            means = today.meaning(step.get("custom_id", ""))
            then = replay.expected(means["does"] if means else "", step["leads_to"])
            wrong += [] if replay.as_before(led_to, then) else [(_name(step), led_to, then)]
        assert await place.problems() == []
    assert [name for name, *_ in wrong] == [], wrong[0]


async def _is_delivered(place: today.Place, corpus: Path, world: dict[str, Any]) -> None:
    """What was owed, half painted or waiting is shown where it was asked for."""
    for number in unfinished(corpus):
        assert (await place.job(number))["state"] == "done"
        message_id = await place.message_id(number)
        assert message_id in {message["id"] for message in world["messages"]}
        assert place.has("easel", message_id)


def _name(step: dict[str, Any]) -> str:
    return str(step.get("custom_id") or f"the form {step['old_form']}")


def test_every_kind_of_button_is_pressed(corpus: Path) -> None:
    """Those that are under no message any more are at least in a form, or among the ids that were posted."""
    posted = Counter((means["kind"], means["does"]) for _, means in files.read(corpus / "ids.json") if means)
    steps = files.read(corpus / "presses.json")
    pressed = {(m["kind"], m["does"]) for m in (today.meaning(step.get("custom_id", "")) for step in steps) if m}
    pressed |= {("press", step["old_form"]) for step in steps if "old_form" in step}
    assert len(posted) > 50
    assert set(posted) - pressed == set()


async def test_a_directory_of_the_first_database_is_migrated_and_goes_on(corpus: Path, tmp_path: Path) -> None:
    world = files.read(corpus / "world.json")
    folder = files.copy_of(corpus / "first", tmp_path / "data")
    async with today.open_data_dir(folder, {"now_ms": world["now_ms"]}) as place:
        await place.idle()
        assert await place.problems() == []
        jobs = await place.jobs()
        assert {job["state"] for job in jobs.values()} == {"done"}
        assert {str(number): told(job)["asks"] for number, job in jobs.items()} == files.read(corpus / "first.json")
        shown = await place.stage.members["Ann"].slash(place.channels["easel"], "show", job=1)
        assert shown.response is not None
        assert shown.response.attachments
    assert list((folder / "backups").glob("before-0002-*.db"))
