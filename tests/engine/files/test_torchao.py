"""Folders quantised by torchao, where that package is: painted as diffusers paints them, however they're kept.

Without it, what such a folder needs is told by name: tests/engine/files/test_quantised.py.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from engine import Engine, Txt2Img
from engine.models.memory import ladder, sizes
from tests.engine.memory.small_card import SmallCard, install

pytest.importorskip("torchao", reason="torchao isn't installed: pip install '.[quantized]'", exc_type=ImportError)
from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig

pytestmark = pytest.mark.filterwarnings("ignore")  # torchao's own
KINDS = {"int8": lambda: Int8WeightOnlyConfig(version=2), "fp8": Float8WeightOnlyConfig}
FACTS: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 2, "guidance_scale": 4.0}


def quantised(plain: Path, out: Path, kind: str) -> Path:
    """The folder of FLUX.1 with its transformer and its T5 as torchao has them."""
    shutil.copytree(plain, out)
    for part, made, how in (
        ("transformer", diffusers.FluxTransformer2DModel, diffusers.TorchAoConfig),
        ("text_encoder_2", transformers.T5EncoderModel, transformers.TorchAoConfig),
    ):
        module = made.from_pretrained(plain / part, quantization_config=how(KINDS[kind]()), dtype=torch.float32)
        shutil.rmtree(out / part)
        module.save_pretrained(out / part)
    return out


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantised(folders["flux"], tmp_path_factory.mktemp("torchao") / request.param, request.param)


def own(folder: Path) -> np.ndarray:
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return np.asarray(pipe("a red boat", generator=torch.Generator().manual_seed(7), **FACTS).images[0])


async def painted(folder: Path, **settings: Any) -> tuple[Image.Image, Any]:
    async with Engine(str(folder), **settings) as engine:
        picture = (await engine.submit(Txt2Img(prompt="a red boat", seed=7, **FACTS)).result())[0]
        return picture, (await engine.inspect()).models[0]


async def test_it_paints_what_diffusers_does(folder: Path, folders: dict[str, Path]) -> None:
    picture, model = await painted(folder)
    assert np.array_equal(np.asarray(picture), own(folder))
    plain, whole = await painted(folders["flux"])
    assert plain.tobytes() != picture.tobytes()
    assert model.weights_bytes < whole.weights_bytes


@pytest.mark.parametrize("rung", ladder.RUNGS, ids=lambda rung: rung.name)
async def test_it_is_planned_as_large_as_it_is_and_kept_in_every_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rung: ladder.Rung
) -> None:
    """What is in fewer bits stays as it is; where it is changes nothing."""
    whole, _ = await painted(folder)
    install(SmallCard(1 << 30), monkeypatch)
    monkeypatch.setattr(ladder, "choose", lambda *_: rung)
    picture, model = await painted(folder)
    planned = ladder.need(sizes.of(folder), rung, 4).resident
    assert model.memory == rung.name
    assert rung.stream or planned * 0.9 < model.weights_bytes < planned * 1.15
    assert rung.bits or picture.tobytes() == whole.tobytes()
