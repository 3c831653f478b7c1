"""/shorten says which words matter, and offers shorter prompts that a press fills in."""

from __future__ import annotations

from bot.demo.simulation import Stage
from bot.features.describe.shorten import shortened
from tests.e2e.screen import buttons, parts, press, words
from tests.features.generate.test_refusals import newest


async def test_strong_words_stand_out_and_shorter_prompts_can_be_painted(studio: Stage) -> None:
    ann = studio.members["Ann"]
    shown = (
        await ann.slash(studio.channel, "shorten", prompt="a lighthouse on an island in a thunderstorm --ar 3:2")
    ).response
    assert shown.ephemeral
    assert "**thunderstorm**" in words(shown)
    assert "~~a~~" in words(shown)
    assert list(buttons(shown)) == ["1", "2", "3", "4"]
    await studio.restart()
    form = await press(studio, shown, "4")
    filled = {part["custom_id"]: part.get("value") for part in parts(form.modal["components"]) if "custom_id" in part}
    assert (filled["prompt"], filled["size"]) == ("lighthouse thunderstorm", "3:2")
    await ann.submit_modal(form, {"prompt": filled["prompt"], "size": filled["size"]})
    await studio.idle()
    assert (await newest(studio)).prompt == "lighthouse thunderstorm"


async def test_several_prompts_at_once_and_broken_ones_are_refused(studio: Stage) -> None:
    for prompt, says in (("a {red, blue} boat", "One prompt at a time"), ("a boat --sedd 3", "Did you mean --seed?")):
        refused = await studio.members["Ann"].slash(studio.channel, "shorten", prompt=prompt)
        assert says in words(refused.response)


def test_the_words_stay_in_their_order() -> None:
    assert shortened([("a", 0.1), ("red", 0.7), ("old", 0.3), ("boat", 1.0)]) == ["red old boat", "red boat", "boat"]
    assert shortened([("boat", 1.0)]) == []
