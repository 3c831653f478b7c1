"""What neither a model's files nor its pipeline tell: names, and what model cards recommend. Knows no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown"
# Short names for what diffusers' Auto classes call by a long one; the others keep theirs.
NAMES = {"stable-diffusion": "sd1", "stable-diffusion-xl": "sdxl", "stable-diffusion-3": "sd3"}
# Whose denoisers work row by row, so that calls of different jobs can be joined.
JOINED = frozenset(
    {
        "sd1",
        "sdxl",
        "sd3",
        "flux",
        "flux2",
        "flux2-klein",
        "flux-kontext",
        "qwenimage",
        "qwenimage-edit",
        "qwenimage-edit-plus",
        "instruct-pix2pix",
        "instruct-pix2pix-xl",
        "z-image",
        "lumina2",
        "auraflow",
        "chroma",
        "pixart-alpha",
        "pixart-sigma",
        "sana",
    }
)
# What diffusers' Auto classes have no name for.
CLASSES = {
    "StableDiffusionInstructPix2PixPipeline": "instruct-pix2pix",
    "StableDiffusionXLInstructPix2PixPipeline": "instruct-pix2pix-xl",
    "Flux2KleinKVPipeline": "flux2-klein-kv",
    "LongCatImageEditPipeline": "longcat-edit",
    "JoyImageEditPipeline": "joyimage-edit",
    "JoyImageEditPlusPipeline": "joyimage-edit-plus",
    "DreamLitePipeline": "dreamlite",
    "DreamLiteMobilePipeline": "dreamlite-mobile",
    "BriaFiboEditPipeline": "bria-fibo-edit",
    "BriaFibo2Pipeline": "bria-fibo2",
}
# What diffusers imports for a pipeline though Easel is installed without it.
NEEDS = {"OmniGenPipeline": "torchvision"}
# Who change their denoiser while they paint, so that nobody else may use it before they are done: they run in one go.
UNSHARED = ("-pag",)
# Whose inpainting needs a UNet made for it, though diffusers' tables offer it for any.
INPAINT_APART = frozenset({"kandinsky", "kandinsky22"})
# What is said to a pipeline besides the request, so that it paints the size that was asked for.
EXACT_SIZE: Mapping[str, Mapping[str, bool]] = {
    "hunyuan": {"use_resolution_binning": False},
    "flux-kontext": {"_auto_resize": False},  # or the picture and the result lie on different grids
}
# What their calls name the pictures that an instruction is about; the others: `image`.
PICTURES = {"joyimage-edit-plus": "images"}
# Whose instructions are JSON with this key.
INSTRUCTIONS = {"bria-fibo-edit": "edit_instruction"}
# Whose sides are multiples of so many pixels, for their two stages to fit; no config says so.
MULTIPLES = {"wuerstchen": 128, "cascade": 128}
# Whose tokens hold a patch's pixels before its channels.
CHANNELS_LAST = frozenset({"ideogram4"})
# Whose model cards recommend fewer steps than their pipeline's default.
STEPS = {"sd1": 25, "sdxl": 30, "instruct-pix2pix": 25, "instruct-pix2pix-xl": 30}
# Pixels a side where no config is at hand, and the pipeline's code does not tell either.
SIDES = {"sd1": 512, "sdxl": 1024, "sd3": 1024}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A model on the hub, as its card has it: the pipeline's class, pixels a side; None = as its family's."""

    pipeline: str
    side: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """A pipeline that changes a picture as words say: no signature tells it from one that enlarges, say.

    Attributes:
        pictures: how many it looks at, as its card has it. paints: whether it also paints from words alone, where
            diffusers' Auto classes do not say.
    """

    pictures: int = 1
    paints: bool = False


EDITORS: Mapping[str, Editor] = {
    "StableDiffusionInstructPix2PixPipeline": Editor(),
    "StableDiffusionXLInstructPix2PixPipeline": Editor(),
    "FluxKontextPipeline": Editor(),
    "Flux2Pipeline": Editor(pictures=5),
    "Flux2KleinPipeline": Editor(pictures=4),
    "Flux2KleinKVPipeline": Editor(pictures=4, paints=True),
    "QwenImageEditPipeline": Editor(),
    "QwenImageEditPlusPipeline": Editor(pictures=3),
    "LongCatImageEditPipeline": Editor(),
    "BriaFiboEditPipeline": Editor(pictures=2),
    "BriaFibo2Pipeline": Editor(pictures=5, paints=True),
    "JoyImageEditPipeline": Editor(),
    "JoyImageEditPlusPipeline": Editor(pictures=5),
    "DreamLitePipeline": Editor(paints=True),
    "DreamLiteMobilePipeline": Editor(paints=True),
    "ZImageOmniPipeline": Editor(pictures=3),
    "QwenImage21Pipeline": Editor(pictures=5),
    "Flux3ModularPipeline": Editor(pictures=5),
    "Flux3DistilledModularPipeline": Editor(pictures=5),
}

_SD, _XL = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
# By hub id, or by a folder or file of just that name. Distilled models want few steps and no guidance, and no file of
# theirs says so.
PUBLISHED: Mapping[str, Published] = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": Published(pipeline=_SD),
    "stabilityai/stable-diffusion-2-1": Published(pipeline=_SD, side=768),
    "stabilityai/sd-turbo": Published(pipeline=_SD, num_inference_steps=1, guidance_scale=0.0),
    "stabilityai/stable-diffusion-xl-base-1.0": Published(pipeline=_XL),
    "stabilityai/sdxl-turbo": Published(pipeline=_XL, side=512, num_inference_steps=1, guidance_scale=0.0),
    "stabilityai/stable-diffusion-3-medium-diffusers": Published(pipeline="StableDiffusion3Pipeline"),
    "stabilityai/stable-diffusion-3.5-medium": Published(pipeline="StableDiffusion3Pipeline"),
    "stabilityai/stable-diffusion-3.5-large": Published(pipeline="StableDiffusion3Pipeline"),
    "stabilityai/stable-diffusion-3.5-large-turbo": Published(
        pipeline="StableDiffusion3Pipeline", num_inference_steps=4, guidance_scale=0.0
    ),
    "black-forest-labs/FLUX.1-dev": Published(pipeline="FluxPipeline"),
    "black-forest-labs/FLUX.1-schnell": Published(pipeline="FluxPipeline", num_inference_steps=4, guidance_scale=0.0),
    "black-forest-labs/FLUX.1-Kontext-dev": Published(pipeline="FluxKontextPipeline", guidance_scale=2.5),
    "black-forest-labs/FLUX.2-dev": Published(pipeline="Flux2Pipeline"),
    "black-forest-labs/FLUX.2-klein-4B": Published(
        pipeline="Flux2KleinPipeline", num_inference_steps=4, guidance_scale=1.0
    ),
    "black-forest-labs/FLUX.2-klein-9B": Published(
        pipeline="Flux2KleinPipeline", num_inference_steps=4, guidance_scale=1.0
    ),
    "Tongyi-MAI/Z-Image": Published(pipeline="ZImagePipeline"),
    "Tongyi-MAI/Z-Image-Turbo": Published(pipeline="ZImagePipeline", num_inference_steps=9, guidance_scale=0.0),
    "Qwen/Qwen-Image": Published(pipeline="QwenImagePipeline"),
    "Qwen/Qwen-Image-2512": Published(pipeline="QwenImagePipeline"),
    "Alpha-VLLM/Lumina-Image-2.0": Published(pipeline="Lumina2Pipeline", num_inference_steps=50),
    "fal/AuraFlow": Published(pipeline="AuraFlowPipeline"),
    "lodestones/Chroma1-HD": Published(pipeline="ChromaPipeline"),
    "PixArt-alpha/PixArt-XL-2-1024-MS": Published(pipeline="PixArtAlphaPipeline", side=1024),
    "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS": Published(pipeline="PixArtSigmaPipeline", side=1024),
    "Efficient-Large-Model/Sana_1600M_1024px_diffusers": Published(pipeline="SanaPipeline"),
}
# LoRAs that make a model faster, by the name of their file or folder, as their cards have it. DDIM without noise at
# trailing steps, which some cards name, is Euler's way there.
_LCM: Mapping[str, Any] = {"num_inference_steps": 4, "guidance_scale": 1.0, "scheduler": "lcm"}
_TRAILING: Mapping[str, Any] = {"guidance_scale": 0.0, "scheduler": "euler_trailing"}
_TCD: Mapping[str, Any] = {"guidance_scale": 0.0, "scheduler": "tcd"}
FAST_LORAS: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("lcm-lora-sdv1-5", "lcm-lora-sdxl", "lcm-lora-ssd-1b"), _LCM),
    **{f"sdxl_lightning_{steps}step_lora": {"num_inference_steps": steps, **_TRAILING} for steps in (2, 4, 8)},
    **{
        f"Hyper-{kind}-{steps}steps-lora": {"num_inference_steps": steps, **_TRAILING}
        for kind in ("SD15", "SDXL")
        for steps in (2, 4, 8)
    },
    **{f"Hyper-{kind}-1step-lora": {"num_inference_steps": 1, **_TCD} for kind in ("SD15", "SDXL")},
    **{
        f"Hyper-{kind}-{steps}steps-CFG-lora": {**_TRAILING, "num_inference_steps": steps, "guidance_scale": 5.0}
        for kind in ("SD15", "SDXL")
        for steps in (8, 12)
    },
    **{f"Hyper-SD3-{steps}steps-CFG-lora": {"num_inference_steps": steps} for steps in (4, 8, 16)},
    **{
        f"Hyper-FLUX.1-dev-{steps}steps-lora": {"num_inference_steps": steps, "guidance_scale": 3.5}
        for steps in (8, 16)
    },
    "FLUX.1-Turbo-Alpha": {"num_inference_steps": 8, "guidance_scale": 3.5},
    **{f"TCD-{kind}-LoRA": {"num_inference_steps": 4, **_TCD} for kind in ("SD15", "SDXL")},
    **{
        f"Qwen-Image-Lightning-{steps}steps-{version}": {"num_inference_steps": steps, "guidance_scale": 1.0}
        for steps in (4, 8)
        for version in ("V1.0", "V1.1", "V2.0")
    },
}
_BY_NAME = {hub_id.rpartition("/")[2].casefold(): found for hub_id, found in PUBLISHED.items()}


def named(name: str) -> str:
    """What we call a family of diffusers' Auto classes."""
    return NAMES.get(name, name) or UNKNOWN


def published(location: str) -> Published | None:
    """What is known of a model of just that hub id, or a folder or file of just its name."""
    name = location.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return PUBLISHED.get(location) or _BY_NAME.get(name.removesuffix(".safetensors").casefold())
