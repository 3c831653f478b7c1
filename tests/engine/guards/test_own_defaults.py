"""What is said in JSON files beside models and LoRAs: the rest counts where some of it can't, and it's told."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Txt2Img
from engine.models import catalog, own_defaults
from tests.engine.adapters.test_adapters import lora

ODD: dict[str, tuple[Any, str]] = {
    "no JSON": ("{4 steps", "it is no JSON file"),
    "nested": ("[" * 100_000, "it is no JSON file"),
    "a list": ([4], "it must be one object"),
    "a width in words": ({"width": "wide"}, 'width must be a multiple of 8 from 64 to 4096, not "wide"'),
    "no height": ({"height": 0}, "height must be"),
    "steps": ({"num_inference_steps": 1e9}, "num_inference_steps must be a number from 1 to 150, not 1000000000.0"),
    "true steps": ({"num_inference_steps": True}, "num_inference_steps must be"),
    "guidance": ({"guidance_scale": float("nan")}, "guidance_scale must be a number from 0 to 100, not NaN"),
    "a scheduler": ({"scheduler": "eulr"}, "scheduler must be a scheduler's name"),
    "a list of them": ({"scheduler": ["euler"]}, "scheduler must be a scheduler's name"),
    "another kind's": ({"scheduler": "dpmpp_2m"}, "the scheduler dpmpp_2m can't sample this model"),
    "too few pixels": ({"max_pixels": 5000}, "max_pixels is less than the model's own size"),
    "margins": ({"margins": "yes"}, "margins must be true or false"),
}


@pytest.mark.parametrize("what", ODD)
async def test_a_model_is_described_without_it(folders: dict[str, Path], tmp_path: Path, what: str) -> None:
    said, told = ODD[what]
    shutil.copytree(folders["flux"], tmp_path / "boats")
    fine = {"num_inference_steps": 2} if isinstance(said, dict) and "num_inference_steps" not in said else {}
    text = said if isinstance(said, str) else json.dumps({**fine, **said} if isinstance(said, dict) else said)
    (tmp_path / "boats" / own_defaults.FILE).write_text(text)
    plain = Engine(str(folders["flux"])).models()[0]
    async with Engine("mini", models={"boats": str(tmp_path / "boats")}) as engine:
        (left_out,) = engine.left_out()
        assert str(left_out).startswith(f"the easel.json of 'boats' is left out: {told}")
        info = engine.models()[1]
        kept = ("width", "height", "guidance_scale", "scheduler", "max_pixels", "margins")
        assert [getattr(info, name) for name in kept] == [getattr(plain, name) for name in kept]
        if what in ("a width in words", "another kind's"):
            request = Txt2Img(prompt="a boat", model="boats", seed=1)
            events = [event async for event in engine.submit(request)]
            (recipe,) = [event.recipe for event in events if hasattr(event, "recipe")]
            assert recipe.request["num_inference_steps"] == 2


def test_a_side_must_be_one_that_the_model_can_paint() -> None:
    info = Engine("mini").models()[0]
    odd = catalog._unfit({"width": 72, "height": 96}, replace(info, multiple_px=32))
    assert odd == {"width": "width must be a multiple of 32 for this model, not 72"}


def test_what_can_be_said_counts(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["sd1"], tmp_path / "boats")
    said = {"width": 128, "height": 64, "num_inference_steps": 4, "guidance_scale": 1, "scheduler": "LCM"}
    said |= {"max_pixels": 10_000, "margins": True}
    (tmp_path / "boats" / own_defaults.FILE).write_text(json.dumps(said))
    engine = Engine(str(tmp_path / "boats"))
    assert not engine.left_out()
    assert {name: getattr(engine.models()[0], name) for name in said} == said


def test_a_lora_is_used_without_it(folders: dict[str, Path], tmp_path: Path) -> None:
    file = lora(folders["sd1"], "sd1", tmp_path / "waves", 1) / "pytorch_lora_weights.safetensors"
    file.with_suffix(".json").write_text('{"num_inference_steps": "few", "guidance_scale": 1}')
    engine = Engine(str(folders["sd1"]), loras={"waves": str(file)})
    (left_out,) = engine.left_out()
    assert str(left_out).startswith("the easel.json of 'waves' is left out: num_inference_steps must be")
    (defaults,) = engine.models()[0].lora_defaults
    assert (defaults.num_inference_steps, defaults.guidance_scale) == (None, 1)
