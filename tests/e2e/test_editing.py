"""The buttons under one picture: each makes what it says, today and after a restart, for its owner and for others."""

from __future__ import annotations

from typing import Any

import pytest

from bot.demo import Stage
from bot.store.records import Job
from tests.e2e.screen import buttons, paint, picture, press, words

EDITS = {
    "Upscale (2x)": "Upscale 2x (Lanczos) of #1",
    "Upscale (Creative)": "Upscale 2x (Creative) of #1",
    "Vary (Subtle)": "Variation of #1",
    "Vary (Strong)": "Variation of #1",
    "Zoom Out 1.5x": "Zoom Out 1.5x of #1",
    "Zoom Out 2x": "Zoom Out 2x of #1",
    "⬅️": "Pan left of #1",
    "➡️": "Pan right of #1",
    "⬆️": "Pan up of #1",
    "⬇️": "Pan down of #1",
}


async def alone(studio: Stage, who: str = "Ann", prompt: str = "a red boat --seed 100") -> Any:
    """One picture, as U1 shows it."""
    return (await press(studio, await paint(studio, prompt, who), "U1", who)).response


async def credits_of(studio: Stage, who: str = "Ann") -> int:
    balance = await studio.bot.studio.jobs.balance(studio.members[who].id, studio.guild.id)
    return balance.free_mc + balance.paid_mc


async def job_of(studio: Stage, message: Any) -> Job:
    image_id = next(int(each.split(":")[2]) for each in buttons(message).values())
    return (await studio.app.store.job_of_image(image_id))[0]


async def pressed(studio: Stage, message: Any, label: str, who: str = "Ann") -> Any:
    """Press, agree to the price if it is asked about, and wait; the message of the new job."""
    shown = (await press(studio, message, label, who)).response
    assert shown is not None, label
    if "Paint it" in buttons(shown):
        await press(studio, shown, "Paint it", who)
    return shown


async def test_what_the_model_can_do_is_offered_in_the_order_people_know(studio: Stage) -> None:
    assert list(buttons(await alone(studio))) == [
        *("Upscale (2x)", "Upscale (Creative)", "Vary (Subtle)", "Vary (Strong)", "Vary (Region)"),
        *("Zoom Out 1.5x", "Zoom Out 2x", "Custom Zoom", "⬅️", "➡️", "⬆️", "⬇️"),
        *("Remix", "🔄", "Seed", "Delete"),
    ]


@pytest.mark.parametrize("label", EDITS)
async def test_each_button_says_what_it_did_and_to_which_picture(studio: Stage, label: str) -> None:
    shown = await alone(studio)
    before = await credits_of(studio)
    await studio.restart()
    result = await pressed(studio, shown, label)
    assert EDITS[label] in words(result)
    assert "a red boat" in words(result)
    job = await job_of(studio, result)
    assert (job.parent_job_id, job.charged_mc) == (1, before - await credits_of(studio))
    assert picture(studio, result).width >= 128


async def test_a_stranger_edits_with_their_own_credits(studio: Stage) -> None:
    shown = await alone(studio)
    before = await credits_of(studio)
    result = await pressed(studio, shown, "Zoom Out 2x", "Ben")
    assert await credits_of(studio) == before
    assert await credits_of(studio, "Ben") < studio.settings.credits_a_day * 1000
    assert (await job_of(studio, result)).user_id == studio.members["Ben"].id
