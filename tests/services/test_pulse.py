"""How a bot is, as it writes it down: what hangs or fails is named, and a full disk does not end the looking."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.features.operations import heartbeat, looks, pulse
from bot.features.operations.looks import EngineLook
from bot.features.operations.pulse import Pulse
from bot.loops import LOOK_S
from engine.backend import EngineStatus
from engine.fake import FakeEngine


async def well() -> str:
    return ""


async def broken() -> str:
    raise RuntimeError("a secret")


async def hanging() -> str:
    await asyncio.Event().wait()
    return ""


async def test_each_part_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "ANSWER_S", 0.05)
    parts = {"database": well, "files": hanging, "Discord": broken}
    beating = Pulse(tmp_path, parts)
    await beating.beat()
    assert beating.problems == {"files": "it did not answer within 0 s.", "Discord": "it fails (RuntimeError)."}
    healthy, said = heartbeat.read(tmp_path)
    assert not healthy
    assert "files: it did not answer" in said
    parts.update(files=well, Discord=well)
    await beating.beat()
    assert heartbeat.read(tmp_path)[0]


async def test_a_heartbeat_that_cannot_be_written_is_no_end(tmp_path: Path) -> None:
    (tmp_path / f"{heartbeat.NAME}.new").mkdir()
    beating = Pulse(tmp_path, {"database": well})
    await beating.beat()
    (tmp_path / f"{heartbeat.NAME}.new").rmdir()
    await beating.beat()
    assert heartbeat.read(tmp_path)[0]


class StandingEngine(FakeEngine):
    """Says how often it went round, and that it has something to do."""

    rounds, running, device = 0, 1, "cpu"

    def status(self) -> EngineStatus:
        return EngineStatus(device=self.device, running=self.running, facts={"rounds": self.rounds})


@pytest.mark.parametrize(("device", "minutes"), [("cpu", 30), ("cuda", 10)])
async def test_an_engine_that_stands_still_while_jobs_wait_is_told(device: str, minutes: int) -> None:
    engine = StandingEngine()
    engine.device = device
    look, many = EngineLook(engine), int(minutes * 60 / LOOK_S)
    for _ in range(many):
        assert await look() == ""
    assert await look() == f"nothing was painted for {minutes} minutes, though jobs wait."
    engine.rounds += 1
    assert await look() == ""
    engine.running = 0
    for _ in range(looks.HOPELESS * many + 2):
        assert await look() == "", "it has nothing to do"
    engine.running = 1
    for _ in range(looks.HOPELESS * many):
        await look()
        assert not look.hopeless
    await look()
    assert "has stood still" in look.hopeless
