"""control: a picture of words, along another one's lines, depths or poses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from engine.api.model_info import ModelInfo
from engine.tasks.pictures import Guide, Picture
from engine.tasks.txt2img import Txt2Img, check


@dataclass(frozen=True, slots=True, kw_only=True)
class Control(Txt2Img):
    """Paint a prompt along a picture's lines, depths or poses: whatever a ControlNet was taught to follow.

    Attributes: those of its first `Guide`; further ones are its `controls`.
    """

    control_image: Picture
    controlnet: str
    prepared: bool = False
    controlnet_conditioning_scale: float = 1.0
    control_guidance_start: float = 0.0
    control_guidance_end: float = 1.0

    task: ClassVar[str] = "control"
    label: ClassVar[str] = "control"
    does: ClassVar[str] = "follow a picture with a ControlNet"
    is_edit: ClassVar[bool] = True
    picture_fields: ClassVar[tuple[str, ...]] = ("control_image",)

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def along(cls, first: Guide, *more: Guide) -> Control:
        """What follows these pictures, with the words still to be said."""
        return cls(
            prompt="",
            control_image=first.image,
            controlnet=first.controlnet,
            prepared=first.prepared,
            controlnet_conditioning_scale=first.conditioning_scale,
            control_guidance_start=first.guidance_start,
            control_guidance_end=first.guidance_end,
            controls=more,
        )

    @property
    def guides(self) -> tuple[Guide, ...]:
        own = Guide(
            image=self.control_image,
            controlnet=self.controlnet,
            prepared=self.prepared,
            conditioning_scale=self.controlnet_conditioning_scale,
            guidance_start=self.control_guidance_start,
            guidance_end=self.control_guidance_end,
        )
        return (own, *self.controls)

    def with_strength(self, strength: float | None) -> Self:
        return self if strength is None else replace(self, controlnet_conditioning_scale=strength)

    def completed(self, info: ModelInfo) -> Self:
        """With the ControlNet's name as the model has it; the first where none is named."""
        return replace(Txt2Img.completed(self, info), controlnet=info.controlnet_named(self.controlnet))

    def check_model(self, info: ModelInfo) -> None:
        self._check_guides(info)  # which says what is missing; that there is no such task does not
        Txt2Img.check_model(self, info)
