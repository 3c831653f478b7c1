"""Jobs that their members cancel, in Discord."""

from __future__ import annotations

import asyncio

from bot.demo.simulation import Stage
from bot.ledger.amounts import credits_text
from tests.e2e.screen import buttons, press, words


async def test_a_cancelled_job_says_so_and_can_be_tried_again(studio: Stage) -> None:
    studio.engine.step_s = 0.05  # type: ignore[attr-defined]
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a red boat")
    refused = await studio.members["Ben"].click(result.response.message, custom_id=buttons(result.response)["Cancel"])
    assert "Only the person who asked" in refused.followups[-1].content
    await press(studio, result.response, "Cancel")
    assert "Nothing was charged" in words(result.response)
    assert list(buttons(result.response)) == ["Try again"]


async def test_a_job_cancelled_late_says_what_it_cost(studio: Stage) -> None:
    studio.engine.step_s = 0.05  # type: ignore[attr-defined]
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a red boat")
    while not studio.app.dispatcher.painted(1):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    pressed = await studio.members["Ann"].click(result.response.message, custom_id=buttons(result.response)["Cancel"])
    job = await studio.app.jobs.get(1)
    charge = f"Charged: {credits_text(job.charged_mc)} of 4 credits, for the steps that were painted."
    assert 0 < job.charged_mc < 4000
    assert pressed.followups[-1].content == f"Cancelled. {charge}"
    await studio.idle()
    assert charge in words(result.response)
