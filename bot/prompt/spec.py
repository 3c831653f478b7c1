"""A job's normal form: what options, flags, buttons and forms all end in, and what the database keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Self, TypeVar

from bot.languages.speech import N_
from bot.prompt import old_specs, request_json
from bot.prompt.comparison import Comparison
from engine.api import schedulers
from engine.tasks.pictures import StoredPicture
from engine.tasks.txt2img import MAX_IMAGES, Txt2Img, Variation

T = TypeVar("T")
BOARD_ABOVE = 4  # pictures: a grid has no more
BOARD_SCALE = 0.75  # of a side of what a board's picture becomes; at half of it most models lose what was asked for
UNKNOWN = "unknown"  # in the place of a model's or a scheduler's name
COMPLETE = ("width", "height", "num_inference_steps", "guidance_scale", "scheduler", "seed", "model")
SPEC_VERSION = 5  # 2: edits, 3: comparisons, 4: ControlNets, 5: the engine's request itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything a picture is made from; complete, so no default can change it later.

    Attributes:
        request: what the engine is asked, with stored pictures in the place of pixels.
        compare: the job is a grid of pictures that differ in one or two parameters; the request is what they share.
        note: a sentence on what was changed to make it possible; shown with the result, decides no pixel.
    """

    request: Txt2Img
    note: str = ""
    compare: Comparison | None = None

    # ------------------------------------------------------------ the request's fields, which are all filled
    @property
    def task(self) -> str:
        return self.request.task

    @property
    def prompt(self) -> str:
        return self.request.prompt

    @property
    def negative_prompt(self) -> str:
        return self.request.negative_prompt

    @property
    def width(self) -> int:
        return self.request.size[0]

    @property
    def height(self) -> int:
        return self.request.size[1]

    @property
    def num_inference_steps(self) -> int:
        return _filled(self.request.num_inference_steps)

    @property
    def guidance_scale(self) -> float:
        return _filled(self.request.guidance_scale)

    @property
    def scheduler(self) -> str:
        return _filled(self.request.scheduler)

    @property
    def seed(self) -> int:
        """Of the first image; image i has `seed + i`, or the last variation's seed + i when there are variations."""
        return _filled(self.request.seed)

    @property
    def model(self) -> str:
        return _filled(self.request.model)

    @property
    def tiling(self) -> bool:
        return self.request.tiling

    @property
    def best_of(self) -> int | None:
        return self.request.best_of

    @property
    def strength(self) -> float | None:
        """Noise added to the picture that is repainted; None where the task knows none."""
        return self.request.noise_strength

    @property
    def variations(self) -> tuple[tuple[int, float], ...]:
        """Chain of (seed, strength 0..1), see `engine.Variation`."""
        return tuple((link.seed, link.strength) for link in self.request.variations)

    # ------------------------------------------------------------ what follows from them
    @property
    def num_images(self) -> int:
        """Pictures of the job: a grid is four."""
        return len(self.compare.cells) if self.compare else self.request.num_images

    @property
    def is_board(self) -> bool:
        """Whether it is a board of small pictures to pick from."""
        return self.compare is None and self.num_images > BOARD_ABOVE

    @property
    def full_size(self) -> tuple[int, int]:
        """Of a board, the width and height in which one of its pictures is finished."""
        return round(self.width / BOARD_SCALE / 8) * 8, round(self.height / BOARD_SCALE / 8) * 8

    @property
    def draws(self) -> int:
        """How many pictures are painted, kept or not."""
        return self.best_of or self.num_images

    @property
    def is_edit(self) -> bool:
        """Whether it is what is done to pictures more than what words say: it may have none."""
        return self.request.is_edit

    @property
    def inputs(self) -> tuple[str, ...]:
        """The sha256 of every stored picture it needs, each once."""
        return tuple(dict.fromkeys(each.sha256 for each in self.request.pictures if isinstance(each, StoredPicture)))

    @property
    def init_image(self) -> str | None:
        """sha256 of the one picture that is repainted, edited or followed; None for words and for blends."""
        main = self.request.main_picture
        return main.sha256 if isinstance(main, StoredPicture) and not self.request.shares else None

    @property
    def cells(self) -> tuple[Self, ...]:
        """Of a comparison, the spec of each of its pictures; of any other job, its own alone."""
        if self.compare is None:
            return (self,)
        return tuple(self.evolve(compare=None, num_images=1, **cell) for cell in self.compare.cells)

    @property
    def calls_run(self) -> int:
        """Denoiser calls that one image takes, on any model: of an edit, for the share that its strength asks for."""
        if not self.request.paints:
            return 1  # none, but making its pixels is work too
        steps = max(
            1, int(self.num_inference_steps * (self.request.stop_at if self.strength is None else self.strength))
        )
        return schedulers.resolve(self.scheduler).calls(steps)

    # ------------------------------------------------------------ changes and JSON
    def evolve(self, **changes: Any) -> Self:
        """The spec with other values, of its own or of its request."""
        own = {name: changes.pop(name) for name in ("request", "note", "compare") if name in changes}
        if "variations" in changes:
            changes["variations"] = tuple(Variation(seed=seed, strength=share) for seed, share in changes["variations"])
        spec = replace(self, **own) if own else self
        return replace(spec, request=replace(spec.request, **changes)) if changes else spec

    def with_seed(self, seed: int) -> Self:
        """The spec that gives the image of that seed alone: each stored image has a seed of its own."""
        if not self.variations:
            return self.evolve(seed=seed, num_images=1, best_of=None)
        *chain, (_, strength) = self.variations
        return self.evolve(variations=(*chain, (seed, strength)), num_images=1, best_of=None)

    def to_json(self) -> dict[str, Any]:
        """Plain values: the request's own beside each other, pictures as their sha256."""
        compare = None if self.compare is None else asdict(self.compare)
        return {"version": SPEC_VERSION, **request_json.to_json(self.request), "note": self.note, "compare": compare}

    @classmethod
    @lru_cache(maxsize=256)  # a job's row is read about five times on its way, and a spec never changes
    def from_text(cls, text: str) -> Self:
        """The spec of a stored job. Raises: ValueError, TypeError when it is not one."""
        return cls.from_json(json.loads(text))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The spec that `to_json` wrote, in any version. Raises: TypeError when it is not one."""
        compare = Comparison.from_json(value["compare"]) if value.get("compare") else None
        request = request_json.from_json(value) if "version" in value else old_specs.request_of(value)
        if missing := [name for name in COMPLETE if getattr(request, name) is None]:
            raise TypeError(f"no spec, but a request without {', '.join(missing)}")
        return cls(request=request, note=value.get("note", ""), compare=compare)


def stand_in(num_images: int) -> Spec:
    """The spec of a job whose own can't be read. Its model is none, so nothing can be painted from it."""
    request = Txt2Img(
        prompt="",
        width=512,
        height=512,
        num_inference_steps=1,
        guidance_scale=1.0,
        scheduler=UNKNOWN,
        seed=0,
        model=UNKNOWN,
        num_images=min(num_images, MAX_IMAGES),
    )
    return Spec(request=request, note=N_("How this was made can't be read by this version of Easel."))


def _filled(value: T | None) -> T:
    assert value is not None, "a spec is complete"
    return value
