"""From a draft to a complete, allowed and priced job."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Settings
from bot.errors import BadInput
from bot.ledger.limits import default_terms
from bot.orders.drafts import WORDS, find_model, price_mc, resolve
from bot.prompt.parser import Draft, echo, parse
from bot.prompt.spec import Spec
from engine.api.model_info import ModelInfo
from engine.tasks.img2img import Img2Img
from engine.tasks.pictures import StoredPicture
from engine.tasks.txt2img import MAX_SEED, Txt2Img
from tests.specs import spec_of


def model(key: str = "mini", side: int = 128, family: str = "sd1", multiple: int = 8, **more: object) -> ModelInfo:
    flow = family == "flux"
    return ModelInfo(
        key=key,
        family=family,
        width=side,
        height=side,
        num_inference_steps=20,
        guidance_scale=5.0,
        scheduler="flow_euler" if flow else "euler",
        flow=flow,
        multiple_px=multiple,
        **more,  # type: ignore[arg-type]
    )


MODELS = (
    model(),
    model("sdxl", 1024, "sdxl"),
    model("flux", 1024, "flux", 16),
    model("ranked", ranks=True),
    model("words", tasks=frozenset({"txt2img"})),
)
SETTINGS = Settings(_env_file=None)  # type: ignore[call-arg]


def spec(init: tuple[int, int] | None = None, settings: Settings = SETTINGS, **said: object) -> Spec:
    draft = Draft(prompt="a boat", **said)  # type: ignore[arg-type]
    what = Img2Img(prompt="", init_image=StoredPicture(sha256="f" * 64, size=init)) if init else WORDS
    return resolve(draft, MODELS, default_terms(settings), 99, what)


def refusal(init: tuple[int, int] | None = None, settings: Settings = SETTINGS, **said: object) -> str:
    with pytest.raises(BadInput) as caught:
        spec(init, settings, **said)
    return str(caught.value)


def test_what_was_not_said_comes_from_the_model() -> None:
    assert spec() == spec_of(
        prompt="a boat",
        width=128,
        height=128,
        num_inference_steps=20,
        guidance_scale=5.0,
        scheduler="euler",
        seed=99,
        model="mini",
        together=True,
    )


@given(st.floats(0.25, 4), st.sampled_from(MODELS))
def test_a_ratio_keeps_the_models_area(ratio: float, info: ModelInfo) -> None:
    found = spec(aspect_ratio=(ratio, 1.0), model=info.key)
    assert found.width % info.multiple_px == found.height % info.multiple_px == 0
    assert min(found.width, found.height) >= 64
    assert math.isclose(found.width / found.height, ratio, rel_tol=0.15)
    assert math.isclose(found.width * found.height, info.width * info.height, rel_tol=0.15)


def test_sizes_are_rounded_to_what_the_model_can_paint() -> None:
    assert (spec(width=500, height=301).width, spec(width=500, height=301).height) == (496, 304)
    assert spec(width=256).height == 128
    assert (spec(init=(3000, 2000)).width, spec(init=(3000, 2000)).height) == (160, 104)
    assert spec(init=(1, 1000)).height == 4 * spec(init=(1, 1000)).width


def test_a_servers_limit_shrinks_defaults_and_refuses_wishes() -> None:
    small = SETTINGS.model_copy(update={"max_pixels": 512 * 512, "max_steps": 10})
    found = spec(settings=small, model="sdxl")
    assert (found.width, found.height, found.num_inference_steps) == (512, 512, 10)
    assert "--size 512x512" in refusal(settings=small, model="sdxl", width=1024)
    assert "at most 10" in refusal(settings=small, num_inference_steps=11)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"width": 63}, "64 to 4,096"),
        ({"width": 5000}, "64 to 4,096"),
        ({"width": 1024, "height": 128}, "1:4 to 4:1"),
        ({"num_inference_steps": 0}, "1 to 150"),
        ({"num_inference_steps": 61}, "at most 60"),
        ({"guidance_scale": 31.0}, "0 to 30"),
        ({"guidance_scale": math.nan}, "0 to 30"),
        ({"seed": -1}, "0 to 4,294,967,295"),
        ({"seed": MAX_SEED + 1}, "0 to 4,294,967,295"),
        ({"num_images": 17}, "1 to 16"),
        ({"strength": 0.5}, "Attach one"),
        ({"scheduler": "eulr"}, "Did you mean euler"),
        ({"scheduler": "qqqq"}, "Available: euler"),
        ({"scheduler": "ddim", "model": "flux"}, "Use flow_euler"),
        ({"scheduler": "flow_euler"}, "Use euler"),
        ({"model": "sdxxl"}, "Did you mean sdxl"),
        ({"model": "../etc/passwd"}, "Available: mini, sdxl"),
    ],
)
def test_refusals_say_what_works(said: dict[str, object], says: str) -> None:
    assert says in refusal(**said)  # type: ignore[arg-type]


def test_a_picture_needs_a_model_that_takes_one() -> None:
    assert "can't start from a picture" in refusal(init=(10, 10), model="words")
    found = spec(init=(10, 10))
    assert (found.task, found.strength) == ("img2img", 0.6)
    assert "0.01 to 1" in refusal(init=(10, 10), strength=2.0)


def test_schedulers_and_models_by_any_spelling() -> None:
    assert spec(scheduler="DPM++ 2M Karras").scheduler == "dpmpp_2m_karras"
    assert find_model(MODELS, "SDXL").key == "sdxl"
    with pytest.raises(BadInput, match="No model"):
        find_model((), None)


def test_the_price_is_a_credit_a_picture_by_pixels_and_steps() -> None:
    info = MODELS[0]
    assert price_mc(spec(), info) == 4000
    assert price_mc(spec(num_images=1), info) == 1000
    assert price_mc(spec(width=256, height=256, num_inference_steps=40), info) == 32_000
    assert price_mc(spec(init=(9, 9), strength=0.5, num_inference_steps=20), info) == 2000
    assert (
        price_mc(spec(init=(9, 9), strength=0.01, num_inference_steps=1, num_images=1, width=64, height=64), info) == 13
    )


def test_a_scheduler_costs_the_calls_it_makes() -> None:
    info = MODELS[0]
    assert price_mc(spec(scheduler="heun"), info) == 4 * 1950
    assert price_mc(spec(scheduler="pndm"), info) == 4 * 1050
    assert price_mc(spec(scheduler="dpmpp_2m"), info) == 4000
    assert price_mc(spec(scheduler="heun"), replace(info, scheduler="heun")) == 4000, "the model's own way is a credit"


def test_the_best_of_many_costs_all_that_are_painted_and_comes_back_from_its_echo() -> None:
    eight = spec(model="ranked", best_of=8)
    assert (eight.num_images, eight.draws) == (4, 8)
    assert price_mc(eight, find_model(MODELS, "ranked")) == 8000
    (again,) = parse(echo(eight))
    assert again.best_of == 8
    assert eight.with_seed(5) == eight.evolve(seed=5, num_images=1, best_of=None)


def test_the_best_of_too_few_or_without_a_ranker_is_refused() -> None:
    assert "--best 4 to 16" in refusal(model="ranked", best_of=3)
    assert "rank" in refusal(model="mini", best_of=8)


def test_a_style_outside_of_a_server_is_refused() -> None:
    with pytest.raises(BadInput, match="Styles belong to a server"):
        resolve(Draft(prompt="a boat", style=("ink",)), MODELS, default_terms(Settings(_env_file=None)), 1)


def test_what_a_model_does_not_hear_is_said() -> None:
    klein = model("klein", 1024, "flux2-klein", negative_prompts=False, references=True)
    bare = model("bare", 1024, "flux", guided_by="")
    true = model("qwen", 1024, "qwenimage", guided_by="true_cfg_scale")
    picture = Img2Img(prompt="", init_image=StoredPicture(sha256="0" * 64, size=(1024, 1024)))

    def note(info: ModelInfo, what: Txt2Img = WORDS, **said: object) -> str:
        draft = Draft(prompt="a boat", model=info.key, **said)  # type: ignore[arg-type]
        return resolve(draft, (info,), default_terms(SETTINGS), 1, what).note

    assert "takes no negative prompt" in note(klein, negative_prompt="fog")
    assert "strength has no effect" in note(klein, picture, strength=0.5)
    assert "takes no guidance" in note(bare, guidance_scale=5.0)
    assert "At guidance 1 " in note(true, negative_prompt="fog", guidance_scale=1.0)
    assert "At guidance 1 " in note(model(), negative_prompt="fog", guidance_scale=1.0)
    for info in (model(), model("flux", 1024, "flux", weighted_prompts=False), true):
        assert note(info, negative_prompt="fog", guidance_scale=4.0) == ""
