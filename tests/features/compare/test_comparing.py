"""A comparison as one job: what it keeps, what it paints, and its labelled sheet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from PIL import Image

from bot.delivery import image_tools
from bot.features.compare import service as comparing
from bot.jobs import fanout
from bot.ledger.credit_limits import Allowance
from bot.ledger.limits import Terms
from bot.orders import drafts
from bot.prompt.parser import Draft
from bot.prompt.spec import Spec
from engine.api.events import Cancelled, Failed, Finished, ImageReady, Preview, Progress, Started
from engine.fake import LOST_WORD, MINI, FakeEngine

TERMS = Terms(allowance=Allowance(amount_mc=0), max_queued=1, max_running=1, max_pixels=10**6, max_steps=30)


def grid(
    prompt: str = "a boat", x: str = "steps", xs: str = "2, 4", y: str | None = "guidance", ys: str = "1, 5"
) -> Spec:
    asked = comparing.spread(
        Draft(prompt=prompt, seed=7), x, comparing.values(x, xs), y, comparing.values(y, ys) if y else []
    )
    specs = [drafts.resolve(draft, (MINI,), TERMS, 1) for draft in asked]
    return comparing.joined(specs, x, y, len(comparing.values(x, xs)))


def test_its_cells_come_back_from_what_is_stored() -> None:
    spec = grid()
    again = Spec.from_json(spec.to_json())
    assert again == spec
    assert [(cell.num_inference_steps, cell.guidance_scale) for cell in again.cells] == [(2, 1), (4, 1), (2, 5), (4, 5)]
    assert {(cell.seed, cell.num_images, cell.compare) for cell in again.cells} == {(7, 1, None)}


def test_without_y_it_is_one_row() -> None:
    spec = grid(y=None)
    assert spec.compare is not None
    assert (spec.compare.columns, spec.compare.rows, len(spec.cells)) == (("2", "4"), ("",), 2)


async def follow(spec: Spec, **options: Any) -> list[Any]:
    async with FakeEngine(**options) as engine:
        ticket = fanout.submit(
            engine, [cell.request for cell in spec.cells], user="a", weight=1, lane="fast", adults=False
        )
        return [event async for event in ticket]


async def test_its_engine_jobs_tell_one_story() -> None:
    events = await follow(grid())
    assert sum(isinstance(event, Started) for event in events) == 1
    ready = [event for event in events if isinstance(event, ImageReady)]
    assert sorted(event.index for event in ready) == [0, 1, 2, 3]
    progress = [event.step / event.steps for event in events if isinstance(event, Progress)]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert all(0 <= event.index < 4 for event in events if isinstance(event, Preview))
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Finished) for event in events) == 1


@pytest.mark.parametrize(("prompt", "retryable"), [("!fail", False), (LOST_WORD, True)])
async def test_a_failure_is_its_last_word(prompt: str, retryable: bool) -> None:
    events = await follow(grid(prompt))
    assert isinstance(events[-1], Failed)
    assert events[-1].error.retryable is retryable


async def test_cancelling_it_cancels_all() -> None:
    async with FakeEngine(step_s=0.05) as engine:
        ticket = fanout.submit(
            engine, [cell.request for cell in grid().cells], user="a", weight=1, lane="fast", adults=False
        )
        seen = []
        async for event in ticket:
            seen.append(event)
            if isinstance(event, Started):
                ticket.cancel()
        assert isinstance(seen[-1], Cancelled)
        await asyncio.sleep(0.1)
        assert engine.status().queued == engine.status().running == 0


@pytest.mark.parametrize("size", [(16, 16), (128, 128), (700, 400)])
def test_the_sheet_has_every_picture_in_its_place(size: tuple[int, int]) -> None:
    cells = {number: Image.new("RGB", size, (number * 40, 0, 0)) for number in range(6) if number != 4}
    sheet = image_tools.sheet(cells, ["steps 4", "steps 8", "a very long name of a model " * 4], ["x", ""])
    colours = {colour for _, colour in sheet.getcolors(1 << 20)}
    assert {(number * 40, 0, 0) for number in cells} <= colours
    assert max(sheet.size) < 4000
    assert sheet.width > 3 * 190
