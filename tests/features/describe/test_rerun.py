"""From what a stranger's file says to the nearest job that can be painted here."""

from __future__ import annotations

from typing import Any

import pytest

from bot.ledger.credit_limits import Allowance
from bot.ledger.limits import Terms
from bot.orders import reproduce
from bot.prompt.image_metadata import Parameters
from engine.api.model_info import ModelInfo
from engine.fake import MINI
from engine.tasks.txt2img import MAX_SEED

DREAMER = ModelInfo(
    key="dreamer-v8",
    family="sdxl",
    width=1024,
    height=1024,
    num_inference_steps=20,
    guidance_scale=5.0,
    scheduler="euler",
)
TERMS = Terms(allowance=Allowance(amount_mc=0), max_queued=1, max_running=1, max_pixels=1024 * 1024, max_steps=30)


def again(terms: Terms = TERMS, **said: Any) -> tuple[Any, str]:
    found = reproduce.of(Parameters(tool="A1111", prompt="a boat", **said), (MINI, DREAMER), terms)
    return found.draft, " ".join(found.changes)


def test_what_is_here_is_taken_as_it_is() -> None:
    draft, changes = again(model="mini", sampler="DPM++ 2M Karras", seed=5, steps=9, guidance=3.0, width=96, height=64)
    assert (draft.model, draft.scheduler, draft.seed, draft.num_inference_steps) == ("mini", "dpmpp_2m_karras", 5, 9)
    assert (draft.width, draft.height, draft.num_images, changes) == (96, 64, 1, "")


@pytest.mark.parametrize(
    ("said", "field", "value", "sentence"),
    [
        ({"model": "DREAMER_v8.safetensors"}, "model", "dreamer-v8", "dreamer-v8 paints instead"),
        ({"model": "something else"}, "model", "mini", "mini paints instead"),
        ({"sampler": "dpmpp_3m_sde karras"}, "scheduler", "dpmpp_2m_sde_karras", "is used instead"),
        ({"sampler": "zzz"}, "scheduler", "euler", "euler is used instead"),
        ({"sampler": "flow_euler"}, "scheduler", "euler", "is used instead"),
        ({"steps": 90}, "num_inference_steps", 30, "30 are the most here"),
        ({"seed": MAX_SEED + 1}, "seed", None, "a new one is drawn"),
        ({"width": 4096, "height": 2048}, "aspect_ratio", (2.0, 1.0), "proportions are kept"),
        ({"width": 100, "height": 64}, "width", 96, "becomes 96x64"),
        ({"from_picture": True}, "strength", None, "words alone"),
    ],
)
def test_what_differs_is_said(said: dict[str, Any], field: str, value: object, sentence: str) -> None:
    draft, changes = again(**said)
    assert getattr(draft, field) == value
    assert sentence in changes


def test_loras_are_left_out_and_long_words_are_cut() -> None:
    found = reproduce.of(Parameters(tool="A1111", prompt="a <lora:x:0.8>boat" + "y" * 9000), (MINI,), TERMS)
    assert found.draft.prompt.startswith("a boaty")
    assert len(found.draft.prompt) == 4000
    assert len(found.changes) == 2


def test_only_models_that_one_may_use_are_taken() -> None:
    terms = Terms(
        allowance=Allowance(amount_mc=0),
        max_queued=1,
        max_running=1,
        max_pixels=10**6,
        max_steps=9,
        models=frozenset({"mini"}),
    )
    assert again(terms, model="dreamer-v8")[0].model == "mini"
