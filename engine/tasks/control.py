"""control: a picture of words, along another one's lines, depths or poses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from PIL import Image

from engine.api.errors import InvalidRequest
from engine.api.model_info import ModelInfo
from engine.imaging import controlnet_preprocess
from engine.tasks.pictures import Picture, covering
from engine.tasks.txt2img import Txt2Img, check

MAX_CONTROL_SCALE = 2.0  # beyond it a ControlNet drowns the prompt, and soon the picture
FAMILIES = frozenset({"sd1", "sdxl"})  # whose ControlNets are diffusers' `ControlNetModel`


@dataclass(frozen=True, slots=True, kw_only=True)
class Control(Txt2Img):
    """Paint a prompt along a picture's lines, depths or poses: whatever a ControlNet was taught to follow.

    Attributes:
        control_image: any mode, any size; it covers `width` x `height`, what sticks out is cut off.
        controlnet: the name of one that fits the model, in capitals or not; "" = the first. Of `edges`, and names that
            begin with `edges-`, the engine draws the outlines itself.
        prepared: the picture is what the ControlNet reads already, so nothing is drawn.
        controlnet_conditioning_scale: how closely it is followed, 0..2; 0 = not at all.
        control_guidance_start, control_guidance_end: the part of the steps that follow it, 0 <= start < end <= 1.
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
        scale, start, end = self.controlnet_conditioning_scale, self.control_guidance_start, self.control_guidance_end
        if not 0 <= scale <= MAX_CONTROL_SCALE:
            raise InvalidRequest(f"The conditioning scale {scale} is out of range.", f"Use 0 to {MAX_CONTROL_SCALE:g}.")
        if not 0 <= start < end <= 1:
            raise InvalidRequest(
                f"The ControlNet can't be followed from {start} to {end} of the steps.",
                "The start is 0 or more, the end at most 1, and larger than the start.",
            )

    @property
    def controlnet_used(self) -> str | None:
        return self.controlnet

    @property
    def title(self) -> str:
        """ "Control (edges 0.8)"."""
        return f"Control {self.detail}"

    @property
    def detail(self) -> str:
        """What is followed, and how closely."""
        scale = self.controlnet_conditioning_scale
        closely = "" if scale == 1 else f" {round(scale, 2):g}"
        return f"({self.controlnet}{closely}{', as it is' if self.prepared else ''})"

    def with_strength(self, strength: float | None) -> Self:
        return self if strength is None else replace(self, controlnet_conditioning_scale=strength)

    def completed(self, info: ModelInfo) -> Self:
        """With the ControlNet's name as the model has it; the first where none is named."""
        own = named(self.controlnet, info.controlnets) if self.controlnet else info.controlnets[0]
        return replace(self, controlnet=own)

    def check_model(self, info: ModelInfo) -> None:
        if info.family not in FAMILIES:
            raise InvalidRequest(f"{info.key} can't follow a ControlNet.", "Use an SD 1.x, SD 2.x or SDXL model.")
        if not info.controlnets:
            raise InvalidRequest(f"There is no ControlNet for {info.key} here.", "Use a model that has one.")
        if self.controlnet and not named(self.controlnet, info.controlnets):
            raise InvalidRequest(
                f"{info.key} has no ControlNet '{self.controlnet}'.", f"It has: {', '.join(info.controlnets)}."
            )
        Txt2Img.check_model(self, info)

    def arguments(self, info: ModelInfo) -> dict[str, Any]:
        """For the pipeline that `engine.models.derived_models` has put the ControlNet into."""
        return {
            **Txt2Img.arguments(self, info),
            "image": self.guide(),
            "controlnet_conditioning_scale": float(self.controlnet_conditioning_scale),
            "control_guidance_start": self.control_guidance_start,
            "control_guidance_end": self.control_guidance_end,
        }

    def guide(self) -> Image.Image:
        picture = covering(self.control_image, self.size)
        return picture if self.prepared else controlnet_preprocess.made_ready(picture, self.controlnet)


def named(name: str, known: Iterable[str]) -> str:
    """A ControlNet's name as it is known, however it is written; "" when there is none such."""
    return next((each for each in known if each.casefold() == name.casefold()), "")
