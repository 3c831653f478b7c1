"""SDXL as one file, as most people have it: both text encoders, its v-prediction, its inpainting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModelWithProjection

from engine import Engine, Inpaint, Txt2Img
from engine.api import clip_tokens
from engine.models import checkpoints, single_file
from tests.engine import conftest
from tests.engine.files.original_layout import save_original

FACTS: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 3, "seed": 7}


def sdxl(channels: int = 4) -> Any:
    """Its text encoders are of different widths, by which a file's are told apart."""
    pipe = conftest.sdxl()
    torch.manual_seed(4)
    encoder = CLIPTextModelWithProjection(conftest.clip_config(64)).eval()
    config = {name: value for name, value in pipe.unet.config.items() if not name.startswith("_")} | {
        "cross_attention_dim": 96,
        "in_channels": channels,
        "projection_class_embeddings_input_dim": 64 + 6 * pipe.unet.config.addition_time_embed_dim,
    }
    pipe.register_modules(text_encoder_2=encoder, unet=diffusers.UNet2DConditionModel.from_config(config).eval())
    return pipe


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if the small model's configs were those of every SDXL, its tokenizer CLIP's; and nothing to be fetched."""
    place = tmp_path / "folder"
    sdxl().save_pretrained(place)
    configs = {}
    for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
        configs[name] = json.loads((place / name / "config.json").read_text())
    configs["scheduler"] = json.loads((place / "scheduler" / "scheduler_config.json").read_text())
    index = json.loads((place / "model_index.json").read_text())
    monkeypatch.setattr(checkpoints, "_shipped", lambda: {"sdxl": {"index": index, "configs": configs}})
    monkeypatch.setattr(single_file, "clip_tokenizer", lambda pad=clip_tokens.END: conftest.clip_tokenizer())
    return place


async def painted(model: Path, request: Txt2Img) -> bytes:
    async with Engine(str(model)) as engine:
        return (await engine.submit(request).result())[0].tobytes()  # type: ignore[no-any-return]


async def test_it_paints_what_its_folder_paints(folder: Path, tmp_path: Path) -> None:
    file, request = tmp_path / "boats.safetensors", Txt2Img(prompt="a red boat", **FACTS)
    save_original(sdxl(), file)
    plain = await painted(folder, request)
    assert await painted(file, request) == plain
    save_file({**load_file(file), "v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}, file)
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **checkpoints.ZERO_SNR}))
    assert await painted(file, request) == await painted(folder, request) != plain


@pytest.mark.usefixtures("folder")
async def test_its_inpainting_too(tmp_path: Path) -> None:
    file, mask = tmp_path / "boats.safetensors", Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    whole = sdxl(channels=9)
    save_original(whole, file)
    request = Inpaint(prompt="a", init_image=Image.new("RGB", (64, 64), "red"), mask=mask, strength=1.0, **FACTS)
    diffusers.StableDiffusionXLInpaintPipeline(**whole.components).save_pretrained(tmp_path / "inpaint")
    assert await painted(file, request) == await painted(tmp_path / "inpaint", request)
