"""Edits: kept as JSON, made to fit, priced by what is painted, and handed to the engine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bot.config import Settings
from bot.errors import BadInput
from bot.jobs.to_engine import to_request
from bot.ledger.terms import default_terms
from bot.orders.drafts import price_mc, resolve
from bot.prompt.parser import Draft
from bot.prompt.spec import BlendEdit, ControlEdit, Edit, InpaintEdit, OutpaintEdit, Spec, UpscaleEdit
from engine.api.model_info import ModelInfo
from engine.tasks.control import Control
from engine.tasks.img2img import Img2Img
from engine.tasks.inpaint import Inpaint
from engine.tasks.outpaint import Outpaint
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
EDITS: list[Edit] = [
    InpaintEdit(mask=MASK, box=(0, 0, 32, 32)),
    OutpaintEdit(source=(128, 128), left=64),
    UpscaleEdit(mode="creative"),
    ControlEdit(controlnet="edges", scale=0.5),
    BlendEdit(images=(SHA, MASK), weights=(1.0, 0.5)),
]


def spec(edit: Edit | None, size: tuple[int, int] = (128, 128), settings: Settings = SETTINGS, **said: Any) -> Spec:
    draft = Draft(**{"prompt": "a boat", "num_images": 1} | said)
    init = None if isinstance(edit, BlendEdit) else SHA
    return resolve(draft, (INFO,), default_terms(settings), 7, init_image=init, init_size=size, edit=edit)


@pytest.mark.parametrize("edit", [None, *EDITS])
def test_a_spec_comes_back_from_its_json(edit: Edit | None) -> None:
    asked = spec(edit)
    assert Spec.from_json(json.loads(json.dumps(asked.to_json()))) == asked


def test_a_spec_of_the_first_version_is_still_read() -> None:
    old = spec(None).to_json()
    del old["edit"]
    assert Spec.from_json(old) == spec(None)
    with pytest.raises(TypeError, match="no edit"):
        Spec.from_json({**old, "edit": {"kind": "magic"}})


def test_inputs_are_all_that_is_needed_once() -> None:
    assert [spec(edit).inputs for edit in EDITS] == [(SHA, MASK), (SHA,), (SHA,), (SHA,), (SHA, MASK)]


def test_sizes_follow_the_edit() -> None:
    sizes = [(128, 128), (192, 128), (256, 256), (128, 128), (128, 128)]
    assert [(s.width, s.height) for s in map(spec, EDITS)] == sizes
    assert [s.task for s in map(spec, EDITS)] == ["inpaint", "outpaint", "upscale", "control", "blend"]
    zoomed = spec(OutpaintEdit(source=(120, 90), left=60, right=60, top=45, bottom=45), width=120, height=90)
    assert (zoomed.width, zoomed.height) == (120, 90)


def test_what_is_too_large_is_made_to_fit_or_refused() -> None:
    wide = spec(OutpaintEdit(source=(3000, 3000), right=3000), (3000, 3000))
    assert wide.width * wide.height <= SETTINGS.max_pixels
    assert wide.width / wide.height == pytest.approx(2, rel=0.01)
    four = spec(UpscaleEdit(scale=4), (2000, 2000))
    assert (four.edit, four.width) == (UpscaleEdit(scale=2), 4000)
    with pytest.raises(BadInput, match="twice that cannot be kept"):
        spec(UpscaleEdit(), (4000, 4000))
    with pytest.raises(BadInput, match="too narrow"):
        spec(OutpaintEdit(source=(128, 128), right=600))
    small = SETTINGS.model_copy(update={"max_pixels": 200 * 200})
    region = InpaintEdit(mask=MASK, box=(0, 0, 32, 32))
    assert spec(region, (1000, 1000), small).edit == InpaintEdit(mask=MASK, box=(0, 0, 32, 32), only_masked=True)


def test_a_blend_of_embeddings_costs_every_step() -> None:
    asked = spec(EDITS[-1], strength=0.5)
    assert price_mc(asked, INFO) == 500
    assert price_mc(asked, replace(INFO, image_prompts=True)) == price_mc(asked, INFO) * 2


def test_a_followed_picture_is_named_sized_and_priced_like_one_of_words() -> None:
    asked = spec(ControlEdit(), (1920, 1080), strength=0.4)
    assert asked.edit == ControlEdit(controlnet="edges", scale=0.4)
    assert (asked.width, asked.height, asked.strength) == (168, 96, None)
    assert price_mc(asked, INFO) == price_mc(asked.evolve(task="txt2img", edit=None, init_image=None), INFO)
    assert spec(ControlEdit(controlnet="DEPTH")).edit == ControlEdit(controlnet="depth")
    other = replace(INFO, key="other", controlnets=("pose",))
    pose = ControlEdit(controlnet="pose")
    found = resolve(Draft(prompt="x"), (WORDS, INFO, other), TERMS, 7, init_image=SHA, init_size=(9, 9), edit=pose)
    assert found.model == "other"
    request = to_request(asked, {SHA: Image.new("RGB", (1920, 1080), "red")})
    assert isinstance(request, Control)
    assert (request.controlnet, request.controlnet_conditioning_scale, request.prepared) == ("edges", 0.4, False)


def test_an_edit_costs_what_is_painted() -> None:
    def price(edit: Edit, size: tuple[int, int] = (128, 128), **said: Any) -> int:
        return price_mc(spec(edit, size, **said), INFO)

    assert price(InpaintEdit(mask=MASK, box=(0, 0, 9, 9)), strength=1.0) == 1000
    assert price(InpaintEdit(mask=MASK, box=(0, 0, 9, 9)), strength=0.5) == 500
    assert (
        price(InpaintEdit(mask=MASK, box=(0, 0, 9, 9)), (2000, 2000), strength=1.0) == 4000
    )  # the model's largest canvas
    close = InpaintEdit(mask=MASK, box=(0, 0, 9, 9), only_masked=True)
    assert price(close, (2000, 2000), strength=1.0) == pytest.approx(1000, 0.2)
    assert price(OutpaintEdit(source=(128, 128), left=64), strength=1.0) == 1500
    assert price(UpscaleEdit()) == 100
    assert price(UpscaleEdit(), (1500, 1500)) == 900
    assert price(UpscaleEdit(mode="creative")) == 9 * 300


def test_a_model_that_cannot_is_named_or_another_one_taken() -> None:
    found = resolve(Draft(prompt="x"), (WORDS, INFO), TERMS, 7, init_image=SHA, init_size=(9, 9), edit=UpscaleEdit())
    assert found.model == "mini"
    with pytest.raises(BadInput, match=r"The model words cannot enlarge pictures\. Use mini\."):
        resolve(Draft(model="words"), (WORDS, INFO), TERMS, 7, init_image=SHA, init_size=(9, 9), edit=UpscaleEdit())


def test_the_engine_gets_the_pictures_and_the_values() -> None:
    mask = Image.new("RGB", (128, 128))
    mask.paste("white", (0, 0, 32, 32))
    pictures = {SHA: Image.new("RGB", (128, 128), "red"), MASK: mask}
    inpaint, outpaint, upscale = (to_request(spec(edit), pictures) for edit in EDITS[:3])
    assert isinstance(inpaint, Inpaint)
    assert (inpaint.mask.mode, inpaint.mask.getbbox(), inpaint.strength) == ("L", (0, 0, 32, 32), 0.7)
    assert isinstance(outpaint, Outpaint)
    assert (outpaint.left, outpaint.width, outpaint.strength) == (64, 192, 0.9)
    assert isinstance(upscale, Upscale)
    assert (upscale.scale, upscale.mode, upscale.strength) == (2, "creative", 0.3)
    assert isinstance(to_request(spec(None), pictures), Img2Img)
