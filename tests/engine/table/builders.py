"""A small random model for the entries of diffusers' text-to-image table, by their names there."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch

from tests.engine import conftest as big
from tests.engine import menagerie, zoo
from tests.engine.table import rarer


def _of(kind: str, pipe: Any, **parts: Any) -> Any:
    """The same parts in another pipeline."""
    made = getattr(diffusers, kind)
    takes, settings = made._get_signature_keys(made)
    known = {name: part for name, part in pipe.components.items() if name in takes}
    known |= {name: pipe.config[name] for name in settings if name in pipe.config}
    return made(**{**known, **parts})


def _pag(kind: str, build: Callable[[], Any], layer: str) -> Callable[[], Any]:
    return lambda: _of(kind, build(), pag_applied_layers=[layer])


def _led(kind: str, build: Callable[[], Any], net: str, part: str, **more: Any) -> Callable[[], Any]:
    def made() -> Any:
        pipe = build()
        denoiser = copy.deepcopy(getattr(pipe, part))  # whose config some of them change
        make = getattr(diffusers, net)
        from_it = make.from_unet if part == "unet" else make.from_transformer
        return _of(kind, pipe, controlnet=from_it(denoiser, **more))

    return made


def _led_pag(kind: str, base: str) -> Callable[[], Any]:
    return lambda: _of(kind, BUILDERS[base](), pag_applied_layers=["mid"])


HINT = {"conditioning_embedding_out_channels": (8, 16)}
BUILDERS: dict[str, Callable[[], Any]] = {
    "stable-diffusion": big.sd1,
    "stable-diffusion-xl": big.sdxl,
    "stable-diffusion-3": big.sd3,
    "flux": big.flux,
    "flux2": zoo.BUILDERS["flux2"],
    "flux2-klein": zoo.BUILDERS["flux2-klein"],
    "qwenimage": zoo.BUILDERS["qwen-image"],
    "z-image": zoo.BUILDERS["z-image"],
    "lumina2": zoo.BUILDERS["lumina2"],
    "auraflow": zoo.BUILDERS["auraflow"],
    "chroma": zoo.BUILDERS["chroma"],
    "pixart-sigma": zoo.BUILDERS["pixart"],
    "pixart-alpha": lambda: _of("PixArtAlphaPipeline", zoo.BUILDERS["pixart"]()),
    "sana": zoo.BUILDERS["sana"],
    "flux-kontext": zoo.BUILDERS["flux-kontext"],
    "lcm": menagerie.BUILDERS["lcm"],
    "hunyuan": menagerie.BUILDERS["hunyuan"],
    "cogview3": menagerie.BUILDERS["cogview3"],
    "cogview4": menagerie.BUILDERS["cogview4"],
    "kandinsky22": menagerie.BUILDERS["kandinsky22"],
    "kandinsky3": zoo.BUILDERS["kandinsky3"],
    "krea2": menagerie.BUILDERS["krea2"],
    "ovis": menagerie.BUILDERS["ovis"],
    "if": menagerie.BUILDERS["deepfloyd"],
    "stable-diffusion-pag": menagerie.BUILDERS["sd-pag"],
    "stable-diffusion-xl-pag": _pag("StableDiffusionXLPAGPipeline", big.sdxl, "mid"),
    "stable-diffusion-3-pag": _pag("StableDiffusion3PAGPipeline", big.sd3, "blocks.0"),
    "hunyuan-pag": _pag("HunyuanDiTPAGPipeline", menagerie.BUILDERS["hunyuan"], "blocks.0"),
    "pixart-sigma-pag": _pag("PixArtSigmaPAGPipeline", zoo.BUILDERS["pixart"], "blocks.0"),
    "sana-pag": _pag("SanaPAGPipeline", zoo.BUILDERS["sana"], "transformer_blocks.0"),
    "stable-diffusion-controlnet": menagerie.BUILDERS["sd-controlnet"],
    "stable-diffusion-xl-controlnet": _led(
        "StableDiffusionXLControlNetPipeline", big.sdxl, "ControlNetModel", "unet", **HINT
    ),
    "stable-diffusion-controlnet-pag": _led_pag("StableDiffusionControlNetPAGPipeline", "stable-diffusion-controlnet"),
    "stable-diffusion-xl-controlnet-pag": _led_pag(
        "StableDiffusionXLControlNetPAGPipeline", "stable-diffusion-xl-controlnet"
    ),
    "stable-diffusion-xl-controlnet-union": _led(
        "StableDiffusionXLControlNetUnionPipeline", big.sdxl, "ControlNetUnionModel", "unet", **HINT
    ),
    "stable-diffusion-3-controlnet": _led(
        "StableDiffusion3ControlNetPipeline", big.sd3, "SD3ControlNetModel", "transformer", num_layers=1
    ),
    "flux-controlnet": _led(
        "FluxControlNetPipeline",
        big.flux,
        "FluxControlNetModel",
        "transformer",
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
    ),
    "flux-control": lambda: _of("FluxControlPipeline", big.flux()),
    "cogview4-control": lambda: _of("CogView4ControlPipeline", menagerie.BUILDERS["cogview4"]()),
    **rarer.BUILDERS,
}  # fmt: skip


def build(root: Path, name: str) -> Path:
    torch.manual_seed(0)
    BUILDERS[name]().save_pretrained(root / name)
    return root / name
