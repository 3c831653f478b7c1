"""From what a stranger's file says to a job of ours: the nearest model, sampler and size that are here. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import PurePath

from bot.errors import BadInput
from bot.languages.speech import N_, _
from bot.ledger.limits import Terms
from bot.orders import drafts
from bot.prompt.image_metadata import Parameters
from bot.prompt.parser import MAX_NEGATIVE_CHARS, MAX_PROMPT_CHARS, Draft
from bot.prompt.text import quoted, visible
from engine.api.errors import UnknownScheduler
from engine.api.model_info import ModelInfo
from engine.tasks import lora_tags
from engine.tasks.txt2img import MAX_RATIO, MAX_SEED

LORA = "<lora:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """The job that comes nearest, and a sentence for each thing that will be different."""

    draft: Draft
    changes: tuple[str, ...]


def of(said: Parameters, models: Sequence[ModelInfo], terms: Terms) -> Rerun:
    """The nearest job to what was read. Raises: BadInput when no model is loaded."""
    changes: list[str] = []
    allowed = [info for info in models if terms.models is None or info.key in terms.models]
    info = _model(said, allowed or models, changes)
    loras = [key for key in info.loras if terms.loras is None or key in terms.loras]
    prompt = _words(_with_loras(said, loras, changes), MAX_PROMPT_CHARS, N_("The prompt"), changes, loras)
    draft = Draft(
        prompt=prompt,
        negative_prompt=_words(said.negative_prompt, MAX_NEGATIVE_CHARS, N_("The negative prompt"), changes) or None,
        num_inference_steps=_steps(said, terms, changes),
        guidance_scale=None if said.guidance is None else min(30.0, max(0.0, round(said.guidance, 4))),
        scheduler=_scheduler(said, info, changes),
        seed=_seed(said, changes),
        model=info.key,
        tiling=said.tiling or None,
        num_images=1,
        plain=True,
        variations=tuple((seed, share) for seed, share in said.variations if seed <= MAX_SEED) or None,
    )
    draft = _sized(draft, said, info, terms, changes)
    if said.left_out:
        changes.append(_("Left out: {left_out}.", left_out=", ".join(said.left_out)))
    if said.from_picture:
        changes.append(_("It was made from a picture that isn't in the file, so it's painted from the words alone."))
    return Rerun(draft=draft, changes=tuple(changes))


def _with_loras(said: Parameters, loras: Sequence[str], changes: list[str]) -> str:
    """The prompt with a tag for each LoRA that only the file's other facts name."""
    known = {key.casefold(): key for key in loras}
    found = {known.get(PurePath(name).stem.casefold(), ""): weight for name, weight in said.loras}
    if missing := [name for name, _ in said.loras if PurePath(name).stem.casefold() not in known]:
        changes.append(_("LoRAs that aren't here are left out: {map}.", map=", ".join(map(quoted, missing[:4]))))
    return " ".join([said.prompt, *(f"<lora:{key}:{weight:g}>" for key, weight in found.items() if key)])


def _words(text: str, most: int, what: str, changes: list[str], loras: Sequence[str] = ()) -> str:
    kept = lora_tags.keeping(text, loras)
    if kept != text:
        changes.append(_("Its LoRAs are left out.") if LORA not in kept else _("LoRAs that aren't here are left out."))
    plain = visible(kept)
    if len(plain) > most:
        changes.append(_("{what} is cut to {most:,} characters.", what=_(what), most=most))
    return plain[:most]


def _model(said: Parameters, models: Sequence[ModelInfo], changes: list[str]) -> ModelInfo:
    default = drafts.find_model(models, None)
    wanted = said.model.casefold().removesuffix(".safetensors").removesuffix(".ckpt")
    if not wanted:
        return default
    keys = {info.key.casefold(): info for info in models}
    near = get_close_matches(wanted[:80], keys, n=1, cutoff=0.6)
    found = keys[near[0]] if near else default
    if found.key.casefold() != wanted:
        changes.append(
            _(
                "The model {model} isn't available here, so {key} paints instead.",
                model=quoted(said.model),
                key=found.key,
            )
        )
    return found


def _scheduler(said: Parameters, info: ModelInfo, changes: list[str]) -> str | None:
    if not said.sampler:
        return None
    try:
        if found := info.scheduler_named(said.sampler):
            return found.name
    except UnknownScheduler:
        pass
    by_label = {name: each for each in info.schedulers for name in (each.name, each.label.casefold())}
    near = get_close_matches(said.sampler[:80].casefold(), by_label, n=1, cutoff=0.5)
    name = by_label[near[0]].name if near else info.scheduler
    changes.append(
        _(
            "The sampler {sampler} isn't available here, so {name} is used instead.",
            sampler=quoted(said.sampler),
            name=name,
        )
    )
    return name


def _steps(said: Parameters, terms: Terms, changes: list[str]) -> int | None:
    if said.steps is None or said.steps < 1:
        return None
    if said.steps > terms.max_steps:
        changes.append(
            _("It had {steps} steps; {max_steps} are the most here.", steps=said.steps, max_steps=terms.max_steps)
        )
    return min(said.steps, terms.max_steps)


def _seed(said: Parameters, changes: list[str]) -> int | None:
    if said.seed is None or said.seed <= MAX_SEED:
        return said.seed
    changes.append(
        _(
            "Its seed {seed} is above {max_seed:,}, the largest here: a new one is drawn.",
            seed=said.seed,
            max_seed=MAX_SEED,
        )
    )
    return None


def _sized(draft: Draft, said: Parameters, info: ModelInfo, terms: Terms, changes: list[str]) -> Draft:
    """With the same size if it can be painted, else with the same proportions."""
    if not said.width or not said.height:
        return draft if said.ratio is None else replace(draft, aspect_ratio=said.ratio)
    whole = Draft(prompt="x", width=said.width, height=said.height, model=info.key)
    try:
        spec = drafts.resolve(whole, [info], terms, 0)
    except BadInput:
        ratio = min(MAX_RATIO, max(1 / MAX_RATIO, said.width / said.height))
        changes.append(
            _("{size} can't be painted here, so only the proportions are kept.", size=f"{said.width}x{said.height}")
        )
        return replace(draft, aspect_ratio=(round(ratio, 4), 1.0))
    if (spec.width, spec.height) != (said.width, said.height):
        changes.append(
            _(
                "{asked} becomes {size}, which {model} can paint.",
                asked=f"{said.width}x{said.height}",
                size=f"{spec.width}x{spec.height}",
                model=info.key,
            )
        )
    return replace(draft, width=spec.width, height=spec.height)
