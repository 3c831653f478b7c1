"""Files under another name: `.sft` is a safetensors file wherever one goes, other kinds are told as what they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from engine import Control, Engine, ModelUnloadable, Reference, Txt2Img
from engine.models import catalog, whole
from tests.engine.adapters import test_adapters
from tests.engine.adapters.test_controlnets import FACTS, controlnet, drawing
from tests.engine.adapters.test_image_prompts import ip_adapter

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.mark.filterwarnings("ignore")
async def test_adapters_and_vaes_may_be_called_sft(folders: dict[str, Path], tmp_path: Path) -> None:
    lora = test_adapters.lora(folders["sd1"], "sd1", tmp_path / "lora", 1) / "pytorch_lora_weights.safetensors"
    net = controlnet(folders["sd1"], tmp_path / "net", 1) / WEIGHTS
    word = test_adapters.inversion(tmp_path / "word.safetensors", 5)
    eyes = ip_adapter(folders["sd1"], tmp_path / "eyes")
    eyes = next(eyes.glob("*.safetensors")) if eyes.is_dir() else eyes
    pictures = []
    for end in (".safetensors", ".sft"):
        place = tmp_path / end
        shutil.copytree(folders["sd1"], place / "boats")
        vae = {name: 1.1 * each for name, each in load_file(folders["sd1"] / "vae" / WEIGHTS).items()}
        save_file(vae, place / f"boats.vae{end}")
        files = {each: shutil.copy(file, place / f"{each}{end}") for each, file in _named(lora, net, word, eyes)}
        shutil.copytree(eyes.parent / "image_encoder", place / "image_encoder")
        settings: dict[str, Any] = {
            "loras": {"waves": str(files["waves"])},
            "controlnets": {"lines": str(files["lines"])},
            "embeddings": {"dawn": str(files["dawn"])},
            "ip_adapters": {"boats": str(files["eyes"])},
        }
        async with Engine(str(place / "boats"), **settings) as engine:
            assert engine.left_out() == ()
            facts = {**FACTS, "prompt": "a dawn <lora:waves:1>"}
            asked = (
                Txt2Img(**facts),
                Control(**facts, control_image=drawing(), controlnet="lines", prepared=True),
                Txt2Img(**FACTS, references=(Reference(image=drawing()),)),
            )
            pictures.append([(await engine.submit(each).result())[0] for each in asked])
    async with Engine(str(folders["sd1"])) as engine:
        plain: Image.Image = (await engine.submit(Txt2Img(**FACTS)).result())[0]
    for one, other in zip(*pictures, strict=True):
        assert one.tobytes() == other.tobytes() != plain.tobytes()


def _named(lora: Path, net: Path, word: Path, eyes: Path) -> tuple[tuple[str, Path], ...]:
    return ("waves", lora), ("lines", net), ("dawn", word), ("eyes", eyes)


@pytest.mark.parametrize(
    ("begins", "says"),
    [
        (b"PK\x03\x04", "is a pickle, whatever it's called, which may run code"),
        (b"<!DOCTYPE html>", "is a web page, not a model; download it again"),
        (b"\n<html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "is a pointer of Git LFS, not the file itself"),
    ],
)
def test_other_kinds_are_told_as_such(tmp_path: Path, begins: bytes, says: str) -> None:
    file = tmp_path / "dreamer.safetensors"
    file.write_bytes(begins + bytes(100))
    with pytest.raises(ModelUnloadable, match=says):
        catalog.describe(catalog.source("dreamer", str(file)))
    assert says in whole.of_file(file)
