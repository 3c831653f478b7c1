"""What one may ask of the engine: one frozen record a task, right from birth. Knows no torch, no Discord, no SQL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from PIL import Image

from engine.api.errors import InvalidRequest
from engine.diffusion import masks

MAX_SEED = 2**32 - 1  # Midjourney's and A1111's range, so seeds travel between tools
MAX_IMAGES = 16
MAX_STEPS = 150
MAX_SIDE_PX = 4096
MAX_BLENDED = 5  # as Midjourney's /blend; more pictures than that only blur
MAX_CONTROL_SCALE = 2.0  # beyond it a ControlNet drowns the prompt, and soon the picture
MAX_EDIT_SIDE_PX = 8192  # an edit's result is a picture someone has, and only parts of it are painted


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """One step away from a noise: slerp towards the noise of `seed` by `strength` (0..1)."""

    seed: int
    strength: float

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise InvalidRequest(f"The variation seed {self.seed} is out of range.", f"Use 0 to {MAX_SEED}.")
        if not 0 <= self.strength <= 1:
            raise InvalidRequest(f"The variation strength {self.strength} is out of range.", "Use 0 to 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Txt2Img:
    """Paint `num_images` pictures of a prompt. None means: the model's own default.

    Image i has seed `seed + i` (mod 2^32). With `variations`, every image starts from the noise of `seed`, is slerped
    through the chain in order, and image i adds i to the seed of the last link.

    Attributes:
        best_of: paint so many, then keep the `num_images` that match the prompt best, the best first; None = keep all.
        width, height: pixels, multiples of 8 (the model's latent grid); None = the model's native size.
        num_inference_steps: 1..150.
        guidance_scale: classifier-free guidance, 0..30; 1 switches it off.
        scheduler: a name or alias of `engine.diffusion.schedulers`.
        seed: 0..2^32-1; None = drawn once at submit and told in the recipe.
        model: a key of the engine's model table; None = the first.
        tiling: the picture's edges fit each other (circular convolutions).
    """

    prompt: str
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    seed: int | None = None
    num_images: int = 1
    best_of: int | None = None
    model: str | None = None
    clip_skip: int | None = None
    tiling: bool = False
    variations: tuple[Variation, ...] = ()

    any_size: ClassVar[bool] = False  # an edit: width and height are the result's, and the model's grid is our business

    @property
    def draws(self) -> int:
        """How many pictures are painted for it, kept or not."""
        return self.best_of or self.num_images

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Img2Img(Txt2Img):
    """Repaint a picture after a prompt.

    Attributes:
        init_image: RGB, any size; scaled to `width` x `height`.
        strength: noise added, 0 < strength <= 1; `int(steps * strength)` steps are run, at least one.
    """

    init_image: Image.Image
    strength: float = 0.6

    def __post_init__(self) -> None:
        _check(self)
        _check_strength(self.strength)


Fill = Literal["original", "noise", "blur"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inpaint(Txt2Img):
    """Redraw the white part of a mask; beyond its feather every byte of the picture stays.

    Attributes:
        width, height: of the result, any number of pixels; None = the picture's own.
        init_image: any mode, any size. mask: L, same size as `init_image`; 128 and above = redraw.
        strength: noise added under the mask, 0 < strength <= 1.
        fill: what the model finds under the mask: the picture, noise, or its surroundings flowing in.
        feather_px: outside the mask, over which the new picture fades into the old; 0 = a hard edge.
        only_masked: crop to the mask and `padding_px` around it, and paint that at the model's native size.
    """

    init_image: Image.Image
    mask: Image.Image
    strength: float = 1.0
    fill: Fill = "original"
    feather_px: int = 8
    only_masked: bool = False
    padding_px: int = 32

    any_size: ClassVar[bool] = True

    @property
    def result_size(self) -> tuple[int, int]:
        return self.init_image.size

    def __post_init__(self) -> None:
        _check(self)
        _check_strength(self.strength)
        _check_mask(self.init_image, self.mask)
        if self.fill not in ("original", "noise", "blur"):
            raise InvalidRequest(f"There is no fill '{self.fill}'.", "Use original, noise or blur.")
        for name in ("feather_px", "padding_px"):
            if not 0 <= getattr(self, name) <= 256:
                raise InvalidRequest(f"The {name[:-3]} {getattr(self, name)} is out of range.", "Use 0 to 256 pixels.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outpaint(Txt2Img):
    """Paint what lies beyond a picture's edges; inside, beyond the feather, every byte of it stays.

    Attributes:
        width, height: of the result; None = the picture's own and the new borders.
        left, right, top, bottom: new pixels at each side, at least one in all.
        strength: noise added to the new border, 0 < strength <= 1.
        fill: what the model finds there: the picture mirrored, or its edges flowing out.
        feather_px: into the picture, over which the new fades into the old; 0 = a hard edge.
    """

    init_image: Image.Image
    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    strength: float = 0.9
    fill: Literal["mirror", "blur"] = "mirror"
    feather_px: int = 16

    any_size: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check(self)
        _check_strength(self.strength)
        borders = (self.left, self.right, self.top, self.bottom)
        if min(borders) < 0 or not any(borders) or max(self.result_size) > MAX_EDIT_SIDE_PX:
            raise InvalidRequest(
                f"The picture cannot grow by {', '.join(map(str, borders))} pixels.",
                f"Use 0 or more at each side, not 0 at all, and at most {MAX_EDIT_SIDE_PX} in all.",
            )
        if self.fill not in ("mirror", "blur"):
            raise InvalidRequest(f"There is no fill '{self.fill}'.", "Use mirror or blur.")
        if not 0 <= self.feather_px <= 256:
            raise InvalidRequest(f"The feather {self.feather_px} is out of range.", "Use 0 to 256 pixels.")

    @property
    def result_size(self) -> tuple[int, int]:
        """The picture's width and height with its new borders."""
        width, height = self.init_image.size
        return width + self.left + self.right, height + self.top + self.bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscale(Txt2Img):
    """Make a picture 2 or 4 times as wide and high.

    Attributes:
        mode: `faithful` adds nothing; `creative` enlarges, then repaints overlapping tiles.
        resampling: how a faithful one is made: `lanczos`, or `best`, the engine's upscaler, which the recipe names.
        strength: creative: noise added to the enlarged picture, 0 < strength <= 1.
    """

    prompt: str = ""
    init_image: Image.Image
    scale: int = 2
    mode: Literal["faithful", "creative"] = "faithful"
    strength: float = 0.3
    resampling: str = "best"

    any_size: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_strength(self.strength)
        if self.scale not in (2, 4) or max(self.result_size) > MAX_EDIT_SIDE_PX:
            raise InvalidRequest(
                f"A picture of {self.init_image.width}x{self.init_image.height} cannot become {self.scale}x as large.",
                f"Use 2 or 4, up to {MAX_EDIT_SIDE_PX} pixels a side.",
            )
        if self.mode not in ("faithful", "creative"):
            raise InvalidRequest(f"There is no upscale '{self.mode}'.", "Use faithful or creative.")
        if (self.width or self.result_size[0], self.height or self.result_size[1]) != self.result_size:
            raise InvalidRequest("An upscale's size is its picture's times the scale.", "Leave width and height out.")
        _check(self)

    @property
    def result_size(self) -> tuple[int, int]:
        return self.init_image.width * self.scale, self.init_image.height * self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend(Txt2Img):
    """Mix 2 to 5 pictures into a new one.

    Attributes:
        images: any mode, any size; each covers `width` x `height`, what sticks out is cut off.
        weights: one a picture, 0 or more, only their proportions count; empty = all equal.
        strength: noise added to the mixture, 0 < strength <= 1: the larger, the freer.
    """

    prompt: str = ""
    images: Sequence[Image.Image]
    weights: Sequence[float] = ()
    strength: float = 0.6

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "weights", tuple(self.weights))
        _check(self)
        _check_strength(self.strength)
        if not 2 <= len(self.images) <= MAX_BLENDED:
            raise InvalidRequest(f"{len(self.images)} pictures cannot be blended.", f"Use 2 to {MAX_BLENDED}.")
        if len(self.weights) not in (0, len(self.images)):
            raise InvalidRequest(
                f"There are {len(self.weights)} weights for {len(self.images)} pictures.", "Give one for each, or none."
            )
        if self.weights and not (all(0 <= w < math.inf for w in self.weights) and any(self.weights)):
            raise InvalidRequest("The weights cannot be used.", "Each is 0 or more, and one at least is above 0.")

    @property
    def shares(self) -> tuple[tuple[Image.Image, float], ...]:
        """Each picture that counts, with its part of the whole."""
        weights = self.weights or [1.0] * len(self.images)
        total = sum(weights)
        return tuple((image, w / total) for image, w in zip(self.images, weights, strict=True) if w)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control(Txt2Img):
    """Paint a prompt along a picture's lines, depths or poses: whatever a ControlNet was taught to follow.

    Attributes:
        control_image: any mode, any size; it covers `width` x `height`, what sticks out is cut off.
        controlnet: the name of one that fits the model; of `edges`, and names that begin with `edges-`, the engine
            draws the outlines itself.
        prepared: the picture is what the ControlNet reads already, so nothing is drawn.
        controlnet_conditioning_scale: how closely it is followed, 0..2; 0 = not at all.
        control_guidance_start, control_guidance_end: the part of the steps that follow it, 0 <= start < end <= 1.
    """

    control_image: Image.Image
    controlnet: str
    prepared: bool = False
    controlnet_conditioning_scale: float = 1.0
    control_guidance_start: float = 0.0
    control_guidance_end: float = 1.0

    def __post_init__(self) -> None:
        _check(self)
        scale, start, end = self.controlnet_conditioning_scale, self.control_guidance_start, self.control_guidance_end
        if not 0 <= scale <= MAX_CONTROL_SCALE:
            raise InvalidRequest(f"The conditioning scale {scale} is out of range.", f"Use 0 to {MAX_CONTROL_SCALE:g}.")
        if not 0 <= start < end <= 1:
            raise InvalidRequest(
                f"The ControlNet cannot be followed from {start} to {end} of the steps.",
                "The start is 0 or more, the end at most 1, and larger than the start.",
            )


def _check_strength(strength: float) -> None:
    if not 0 < strength <= 1:
        raise InvalidRequest(f"The strength {strength} is out of range.", "Use more than 0, at most 1.")


def _check_mask(image: Image.Image, mask: Image.Image) -> None:
    if mask.size != image.size:
        raise InvalidRequest(
            f"The mask is {mask.width}x{mask.height}, the picture {image.width}x{image.height}.",
            "Both must have the same size.",
        )
    low, high = masks.binary(mask).getextrema()
    if high == 0:
        raise InvalidRequest("The mask is empty.", "Paint white what is to be redrawn.")
    if low == 255:
        raise InvalidRequest("The mask covers the whole picture.", "Leave something black, or use img2img.")


Request = Txt2Img  # every task is a Txt2Img plus what it needs


def _check(request: Txt2Img) -> None:
    """Refuse what no model can do. Raises: InvalidRequest."""
    for name in ("width", "height"):
        side = getattr(request, name)
        if request.any_size:
            if side is not None and not 1 <= side <= MAX_EDIT_SIDE_PX:
                raise InvalidRequest(f"The {name} {side} is out of range.", f"Use 1 to {MAX_EDIT_SIDE_PX}.")
        elif side is not None and not (64 <= side <= MAX_SIDE_PX and side % 8 == 0):
            raise InvalidRequest(f"The {name} {side} cannot be painted.", f"Use a multiple of 8, 64 to {MAX_SIDE_PX}.")
    steps, scale, seed = request.num_inference_steps, request.guidance_scale, request.seed
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise InvalidRequest(f"{steps} steps are out of range.", f"Use 1 to {MAX_STEPS}.")
    if scale is not None and not 0 <= scale <= 30:
        raise InvalidRequest(f"The guidance {scale} is out of range.", "Use 0 to 30.")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise InvalidRequest(f"The seed {seed} is out of range.", f"Use 0 to {MAX_SEED}.")
    if not 1 <= request.num_images <= MAX_IMAGES:
        raise InvalidRequest(f"{request.num_images} images are out of range.", f"Use 1 to {MAX_IMAGES}.")
    if request.best_of is not None and not request.num_images <= request.best_of <= MAX_IMAGES:
        raise InvalidRequest(
            f"The best {request.num_images} of {request.best_of} cannot be kept.",
            f"Paint at least as many as you keep, at most {MAX_IMAGES}.",
        )
