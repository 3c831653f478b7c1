"""The pictures of a request: pixels, or the name of a stored file in their place. Pillow alone; knows no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from PIL import Image, ImageOps

from engine.api.errors import InvalidRequest
from engine.api.model_info import ModelInfo
from engine.imaging.masks import Box, Size

MAX_CONTROL_SCALE = 2.0  # beyond it a ControlNet drowns the prompt, and soon the picture
MAX_GUIDES = 4  # each costs its memory, and about half a step's time in every step
MAX_REFERENCES = 8
MAX_REFERENCE_WEIGHT = 2.0  # beyond it nothing of the words is left
Use = Literal["all", "style", "composition"]
USES: tuple[Use, ...] = get_args(Use)
Share = tuple[float, float, float, float]  # left, top, right, bottom of a part, 0..1 of the picture
MAX_PARTS = 4  # of a picture that references are for: each takes an adapter's memory again
SAME_RATIO = 0.08  # a small model's sides are rounded to its own multiple: nobody sees a picture stretched by so little
MAX_EDIT_SIDE_PX = 8192  # an edit's result is a picture someone has, and only parts of it are painted


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPicture:
    """A picture that is kept elsewhere: enough to check, price and store a request, but not to paint it.

    Attributes:
        sha256: of its file, in hex. size: width and height in pixels; (0, 0) = unknown.
        box: of a mask: left, top, right, bottom of its white part, in pixels.
    """

    sha256: str
    size: Size = (0, 0)
    box: Box | None = None


Picture = Image.Image | StoredPicture


def pixels(picture: Picture) -> Image.Image:
    """The picture itself; a request that is painted has loaded its pictures."""
    assert isinstance(picture, Image.Image), "this picture has not been loaded"
    return picture


def too_large(picture: Picture, result: Size) -> bool:
    """Whether an edit's result would be too large; one of a stored picture may still be made to fit."""
    return isinstance(picture, Image.Image) and max(result) > MAX_EDIT_SIDE_PX


def check_strength(strength: float) -> None:
    """Raises: InvalidRequest."""
    if not 0 < strength <= 1:
        raise InvalidRequest(f"The strength {strength} is out of range.", "Use more than 0, at most 1.")


def same_ratio(one: Size, other: Size) -> bool:
    """Whether two sizes have the same proportions, but for a model's rounding of its sides."""
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= SAME_RATIO


def fitted(image: Picture, size: Size) -> Image.Image:
    """The picture as RGB at `size`; of other proportions, its middle: a circle stays one."""
    rgb = pixels(image).convert("RGB")
    if not same_ratio(rgb.size, size):
        return covering(rgb, size)
    return rgb if rgb.size == size else rgb.resize(size, Image.Resampling.LANCZOS)


def covering(image: Picture, size: Size) -> Image.Image:
    """The picture as RGB at `size`, in its own proportions, its middle kept."""
    return ImageOps.fit(pixels(image).convert("RGB"), size, Image.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """A picture whose lines, depths or poses are followed by a ControlNet, whatever else a request asks for.

    Attributes:
        image: any mode, any size; it covers the result, what sticks out is cut off.
        controlnet: the name of one that fits the model, in capitals or not; "" = the first.
        prepared: the picture is what the ControlNet reads already, so nothing is drawn.
        conditioning_scale: how closely it is followed, 0..2; 0 = not at all.
        guidance_start, guidance_end: the part of the steps that follow it, 0 <= start < end <= 1.
    """

    image: Picture
    controlnet: str = ""
    prepared: bool = False
    conditioning_scale: float = 1.0
    guidance_start: float = 0.0
    guidance_end: float = 1.0

    def __post_init__(self) -> None:
        scale, start, end = self.conditioning_scale, self.guidance_start, self.guidance_end
        if not 0 <= scale <= MAX_CONTROL_SCALE:
            raise InvalidRequest(f"The conditioning scale {scale} is out of range.", f"Use 0 to {MAX_CONTROL_SCALE:g}.")
        if not 0 <= start < end <= 1:
            raise InvalidRequest(
                f"The ControlNet can't be followed from {start} to {end} of the steps.",
                "The start is 0 or more, the end at most 1, and larger than the start.",
            )

    @property
    def told(self) -> str:
        """Which ControlNet, and how closely: "edges 0.8"."""
        closely = "" if self.conditioning_scale == 1 else f" {round(self.conditioning_scale, 2):g}"
        return f"{self.controlnet}{closely}{', as it is' if self.prepared else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A picture that is read as words are, by an IP-Adapter: what it shows, or how, comes into the new one.

    Attributes:
        image: any mode, any size.
        weight: how loudly it speaks, 0..2; of several the loudest says how loudly they all do, and each has its share.
        use: all of it, its style or its composition alone (both of SDXL only).
        part: of the new picture where it counts; None = all of it (SD 1.x, 2.x and SDXL only).
    """

    image: Picture
    weight: float = 1.0
    use: Use = "all"
    part: Share | None = None

    def __post_init__(self) -> None:
        if not 0 < self.weight <= MAX_REFERENCE_WEIGHT:
            raise InvalidRequest(
                f"The reference's weight {self.weight} is out of range.",
                f"Use more than 0, at most {MAX_REFERENCE_WEIGHT:g}.",
            )
        if self.use not in USES:
            raise InvalidRequest(f"A reference can't be used as '{self.use}'.", f"Use {', '.join(USES)}.")
        if self.part is not None:
            object.__setattr__(self, "part", tuple(self.part))
            left, top, right, bottom = self.part
            if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
                raise InvalidRequest("That is no part of a picture.", "Give left, top, right and bottom, 0 to 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePrompt:
    """Pictures that an IP-Adapter reads as one: each with its part of the whole; `scale`: how loudly they speak.

    Attributes:
        part: of the new picture where they count; None = all of it.
    """

    use: Use
    scale: float
    shares: tuple[tuple[Picture, float], ...]
    part: Share | None = None


def image_prompts(references: Iterable[Reference]) -> tuple[ImagePrompt, ...]:
    """The references by what they're used for, and where."""
    asked = tuple(references)
    parts = dict.fromkeys(each.part for each in asked)
    groups = (
        (use, part, [each for each in asked if (each.use, each.part) == (use, part)]) for use in USES for part in parts
    )
    return tuple(
        ImagePrompt(
            use=use,
            scale=max(each.weight for each in group),
            shares=tuple((each.image, each.weight / sum(one.weight for one in group)) for each in group),
            part=part,
        )
        for use, part, group in groups
        if group
    )


def check_parts(references: Iterable[Reference], info: ModelInfo, *, whole: bool) -> None:
    """Whether references can be for parts of the picture; `whole`: all of it is painted. Raises: InvalidRequest."""
    parts = {each.part for each in references}
    if not any(parts):
        return
    if info.family == "flux":
        raise InvalidRequest(f"{info.key} reads references for the whole picture only.", "Leave out the parts.")
    if not whole:
        raise InvalidRequest("Where a part is painted, references are for all of it.", "Leave out the parts.")
    if len(parts) > MAX_PARTS:
        raise InvalidRequest(f"References for {len(parts)} parts are too many.", f"Use at most {MAX_PARTS}.")


Beside = Guide | Reference  # what brings a picture of its own along


def pictures_in(value: object) -> Iterator[Picture]:
    """The pictures in a field of a request, in order."""
    if isinstance(value, Image.Image | StoredPicture):
        yield value
    elif isinstance(value, Beside):
        yield value.image
    elif isinstance(value, tuple):
        for each in value:
            yield from pictures_in(each)


def with_pictures(value: object, become: Callable[[Picture], Picture]) -> object:
    """A field of a request with other pictures in the place of its own."""
    if isinstance(value, Image.Image | StoredPicture):
        return become(value)
    if isinstance(value, Beside):
        return replace(value, image=become(value.image))
    return tuple(with_pictures(each, become) for each in value) if isinstance(value, tuple) else value
