"""A job's normal form: what options, flags, buttons and forms all end in, and what the database keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

SPEC_VERSION = 4  # 2: edits, 3: comparisons, 4: ControlNets
TaskName = Literal["txt2img", "img2img", "inpaint", "outpaint", "upscale", "blend", "control"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InpaintEdit:
    """Redraw the white part of a mask; see `engine.Inpaint`.

    Attributes:
        mask: sha256 of the stored mask, which has the size of the picture.
        box: left, top, right, bottom of the mask's white part, in pixels of the picture: what is paid for.
    """

    kind: Literal["inpaint"] = "inpaint"
    mask: str
    box: tuple[int, int, int, int]
    fill: Literal["original", "noise", "blur"] = "original"
    feather_px: int = 8
    only_masked: bool = False
    padding_px: int = 32

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.mask,)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutpaintEdit:
    """New borders, in pixels of the picture; the whole is then resized to the spec's size, see `engine.Outpaint`.

    Attributes:
        source: width and height of the picture.
    """

    kind: Literal["outpaint"] = "outpaint"
    source: tuple[int, int]
    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    fill: Literal["mirror", "blur"] = "mirror"
    feather_px: int = 16

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()

    @property
    def extended(self) -> tuple[int, int]:
        """Width and height of the picture with its borders."""
        return self.source[0] + self.left + self.right, self.source[1] + self.top + self.bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscaleEdit:
    """Make a picture `scale` times as wide and high; see `engine.Upscale`."""

    kind: Literal["upscale"] = "upscale"
    scale: int = 2
    mode: Literal["faithful", "creative"] = "faithful"
    resampling: str = "lanczos"

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendEdit:
    """One picture of several; see `engine.Blend`. `images`: sha256 of each; as many `weights`."""

    kind: Literal["blend"] = "blend"
    images: tuple[str, ...]
    weights: tuple[float, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.images


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlEdit:
    """A picture of words, along another one's lines; see `engine.Control`.

    Attributes:
        controlnet: its name; "" = the first that fits the model, until `bot.orders.drafts.resolve` has named it.
        scale: how closely it is followed, 0..2. prepared: the picture is what the ControlNet reads already.
    """

    kind: Literal["control"] = "control"
    controlnet: str = ""
    scale: float = 1.0
    prepared: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()


Edit = InpaintEdit | OutpaintEdit | UpscaleEdit | BlendEdit | ControlEdit
_EDITS: Mapping[str, type[Edit]] = {
    "inpaint": InpaintEdit,
    "outpaint": OutpaintEdit,
    "upscale": UpscaleEdit,
    "blend": BlendEdit,
    "control": ControlEdit,
}


def edit_from_json(value: Mapping[str, Any]) -> Edit:
    """The edit that `dataclasses.asdict` made plain. Raises: TypeError when it is none."""
    if value.get("kind") not in _EDITS:
        raise TypeError(f"no edit: {value.get('kind')!r}")
    plain: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in value.items()}
    return _EDITS[value["kind"]](**plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One or two parameters against each other; picture i is row `i // len(columns)`, column `i % len(columns)`.

    Attributes:
        x, y: the parameters, in people's words; y is "" when there is only one.
        columns, rows: the values as labels; without y there is one row, labelled "".
        cells: for each picture, the fields of the spec that are its own.
    """

    x: str
    columns: tuple[str, ...]
    y: str = ""
    rows: tuple[str, ...] = ("",)
    cells: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The comparison that `dataclasses.asdict` made plain. Raises: TypeError when it is none."""
        plain: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in value.items()}
        return cls(**plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Everything a picture is made from; complete, so no default can change it later.

    Attributes:
        task: `txt2img`, `img2img`, or the kind of `edit`.
        width, height: pixels of the result. num_images: pictures of the job (a grid is four).
        seed: of the first image; image i has `seed + i`, or the last variation's seed + i when there are variations.
        best_of: pictures that are painted, of which the `num_images` that match the prompt best are kept; None = all.
        variations: chain of (seed, strength 0..1), see `engine.Variation`.
        init_image: sha256 of the stored picture that is repainted, edited or followed; None for txt2img and blend.
        strength: noise added to it; None where the task knows none.
        edit: what is done to the picture, None for txt2img and img2img.
        compare: the job is a grid of pictures that differ in one or two parameters; `num_images` counts them.
        note: a sentence on what was changed to make it possible; shown with the result, decides no pixel.
    """

    task: TaskName = "txt2img"
    prompt: str
    negative_prompt: str = ""
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    seed: int
    num_images: int = 4
    best_of: int | None = None
    model: str
    tiling: bool = False
    strength: float | None = None
    init_image: str | None = None
    variations: tuple[tuple[int, float], ...] = ()
    edit: Edit | None = None
    note: str = ""
    compare: Comparison | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The sha256 of every stored picture it needs, each once."""
        first = (self.init_image,) if self.init_image else ()
        return tuple(dict.fromkeys(first + (self.edit.inputs if self.edit else ())))

    @property
    def cells(self) -> tuple[Self, ...]:
        """Of a comparison, the spec of each of its pictures; of any other job, its own alone."""
        if self.compare is None:
            return (self,)
        return tuple(self.evolve(compare=None, num_images=1, **cell) for cell in self.compare.cells)

    @property
    def draws(self) -> int:
        """How many pictures are painted, kept or not."""
        return self.best_of or self.num_images

    @property
    def steps_run(self) -> int:
        """Denoiser steps that one image takes: of an edit, only the share that its strength asks for."""
        if isinstance(self.edit, UpscaleEdit) and self.edit.mode == "faithful":
            return 1  # none, but making its pixels is work too
        return max(1, int(self.num_inference_steps * (1.0 if self.strength is None else self.strength)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The spec that `to_json` wrote, in any version. Raises: TypeError when it is not one."""
        links = tuple((int(seed), float(strength)) for seed, strength in value.get("variations", ()))
        edit = edit_from_json(value["edit"]) if value.get("edit") else None
        compare = Comparison.from_json(value["compare"]) if value.get("compare") else None
        return cls(**{**value, "variations": links, "edit": edit, "compare": compare})

    def evolve(self, **changes: Any) -> Self:
        return replace(self, **changes)

    def with_seed(self, seed: int) -> Self:
        """The spec that gives the image of that seed alone: each stored image has a seed of its own."""
        if not self.variations:
            return self.evolve(seed=seed, num_images=1, best_of=None)
        *chain, (_, strength) = self.variations
        return self.evolve(variations=(*chain, (seed, strength)), num_images=1, best_of=None)
