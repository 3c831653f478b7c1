"""What is known of a model before its weights are loaded, and may be asked of it. Knows no torch, no requests."""

from __future__ import annotations

from dataclasses import dataclass

from engine.api import schedulers
from engine.api.schedulers import Scheduler


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscaler:
    """What faithful upscales are made with.

    Attributes:
        name: what a recipe says. scale: how many times wider and higher one pass makes a picture; 1 = any, by Lanczos.
        tile_px: side of the tiles it works on, in pixels of what it is given.
    """

    name: str = "lanczos"
    scale: int = 1
    tile_px: int = 0

    def passes(self, scale: int) -> int:
        """How often it is used to get that far; what is too much is made smaller again."""
        return 0 if self.scale == 1 else 1 if self.scale >= scale else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraDefaults:
    """What a LoRA that makes a model faster wants, where nobody says otherwise; None = as the model has it."""

    name: str
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the makers of a model or a LoRA say of it in its file; strangers' words.

    Attributes:
        name: as people type it. trigger_words: what a LoRA was taught. thumbnail: a small JPEG; b"" = none.
    """

    name: str
    title: str = ""
    author: str = ""
    licence: str = ""
    trigger_words: tuple[str, ...] = ()
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What one may ask of a model, known before its weights are loaded.

    Attributes:
        key: the name users type. family: `sd1`, `sdxl`, `sd3`, ... as diffusers calls it, or `unknown`.
        width, height, num_inference_steps, guidance_scale, scheduler: its defaults.
        multiple_px: sides must be multiples of this. max_pixels: more than this is refused.
        tasks: of `txt2img`, `img2img`, `inpaint`, ...; `control` where one of `controlnets` is.
        weighted_prompts: whether `(word:1.3)` has an effect (T5 encoders ignore it).
        clip_cut: whether a CLIP, beside another encoder, reads the first 77 tokens of a prompt only.
        flow: whether it is a rectified-flow model, which only flow schedulers can sample.
        any_scheduler: whether schedulers of its kind other than its own can sample it.
        guided_by: the pipeline's parameter that the guidance goes to; "" = it has none.
        negative_prompts: whether it takes any.
        references: whether its img2img sees the picture beside the words, so that a strength has no effect.
        edited_pictures: how many pictures an instruction can be about, the one that is changed first; 0 = none.
        kept_by: the pipeline's parameter that says how much of the first is kept; "" = it has none.
        tileable: whether it is made of convolutions, so that circular padding closes the edges.
        margins: whether it knows its native size alone, so that what lies beyond its middle is to go on as its rim.
        ranks: whether a CLIP is there that can tell which of its pictures match a prompt best.
        upscaler: of the engine, whatever the model.
        image_prompts: whether a blend's pictures are read as its words are, by an IP-Adapter.
        loras: those that fit it, by the name in `<lora:name:0.8>`. embeddings: words that stand for textual inversions.
        lora_shares: of those of which less than nine tenths fit, how much does, in percent.
        lora_defaults: of those that change how it is to be sampled.
        controlnets: those that fit it, by name. control_tasks: of `txt2img`, `img2img`, `inpaint`, what they can lead.
        small_world: it is Easel Mini, which paints what its few hundred words name, and blobs otherwise; or its editor.
        about: what its file and its LoRAs' say of themselves. revision: the commit of a hub model that is here.
        several_controls: whether it can follow several pictures at once.
    """

    key: str
    family: str
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    multiple_px: int = 8
    max_pixels: int = 2048 * 2048
    tasks: frozenset[str] = frozenset({"txt2img", "img2img", "inpaint", "outpaint", "upscale", "blend"})
    weighted_prompts: bool = True
    clip_cut: bool = False
    flow: bool = False
    any_scheduler: bool = True
    guided_by: str = "guidance_scale"
    negative_prompts: bool = True
    references: bool = False
    edited_pictures: int = 0
    kept_by: str = ""
    tileable: bool = True
    margins: bool = False
    ranks: bool = False
    upscaler: Upscaler = Upscaler()
    image_prompts: bool = False
    loras: tuple[str, ...] = ()
    lora_shares: tuple[tuple[str, int], ...] = ()
    lora_defaults: tuple[LoraDefaults, ...] = ()
    embeddings: tuple[str, ...] = ()
    controlnets: tuple[str, ...] = ()
    small_world: bool = False
    control_tasks: frozenset[str] = frozenset({"txt2img", "img2img", "inpaint"})
    several_controls: bool = True
    about: tuple[About, ...] = ()
    revision: str = ""

    @property
    def schedulers(self) -> tuple[Scheduler, ...]:
        """What it can be sampled with: its own first."""
        own = schedulers.resolve(self.scheduler)
        kin = schedulers.SCHEDULERS if self.any_scheduler else ()
        return own, *(each for each in kin if each.flow == self.flow and each is not own)

    def scheduler_named(self, name: str) -> Scheduler | None:
        """The scheduler a person means, if it can sample this model. Raises: UnknownScheduler."""
        found = schedulers.resolve(name)
        found = schedulers.resolve(self.scheduler) if found is schedulers.OWN else found
        return found if found in self.schedulers else None

    def controlnet_named(self, name: str) -> str:
        """A ControlNet's name as it is known, however it is written, the first for none; "" when there is none such."""
        known = (each for each in self.controlnets if not name or each.casefold() == name.casefold())
        return next(known, "")
