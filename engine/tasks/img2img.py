"""img2img: repaint a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from engine.api.model_info import ModelInfo
from engine.tasks.pictures import Picture, check_strength, fitted
from engine.tasks.txt2img import Txt2Img, check


@dataclass(frozen=True, slots=True, kw_only=True)
class Img2Img(Txt2Img):
    """Repaint a picture after a prompt.

    Attributes:
        init_image: RGB, any size; scaled to `width` x `height`, and cut where its proportions are others.
        strength: noise added, 0 < strength <= 1; `int(steps * strength)` steps are run, at least one.
    """

    init_image: Picture
    strength: float = 0.6

    task: ClassVar[str] = "img2img"
    label: ClassVar[str] = "repaint"
    does: ClassVar[str] = "start from a picture"
    default_strength: ClassVar[float | None] = 0.6
    picture_fields: ClassVar[tuple[str, ...]] = ("init_image",)

    def __post_init__(self) -> None:
        check(self)
        check_strength(self.strength)

    @property
    def noise_strength(self) -> float | None:
        return self.strength

    def pipeline(self, info: ModelInfo) -> str:
        return "AutoPipelineForImage2Image"

    def effort(self, info: ModelInfo) -> float:
        return 1.0 if info.references else Txt2Img.effort(self, info)

    def arguments(self, info: ModelInfo) -> dict[str, Any]:
        common = Txt2Img.arguments(self, info)
        return {**common, "image": fitted(self.init_image, self.size), "strength": self.strength_run(self.strength)}
