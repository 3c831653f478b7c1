"""From what a person asked for to a complete, allowed and priced job. Pure; knows no Discord, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from math import sqrt

from bot.errors import BadInput
from bot.ledger.terms import Terms
from bot.orders import geometry
from bot.prompt.flags import MAX_RATIO, MIN_SIDE_PX
from bot.prompt.parser import GRID, Draft
from bot.prompt.spec import BlendEdit, ControlEdit, Edit, Spec, TaskName, UpscaleEdit
from bot.prompt.text import quoted, visible
from engine.api import lora_tags
from engine.api.errors import InvalidRequest, UnknownScheduler
from engine.api.model_info import ModelInfo
from engine.diffusion import schedulers
from engine.tasks.txt2img import MAX_IMAGES, MAX_SEED, MAX_SIDE_PX, MAX_STEPS

# The engine's own defaults, but for inpaint: its surroundings flow in there, and some of that should be kept.
STRENGTHS = {"img2img": 0.6, "inpaint": 0.7, "outpaint": 0.9, "upscale": 0.3, "blend": 0.6}
DOES: Mapping[TaskName, str] = {
    "txt2img": "paint from words alone",
    "img2img": "start from a picture",
    "inpaint": "redraw a region",
    "outpaint": "paint beyond a picture's edges",
    "upscale": "enlarge pictures",
    "blend": "blend pictures",
    "control": "follow a picture with a ControlNet",
}
FLOW_FAMILIES = frozenset({"sd3", "flux"})  # rectified-flow models, which only flow schedulers can sample
ENLARGED_MC = 100  # millicredits of a megapixel that nothing was painted into
PICTURE_MC = 1000  # millicredits of one picture at the model's own size and steps


def resolve(
    draft: Draft,
    models: Sequence[ModelInfo],
    terms: Terms,
    random_seed: int,
    *,
    init_image: str | None = None,
    init_size: tuple[int, int] | None = None,
    edit: Edit | None = None,
) -> Spec:
    """Fill what was not said and check everything.

    `random_seed` is used when none was asked for. `init_image` is the sha256 of a stored picture to start from and
    `init_size` its pixels: without a size or ratio the job takes the picture's proportions. `edit` is what is done to
    it; what is too large for this server or model is made to fit.
    Raises: BadInput with what is wrong and the nearest thing that works.
    """
    if draft.style:
        raise BadInput("Styles belong to a server and hold for /imagine and edits in it. Leave --style out here.")
    task: TaskName = edit.kind if edit else "img2img" if init_image else "txt2img"
    info = _able(models, draft.model, task, edit, terms)
    _check_loras(draft, info, models, terms)
    _check_ranges(draft)
    edit = _named(edit, info, draft)
    edit, (width, height), note = _sized(draft, info, init_size, edit, terms.max_pixels)
    return Spec(
        task=task,
        prompt=draft.prompt,
        negative_prompt=visible(draft.negative_prompt or ""),
        width=width,
        height=height,
        num_inference_steps=_steps(draft, info, terms),
        guidance_scale=info.guidance_scale if draft.guidance is None else round(draft.guidance, 4),
        scheduler=_scheduler(draft.scheduler, info),
        seed=random_seed if draft.seed is None else draft.seed,
        num_images=draft.num_images or GRID,
        best_of=_best_of(draft, info),
        model=info.key,
        tiling=bool(draft.tile),
        strength=_strength(draft, edit, init_image),
        init_image=init_image,
        variations=draft.vary or (),
        edit=edit,
        note=note,
    )


def _able(models: Sequence[ModelInfo], name: str | None, task: TaskName, edit: Edit | None, terms: Terms) -> ModelInfo:
    """The model a person means, or the first of theirs that can do the task. Raises: BadInput."""
    models = _allowed(models, name, terms)
    able = [info for info in models if task in info.tasks]
    if isinstance(edit, ControlEdit):
        able = _following(edit.controlnet, able)
    info = find_model(models if name or not able else able, name)
    if task not in info.tasks:
        other = f"Use {able[0].key}." if able else "No model here can."
        raise BadInput(f"The model {info.key} cannot {DOES[task]}. {other}")
    if isinstance(edit, ControlEdit) and info not in able:
        fits = ", ".join(each.key for each in able)
        raise BadInput(f"The model {info.key} has no ControlNet {quoted(edit.controlnet)}. These have: {fits}.")
    return info


def check_guide(edit: ControlEdit, models: Sequence[ModelInfo]) -> None:
    """Whether any model has such a ControlNet, before the picture is fetched. Raises: BadInput."""
    _following(edit.controlnet, models)


def _following(controlnet: str, able: Sequence[ModelInfo]) -> list[ModelInfo]:
    """The models that have a ControlNet of that name, or any when it has none. Raises: BadInput."""
    known = {name.casefold(): name for info in able for name in info.controlnets}
    if not known:
        raise BadInput(
            "No model here has a ControlNet, so no picture can be followed. Whoever runs Easel can add one with "
            "EASEL_CONTROLNETS; until then, **/vary** paints near to a picture."
        )
    if controlnet and controlnet.casefold() not in known:
        raise BadInput(f"There is no ControlNet {quoted(controlnet)}. {_nearest(controlnet, [*known.values()])}")
    return [info for info in able if not controlnet or _own_name(controlnet, info)]


def _own_name(controlnet: str, info: ModelInfo) -> str:
    """A ControlNet's name as the model has it; "" when it has none such."""
    return next((name for name in info.controlnets if name.casefold() == controlnet.casefold()), "")


def _named(edit: Edit | None, info: ModelInfo, draft: Draft) -> Edit | None:
    """The edit with the name of what it is made with, so that no later setting can change it."""
    if isinstance(edit, UpscaleEdit):
        return replace(edit, resampling="lanczos" if edit.mode == "creative" else info.upscaler.name)
    if isinstance(edit, ControlEdit):
        name = _own_name(edit.controlnet, info) if edit.controlnet else info.controlnets[0]
        return replace(edit, controlnet=name, scale=edit.scale if draft.strength is None else draft.strength)
    return edit


def _sized(
    draft: Draft, info: ModelInfo, init_size: tuple[int, int] | None, edit: Edit | None, most: int
) -> tuple[Edit | None, tuple[int, int], str]:
    """The edit and the size of the result as far as they are possible, and what was changed. Raises: BadInput."""
    if edit is None or isinstance(edit, BlendEdit | ControlEdit):
        size = _size(draft, info, init_size, min(most, info.max_pixels))
        whole = draft.ar or draft.width or draft.height or edit or init_size in (None, size)
        return edit, size, "" if whole else f"Repainted at {size[0]}x{size[1]}, the size that suits {info.key}."
    if draft.width and draft.height:
        return geometry.fitted(edit, (draft.width, draft.height), info, most)
    assert init_size is not None, "an edit needs its picture's size"
    return geometry.fitted(edit, geometry.natural(edit, init_size), info, most)


def _allowed(models: Sequence[ModelInfo], name: str | None, terms: Terms) -> Sequence[ModelInfo]:
    """The models these terms include. Raises: BadInput when another one is meant, or none is left."""
    if terms.models is None:
        return models
    mine = [info for info in models if info.key in terms.models]
    if name and (meant := find_model(models, name)) not in mine:
        theirs = ", ".join(info.key for info in mine) or "none"
        raise BadInput(f"The model {meant.key} is not among those you may use here. You may use: {theirs}.")
    if models and not mine:
        raise BadInput("None of the models you may use here is loaded. Tell an admin of this server.")
    return mine


def _check_loras(draft: Draft, info: ModelInfo, models: Sequence[ModelInfo], terms: Terms) -> None:
    """Every LoRA in the prompt fits the model, and these terms include it. Raises: BadInput."""
    try:
        named = lora_tags.check(draft.prompt, draft.negative_prompt or "", info, models)
    except InvalidRequest as error:
        raise BadInput(visible(str(error))) from None
    refused = [key for key in named if terms.loras is not None and key not in terms.loras]
    if refused:
        mine = ", ".join(key for key in info.loras if key in (terms.loras or ())) or "none"
        raise BadInput(f"The LoRA {refused[0]} is not among those you may use here. You may use: {mine}.")


def _check_ranges(draft: Draft) -> None:
    """Flags were checked when they were read; options and forms come straight from the client. Raises: BadInput."""
    for name, value, low, high in (
        ("seed", draft.seed, 0, MAX_SEED),
        ("number of steps", draft.steps, 1, MAX_STEPS),
        ("guidance", draft.guidance, 0, 30),
        ("strength", draft.strength, 0.01, 1),
        ("number of pictures", draft.num_images, 1, MAX_IMAGES),
    ):
        if value is not None and not low <= value <= high:
            raise BadInput(f"The {name} cannot be {value:g}. Use {low:,} to {high:,}.")


def _best_of(draft: Draft, info: ModelInfo) -> int | None:
    if draft.best_of is None:
        return None
    kept = draft.num_images or GRID
    if not kept <= draft.best_of <= MAX_IMAGES:
        raise BadInput(
            f"The best {kept} of {draft.best_of} cannot be kept. Use --best {kept} to {MAX_IMAGES}, or --n 1."
        )
    if not info.ranks:
        raise BadInput(f"Nothing here can rank the pictures of {info.key}. Leave --best out, or choose another model.")
    return draft.best_of


def check_defaults(
    model: str | None,
    steps: int | None,
    guidance: float | None,
    scheduler: str | None,
    models: Sequence[ModelInfo],
) -> None:
    """Refuse what /imagine would refuse as somebody's default. Raises: BadInput."""
    info = find_model(models, model)
    _check_ranges(Draft(steps=steps, guidance=guidance))
    _scheduler(scheduler, info)


def price_mc(spec: Spec, info: ModelInfo) -> int:
    """The price in millicredits: 1 credit a picture at the model's own size and steps, by pixels x steps from there.

    Of an edit count the pixels that are painted and the steps that its strength asks for; an upscale that adds nothing
    takes no model, only room.
    """
    if isinstance(spec.edit, UpscaleEdit) and spec.edit.mode == "faithful":
        return max(ENLARGED_MC, ENLARGED_MC * spec.width * spec.height // 1_000_000)
    from_noise = isinstance(spec.edit, BlendEdit) and info.image_prompts  # strength then spares no steps
    steps = spec.num_inference_steps if from_noise else spec.steps_run
    work = geometry.painted_px(spec, info) * steps * spec.draws * PICTURE_MC
    own = info.width * info.height * info.num_inference_steps
    return max(1, -(-work // own))


def find_model(models: Sequence[ModelInfo], name: str | None) -> ModelInfo:
    """The model a person means, or the default. Raises: BadInput."""
    if not models:
        raise BadInput("No model is loaded yet. Try again in a minute.")
    wanted = (name or models[0].key).casefold()
    for info in models:
        if info.key.casefold() == wanted:
            return info
    keys = [info.key for info in models]
    raise BadInput(f"There is no model {quoted(name or '')}. {_nearest(wanted, keys)}")


def _nearest(wanted: str, known: Sequence[str]) -> str:
    near = get_close_matches(wanted[:80].casefold(), known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."


def _scheduler(name: str | None, info: ModelInfo) -> str:
    if name is None:
        return info.scheduler
    flow = info.family in FLOW_FAMILIES
    usable = [each.name for each in schedulers.SCHEDULERS if each.flow == flow]
    try:
        found = schedulers.resolve(name)
    except UnknownScheduler:
        raise BadInput(f"There is no scheduler {quoted(name)}. {_nearest(name, usable)}") from None
    if found.flow != flow and found.name != info.scheduler:
        raise BadInput(f"The model {info.key} cannot use the scheduler {found.label}. Use {info.scheduler}.")
    return found.name


def _steps(draft: Draft, info: ModelInfo, terms: Terms) -> int:
    if draft.steps is None:
        return min(info.num_inference_steps, terms.max_steps)
    if draft.steps > terms.max_steps:
        raise BadInput(f"{draft.steps} steps are more than this server allows. Use at most {terms.max_steps}.")
    return draft.steps


def _strength(draft: Draft, edit: Edit | None, init_image: str | None) -> float | None:
    if init_image is None and edit is None:
        if draft.strength is not None:
            raise BadInput("The strength is for repainting a picture. Attach one, or leave the strength out.")
        return None
    if isinstance(edit, ControlEdit) or (isinstance(edit, UpscaleEdit) and edit.mode == "faithful"):
        return None
    default = STRENGTHS[edit.kind if edit else "img2img"]
    return default if draft.strength is None else round(draft.strength, 4)


# ---------------------------------------------------------------- size
def _size(draft: Draft, info: ModelInfo, init_size: tuple[int, int] | None, most: int) -> tuple[int, int]:
    """Width and height, at most `most` pixels in all. Raises: BadInput."""
    if draft.width or draft.height:
        return _asked_size(draft.width or info.width, draft.height or info.height, info, most)
    if draft.ar:
        return fit(draft.ar[0] / draft.ar[1], info, most)
    if init_size:
        return fit(init_size[0] / init_size[1], info, most)
    own = info.width, info.height
    return own if info.width * info.height <= most else fit(info.width / info.height, info, most)


def _asked_size(width: int, height: int, info: ModelInfo, most: int) -> tuple[int, int]:
    """The nearest size the model can paint. Raises: BadInput."""
    if not (MIN_SIDE_PX <= width <= MAX_SIDE_PX and MIN_SIDE_PX <= height <= MAX_SIDE_PX):
        raise BadInput(f"{width}x{height} cannot be painted. Use sides from {MIN_SIDE_PX} to {MAX_SIDE_PX:,} pixels.")
    if not 1 / MAX_RATIO <= width / height <= MAX_RATIO:
        raise BadInput(f"{width}x{height} is too narrow. Use a ratio from 1:4 to 4:1, such as --ar 4:1.")
    width, height = (_clamped(round(side / info.multiple_px), info.multiple_px) for side in (width, height))
    if width * height > most:
        square, _ = fit(1.0, info, most, area=most)
        raise BadInput(
            f"{width}x{height} is too large. Use at most {most:,} pixels in all, such as --size {square}x{square}."
        )
    return width, height


def fit(ratio: float, info: ModelInfo, most: int, area: int = 0) -> tuple[int, int]:
    """Width and height of a ratio (kept within 1:4 to 4:1) on about `area` pixels, by default the model's own number.

    Never more than `most` pixels, as long as the smallest sides allow it.
    """
    ratio = min(MAX_RATIO, max(1 / MAX_RATIO, ratio))
    unit = info.multiple_px
    width = sqrt(min(area or info.width * info.height, most) * ratio)
    width = max(width, MIN_SIDE_PX, MIN_SIDE_PX * ratio)
    sides = [_clamped(round(side / unit), unit) for side in (width, width / ratio)]
    if sides[0] * sides[1] > most:
        sides = [_clamped(int(side / unit), unit) for side in (width, width / ratio)]
    return sides[0], sides[1]


def _clamped(units: int, unit: int) -> int:
    """So many units as pixels, between the smallest and the largest side."""
    return unit * max(-(-MIN_SIDE_PX // unit), min(MAX_SIDE_PX // unit, units))
