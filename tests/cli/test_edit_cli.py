"""`easel vary`, `inpaint`, `outpaint`, `upscale` and `blend` over the fake backend: files, recipes and refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bot.__main__ import main
from bot.cli import generate as cli_generate
from engine.api import metadata
from engine.api.recipe import Recipe
from engine.fake import FAIL_WORD, MINI, FakeEngine

SIZE = (96, 64)


@pytest.fixture(autouse=True)
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli_generate, "engine_for", lambda settings: FakeEngine())
    noise = np.random.default_rng(1).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save("a.png")
    Image.new("RGB", (50, 50), "blue").save("b.png")
    mask = Image.new("L", SIZE)
    mask.paste(255, (60, 10, 80, 30))
    mask.save("mask.png")


def done(*argv: str) -> tuple[Image.Image, Recipe]:
    """Run a command that works; the picture it wrote and its recipe."""
    assert main([*argv, "--seed", "7", "--out", "out.png"]) == 0
    recipe = metadata.decode(Path("out.png").read_bytes())
    assert recipe is not None
    with Image.open("out.png") as image:
        return image.convert("RGB"), recipe


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


def given() -> np.ndarray:
    with Image.open("a.png") as image:
        return np.asarray(image)


@pytest.mark.parametrize("where", [("--mask", "mask.png"), ("--region", "60,10,20,20"), ("--region", "60, 10, 20, 20")])
def test_inpaint_changes_the_region_and_nothing_else(where: tuple[str, str]) -> None:
    image, recipe = done("inpaint", "a.png", *where, "a", "yellow", "star", "--feather", "4")
    assert recipe.task == "inpaint"
    assert recipe.request["prompt"] == "a yellow star"
    assert recipe.request["feather_px"] == 4
    changed = np.argwhere((pixels(image) != given()).any(axis=-1))
    assert 10 - 4 <= changed[:, 0].min() <= 10 <= 29 <= changed[:, 0].max() < 30 + 4
    assert 60 - 4 <= changed[:, 1].min() <= 60 <= 79 <= changed[:, 1].max() < 80 + 4


def test_inpaint_takes_words_scribbles_and_its_own_manner() -> None:
    image, recipe = done("inpaint", "a.png", "a star", "--region", "right half", "--whole", "--fill", "noise")
    assert (recipe.request["only_masked"], recipe.request["fill"]) == (False, "noise")
    assert np.array_equal(pixels(image)[:, :40], given()[:, :40])
    with Image.open("a.png") as scribbled:
        scribbled.paste("lime", (60, 10, 80, 30))
        scribbled.save("scribbled.png")
    image, _ = done("inpaint", "a.png", "a star", "--painted", "scribbled.png")
    assert np.array_equal(pixels(image)[:, :40], given()[:, :40])
    assert not np.array_equal(pixels(image)[10:30, 60:80], given()[10:30, 60:80])


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (["--left", "20", "--bottom", "10"], (116, 74)),
        (["--zoom", "1.5"], SIZE),
        (["--ratio", "3:1"], (192, 64)),
        (["--zoom", "2", "--ratio", "1:1"], (96, 96)),
    ],
)
def test_outpaint_grows_or_zooms(options: list[str], size: tuple[int, int]) -> None:
    image, recipe = done("outpaint", "a.png", *options, "--prompt", "the sea")
    assert image.size == size
    assert (recipe.task, recipe.request["prompt"]) == ("outpaint", "the sea")


def test_upscale_vary_and_blend() -> None:
    image, recipe = done("upscale", "a.png", "--scale", "4")
    assert image.size == (384, 256)
    assert recipe.request["mode"] == "faithful"
    image, recipe = done("upscale", "a.png", "--mode", "creative", "--prompt", "a boat", "--strength", "0.2")
    assert (image.size, recipe.request["strength"]) == ((192, 128), 0.2)
    _, recipe = done("vary", "a.png", "a", "boat", "--strength", "0.4")
    assert (recipe.task, recipe.request["prompt"], recipe.request["strength"]) == ("img2img", "a boat", 0.4)
    _, recipe = done("blend", "a.png", "b.png", "--weights", "2,1", "--prompt", "a boat")
    assert (recipe.task, recipe.request["weights"]) == ("blend", [2.0, 1.0])


def test_control(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["control", "a.png", "a boat"]) == 2
    assert "No model here has a ControlNet" in capsys.readouterr().err
    led = replace(MINI, controlnets=("depth", "edges"), tasks=MINI.tasks | {"control"})
    monkeypatch.setattr(cli_generate, "engine_for", lambda settings: FakeEngine((led,)))
    image, recipe = done("control", "a.png", "a", "boat", "--kind", "edges", "--strength", "1.5")
    assert (recipe.task, recipe.request["prompt"]) == ("control", "a boat")
    assert (recipe.request["controlnet"], recipe.request["controlnet_conditioning_scale"]) == ("edges", 1.5)
    assert image.width > image.height
    _, recipe = done("control", "a.png", "--prepared", "--prompt", "a boat --strength 0.3 --size 64")
    assert (recipe.request["controlnet"], recipe.request["prepared"]) == ("depth", True)
    assert (recipe.request["controlnet_conditioning_scale"], recipe.request["width"]) == (0.3, 64)
    assert main(["control", "a.png", "a boat", "--strength", "3"]) == 2
    assert "Use 0 to 2" in capsys.readouterr().err
    assert main(["control", "a.png", "a boat", "--kind", "egdes"]) == 2
    assert "Did you mean edges?" in capsys.readouterr().err


def test_several_pictures_and_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vary", "a.png", "--n", "2", "--seed", "3", "--out", "v.png", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["grid"] == "v.png"
    assert [(each["path"], each["seed"]) for each in facts["pictures"]] == [("v-1.png", 3), ("v-2.png", 4)]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["vary", "nowhere.png"], "cannot be read"),
        (["vary", "a.png", "a", "--sedd", "4"], "Did you mean --seed?"),
        (["vary", "a.png", FAIL_WORD], "The model failed"),
        (["vary", "a.png", "--out", "a.jpg"], "ends in .png"),
        (["inpaint", "a.png", "--mask", "b.png", "a"], "50"),
        (["inpaint", "a.png", "--region", "200,0,10,10", "a"], "outside the picture"),
        (["inpaint", "a.png", "--region", "0,0,96,64", "a"], "whole"),
        (["inpaint", "a.png", "--region", "somewhere", "a"], "top right"),
        (["inpaint", "a.png", "--region", "0,0,9,9"], "nothing to paint"),
        (["inpaint", "a.png", "--region", "0,0,9,9", "a", "--feather", "900"], "0 to 256"),
        (["outpaint", "a.png"], "--left"),
        (["outpaint", "a.png", "--left", "10", "--zoom", "2"], "not both"),
        (["outpaint", "a.png", "--left", "-3"], "cannot grow"),
        (["outpaint", "a.png", "--zoom", "9"], "1 to 4"),
        (["outpaint", "a.png", "--ratio", "wide"], "3:2"),
        (["upscale", "a.png", "a boat --size 64"], "size comes"),
        (["blend", "a.png"], "2 to 5"),
        (["blend", "a.png", "b.png", "--weights", "1"], "2 numbers"),
    ],
)
def test_refusals_are_one_sentence(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("easel: ")
    assert says in last


def test_wrong_usage_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["inpaint", "a.png", "a star"], ["upscale", "a.png", "--scale", "3"], ["blend"]):
        with pytest.raises(SystemExit) as exit_:
            main(argv)
        assert exit_.value.code == 2
    assert "usage: easel" in capsys.readouterr().err


def test_edit_changes_a_picture_as_words_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    editor = replace(MINI, key="editor", tasks=frozenset({"edit"}), edited_pictures=2)
    monkeypatch.setattr(cli_generate, "engine_for", lambda settings: FakeEngine((MINI, editor)))
    image, recipe = done("edit", "a.png", "make it", "blue", "--reference", "b.png")
    assert (recipe.task, recipe.model, recipe.request["prompt"]) == ("edit", "editor", "make it blue")
    assert len(recipe.request["images"]) == 2
    assert image.width / image.height == pytest.approx(SIZE[0] / SIZE[1], rel=0.1)
    for argv, said in (
        (["a.png"], "Say what should change"),
        (["a.png", "x", "--size", "64x64"], "comes from the picture"),
        (["a.png", "x", "--reference", "b.png", "--reference", "mask.png"], "can't look at 3 pictures"),
        (["a.png", "x", "--reference", "nowhere.png"], "cannot be read"),
    ):
        assert main(["edit", *argv]) == 2
        assert said in capsys.readouterr().err
