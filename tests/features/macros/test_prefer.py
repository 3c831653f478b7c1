"""/prefer: a member's own flags stand for what they keep under them, for them alone."""

from __future__ import annotations

from typing import Any

import pytest

from bot.demo.simulation import Stage
from bot.features.macros.service import expand
from tests.e2e.screen import paint
from tests.features.generate.test_refusals import imagine, newest
from tests.features.moderation.test_moderation import said


async def prefer(studio: Stage, what: str, who: str = "Ann", **options: Any) -> str:
    return said(await studio.members[who].slash(studio.channel, f"prefer {what}", **options))


async def test_a_macro_stands_for_words_and_flags_for_its_member(studio: Stage) -> None:
    assert "`--mine`" in await prefer(studio, "save", name="--Mine", value="soft light --ar 3:2 --no text")
    await studio.restart()
    await paint(studio, "a red boat --mine --seed 7")
    spec = await newest(studio)
    assert (spec.prompt, spec.negative_prompt, spec.seed) == ("a red boat soft light", "text", 7)
    assert spec.width > spec.height
    assert "There is no flag '--mine'" in said(
        await studio.members["Ben"].slash(studio.channel, "imagine", prompt="a --mine")
    )
    assert "soft light" in await prefer(studio, "list")
    assert "Removed" in await prefer(studio, "remove", name="mine")
    assert "no flag" in str((await imagine(studio, "a red boat --mine")).content)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("seed", "x", "is a flag already"), ("ä!", "x", "can't be"), ("mine", "--sedd 3", "Did you mean --seed?")],
)
async def test_what_can_be_no_macro_is_refused(studio: Stage, name: str, value: str, says: str) -> None:
    assert says in await prefer(studio, "save", name=name, value=value)


async def test_ones_macros_go_with_ones_data(studio: Stage) -> None:
    await prefer(studio, "save", name="mine", value="soft light")
    await studio.app.privacy.forget(studio.members["Ann"].id)
    assert await studio.app.macros.of(studio.members["Ann"].id) == {}


def test_only_whole_flags_are_macros() -> None:
    known = {"mine": "soft"}
    assert expand("a —mine b --mine, --mine", known) == "a soft b --mine, soft"
    assert expand("re--mine --mined", known) == "re--mine --mined"
