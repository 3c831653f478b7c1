"""Who judges pictures where not everybody does: workers that are set up otherwise, and services that never do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from bot.config import Settings, engine_for
from engine.api.events import ImageReady, Preview
from engine.api.safety import Verdict
from engine.fake import ABILITIES, MINI, FakeEngine
from engine.fleet.fleet import Fleet
from engine.fleet.members import Member
from engine.vision import options
from tests.fleet.fakes import asked, events_of
from tests.foreign.services import OpenAi, served

INSTALLED = pytest.mark.skipif(not options.is_installed(), reason="open_nsfw isn't installed")
GREY = Image.new("RGB", (32, 32), "grey")


def careless(**more: object) -> Member:
    """A worker whose own settings have nothing judged."""
    return Member("garage", FakeEngine((replace(MINI, key="other"),), abilities=ABILITIES - {"safety"}), **more)  # type: ignore[arg-type]


async def flags(fleet: Fleet, model: str, *, adults: bool = False) -> set[bool]:
    """Of all that may be shown of a job."""
    events = await events_of(fleet.submit(asked(3, model=model), adults=adults))
    return {event.flagged for event in events if isinstance(event, ImageReady | Preview)}


async def test_what_a_worker_doesnt_judge_is_judged_by_one_that_does() -> None:
    strict = FakeEngine(gate=lambda image: Verdict(flagged=True, reason="strict"))
    async with Fleet(members=[careless(here=False), Member("own", strict)]) as fleet:
        assert await flags(fleet, "other") == {True}
    async with Fleet(members=[careless(here=False)]) as fleet:
        assert await flags(fleet, "other") == {False}, "nobody wants it"


@INSTALLED
async def test_a_bot_that_paints_nothing_judges_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.vision.open_nsfw.UNSAFE", 0.0)  # nothing is innocent enough
    async with served(OpenAi().app()) as address:
        engines = {"gpt": {"openai": f"{address}/v1", "key": "sk-test"}}
        settings = Settings(_env_file=None, device="none", workers=True, engines=engines)  # type: ignore[call-arg]
        fleet = engine_for(settings)
        assert isinstance(fleet, Fleet)
        fleet.members.append(careless())
        async with fleet:
            assert "safety" in fleet.abilities()
            for model in ("gpt", "other"):
                assert await flags(fleet, model) == {True}
                assert await flags(fleet, model, adults=True) == {False}, "as `auto` has it"
            assert (await fleet.check(GREY)).flagged
        off = engine_for(settings.model_copy(update={"safety": "off"}))
        assert "safety" not in off.abilities()


@INSTALLED
async def test_what_cant_be_judged_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the file is damaged")

    monkeypatch.setattr("engine.fleet.judging.OpenNsfw", broken)
    fleet = engine_for(Settings(_env_file=None, device="none", workers=True, safety="open-nsfw"))  # type: ignore[call-arg]
    assert (await fleet.check(GREY)).flagged
