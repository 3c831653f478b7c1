"""The facts of a model, read from its own files and from its pipeline's code. Knows no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.api import schedulers
from engine.api.errors import ModelUnloadable
from engine.api.model_info import ModelInfo
from engine.models import families, signatures
from engine.models.signatures import Signature

INPAINT_CHANNELS = 9  # latents 4, mask 1, the kept picture's latents 4: such a UNet can do nothing else
MAX_AREA = 4  # times the native area: beyond it models repeat themselves
ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
STEPS, GUIDANCE, SIDE_PX, PATCH = 30, 5.0, 1024, 2  # where nothing tells
SAFE_MULTIPLE_PX = 64  # the largest that any family asks for
MODULAR = "modular_model_index.json"
VIDEO = ("num_frames",)  # what only pipelines that make videos ask for
KEPT_BY = ("image_guidance_scale",)  # what an editor's call says of the picture it is given
SCHEDULE = "guidance_schedule"  # a guidance for each step, in place of one for all
CHECKER = "safety_checker"  # a part that blackens pictures without a word; Easel's own judge tells and withholds
CONTROLLED = "-control"  # ends the names of families that paint from words and a control image only

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a model's small files say: `index` is its model_index.json, `configs` those of its parts by name."""

    index: Config = field(default_factory=dict)
    configs: Mapping[str, Config] = field(default_factory=dict)

    def of(self, *names: str) -> Config:
        """The first of these parts that has a config; empty when none has."""
        return next((self.configs[name] for name in names if self.configs.get(name)), {})

    @property
    def denoiser(self) -> Config:
        return self.of("unet", "transformer", "decoder")

    @property
    def vae(self) -> Config:
        return self.of("vae", "movq", "vqgan")

    @property
    def encoders(self) -> tuple[str, ...]:
        """The classes of its text encoders."""
        named = (self.index.get(name) for name in ENCODERS)
        return tuple(str(each[1]) for each in named if isinstance(each, list) and each[-1])


def read_parts(folder: Path) -> Parts:
    """What a diffusers folder says, whether its weights are there or not."""
    configs = {
        part.name: read_json(part / "config.json") or read_json(part / "scheduler_config.json")
        for part in (folder.iterdir() if folder.is_dir() else ())
        if part.is_dir()
    }
    return Parts(index=read_json(folder / "model_index.json") or read_json(folder / MODULAR), configs=configs)


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object in a file; empty when there is none. Raises: ModelUnloadable when the file holds something else."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelUnloadable(name=path.parent.name, reason=f"{path.name} is no JSON file") from error
    return value if isinstance(value, dict) else {}


def read(key: str, class_name: str, parts: Parts, card: families.Published | None = None) -> ModelInfo:
    """The facts of a pipeline of that class made of these parts; one that was saved with a ControlNet paints without.

    Raises: ModelUnloadable when it paints no pictures.
    """
    class_name = signatures.plain(class_name)
    signature = signatures.of(class_name) or signatures.of_modular(class_name)
    if signature is None:
        raise ModelUnloadable(name=key, reason=f"the diffusers installed here has no '{class_name}'")
    if (package := families.NEEDS.get(class_name, "")) and find_spec(package) is None:
        missing = f"diffusers' {class_name} needs {package}, which isn't installed"
        raise ModelUnloadable(name=key, reason=f"{missing}; add it with: .venv/bin/python -m pip install {package}")
    editor = families.EDITORS.get(class_name)
    tasks = _tasks(signature, parts, editor)
    if not tasks:
        raise ModelUnloadable(name=key, reason=f"a {class_name} makes no pictures of words")
    card = card or families.Published(pipeline=class_name)
    family = families.CLASSES.get(class_name) or families.named(signature.name)
    side = card.side or _side(family, signature, parts)
    own = parts.of("scheduler")
    guided, guidance = _guidance(signature, parts)
    steps = card.num_inference_steps or families.STEPS.get(family) or signature.default("num_inference_steps") or STEPS
    return ModelInfo(
        key=key,
        family=family,
        width=side,
        height=side,
        num_inference_steps=steps,
        guidance_scale=guidance if card.guidance_scale is None else card.guidance_scale,
        scheduler=schedulers.from_config(own).name,
        any_scheduler=schedulers.can_be_swapped(own) or (not own and family in families.SIDES),
        multiple_px=_multiple(signature, parts),
        max_pixels=side * side * MAX_AREA,
        tasks=tasks,
        weighted_prompts=_reads_clip(signature, parts),
        clip_cut=any(name.startswith("CLIPText") for name in parts.encoders) and not _reads_clip(signature, parts),
        flow=_flows(parts, signature),
        guided_by=guided,
        negative_prompts="negative_prompt" in signature.takes,
        edited_pictures=editor.pictures if editor else 0,
        kept_by=next((name for name in KEPT_BY if signature.takes.get(name) is not None), ""),
        references="img2img" in tasks and "strength" not in _call_for(signature, "img2img"),
        tileable="unet" in signature.components,
    )


# ---------------------------------------------------------------- tasks
def _tasks(signature: Signature, parts: Parts, editor: families.Editor | None) -> frozenset[str]:
    """What a request can ask of it, by diffusers' own tables, else by what its call takes."""
    if any(name in signature.takes for name in VIDEO) or signature.tasks & signatures.UNASKED:
        return frozenset()
    if signature.name.endswith(CONTROLLED):
        return frozenset()
    if editor is not None and not signature.tasks:
        return frozenset({"edit", "txt2img"} if editor.paints else {"edit"})
    known = signature.tasks or _tasks_of_call(signature)
    if parts.of("unet").get("in_channels") == INPAINT_CHANNELS:
        known &= {"inpaint"}
    elif families.named(signature.name) in families.INPAINT_APART:
        known -= {"inpaint"}
    elif parts.index.get("requires_aesthetics_score"):
        known &= {"img2img"}
    found = set(known)
    if "img2img" in known and "strength" in _call_for(signature, "img2img"):
        found |= {"upscale", "blend"} if _mixes(signature, parts) else {"upscale"}
    if "inpaint" in known:
        found.add("outpaint")
    if editor is not None:
        found.add("edit")
    return frozenset(found)


def _mixes(signature: Signature, parts: Parts) -> bool:
    """Whether its VAE encodes to a distribution, whose means can be mixed."""
    if not parts.vae:
        return "vae" in signature.components
    return str(parts.vae.get("_class_name", "AutoencoderKL")).startswith("AutoencoderKL")


def _tasks_of_call(signature: Signature) -> frozenset[str]:
    takes = signature.takes
    if "prompt" not in takes or takes.get("image") is signatures.REQUIRED:
        return frozenset()
    if "mask_image" in takes:
        return frozenset({"inpaint"})
    return frozenset({"img2img"} if "image" in takes and "strength" in takes else {"txt2img"})


def _call_for(signature: Signature, task: str) -> Mapping[str, Any]:
    """What the pipeline of its kind for another task takes."""
    other = signatures.of(signatures.class_for(signature, task) or "")
    return (other or signature).takes


# ---------------------------------------------------------------- size
def _side(family: str, signature: Signature, parts: Parts) -> int:
    """Native pixels a side: as the pipeline itself computes them when it is told none."""
    factor, sample = vae_factor(parts), parts.denoiser.get("sample_size")
    if isinstance(sample, list):
        sample = sample[0]
    noted = parts.index.get("default_sample_size")  # in pixels, as PRX has it
    if isinstance(noted, int):
        return noted
    own = signature.default("height")
    if isinstance(own, int) and "use_resolution_binning" not in signature.takes:
        return own
    if signature.sample_size:
        return signature.sample_size * (factor or 8)
    if isinstance(sample, int) and factor:
        return int(sample) * factor
    return families.SIDES.get(family) or (own if isinstance(own, int) else SIDE_PX)


def vae_factor(parts: Parts) -> int | None:
    """Pixels a latent: 2 for every level of the VAE after the first."""
    vae = parts.vae
    if isinstance(vae.get("scale_factor_spatial"), int):  # Wan's, some of which have patches besides
        return int(vae["scale_factor_spatial"])
    if isinstance(vae.get("temperal_downsample"), list):  # as Qwen-Image's and Wan's VAEs spell it
        return int(2 ** len(vae["temperal_downsample"]))
    levels = vae.get("block_out_channels") or vae.get("encoder_block_out_channels")
    return int(2 ** (len(levels) - 1)) if levels else None


def _multiple(signature: Signature, parts: Parts) -> int:
    """Sides must be multiples of this many pixels: a latent, times the tokens' patch."""
    if (known := families.MULTIPLES.get(signature.name)) is not None:
        return known
    factor = vae_factor(parts) or 8
    if "unet" in signature.components:
        return max(8, factor)
    transformer = parts.of("transformer")
    patch = transformer.get("patch_size") or (transformer.get("all_patch_size") or [PATCH])[0]
    if isinstance(patch, list):
        patch = patch[-1]
    return max(8, factor * int(max(PATCH, patch) if _packed(parts) or not transformer else patch))


def _packed(parts: Parts) -> bool:
    """Whether four latents make a token before the transformer sees them, as in Flux."""
    channels = parts.vae.get("latent_channels") or parts.vae.get("z_dim")
    return bool(channels) and parts.of("transformer").get("in_channels") == 4 * int(channels or 0)


# ---------------------------------------------------------------- words and noise
def _guidance(signature: Signature, parts: Parts) -> tuple[str, float]:
    """Which of its call's parameters is the guidance, and its default."""
    takes = signature.takes
    plain, true = signature.default("guidance_scale"), signature.default("true_cfg_scale")
    distilled = parts.of("transformer").get("guidance_embeds")
    if "true_cfg_scale" in takes and (not isinstance(plain, int | float) or distilled is False):
        return "true_cfg_scale", float(true or 1.0)
    if (schedule := signature.default(SCHEDULE)) is not None:
        return SCHEDULE, float(schedule[0])
    if takes.get("guidance_scale") is not None:  # a distilled model takes one and ignores it
        return "guidance_scale", float(GUIDANCE if plain is None else plain)
    if "guider" in takes:
        return "guider", float(signature.default("guider") or GUIDANCE)
    if "prior_guidance_scale" in takes:
        return "prior_guidance_scale", float(signature.default("prior_guidance_scale") or GUIDANCE)
    return "", 1.0


def _reads_clip(signature: Signature, parts: Parts) -> bool:
    """Whether prompts go through CLIP alone, so that weights and long prompts can be done on its embeddings."""
    takes_embeddings = {"clip_skip", "prompt_embeds"} <= signature.takes.keys() and "unet" in signature.components
    return takes_embeddings and all(each.startswith("CLIPText") for each in parts.encoders)


def _flows(parts: Parts, signature: Signature) -> bool:
    """Whether it is a rectified-flow model, which only flow schedulers can sample."""
    own = parts.of("scheduler")
    return schedulers.is_flow(own or {"_class_name": signature.scheduler})
