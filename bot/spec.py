"""A job's normal form: what options, flags, buttons and forms all end in, and what the database keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from engine.types import MAX_SEED

SPEC_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything a picture is made from; complete, so no default can change it later.

    Attributes:
        task: `txt2img` or `img2img`.
        width, height: pixels. num_images: pictures of the job (a grid is four).
        seed: of the first image; image i has `seed + i`, or the last variation's seed + i when there are variations.
        variations: chain of (seed, strength 0..1), see `engine.Variation`.
        init_image: sha256 of the stored input picture (img2img), else None. strength: of img2img.
    """

    task: Literal["txt2img", "img2img"] = "txt2img"
    prompt: str
    negative_prompt: str = ""
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    seed: int
    num_images: int = 4
    model: str
    tiling: bool = False
    strength: float | None = None
    init_image: str | None = None
    variations: tuple[tuple[int, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The spec that `to_json` wrote. Raises: TypeError when it is not one."""
        links = tuple((int(seed), float(strength)) for seed, strength in value.get("variations", ()))
        return cls(**{**value, "variations": links})

    def evolve(self, **changes: Any) -> Self:
        return replace(self, **changes)

    def of_image(self, ordinal: int) -> Self:
        """The spec that gives the image at `ordinal` alone: each image of a job has a seed of its own."""
        if not self.variations:
            return self.evolve(seed=(self.seed + ordinal) % (MAX_SEED + 1), num_images=1)
        *chain, (seed, strength) = self.variations
        link = ((seed + ordinal) % (MAX_SEED + 1), strength)
        return self.evolve(variations=(*chain, link), num_images=1)
