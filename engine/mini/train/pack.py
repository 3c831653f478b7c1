"""Put trained parts into the folder that ships: fp16 safetensors in the layout of `StableDiffusionPipeline`."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

from engine.mini.train.config import FINE_PX, PICTURE_PX
from engine.mini.train.diffusion import sampler

LIMIT_MIB = 25.0
PREPROCESSING = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": PICTURE_PX},
    "do_center_crop": True,
    "crop_size": {"height": PICTURE_PX, "width": PICTURE_PX},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
    "resample": 3,
    "do_convert_rgb": True,
}

DEFAULTS: dict[
    str, Any
] = {  # what the engine fills in; steps and guidance are those that the evaluation found good enough
    "width": FINE_PX,
    "height": FINE_PX,
    "num_inference_steps": 12,
    "guidance_scale": 3.0,
    "scheduler": "dpmpp_2m",
    "margins": True,
}
EDITOR_LIMIT_MIB = 15.0
EDITOR_DEFAULTS: dict[str, Any] = {**DEFAULTS, "guidance_scale": 2.0, "margins": False}


def assemble(unet: Path, text_encoder: Path, vae: Path, tokenizer: Path) -> StableDiffusionPipeline:
    """Build the pipeline from its parts' folders, in float32."""
    pipeline = StableDiffusionPipeline(
        unet=UNet2DConditionModel.from_pretrained(unet, dtype=torch.float32),
        text_encoder=CLIPTextModel.from_pretrained(text_encoder, dtype=torch.float32),
        vae=AutoencoderKL.from_pretrained(vae, dtype=torch.float32),
        tokenizer=CLIPTokenizer.from_pretrained(tokenizer),
        scheduler=sampler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return pipeline


def pack(pipeline: StableDiffusionPipeline, ranker: Path, checker: Path | None, folder: Path) -> None:
    """Write the whole model folder; raise ValueError if it outgrew its limit."""
    fresh = folder.with_name(folder.name + ".part")
    pipeline.to(torch.float16).save_pretrained(fresh)
    CLIPModel.from_pretrained(ranker, dtype=torch.float16).save_pretrained(fresh / "ranker")
    (fresh / "ranker" / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING, indent=2))
    (fresh / "easel.json").write_text(json.dumps(DEFAULTS, indent=2) + "\n")
    for tokenizer in (fresh / "tokenizer", fresh / "ranker"):
        _copy_tokenizer(Path(pipeline.tokenizer.name_or_path), tokenizer)
    if checker is not None:
        (fresh / "checker").mkdir()
        shutil.copy(checker / "model.safetensors", fresh / "checker")
    _forget_paths(fresh)
    _unpack_in_single(fresh / "text_encoder" / "config.json")
    if size_mib(fresh) > LIMIT_MIB:
        raise ValueError(f"the model folder has {size_mib(fresh):.1f} MiB, the limit is {LIMIT_MIB}")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def pack_editor(trained: Path, base: Path, folder: Path) -> None:
    """Write the editor's folder from its UNet and text encoder and the autoencoder of the model it was made from."""
    parts = assemble(trained / "unet", trained / "text_encoder", base / "vae", base / "tokenizer").components
    pipeline = StableDiffusionInstructPix2PixPipeline(**{**parts, "requires_safety_checker": False})
    fresh = folder.with_name(folder.name + ".part")
    pipeline.to(torch.float16).save_pretrained(fresh)
    (fresh / "easel.json").write_text(json.dumps(EDITOR_DEFAULTS, indent=2) + "\n")
    _copy_tokenizer(base / "tokenizer", fresh / "tokenizer")
    _forget_paths(fresh)
    _unpack_in_single(fresh / "text_encoder" / "config.json")
    if size_mib(fresh) > EDITOR_LIMIT_MIB:
        raise ValueError(f"the editor's folder has {size_mib(fresh):.1f} MiB, the limit is {EDITOR_LIMIT_MIB}")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def size_mib(folder: Path) -> float:
    """Return the size of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


def _copy_tokenizer(source: Path, folder: Path) -> None:
    for name in ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"):
        if (source / name).exists():
            shutil.copy(source / name, folder)


def _forget_paths(folder: Path) -> None:
    """Remove the training machine's paths from the configs."""
    for path in folder.rglob("*.json"):
        config = json.loads(path.read_text())
        if isinstance(config, dict) and config.pop("_name_or_path", None):
            path.write_text(json.dumps(config, indent=2) + "\n")


def _unpack_in_single(path: Path) -> None:
    """Have transformers read the text encoder in float32, as diffusers reads the rest, so that they fit each other."""
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dtype": "float32"}, indent=2) + "\n")
