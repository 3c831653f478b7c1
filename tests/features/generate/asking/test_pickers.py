"""While an option is typed, what suits the rest of the command comes first, and what is new is there at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bot.config import Settings
from bot.delivery.pickers import lora_tags, squares
from bot.demo.simulation import Stage, stage
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import paint
from tests.features.generate.test_refusals import imagine, newest

TALKER = replace(MINI, key="talker", tasks=frozenset({"txt2img"}), loras=("ink",))
FLOWING = replace(MINI, key="flowing", flow=True, scheduler="flow_euler", loras=("waves", "gold"))


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Stage]:
    async with stage(settings, make_engine=lambda: FakeEngine([TALKER, FLOWING])) as running:
        yield running


async def offered(studio: Stage, option: str, typed: str = "", **said: Any) -> list[tuple[str, str]]:
    found = await studio.members["Ann"].autocomplete(studio.channel, "imagine", option, typed, **said)
    return [(choice["name"], choice["value"]) for choice in found]


async def test_models_that_can_do_it_come_first(shop: Stage) -> None:
    assert [value for _, value in await offered(shop, "model")] == ["talker", "flowing"]
    repainting = await offered(shop, "model", source="1.1")
    assert [value for _, value in repainting] == ["flowing", "talker"]
    assert "can't do this" in repainting[1][0]
    assert [value for _, value in await offered(shop, "model", lora="waves:0.8")] == ["flowing", "talker"]


async def test_schedulers_are_those_of_the_model(shop: Stage) -> None:
    first, *others = await offered(shop, "scheduler", model="flowing")
    assert first[0].endswith("(its own)")
    assert not {value for _, value in others} & {value for _, value in await offered(shop, "scheduler", model="talker")}


async def test_loras_that_fit_come_first_and_add_up(shop: Stage) -> None:
    known = await offered(shop, "lora", model="flowing")
    assert known == [("waves", "waves:0.8"), ("gold", "gold:0.8"), ("ink (for talker)", "ink:0.8")]
    more = await offered(shop, "lora", "waves:0.5,g", model="flowing")
    assert [value for _, value in more] == ["waves:0.5,gold:0.8"]
    await paint(shop, "a boat --no fog", model="flowing", lora="waves:0.5,gold")
    spec = await newest(shop)
    assert (spec.prompt, spec.negative_prompt) == ("a boat <lora:waves:0.5> <lora:gold:1>", "fog")
    refused = await imagine(shop, "a boat --sedd 1", model="flowing", lora="waves")
    assert "Did you mean --seed?" in str(refused.content)


async def test_what_the_engine_notices_is_offered_at_once(shop: Stage) -> None:
    engine: Any = shop.engine
    engine._models = (*engine.models(), replace(FLOWING, key="brand new"))
    assert "brand new" in [value for _, value in await offered(shop, "model")]


async def test_pictures_are_offered_with_their_colours(studio: Stage) -> None:
    await paint(studio, "a red boat")
    found = await studio.members["Ann"].autocomplete(studio.channel, "vary", "source", "")
    assert [choice["value"] for choice in found] == ["1.1", "1.2", "1.3", "1.4"]
    assert all(choice["name"][0] in "🟥🟧🟨🟩🟦🟪🟫⬛⬜" for choice in found)


def test_squares_are_the_colours_that_are_there() -> None:
    image = Image.new("RGB", (40, 40), (230, 30, 60))
    image.paste((60, 160, 250), (0, 0, 40, 16))
    assert squares(image) == "🟥🟦"


def test_loras_are_typed_as_names_and_weights() -> None:
    assert lora_tags("waves:0.8, ink") == "<lora:waves:0.8> <lora:ink:1>"
    assert lora_tags("") == ""
