"""Models to begin with: what each is for, its licence, and how many numbers it has. Knows no torch.

The numbers are those of the published architectures, rounded; a test builds those. Licences, and the precision that the
files are in, are what the models' pages said when this list was made: pages change, and have the last word. Models that
may not serve others, such as the Turbos of Stable Diffusion ("your hosted service"), aren't listed: that is what a bot
does.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.models.memory.sizes import PartSize, Sizes

M = 1_000_000
CLIP_L, CLIP_G, T5_XXL, QWEN3_4B = 123 * M, 695 * M, 4762 * M, 4022 * M
FULL, HALF = 4, 2  # bytes of a number in float32, and in bfloat16 or float16
VAE, SMALL_SHARE = 84 * M, 0.95  # of a large part's numbers: matrices and convolutions


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """A model of the hub.

    Attributes:
        name: the one it gets. about: in a few words. download: bytes of what is fetched.
    """

    name: str
    repo: str
    about: str
    licence: str
    sizes: Sizes
    download: int


def _of(denoiser: int, *encoders: int) -> Sizes:
    return Sizes(denoiser=_part(denoiser), encoders=_part(sum(encoders)), rest=PartSize(numbers=VAE))


def _part(numbers: int) -> PartSize:
    return PartSize(numbers=numbers, small=int(numbers * SMALL_SHARE))


STARTERS = (
    Starter(
        name="sd15",
        repo="stable-diffusion-v1-5/stable-diffusion-v1-5",
        about="Stable Diffusion 1.5: small, with the most LoRAs and ControlNets",
        licence="CreativeML OpenRAIL-M",
        sizes=_of(860 * M, CLIP_L),
        download=FULL * (860 * M + CLIP_L + VAE),
    ),
    Starter(
        name="sdxl",
        repo="stabilityai/stable-diffusion-xl-base-1.0",
        about="Stable Diffusion XL: 1024 px, many LoRAs and ControlNets",
        licence="CreativeML Open RAIL++-M",
        sizes=_of(2567 * M, CLIP_L, CLIP_G),
        download=FULL * (2567 * M + CLIP_L + CLIP_G + 2 * VAE),  # there are two, of which one is used
    ),
    Starter(
        name="z-image-turbo",
        repo="Tongyi-MAI/Z-Image-Turbo",
        about="Z-Image Turbo: 1024 px in nine steps, reads long prompts",
        licence="Apache-2.0",
        sizes=_of(6155 * M, QWEN3_4B),
        download=FULL * 6155 * M + HALF * (QWEN3_4B + VAE),
    ),
    Starter(
        name="flux-schnell",
        repo="black-forest-labs/FLUX.1-schnell",
        about="FLUX.1 schnell: 1024 px in four steps; HF_TOKEN is needed",
        licence="Apache-2.0, to be accepted on the hub first",
        sizes=_of(11891 * M, CLIP_L, T5_XXL),
        download=HALF * (11891 * M + CLIP_L + T5_XXL + VAE),
    ),
)


def named(name: str) -> Starter | None:
    """The starter of that name or hub id."""
    return next((each for each in STARTERS if name in (each.name, each.repo)), None)
