"""blend: one picture of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from engine.api.errors import InvalidRequest
from engine.api.model_info import ModelInfo
from engine.tasks.pictures import ImagePrompt, Picture, check_strength, covering
from engine.tasks.txt2img import Txt2Img, check

MAX_BLENDED = 5  # as Midjourney's /blend; more pictures than that only blur


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend(Txt2Img):
    """Mix 2 to 5 pictures into a new one.

    Attributes:
        images: any mode, any size; each covers `width` x `height`, what sticks out is cut off.
        weights: one a picture, 0 or more, only their proportions count; empty = all equal.
        strength: noise added to the mixture, 0 < strength <= 1: the larger, the freer.
    """

    prompt: str = ""
    images: Sequence[Picture]
    weights: Sequence[float] = ()
    strength: float = 0.6

    task: ClassVar[str] = "blend"
    label: ClassVar[str] = "blend"
    does: ClassVar[str] = "blend pictures"
    is_edit: ClassVar[bool] = True
    varies_by_noise: ClassVar[bool] = False
    default_strength: ClassVar[float | None] = 0.6
    can_follow: ClassVar[bool] = False
    picture_fields: ClassVar[tuple[str, ...]] = ("images",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "weights", tuple(self.weights))
        check(self)
        check_strength(self.strength)
        if not 2 <= len(self.images) <= MAX_BLENDED:
            raise InvalidRequest(f"{len(self.images)} pictures can't be blended.", f"Use 2 to {MAX_BLENDED}.")
        if len(self.weights) not in (0, len(self.images)):
            raise InvalidRequest(
                f"There are {len(self.weights)} weights for {len(self.images)} pictures.",
                "Give one for each picture, or none.",
            )
        if self.weights and not (all(0 <= w < math.inf for w in self.weights) and any(self.weights)):
            raise InvalidRequest("The weights can't be used.", "Each must be 0 or more, and at least one above 0.")

    @property
    def noise_strength(self) -> float | None:
        return self.strength

    @property
    def shares(self) -> tuple[tuple[Picture, float], ...]:
        """Each picture that counts, with its part of the whole."""
        weights = self.weights or [1.0] * len(self.images)
        total = sum(weights)
        return tuple((image, w / total) for image, w in zip(self.images, weights, strict=True) if w)

    @property
    def title(self) -> str:
        return f"Blend of {len(self.images)} pictures"

    def image_prompts(self, info: ModelInfo) -> tuple[ImagePrompt, ...]:
        """The larger the strength, the freer: the pictures speak at 0.5 to 1."""
        scale = 1 - self.strength / 2
        return (ImagePrompt(use="all", scale=scale, shares=self.shares),) if info.image_prompts else ()

    def pipeline(self, info: ModelInfo) -> str:
        return "" if info.image_prompts else "AutoPipelineForImage2Image"

    def arguments(self, info: ModelInfo) -> dict[str, Any]:
        common = Txt2Img.arguments(self, info)
        if info.image_prompts:  # it is painted from noise; the pictures are read as words are
            return common
        (first, _), *_ = self.shares
        return {**common, "image": covering(first, self.size), "strength": self.strength_run(self.strength)}

    def effort(self, info: ModelInfo) -> float:
        return 1.0 if info.image_prompts else self.strength_run(self.strength)
