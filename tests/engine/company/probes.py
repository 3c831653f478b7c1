"""Probes in random company: what a request gives alone, and among jobs of all families that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, EngineError, Txt2Img
from engine.models.model_cache import ModelCache
from tests.engine import conftest as big
from tests.engine import zoo
from tests.engine.conftest import gain_from_rows
from tests.engine.test_joining import FAMILIES

ROWS = 4  # that every call is padded to, as on a device that gains from them
CROWD = 4  # jobs beside each probe
BUDGET_MIB = 1.0  # of weights: a few of the small models at a time
WORDS = ("a red boat", "a blue moon", "the red moon under the boat")
SIZE = {"width": 64, "height": 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`differing`: the probes whose bytes weren't those they had alone. `joined`: most jobs in one pass."""

    differing: tuple[Txt2Img, ...]
    joined: int
    cancelled: int
    reloads: int


def models(root: Path) -> dict[str, str]:
    """A folder of every family that is joined."""
    names = {**{name: root / name for name in big.BUILDERS}, **zoo.build(root, FAMILIES)}
    for name, build in big.BUILDERS.items():
        build().save_pretrained(root / name)
    return {name: str(folder) for name, folder in names.items()}


async def probed(root: Path, monkeypatch: pytest.MonkeyPatch, *, probes: int, seed: int) -> Seen:
    """Ask each probe alone, then again with a random crowd around it, in an engine whose models come and go."""
    gain_from_rows(monkeypatch, ROWS)
    dice, loads = random.Random(seed), _counted(monkeypatch)
    known = await asyncio.to_thread(models, root)
    asked = [_request(dice, dice.choice(sorted(known))) for _ in range(probes)]
    options: dict[str, Any] = {"models": known, "data_dir": root / "data", "memory_mib": BUDGET_MIB}
    async with Engine(known["sd1"], **options) as engine:
        alone = [(await engine.submit(request).result())[0].tobytes() for request in asked]
        differing, cancelled = [], 0
        for number in dice.sample(range(probes), probes):
            crowd = [engine.submit(_beside(dice, asked[number], known), user=f"{n}") for n in range(CROWD)]
            await asyncio.sleep(dice.uniform(0, 0.03))
            probe = engine.submit(asked[number], user="probe")
            await asyncio.sleep(dice.uniform(0, 0.03))
            leaving = dice.sample(crowd, dice.randint(0, 2))
            for ticket in leaving:
                ticket.cancel()
            cancelled += len(leaving)
            if (await probe.result())[0].tobytes() != alone[number]:
                differing.append(asked[number])
            await asyncio.gather(*(_end(ticket) for ticket in crowd))
        denoised = (await engine.inspect()).forwards["denoise"]
    return Seen(
        differing=tuple(differing), joined=denoised.most_joined, cancelled=cancelled, reloads=len(loads) - len(known)
    )


async def _end(ticket: Any) -> None:
    with contextlib.suppress(EngineError, asyncio.CancelledError):  # it was cancelled, or there was no room for it
        await ticket.result()


def _request(dice: random.Random, model: str) -> Txt2Img:
    return Txt2Img(
        prompt=dice.choice(WORDS),
        model=model,
        seed=dice.randrange(1 << 30),
        num_inference_steps=dice.randint(2, 5),
        guidance_scale=dice.choice((1.0, 3.0, 5.0)),
        **SIZE,
    )


def _beside(dice: random.Random, probe: Txt2Img, known: dict[str, str]) -> Txt2Img:
    """Half of them of the same model, so that there is something to join."""
    return _request(dice, probe.model if dice.random() < 0.5 and probe.model else dice.choice(sorted(known)))


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of models as they are loaded."""
    loads: list[str] = []
    load = ModelCache._load

    def counted(cache: ModelCache, key: str, *args: Any) -> Any:
        loads.append(key)
        return load(cache, key, *args)

    monkeypatch.setattr(ModelCache, "_load", counted)
    return loads
