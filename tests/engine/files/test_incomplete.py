"""A file that holds only some of the tensors that are needed is refused with their number: the rest would be chance."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import diffusers
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from engine import Control, Engine, ModelUnloadable, Reference, Txt2Img
from engine.vision.options import VisionOptions
from tests.engine import conftest, zoo
from tests.engine.adapters.test_adapters import lora
from tests.engine.adapters.test_controlnets import controlnet
from tests.engine.adapters.test_image_prompts import ip_adapter
from tests.engine.files.original_layout import save_original
from tests.engine.vision.test_sight import captioner  # noqa: F401  # a fixture

WEIGHTS = "diffusion_pytorch_model.safetensors"
SIZE = {"width": 64, "height": 64, "num_inference_steps": 2, "seed": 7}
TOLD = r"only \d+ of \d+ tensors are there"


def thin_out(file: Path, gone: str) -> None:
    """Take tensors out of a file whose names have that in them, and leave the file whole by its header."""
    tensors = load_file(file)
    kept = {name: tensor for name, tensor in tensors.items() if gone not in name}
    assert 0 < len(kept) < len(tensors)
    save_file(kept, file)


async def refused(told: str, request: Txt2Img, model: Path, **settings: Any) -> None:
    """The job that needs that file fails with the sentence; the next one, of another model, is painted."""
    async with Engine(str(model), models={"mini": "mini"}, **settings) as engine:
        with pytest.raises(ModelUnloadable, match=told):
            await engine.submit(request).result()
        other = Txt2Img(prompt="a cat", model="mini", seed=1, num_inference_steps=1)
        assert len(await engine.submit(other).result()) == 1


@pytest.mark.parametrize(
    ("file", "gone"),
    [(f"unet/{WEIGHTS}", "up_blocks"), (f"vae/{WEIGHTS}", "decoder."), ("text_encoder/model.safetensors", "layers.1.")],
)
async def test_a_folder(folders: dict[str, Path], tmp_path: Path, file: str, gone: str) -> None:
    shutil.copytree(folders["sd1"], tmp_path / "boats")
    thin_out(tmp_path / "boats" / file, gone)
    await refused(f"of {file.partition('/')[0]} {TOLD}", Txt2Img(prompt="a boat", **SIZE), tmp_path / "boats")


@pytest.mark.filterwarnings("ignore::FutureWarning")
async def test_a_modular_folder(tmp_path: Path) -> None:
    pipe = diffusers.ZImageAutoBlocks().init_pipeline()
    pipe.update_components(**zoo.z_image().components)
    pipe.save_pretrained(str(tmp_path / "boats"), overwrite_modular_index=True)
    thin_out(tmp_path / "boats" / "text_encoder" / "model.safetensors", "layers.1.")
    await refused(f"of text_encoder {TOLD}", Txt2Img(prompt="a boat", **SIZE), tmp_path / "boats")


@pytest.mark.parametrize("gone", ["output_blocks.1", "first_stage_model.decoder", "encoder.layers.1."])
async def test_one_file(folders: dict[str, Path], tmp_path: Path, gone: str) -> None:
    shutil.copytree(folders["sd1"], tmp_path / "boats", ignore=shutil.ignore_patterns("*.safetensors"))
    save_original(conftest.sd1(), tmp_path / "boats.safetensors")
    thin_out(tmp_path / "boats.safetensors", gone)
    await refused(TOLD, Txt2Img(prompt="a boat", **SIZE), tmp_path / "boats.safetensors")


@pytest.mark.parametrize("beside", [False, True], ids=["in the file", "beside it"])
async def test_a_transformer_alone(tmp_path: Path, beside: bool) -> None:
    folder = zoo.build(tmp_path, ["z-image"])["z-image"]
    shutil.copy(folder / "transformer" / WEIGHTS, tmp_path / "z-image.safetensors")
    thin_out(folder / "vae" / WEIGHTS if beside else tmp_path / "z-image.safetensors", "1.")
    await refused(TOLD, Txt2Img(prompt="a boat", **SIZE), tmp_path / "z-image.safetensors")


async def test_a_vae_beside_a_model(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["sd1"], tmp_path / "boats")
    shutil.copy(folders["sd1"] / "vae" / WEIGHTS, tmp_path / "boats.vae.safetensors")
    thin_out(tmp_path / "boats.vae.safetensors", "decoder.up")
    await refused(f"AutoencoderKL {TOLD}", Txt2Img(prompt="a boat", **SIZE), tmp_path / "boats")


@pytest.mark.parametrize("single", [False, True], ids=["a folder", "a file"])
async def test_a_controlnet(folders: dict[str, Path], tmp_path: Path, single: bool) -> None:
    file = controlnet(folders["sd1"], tmp_path / "net", 3) / WEIGHTS
    thin_out(file, "mid_block")
    request = Control(prompt="a boat", control_image=Image.new("RGB", (64, 64)), controlnet="net", **SIZE)
    await refused(TOLD, request, folders["sd1"], controlnets={"net": str(file if single else file.parent)})


async def test_the_clip_of_an_ip_adapter(folders: dict[str, Path], tmp_path: Path) -> None:
    root = ip_adapter(folders["sd1"], tmp_path / "eyes")
    thin_out(root / "image_encoder" / "model.safetensors", "layers.1.")
    request = Txt2Img(prompt="a boat", references=(Reference(image=Image.new("RGB", (64, 64))),), **SIZE)
    await refused(f"of image_encoder {TOLD}", request, folders["sd1"], ip_adapters={"sd1": str(root)})


@pytest.mark.parametrize("gone", ["1.to_v_ip", "adapter.3."])
def test_an_ip_adapter(folders: dict[str, Path], tmp_path: Path, gone: str) -> None:
    root = ip_adapter(folders["sd1"], tmp_path / "eyes")
    thin_out(root / "ip-adapter.safetensors", gone)
    (left_out,) = Engine(str(folders["sd1"]), ip_adapters={"sd1": str(root)}).left_out()
    assert re.search(r"only \d+ of \d+ tensors for the model's attention", left_out.reason)


@pytest.mark.parametrize("gone", [".lora.up.", ".lora.down.", "to_k.lora.up."])
def test_halves_of_a_lora(folders: dict[str, Path], tmp_path: Path, gone: str) -> None:
    """Which layers it should change nobody can tell; but each takes two tensors."""
    file = lora(folders["sd1"], "sd1", tmp_path / "waves", 1) / "pytorch_lora_weights.safetensors"
    thin_out(file, gone)
    (left_out,) = Engine(str(folders["sd1"]), loras={"waves": str(file)}).left_out()
    assert re.match(r"of \d+ of the \d+ tensors in \S+ the other half is missing", left_out.reason)


async def test_a_model_that_looks_at_pictures(folders: dict[str, Path], captioner: str) -> None:  # noqa: F811
    thin_out(Path(captioner) / "model.safetensors", "text_decoder.bert.encoder.layer.0")
    async with Engine(str(folders["sd1"]), sight=VisionOptions(captioner=captioner)) as engine:
        with pytest.raises(ModelUnloadable, match=TOLD):
            await engine.describe(Image.new("RGB", (64, 64)))
