"""Tiny pipelines that change a picture as words say."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from engine import mini
from engine.mini.train.networks.editor import with_picture
from engine.mini.train.pack import pack_editor
from tests.engine import conftest as big
from tests.engine import zoo

PICTURE, VIDEO, START, END = TOKENS = "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"
SEEN = {"noise_channels": 4, "picture_channels": 4}  # what an InstructPix2Pix UNet reads side by side


class Qwen2VLProcessor(transformers.Qwen2VLProcessor):  # type: ignore[misc]
    """Transformers' own without its reader of videos, which wants torchvision and is never asked here."""

    __module__ = transformers.Qwen2VLProcessor.__module__  # diffusers notes where a part's class comes from

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
        self.image_token, self.video_token = PICTURE, VIDEO
        self.image_token_id, self.video_token_id = tokenizer.convert_tokens_to_ids([PICTURE, VIDEO])
        transformers.ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def instruct_pix2pix() -> Any:
    parts = big.sd1().components
    parts["unet"] = big.unet(in_channels=sum(SEEN.values()), out_channels=4)
    return diffusers.StableDiffusionInstructPix2PixPipeline(**parts, requires_safety_checker=False)


def instruct_pix2pix_xl() -> Any:
    names = ("vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "scheduler")
    parts = {name: part for name, part in big.sdxl().components.items() if name in names}
    config = parts["unet"].config
    extra = ("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim")
    parts["unet"] = big.unet(
        in_channels=sum(SEEN.values()),
        out_channels=4,
        cross_attention_dim=config["cross_attention_dim"],
        **{name: config[name] for name in extra},
    )
    return diffusers.StableDiffusionXLInstructPix2PixPipeline(**parts, add_watermarker=False)


def _seeing_qwen() -> dict[str, Any]:
    """Qwen-Image's parts, and a processor that puts as many tokens into the words as a picture has patches."""
    parts = zoo.qwen_image().components
    words = parts["tokenizer"]
    words.add_special_tokens({"additional_special_tokens": list(TOKENS)})
    encoder = parts["text_encoder"]
    encoder.resize_token_embeddings(len(words))
    picture, start, end = words.convert_tokens_to_ids([PICTURE, START, END])
    for config in (encoder.config, encoder.model.config):
        config.image_token_id, config.vision_start_token_id, config.vision_end_token_id = picture, start, end
    looks = transformers.Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=112 * 112)
    parts["processor"] = Qwen2VLProcessor(looks, words, chat_template=zoo.CHAT)
    return parts


def qwen_edit() -> Any:
    return diffusers.QwenImageEditPipeline(**_seeing_qwen())


def qwen_edit_plus() -> Any:
    return diffusers.QwenImageEditPlusPipeline(**_seeing_qwen())


BUILDERS: dict[str, Callable[[], Any]] = {
    "instruct-pix2pix": instruct_pix2pix,
    "instruct-pix2pix-xl": instruct_pix2pix_xl,
    "flux-kontext": zoo.flux_kontext,
    "flux2": zoo.flux2,
    "flux2-klein": zoo.flux2_klein,
    "qwen-edit": qwen_edit,
    "qwen-edit-plus": qwen_edit_plus,
}


def build(root: Path, names: Iterable[str] = ()) -> dict[str, Path]:
    """All of them, or those named, as folders below `root`."""
    chosen = tuple(names) or tuple(BUILDERS)
    for name in chosen:
        torch.manual_seed(0)
        BUILDERS[name]().save_pretrained(root / name)
    return {name: root / name for name in chosen}


def of_mini(root: Path) -> Path:
    """What the editor that comes along is before it has learned anything: Mini, with room for a picture."""
    unet = diffusers.UNet2DConditionModel.from_pretrained(mini.MODEL_DIR / "unet", dtype=torch.float32)
    with_picture(unet).save_pretrained(root / "trained" / "unet")
    shutil.copytree(mini.MODEL_DIR / "text_encoder", root / "trained" / "text_encoder")
    pack_editor(root / "trained", mini.MODEL_DIR, root / "editor")
    return root / "editor"
