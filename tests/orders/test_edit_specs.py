"""Edits: kept as JSON, made to fit, priced by what is painted, and handed to the engine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bot.config import Settings
from bot.errors import BadInput
from bot.ledger.limits import default_terms
from bot.orders.drafts import WORDS as WORDS_ALONE
from bot.orders.drafts import price_mc, resolve
from bot.prompt.parser import Draft
from bot.prompt.spec import Spec
from engine.api.model_info import ModelInfo
from engine.tasks.blend import Blend
from engine.tasks.control import Control
from engine.tasks.img2img import Img2Img
from engine.tasks.inpaint import Inpaint
from engine.tasks.outpaint import Outpaint
from engine.tasks.pictures import StoredPicture
from engine.tasks.txt2img import Txt2Img
from engine.tasks.upscale import Upscale

SHA, MASK = "ab" * 32, "cd" * 32
INFO = ModelInfo(
    key="mini",
    family="sd1",
    width=128,
    height=128,
    num_inference_steps=20,
    guidance_scale=4.0,
    scheduler="euler",
    max_pixels=256 * 256,
    tasks=frozenset({"txt2img", "img2img", "inpaint", "outpaint", "upscale", "blend", "control"}),
    controlnets=("edges", "depth"),
)
WORDS = ModelInfo(**{**{n: getattr(INFO, n) for n in INFO.__slots__}, "key": "words", "tasks": frozenset({"txt2img"})})
SETTINGS = Settings(_env_file=None)  # type: ignore[call-arg]
TERMS = default_terms(SETTINGS)
SQUARE = (128, 128)


def stored(size: tuple[int, int] = SQUARE, box: tuple[int, int, int, int] | None = None) -> StoredPicture:
    return StoredPicture(sha256=MASK if box else SHA, size=size, box=box)


def inpaint(box: tuple[int, int, int, int], size: tuple[int, int] = SQUARE, **changes: Any) -> Inpaint:
    return Inpaint(prompt="", init_image=stored(size), mask=stored(size, box), **changes)


def outpaint(size: tuple[int, int] = SQUARE, **borders: int) -> Outpaint:
    return Outpaint(prompt="", init_image=stored(size), **borders)


def upscale(size: tuple[int, int] = SQUARE, **changes: Any) -> Upscale:
    return Upscale(init_image=stored(size), **changes)


def control(size: tuple[int, int] = SQUARE, controlnet: str = "", **changes: Any) -> Control:
    return Control(prompt="", control_image=stored(size), controlnet=controlnet, **changes)


REPAINT = Img2Img(prompt="", init_image=stored())
EDITS: list[Txt2Img] = [
    inpaint((0, 0, 32, 32)),
    outpaint(left=64),
    upscale(mode="creative"),
    control(controlnet="edges", controlnet_conditioning_scale=0.5),
    Blend(images=[stored(), StoredPicture(sha256=MASK, size=(9, 9))], weights=(1.0, 0.5)),
]


def spec(what: Txt2Img, settings: Settings = SETTINGS, **said: Any) -> Spec:
    draft = Draft(**{"prompt": "a boat", "num_images": 1} | said)
    return resolve(draft, (INFO,), default_terms(settings), 7, what)


@pytest.mark.parametrize("what", [REPAINT, *EDITS])
def test_a_spec_comes_back_from_its_json(what: Txt2Img) -> None:
    asked = spec(what, variations=((5, 0.25),))
    assert Spec.from_json(json.loads(json.dumps(asked.to_json()))) == asked


def test_what_is_no_spec_is_refused() -> None:
    for value in ({"task": "magic"}, {"version": 5, "task": "magic"}, {"task": "inpaint", "edit": {"kind": "magic"}}):
        with pytest.raises(TypeError, match="magic"):
            Spec.from_json(value)


def test_inputs_are_all_that_is_needed_once() -> None:
    assert [spec(edit).inputs for edit in EDITS] == [(SHA, MASK), (SHA,), (SHA,), (SHA,), (SHA, MASK)]


def test_sizes_follow_the_edit() -> None:
    sizes = [(128, 128), (192, 128), (256, 256), (128, 128), (128, 128)]
    assert [(s.width, s.height) for s in map(spec, EDITS)] == sizes
    assert [s.task for s in map(spec, EDITS)] == ["inpaint", "outpaint", "upscale", "control", "blend"]
    zoomed = spec(outpaint((120, 90), left=60, right=60, top=45, bottom=45), width=120, height=90)
    assert (zoomed.width, zoomed.height) == (120, 90)


def test_what_is_too_large_is_made_to_fit_or_refused() -> None:
    wide = spec(outpaint((3000, 3000), right=3000))
    assert wide.width * wide.height <= SETTINGS.max_pixels
    assert wide.width / wide.height == pytest.approx(2, rel=0.01)
    four = spec(upscale((2000, 2000), scale=4))
    assert (four.request.title, four.width) == ("Upscale 2x (Lanczos)", 4000)
    with pytest.raises(BadInput, match="twice that can't be kept"):
        spec(upscale((4000, 4000)))
    with pytest.raises(BadInput, match="too narrow"):
        spec(outpaint(right=600))
    small = SETTINGS.model_copy(update={"max_pixels": 200 * 200})
    region = spec(inpaint((0, 0, 32, 32), (1000, 1000)), small).request
    assert isinstance(region, Inpaint)
    assert region.only_masked


def test_a_blend_of_embeddings_costs_every_step() -> None:
    asked = spec(EDITS[-1], strength=0.5)
    assert price_mc(asked, INFO) == 500
    assert price_mc(asked, replace(INFO, image_prompts=True)) == price_mc(asked, INFO) * 2


def test_a_followed_picture_is_named_sized_and_priced_like_one_of_words() -> None:
    asked = spec(control((1920, 1080)), strength=0.4)
    request = asked.request
    assert isinstance(request, Control)
    assert (request.controlnet, request.controlnet_conditioning_scale, request.prepared) == ("edges", 0.4, False)
    assert (asked.width, asked.height, asked.strength) == (168, 96, None)
    assert price_mc(asked, INFO) == price_mc(spec(WORDS_ALONE, width=168, height=96), INFO)
    assert spec(control(controlnet="DEPTH")).request.guides[0].controlnet == "depth"
    other = replace(INFO, key="other", controlnets=("pose",))
    found = resolve(Draft(prompt="x"), (WORDS, INFO, other), TERMS, 7, control(controlnet="pose"))
    assert found.model == "other"
    assert isinstance(request.loaded({SHA: Image.new("RGB", (1920, 1080), "red")}).control_image, Image.Image)


def test_an_edit_costs_what_is_painted() -> None:
    def price(what: Txt2Img, **said: Any) -> int:
        return price_mc(spec(what, **said), INFO)

    assert price(inpaint((0, 0, 9, 9)), strength=1.0) == 1000
    assert price(inpaint((0, 0, 9, 9)), strength=0.5) == 500
    assert price(inpaint((0, 0, 9, 9), (2000, 2000)), strength=1.0) == 4000  # the model's largest canvas
    close = inpaint((0, 0, 9, 9), (2000, 2000), only_masked=True)
    assert price(close, strength=1.0) == pytest.approx(1000, 0.2)
    assert price(outpaint(left=64), strength=1.0) == 1500
    assert price(upscale()) == 100
    assert price(upscale((1500, 1500))) == 900
    assert price(upscale(mode="creative")) == 9 * 300


def test_a_model_that_cannot_is_named_or_another_one_taken() -> None:
    found = resolve(Draft(prompt="x"), (WORDS, INFO), TERMS, 7, upscale((9, 9)))
    assert found.model == "mini"
    with pytest.raises(BadInput, match=r"The model words can't enlarge pictures\. Use mini\."):
        resolve(Draft(model="words"), (WORDS, INFO), TERMS, 7, upscale((9, 9)))


def test_the_engine_gets_the_pictures_and_the_values() -> None:
    mask = Image.new("RGB", (128, 128))
    mask.paste("white", (0, 0, 32, 32))
    pictures = {SHA: Image.new("RGB", (128, 128), "red"), MASK: mask}
    region, wider, larger = (spec(what).request.loaded(pictures) for what in EDITS[:3])
    assert isinstance(region, Inpaint)
    assert isinstance(region.mask, Image.Image)
    assert (region.mask.mode, region.mask.getbbox(), region.strength) == ("L", (0, 0, 32, 32), 0.7)
    assert isinstance(wider, Outpaint)
    assert (wider.left, wider.width, wider.strength) == (64, 192, 0.9)
    assert isinstance(larger, Upscale)
    assert (larger.scale, larger.mode, larger.strength) == (2, "creative", 0.3)
    assert spec(REPAINT).request.loaded(pictures).pictures == (pictures[SHA],)
