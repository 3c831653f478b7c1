"""edit: change a picture as an instruction says, with other pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, ClassVar, Self

from PIL import Image

from engine.api.errors import InvalidRequest
from engine.api.model_info import ModelInfo
from engine.tasks.pictures import Picture, check_strength, covering, fitted, pixels
from engine.tasks.txt2img import Txt2Img, check

MAX_EDITED = 5  # the picture and four references
# What InstructPix2Pix calls image guidance: at 1 it forgets the picture, at 2.5 it hardly changes it. Its card's 1.5 is
# a strength of two thirds.
KEEPS_MOST, KEEPS_LEAST = 2.5, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(Txt2Img):
    """Change `images[0]` as the prompt says; the other pictures are what the prompt may refer to.

    Attributes:
        images: 1 to 5, any mode and size. The first is scaled to `width` x `height`, the others keep their proportions.
        strength: of the change, 0 < strength <= 1, where the model can be told one; None = as its card recommends.
    """

    images: Sequence[Picture]
    strength: float | None = None

    task: ClassVar[str] = "edit"
    label: ClassVar[str] = "change by words"
    does: ClassVar[str] = "change a picture as words say"
    advice: ClassVar[str] = (
        "The person who runs Easel can add one, such as FLUX.2 klein, FLUX.1 Kontext or InstructPix2Pix. Until then, "
        "**Vary (Region)** repaints a part by words."
    )
    picture_fields: ClassVar[tuple[str, ...]] = ("images",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        check(self)
        if self.strength is not None:
            check_strength(self.strength)
        if not 1 <= len(self.images) <= MAX_EDITED:
            raise InvalidRequest(f"{len(self.images)} pictures can't be edited together.", f"Use 1 to {MAX_EDITED}.")

    @property
    def title(self) -> str:
        return "Edit"

    def fits(self, info: ModelInfo) -> bool:
        return self.suits(info) and len(self.images) <= info.edited_pictures

    def completed(self, info: ModelInfo) -> Self:
        most = info.edited_pictures
        if len(self.images) > most:
            advice = f"Give at most {most - 1} to look at." if most > 1 else "Give the one alone."
            raise InvalidRequest(f"{info.key} can't look at {len(self.images)} pictures.", advice)
        return self

    def with_strength(self, strength: float | None) -> Self:
        return replace(self, strength=strength)

    def arguments(self, info: ModelInfo) -> dict[str, Any]:
        first, *others = self.images
        pictures = [fitted(first, self.size), *(_reference(each, info) for each in others)]
        named: dict[str, Any] = {"image": pictures if info.edited_pictures > 1 else pictures[0]}
        if info.kept_by and self.strength is not None:
            named[info.kept_by] = KEEPS_MOST + (KEEPS_LEAST - KEEPS_MOST) * self.strength
        return {**Txt2Img.arguments(self, info), **named}

    def as_asked(self, painted: Image.Image) -> Image.Image:
        """Of pipelines that choose among sizes of their own, the middle at the size that was asked for."""
        return painted if painted.size == self.size else covering(painted, self.size)


def _reference(picture: Picture, info: ModelInfo) -> Image.Image:
    """A picture to look at, in its own proportions, on no more pixels than the model's own size has."""
    image = pixels(picture)
    scale = min(1.0, sqrt(info.width * info.height / (image.width * image.height)))
    unit = info.multiple_px
    width, height = (max(unit, round(side * scale / unit) * unit) for side in image.size)
    return fitted(image, (width, height))
