"""What the fake engine sees in pictures: cheap, deterministic, and refused where nothing is configured."""

from __future__ import annotations

import pytest
from PIL import Image

from engine import InvalidRequest, Preview, Txt2Img, Verdict
from engine.api.events import ImageReady, Progress
from engine.fake import FLAG_COLOUR, FakeEngine, paint, score


async def test_the_best_of_many_are_kept_best_first_with_their_own_seeds() -> None:
    async with FakeEngine() as engine:
        events = [event async for event in engine.submit(Txt2Img(prompt="a", seed=5, num_images=2, best_of=6))]
    ready = [event for event in events if isinstance(event, ImageReady)]
    wanted = sorted(range(5, 11), key=score, reverse=True)[:2]
    assert [(each.index, each.seed) for each in ready] == list(enumerate(wanted))
    assert [each.recipe.seed - each.recipe.index for each in ready] == [5, 5]
    assert ready[0].image.tobytes() == paint(wanted[0], *ready[0].image.size).tobytes()
    assert max(event.step for event in events if isinstance(event, Progress)) == 6 * 4


@pytest.mark.parametrize("best_of", [1, 17])
def test_fewer_than_are_kept_or_too_many_are_refused(best_of: int) -> None:
    with pytest.raises(InvalidRequest, match="can't be kept"):
        Txt2Img(prompt="a", num_images=2, best_of=best_of)


async def test_flagged_pictures_say_so_and_their_previews_are_blurred() -> None:
    async with FakeEngine() as engine:
        events = [event async for event in engine.submit(Txt2Img(prompt="!flag", seed=1))]
    (ready,) = (event for event in events if isinstance(event, ImageReady))
    assert (ready.flagged, bool(ready.reason)) == (True, True)
    previews = [event for event in events if isinstance(event, Preview)]
    assert previews
    assert all(event.flagged for event in previews)
    low, high = previews[0].image.convert("L").getextrema()
    sharp_low, sharp_high = ready.image.resize((32, 32)).convert("L").getextrema()
    assert high - low < (sharp_high - sharp_low) / 2


async def test_uploads_are_checked_by_the_safety_model_and_by_the_gate() -> None:
    async with FakeEngine(gate=lambda image: Verdict(flagged=image.width == 9, reason="nine")) as engine:
        assert not (await engine.check(Image.new("RGB", (8, 8)))).flagged
        assert (await engine.check(Image.new("RGB", (8, 8), FLAG_COLOUR))).flagged
        assert (await engine.check(Image.new("L", (9, 8)))).reason == "nine"


async def test_a_gate_that_fails_lets_nothing_through(caplog: pytest.LogCaptureFixture) -> None:
    def broken(image: Image.Image) -> Verdict:
        raise OSError("no list")

    async with FakeEngine(gate=broken) as engine:
        assert (await engine.check(Image.new("RGB", (8, 8)))).flagged


async def test_a_thing_is_found_and_an_empty_picture_is_told() -> None:
    engine = FakeEngine()
    mask = await engine.segment(paint(3, 64, 48), "the disc")
    assert (mask.mode, mask.size, mask.getextrema()) == ("L", (64, 48), (0, 255))
    with pytest.raises(InvalidRequest, match="looks like that"):
        await engine.segment(Image.new("RGB", (8, 8)), "the disc")


async def test_four_prompts_describe_a_picture() -> None:
    prompts = await FakeEngine().describe(Image.new("RGB", (8, 8), "red"))
    assert len(prompts) == 4
    assert all("red" in prompt for prompt in prompts)


async def test_what_is_not_configured_is_refused_with_a_sentence() -> None:
    engine = FakeEngine(abilities=frozenset())
    with pytest.raises(InvalidRequest, match="describe"):
        await engine.describe(Image.new("RGB", (8, 8)))
    with pytest.raises(InvalidRequest, match="by their name"):
        await engine.segment(Image.new("RGB", (8, 8)), "hat")
    with pytest.raises(InvalidRequest, match="matches the prompt best"):
        engine.submit(Txt2Img(prompt="a", best_of=4))
    assert not (await engine.check(Image.new("RGB", (8, 8), FLAG_COLOUR))).flagged
