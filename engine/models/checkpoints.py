"""Single files: what a header says they are, and the configs that the common kinds need. Knows no torch.

A file is recognised by the names and shapes of its tensors. What it is called says nothing.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.models.facts import INPAINT_CHANNELS, Parts
from engine.models.files import quantised
from engine.models.whole import Header

SHIPPED = Path(__file__).parent / "shipped"
UNET = "model.diffusion_model."
FIRST_CONVOLUTION = f"{UNET}input_blocks.0.0.weight"
PIX2PIX_CHANNELS = 8
ZERO_SNR = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
COSXL = {"_class_name": "EDMEulerScheduler", "prediction_type": "v_prediction", "sigma_max": 120.0, "sigma_data": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A kind of single file that can be painted with.

    Attributes:
        what: it is called, in sentences. pipeline: the diffusers class that it is loaded as.
        shipped: the entry of `shipped/configs.json` that it needs; "" = its configs are not here.
        transformer: of a file that holds a transformer alone: the class to read it with.
        scheduler: what its tensors say of the noise it was trained on, over what its configs say.
        unet: likewise of its UNet. scaled: its weights are to be multiplied by scales beside them.
    """

    what: str
    pipeline: str
    shipped: str = ""
    transformer: str = ""
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    unet: Mapping[str, Any] = field(default_factory=dict)
    scaled: bool = False


# ---------------------------------------------------------------- what it is
# Tensor names that only one family's transformer has: what it is called, its pipeline, its class.
_LONE: tuple[tuple[tuple[str, ...], str, str, str], ...] = (
    (("distilled_guidance_layer.",), "Chroma", "ChromaPipeline", "ChromaTransformer2DModel"),
    (("double_stream_modulation_img.",), "FLUX.2", "Flux2Pipeline", "Flux2Transformer2DModel"),
    (("double_blocks.0.img_attn.",), "FLUX.1", "FluxPipeline", "FluxTransformer2DModel"),
    (("joint_blocks.0.",), "Stable Diffusion 3", "StableDiffusion3Pipeline", "SD3Transformer2DModel"),
    (("txt_in.text_norm.",), "Qwen-Image 2.1", "QwenImage21Pipeline", "QwenImage21Transformer2DModel"),
    (("txtfusion.projector.",), "Krea 2", "Krea2Pipeline", "Krea2Transformer2DModel"),
    (("blocks.0.cross_attn.q_linear.",), "Sana", "SanaPipeline", "SanaTransformer2DModel"),
    (("transformer_blocks.0.img_mod.1.",), "Qwen-Image", "QwenImagePipeline", "QwenImageTransformer2DModel"),
    (("noise_refiner.0.", "x_pad_token"), "Z-Image", "ZImagePipeline", "ZImageTransformer2DModel"),
    (("noise_refiner.0.", "norm_final."), "Lumina 2", "Lumina2Pipeline", "Lumina2Transformer2DModel"),
    (("double_layers.0.", "register_tokens"), "AuraFlow", "AuraFlowPipeline", "AuraFlowTransformer2DModel"),
)
# What people put there by mistake -> what to do with it. Of these the layers may be called as a whole model's are.
_BESIDE = (
    (
        (".lora_down.", ".lora_A.", ".lora.down.", ".hada_w1_a", ".lokr_w1", ".lokr_w2"),
        "a LoRA; name it in EASEL_LORAS",
    ),
    (("controlnet_blocks.",), "a ControlNet; name it in EASEL_CONTROLNETS"),
)
_OTHERS = (
    (
        ("control_model.", "input_hint_block.", "controlnet_cond_embedding."),
        "a ControlNet; name it in EASEL_CONTROLNETS",
    ),
    (("image_proj.", "ip_adapter."), "an IP-Adapter; name it in EASEL_IP_ADAPTERS"),
    (("emb_params", "clip_l", "clip_g"), "a textual inversion; name it in EASEL_EMBEDDINGS"),
    (("motion_modules.", "temporal_transformer."), "a model of motion, for videos"),
)
_MORE_OTHERS = (  # told by what a file has no more than
    (("first_stage_model.", "decoder.", "encoder."), "a VAE; put it beside a model's file as NAME.vae.safetensors"),
    (("text_model.", "shared.", "encoder.block."), "a text encoder, which paints nothing by itself"),
    (("down_blocks.", "up_blocks.", "mid_block.", "conv_in."), "one part of a diffusers model; give the whole folder"),
)


def recognise(header: Header) -> Checkpoint | str:
    """The kind of a file by its tensors, or what else it is, as the end of a sentence that begins with "it is"."""
    names = header.shapes.keys()
    if header.gguf and (problem := _unreadable(header)):
        return problem
    if not names:
        return "not a safetensors file"
    if how := quantised.packed(names):
        return f"{how}, which can't be read from one file; take its fp8, GGUF or bf16 file, or its diffusers folder"
    found = _kind(header)
    return replace(found, scaled=quantised.is_scaled(names)) if isinstance(found, Checkpoint) else found


def _unreadable(header: Header) -> str:
    """What is wrong with a GGUF; "" when it can be painted with."""
    if not header.file_bytes:
        return "a GGUF file that is cut off, or of a version that isn't known"
    if header.strange:
        return "a GGUF file of a type that diffusers can't read; take one of Q4_0 to Q8_0, or Q2_K to Q6_K"
    found = _kind(header)
    if not isinstance(found, Checkpoint) or not found.transformer:
        return (
            "a GGUF file of something else than a transformer that diffusers reads from one; take its safetensors file"
        )
    if not quantised.has("gguf"):
        return "a GGUF file, which needs one more package: pip install gguf"
    return ""


def _kind(header: Header) -> Checkpoint | str:
    names = header.shapes.keys()
    if beside := _marked(names, _BESIDE):
        return beside
    lone = next((each for each in _LONE if all(_any(names, mark) for mark in each[0])), None)
    if lone is not None:
        _, what, pipeline, transformer = lone
        whole = _any(names, "text_encoders.") or _any(names, "first_stage_model.")
        return Checkpoint(what=what, pipeline=pipeline, transformer="" if whole else transformer)
    if FIRST_CONVOLUTION in names and not _any(names, "control_model."):
        return _stable_diffusion(header)
    unknown = "none of the kinds of models that Easel knows by their tensors; a diffusers folder of it may work"
    return _something_else(names) or unknown


def _something_else(names: Iterable[str]) -> str:
    wholes = (what for marks, what in _MORE_OTHERS if all(name.startswith(marks) for name in names))
    return _marked(names, _OTHERS) or next(wholes, "")


def _marked(names: Iterable[str], known: Iterable[tuple[tuple[str, ...], str]]) -> str:
    return next((what for marks, what in known if any(mark in name for mark in marks for name in names)), "")


def _any(names: Iterable[str], mark: str) -> bool:
    """Whether a tensor of that name's beginning is there, below the original's prefix or not."""
    return any(name.startswith((mark, UNET + mark)) for name in names)


def _stable_diffusion(header: Header) -> Checkpoint | str:
    names = header.shapes.keys()
    channels = header.shapes[FIRST_CONVOLUTION][1]
    if channels == PIX2PIX_CHANNELS:
        return "an InstructPix2Pix model, which can't be read from one file; take its diffusers folder"
    if _any(names, "conditioner.embedders.1."):
        found = Checkpoint(what="SDXL", pipeline="StableDiffusionXLPipeline", shipped="sdxl")
    elif _any(names, "conditioner.embedders.0."):
        found = Checkpoint(what="SDXL's refiner", pipeline="StableDiffusionXLImg2ImgPipeline", shipped="sdxl-refiner")
    elif _any(names, "cond_stage_model.model."):
        found = Checkpoint(what="Stable Diffusion 2", pipeline="StableDiffusionPipeline", shipped="sd2")
    elif _any(names, "cond_stage_model."):
        found = Checkpoint(what="Stable Diffusion 1", pipeline="StableDiffusionPipeline", shipped="sd1")
    else:
        return "a UNet without its text encoder; take the whole checkpoint"
    if channels == INPAINT_CHANNELS:
        pipeline = found.pipeline.replace("Pipeline", "InpaintPipeline")
        found = replace(found, pipeline=pipeline, unet={"in_channels": channels})
    return replace(found, scheduler=_noise(header))


def _noise(header: Header) -> Mapping[str, Any]:
    """What marker tensors and ModelSpec's metadata say of the noise that a model was trained on."""
    if "edm_vpred.sigma_max" in header.shapes:
        return COSXL
    if "v_pred" in header.shapes:
        return ZERO_SNR if "ztsnr" in header.shapes else {"prediction_type": "v_prediction"}
    if header.metadata.get("modelspec.prediction_type", "").casefold() in ("v", "v_prediction"):
        return {"prediction_type": "v_prediction"}
    return {}


# ---------------------------------------------------------------- its configs
@functools.cache
def _shipped() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((SHIPPED / "configs.json").read_text(encoding="utf-8"))
    return found


def parts_of(found: Checkpoint, beside: Parts) -> Parts:
    """A file's configs: those beside it, else those that come with Easel; with what its tensors say themselves."""
    parts = beside
    if not parts.index and found.shipped:
        known = _shipped()[found.shipped]
        parts = Parts(index={**known["index"], "_class_name": found.pipeline}, configs=known["configs"])
    configs = dict(parts.configs)
    for name, changes in (("scheduler", found.scheduler), ("unet", found.unet)):
        if changes:
            configs[name] = {**configs.get(name, {}), **changes}
    return replace(parts, configs=configs)
