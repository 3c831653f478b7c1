"""The only facts that differ by model family. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What a family's model card recommends, and how its prompts work.

    Attributes:
        prefix: of the diffusers pipeline classes.
        side: native width and height in pixels, where the config does not tell.
        multiple_px: sides must be multiples of this (latent grid x patch).
        clip_prompts: prompts go through CLIP alone, so weights and long prompts can be done on its embeddings.
        flow: flow matching; keeps its own scheduler. packed: latents are (B, tokens, 4 x channels), 2x2 patches.
        tileable: made of convolutions, so circular padding closes the edges.
    """

    name: str
    prefix: str
    num_inference_steps: int
    guidance_scale: float
    side: int
    multiple_px: int = 8
    clip_prompts: bool = False
    flow: bool = False
    packed: bool = False
    tileable: bool = True


SD1 = Family(
    name="sd1",
    prefix="StableDiffusionPipeline",
    num_inference_steps=25,
    guidance_scale=7.5,
    side=512,
    clip_prompts=True,
)
SDXL = Family(
    name="sdxl",
    prefix="StableDiffusionXL",
    num_inference_steps=30,
    guidance_scale=5.0,
    side=1024,
    clip_prompts=True,
)
SD3 = Family(
    name="sd3",
    prefix="StableDiffusion3",
    num_inference_steps=28,
    guidance_scale=7.0,
    side=1024,
    multiple_px=16,
    flow=True,
    tileable=False,
)
FLUX = Family(
    name="flux",
    prefix="FluxPipeline",
    num_inference_steps=28,
    guidance_scale=3.5,
    side=1024,
    multiple_px=16,
    flow=True,
    packed=True,
    tileable=False,
)
UNKNOWN = Family(
    name="unknown", prefix="", num_inference_steps=30, guidance_scale=5.0, side=1024, multiple_px=16, tileable=False
)
FAMILIES = (SD1, SDXL, SD3, FLUX, UNKNOWN)

# Distilled models want few steps and no guidance; their names say so. (steps, guidance_scale) from their model cards.
DISTILLED: dict[str, tuple[int, float]] = {
    "turbo": (4, 1.0),
    "lightning": (4, 1.0),
    "hyper": (8, 1.0),
    "lcm": (6, 1.5),
    "schnell": (4, 0.0),
}


def by_name(name: str) -> Family:
    return next((f for f in FAMILIES if f.name == name), UNKNOWN)


def by_pipeline(class_name: str) -> Family:
    """The family of a diffusers pipeline class."""
    return next(f for f in FAMILIES if class_name.replace("Inpaint", "").startswith(f.prefix))


def distilled(source: str) -> tuple[int, float] | None:
    """Steps and guidance of a distilled model, told by its file's name."""
    name = source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].lower()
    return next((facts for word, facts in DISTILLED.items() if word in name), None)
