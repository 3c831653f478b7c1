"""txt2img, and what every task is: a frozen request that says all there is to know of it. Knows no torch.

Each other file here is one task: a `Txt2Img` with fields of its own that overrides what differs. Nothing else in the
engine asks which task it has before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from PIL import Image

from engine.api import schedulers
from engine.api.errors import InvalidRequest
from engine.api.model_info import ModelInfo
from engine.imaging.masks import Size
from engine.imaging.tiles import Mosaic
from engine.tasks.canvas import Enlargement, Place, Region
from engine.tasks.pictures import (
    MAX_EDIT_SIDE_PX,
    MAX_GUIDES,
    MAX_REFERENCES,
    Guide,
    ImagePrompt,
    Picture,
    Reference,
    StoredPicture,
    check_parts,
    image_prompts,
    pictures_in,
    with_pictures,
)

MAX_SEED = 2**32 - 1  # Midjourney's and A1111's range, so seeds travel between tools
MAX_IMAGES = 16
MAX_STEPS = 150
MAX_SIDE_PX = 4096
MAX_RATIO = 4.0  # beyond 1:4 every model repeats itself
BESIDE = ("controls", "references")  # fields of every task that bring pictures along
# What diffusers' tables call what an Auto class does.
_AUTO = {"": "txt2img", "AutoPipelineForImage2Image": "img2img", "AutoPipelineForInpainting": "inpaint"}


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
class Room:
    """The most there is room for, in pixels: `paint_px` in one picture that is painted, `keep_px` in one kept."""

    paint_px: int
    keep_px: int

    def keeps(self, size: Size) -> bool:
        """Whether a result of that size can be edited again."""
        return size[0] * size[1] <= self.keep_px and max(size) <= MAX_EDIT_SIDE_PX


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
        scheduler: a name or alias of `engine.api.schedulers`.
        seed: 0..2^32-1; None = drawn once at submit and told in the recipe.
        model: a key of the engine's model table; None = the first.
        tiling: the picture's edges fit each other (circular convolutions).
        weird: how far its noise leans towards large shapes, 0..1. stop_at: the share of its steps that is made,
            0.1..1. Both from words alone.
        together: its small pictures may share their calls on a processor, where nobody else's are joined. It's quicker,
            and rounds otherwise than each of them alone: so what was asked for without it stays without it.
        controls: pictures that ControlNets follow, up to 4. references: pictures that are read as words are, up to 8.
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
    weird: float = 0.0
    stop_at: float = 1.0
    together: bool = False
    controls: tuple[Guide, ...] = ()
    references: tuple[Reference, ...] = ()

    task: ClassVar[str] = "txt2img"
    label: ClassVar[str] = "words"  # in a list of what a model can do
    does: ClassVar[str] = "paint from words alone"  # behind "The model X can't"
    advice: ClassVar[str] = ""  # to whoever runs it, where no model can
    needs: ClassVar[str] = ""  # the task that a model must know for it; "" = this one itself
    is_edit: ClassVar[bool] = False  # it is what is done to pictures more than what words say: it may have none
    varies_by_noise: ClassVar[bool] = True  # its noise alone tells it from its neighbours
    any_size: ClassVar[bool] = False  # an edit: width and height are the result's, and the model's grid is our business
    default_strength: ClassVar[float | None] = None  # for people who name none; None = the task has no strength
    can_follow: ClassVar[bool] = True  # a ControlNet's picture or a reference, where the model can
    picture_fields: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check(self)

    # ------------------------------------------------------------ what it asks for
    @property
    def draws(self) -> int:
        """How many pictures are painted for it, kept or not."""
        return self.best_of or self.num_images

    @property
    def size(self) -> Size:
        """Width and height of a completed request's results, in pixels."""
        assert self.width is not None
        assert self.height is not None
        return self.width, self.height

    @property
    def result_size(self) -> Size | None:
        """The size that its pictures ask for; None = the model's native one."""
        return None

    @property
    def noise_strength(self) -> float | None:
        """How much noise its picture gets, 0..1; None where nothing is repainted."""
        return None

    @property
    def paints(self) -> bool:
        """Whether a model is asked, so that words and seed matter."""
        return True

    @property
    def guides(self) -> tuple[Guide, ...]:
        """What it follows, and the ControlNets for it."""
        return self.controls

    @property
    def detail(self) -> str:
        """What a title says in brackets, where a variation of the result says it too: what is followed, how closely."""
        return f"({', '.join(guide.told for guide in self.guides)})" if self.guides else ""

    @property
    def shares(self) -> tuple[tuple[Picture, float], ...]:
        """The pictures that are mixed, each with its part of the whole."""
        return ()

    @property
    def title(self) -> str:
        """What is done, in people's words, such as "Control (edges 0.8)"; nothing for what is painted from words."""
        return f"Control {self.detail}" if self.guides else ""

    # ------------------------------------------------------------ pictures
    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Its pictures, in the order of its fields, and those that lie beside them."""
        values = (getattr(self, name) for name in (*self.picture_fields, *BESIDE))
        return tuple(each for value in values for each in pictures_in(value))

    @property
    def main_picture(self) -> Picture | None:
        """The one picture that is repainted, edited or followed."""
        return next((each for name in self.picture_fields for each in pictures_in(getattr(self, name))), None)

    def loaded(self, found: Mapping[str, Image.Image]) -> Self:
        """The request with the pixels in place of its stored pictures; `found` holds them by sha256."""

        def pixels_of(picture: Picture) -> Picture:
            return found[picture.sha256] if isinstance(picture, StoredPicture) else picture

        names = (*self.picture_fields, *(name for name in BESIDE if getattr(self, name)))
        changes: dict[str, Any] = {name: with_pictures(getattr(self, name), pixels_of) for name in names}
        return replace(self, **changes) if changes else self

    # ------------------------------------------------------------ what it needs of a model
    @classmethod
    def suits(cls, info: ModelInfo) -> bool:
        """Whether the model knows the task."""
        return (cls.needs or cls.task) in info.tasks

    def fits(self, info: ModelInfo) -> bool:
        """Whether the model knows the task and takes as much as is asked of it."""
        return self.suits(info)

    def check_model(self, info: ModelInfo) -> None:
        """Raises: InvalidRequest when the model cannot do it."""
        if not self.suits(info):
            raise InvalidRequest(f"{info.key} can't do {self.task}.", f"It does {', '.join(sorted(info.tasks))}.")
        if self.guides:
            self._check_guides(info)
        if self.references and not info.image_prompts:
            raise InvalidRequest(f"{info.key} can't read reference pictures.", "It needs an IP-Adapter.")
        if self.references and not self.can_follow:
            raise InvalidRequest(f"{info.key} can't read reference pictures in {self.task}.", "Leave them out.")
        if self.references and self.guides and self.pipeline(info) and info.family == "flux":
            raise InvalidRequest(f"{info.key} can't read reference pictures along a ControlNet here.", "Leave one out.")
        check_parts(self.references, info, whole=not self.any_size)
        if info.family != "sdxl" and (told := next((r.use for r in self.references if r.use != "all"), "")):
            raise InvalidRequest(f"{info.key} can't read the {told} of a picture alone.", "Use all of it, or SDXL.")

    def _check_guides(self, info: ModelInfo) -> None:
        """Raises: InvalidRequest when the model can't follow them."""
        if not info.controlnets:
            raise InvalidRequest(f"There is no ControlNet for {info.key} here.", "Use a model that has one.")
        if not self.can_follow or _AUTO[self.pipeline(info)] not in info.control_tasks:
            raise InvalidRequest(f"{info.key} can't follow a ControlNet in {self.task}.", "Leave it out.")
        for guide in self.guides:
            if guide.controlnet and not info.controlnet_named(guide.controlnet):
                has = ", ".join(info.controlnets)
                raise InvalidRequest(f"{info.key} has no ControlNet '{guide.controlnet}'.", f"It has: {has}.")
        if len(self.guides) > (MAX_GUIDES if info.several_controls else 1):
            most = MAX_GUIDES if info.several_controls else 1
            raise InvalidRequest(f"{info.key} can't follow {len(self.guides)} pictures at once.", f"Use {most}.")

    def completed(self, info: ModelInfo) -> Self:
        """With the gaps of the task's own fields filled. Raises: InvalidRequest."""
        if not self.controls:
            return self
        named = ((guide, info.controlnet_named(guide.controlnet)) for guide in self.controls)
        return replace(self, controls=tuple(replace(guide, controlnet=name) for guide, name in named))

    def asked_again(self) -> Self:
        """As it would be asked for now: what an engine filled in is open again."""
        return self

    def with_strength(self, strength: float | None) -> Self:
        """With the strength that somebody names, or the task's default. Raises: InvalidRequest where it has none."""
        if self.default_strength is not None:
            changes: dict[str, Any] = {"strength": self.default_strength if strength is None else strength}
            return replace(self, **changes)
        if strength is not None:
            raise InvalidRequest(
                "A strength only makes sense with a picture to repaint.", "Attach one, or leave out the strength."
            )
        return self

    def within(self, size: Size, info: ModelInfo, room: Room) -> tuple[Self, Size, str]:
        """As far as there is room: the request, the size of its result, and what was changed to make it possible.

        Only asked of an edit, whose size follows from its picture. Raises: InvalidRequest when nothing fits.
        """
        return self, size, ""

    def image_prompts(self, info: ModelInfo) -> tuple[ImagePrompt, ...]:
        """The pictures that the model reads as words, by an IP-Adapter."""
        return image_prompts(self.references)

    # ------------------------------------------------------------ the pipeline
    def pipeline(self, info: ModelInfo) -> str:
        """The diffusers Auto class whose `from_pipe` shares the model's modules; "" = the pipeline as loaded."""
        return ""

    def from_nothing(self, info: ModelInfo) -> bool:
        """Whether words alone say what is where: no picture, no outline, no neighbouring tile."""
        beside = self.guides or self.shares or self.place(info, 0)
        return not (self.pipeline(info) or beside or self.tiling)

    def arguments(self, info: ModelInfo) -> dict[str, Any]:
        """What it adds to the pipeline's call. Names that the pipeline does not know are left out."""
        return {
            "num_inference_steps": self.num_inference_steps,
            "height": self.height,
            "width": self.width,
            "max_area": self.size[0] * self.size[1],  # Kontext scales to a megapixel otherwise
            "clip_skip": self.clip_skip,
            "output_type": "pil",
        }

    def strength_run(self, strength: float) -> float:
        """The strength that runs at least one step; diffusers runs `int(steps * strength)` and fails on none."""
        assert self.num_inference_steps
        return min(1.0, max(strength, (1 + 1e-6) / self.num_inference_steps))

    # ------------------------------------------------------------ the canvas
    def canvas(self, info: ModelInfo) -> Size:
        """Width and height in pixels that the model paints for a completed request."""
        return self.size

    def parts(self, info: ModelInfo) -> int:
        """How many pipeline calls one image takes; each is a fiber of its own, so they share forwards."""
        return 1

    def place(self, info: ModelInfo, part: int) -> Place | None:
        """Where a tile lies in the whole: what tiles share they paint over the same noise. None = it is the whole."""
        return None

    def prepare(self, info: ModelInfo, seed: int, part: int = 0) -> tuple[Region | None, dict[str, Any]]:
        """What is to be put back later, and the pictures for the pipeline's call."""
        return None, {}

    def mosaic(self, info: ModelInfo) -> Mosaic | None:
        """What becomes one image of its finished parts; None = it has but one."""
        return None

    def enlargement(self, info: ModelInfo, part: int) -> Enlargement | None:
        """The tile that the engine's upscaler gets, where that does it and not the model."""
        return None

    @property
    def uses_upscaler(self) -> bool:
        """Whether the engine's upscaler does it, and not the model."""
        return False

    def unpainted(self) -> Image.Image | None:
        """The result, where no network is asked."""
        return None

    def as_asked(self, painted: Image.Image) -> Image.Image:
        """What the pipeline painted, at the size that was asked for."""
        return painted

    # ------------------------------------------------------------ what it costs
    def effort(self, info: ModelInfo) -> float:
        """Share of the steps that are run, 0..1."""
        return self.stop_at if self.noise_strength is None else self.strength_run(self.noise_strength)

    def steps_run(self, info: ModelInfo) -> int:
        """Denoiser steps of one image of a completed request."""
        steps = self.num_inference_steps or 1
        return max(1, min(steps, int(steps * self.effort(info))))

    def painted_px(self, info: ModelInfo) -> int:
        """Pixels that the model paints for one image, all its tiles together."""
        width, height = self.canvas(info)
        return width * height

    def calls_run(self, info: ModelInfo) -> int:
        """Denoiser calls of one image of a completed request: some schedulers make more than one a step."""
        named = schedulers.resolve(self.scheduler or info.scheduler)
        scheduler = schedulers.resolve(info.scheduler) if named is schedulers.OWN else named
        return scheduler.calls(self.steps_run(info))

    def pixel_calls(self, info: ModelInfo) -> int:
        """What the whole request costs a model: pixels x denoiser calls x pictures painted."""
        return self.painted_px(info) * self.calls_run(info) * self.draws


Request = Txt2Img  # every task is a Txt2Img plus what it needs


def check(request: Txt2Img) -> None:
    """Refuse what no model can do. Raises: InvalidRequest."""
    for name in ("width", "height"):
        side = getattr(request, name)
        if request.any_size:
            if side is not None and not 1 <= side <= MAX_EDIT_SIDE_PX:
                raise InvalidRequest(f"The {name} {side} is out of range.", f"Use 1 to {MAX_EDIT_SIDE_PX}.")
        elif side is not None and not (64 <= side <= MAX_SIDE_PX and side % 8 == 0):
            raise InvalidRequest(f"The {name} {side} can't be painted.", f"Use a multiple of 8, 64 to {MAX_SIDE_PX}.")
    steps, scale, seed = request.num_inference_steps, request.guidance_scale, request.seed
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise InvalidRequest(f"{steps} steps are out of range.", f"Use 1 to {MAX_STEPS}.")
    if scale is not None and not 0 <= scale <= 30:
        raise InvalidRequest(f"The guidance {scale} is out of range.", "Use 0 to 30.")
    if seed is not None and not 0 <= seed <= MAX_SEED:
        raise InvalidRequest(f"The seed {seed} is out of range.", f"Use 0 to {MAX_SEED}.")
    if not (0 <= request.weird <= 1 and 0.1 <= request.stop_at <= 1):
        raise InvalidRequest("The weirdness or the stop is out of range.", "Use 0 to 1, and 0.1 to 1.")
    if not 1 <= request.num_images <= MAX_IMAGES:
        raise InvalidRequest(f"{request.num_images} images are out of range.", f"Use 1 to {MAX_IMAGES}.")
    if len(request.guides) > MAX_GUIDES:
        raise InvalidRequest(f"{len(request.guides)} pictures can't be followed at once.", f"Use at most {MAX_GUIDES}.")
    if len(request.references) > MAX_REFERENCES:
        raise InvalidRequest(f"{len(request.references)} references are too many.", f"Use at most {MAX_REFERENCES}.")
    if request.best_of is not None and not request.num_images <= request.best_of <= MAX_IMAGES:
        raise InvalidRequest(
            f"The best {request.num_images} of {request.best_of} can't be kept.",
            f"Paint at least as many as you keep, and at most {MAX_IMAGES}.",
        )
