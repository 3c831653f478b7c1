"""From what a person asked for to a complete, allowed and priced job. Pure; knows no Discord, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from bot.errors import BadInput, said
from bot.languages.speech import N_, _, engine_words, later, stored
from bot.ledger.limits import Terms
from bot.orders.sizes import clamped, size_of
from bot.orders.uploads import MAX_PIXELS, SCALED
from bot.prompt.parser import GRID, Draft
from bot.prompt.spec import BOARD_SCALE, Spec
from bot.prompt.text import quoted, visible
from engine.api import schedulers
from engine.api.errors import InvalidRequest, UnknownScheduler
from engine.api.model_info import ModelInfo
from engine.tasks import guidance, lora_tags
from engine.tasks.pictures import same_ratio
from engine.tasks.txt2img import MAX_IMAGES, MAX_SEED, MAX_STEPS, Room, Txt2Img, Variation

WORDS = Txt2Img(prompt="")  # painted from words alone
ENLARGED_MC = 100  # millicredits of a megapixel that nothing was painted into
CHAOS_MAX, LEAST_CHAOS = 100, 0.1  # at none, four pictures still differ a little
BOARD, BOARD_QUALITY = 12, 0.5  # pictures, in half the steps: less than a grid in all
PICTURE_MC = 1000  # millicredits of one picture at the model's own size and steps
NONE = N_("none")
REPAINTED = N_("Repainted at {size}, the size that suits {model}.")


def resolve(draft: Draft, models: Sequence[ModelInfo], terms: Terms, random_seed: int, what: Txt2Img = WORDS) -> Spec:
    """Fill what was not said and check everything.

    `random_seed` is used when none was asked for. `what` is the task with its own fields, such as the stored picture
    that is repainted: without a size or ratio the job takes that picture's proportions. What is too large for this
    server or model is made to fit.
    Raises: BadInput with what is wrong and the nearest thing that works.
    """
    _check_heard(draft)
    info = _able(models, draft.model, what, terms)
    _check_loras(draft, info, models, terms)
    info = lora_tags.sampled_by(info, draft.prompt)
    draft, smaller = _as_board(draft, what)
    _check_ranges(draft)
    try:
        what = what.asked_again().with_strength(draft.strength).completed(info)
        what, (width, height), note = _sized(draft, info, what, terms.max_pixels)
        width, height = (_smaller(side, info) for side in (width, height)) if smaller else (width, height)
    except InvalidRequest as error:
        raise BadInput("{why}", why=later(said, error)) from None
    request = replace(
        what,
        prompt=draft.prompt,
        negative_prompt=visible(draft.negative_prompt or ""),
        width=width,
        height=height,
        num_inference_steps=_steps(draft, info, terms),
        guidance_scale=info.guidance_scale if draft.guidance_scale is None else round(draft.guidance_scale, 4),
        scheduler=_scheduler(draft.scheduler, info),
        seed=random_seed if draft.seed is None else draft.seed,
        num_images=draft.num_images or GRID,
        best_of=_best_of(draft, info),
        model=info.key,
        tiling=bool(draft.tiling),
        variations=_variations(draft, what, random_seed),
        weird=(draft.weird or 0.0) if _is_from_noise(what) else 0.0,
        stop_at=(draft.stop_at or 1.0) if _is_from_noise(what) else 1.0,
        together=True,
    )
    guided, strong = draft.guidance_scale is not None, draft.strength is not None
    unheard = guidance.unheard(request, info, guided=guided, strong=strong)
    still = _("`--chaos` has no effect here.") if draft.chaos is not None and not what.varies_by_noise else ""
    odd = [name for name, value in (("weird", draft.weird), ("stop", draft.stop_at)) if value is not None]
    idle = " ".join(_("`--{name}` has no effect here.", name=name) for name in odd if not _is_from_noise(what))
    return Spec(
        request=request,
        note=" ".join(
            filter(None, (note, unheard, still, idle, *(stored(each, SCALED) for each in draft.notes or ())))
        ),
    )


def _as_board(draft: Draft, what: Txt2Img) -> tuple[Draft, bool]:
    """A board of small quick pictures where one is asked for; whether it is one. Raises: BadInput."""
    if not draft.board or draft.num_images:
        return draft, False
    if what is not WORDS:
        raise BadInput("--draft paints a board from words alone. Leave it out here.", flag="draft")
    if draft.best_of:
        raise BadInput("--draft paints a board that you pick from yourself. Leave out --best.", flag="best")
    return replace(draft, num_images=BOARD, quality=draft.quality or BOARD_QUALITY), True


def _smaller(side: int, info: ModelInfo) -> int:
    return clamped(round(side * BOARD_SCALE / info.multiple_px), info.multiple_px)


def _is_from_noise(what: Txt2Img) -> bool:
    """Whether all of its pixels begin as noise, and all of its steps are made."""
    return what.paints and what.noise_strength is None and not what.is_edit and not what.shares


def _check_heard(draft: Draft) -> None:
    """What only /imagine has heard and taken out; nobody else may leave it unheard. Raises: BadInput."""
    if draft.style:
        raise BadInput("Styles belong to a server and only work there. Leave out --style here.")
    if draft.references:
        raise BadInput("--sref and --oref only work in /imagine. Leave them out here.")
    if draft.private is not None:
        raise BadInput(
            "--stealth and --public only work in /imagine. Leave them out here; some commands have **private**."
        )


def _variations(draft: Draft, what: Txt2Img, random_seed: int) -> tuple[Variation, ...]:
    """The steps from the seed's noise. Chaos below 100 keeps the pictures near one another: all begin at one seed."""
    if draft.variations or draft.chaos is None or draft.chaos == CHAOS_MAX or not what.varies_by_noise:
        return tuple(Variation(seed=seed, strength=share) for seed, share in draft.variations or ())
    share = LEAST_CHAOS + (1 - LEAST_CHAOS) * draft.chaos / CHAOS_MAX
    return (Variation(seed=(random_seed + MAX_SEED // 2) % (MAX_SEED + 1), strength=round(share, 4)),)


def _able(models: Sequence[ModelInfo], name: str | None, what: Txt2Img, terms: Terms) -> ModelInfo:
    """The model a person means, or the first of theirs that can do the task. Raises: BadInput."""
    models = _allowed(models, name, terms)
    suiting = [info for info in models if what.suits(info)]
    able = [info for info in suiting if what.fits(info)] or suiting
    for guide in what.guides:
        able = following(guide.controlnet, able)
    if what.references:
        able = check_reads_pictures(able)
        if name and (meant := find_model(models, name)) not in able:
            raise BadInput(
                "{key} can't read reference pictures. {able} can.",
                key=meant.key,
                able=", ".join(info.key for info in able),
            )
    info = find_model(models if name or not able else able, name)
    if not what.suits(info):
        facts: dict[str, Any] = {"key": info.key, "does": later(engine_words, what.does)}
        if able:
            raise BadInput("The model {key} can't {does}. Use {other}.", **facts, other=able[0].key)
        advice = later(lambda: f" {engine_words(what.advice)}".rstrip())
        raise BadInput("The model {key} can't {does}. No model here can.{advice}", **facts, advice=advice)
    if info not in able:
        fits = ", ".join(each.key for each in able)
        wanted = ", ".join(quoted(guide.controlnet) for guide in what.guides)
        raise BadInput(
            "The model {key} has no ControlNet {wanted}. These have: {fits}.",
            key=info.key,
            wanted=wanted,
            fits=fits or later(_, NONE),
        )
    return info


def check_reads_pictures(models: Sequence[ModelInfo]) -> list[ModelInfo]:
    """The models that can read reference pictures. Raises: BadInput when none can."""
    able = [info for info in models if info.image_prompts]
    if not able:
        raise BadInput(
            "No model here can read reference pictures. The person who runs Easel can add an IP-Adapter with "
            "EASEL_IP_ADAPTERS. Until then, **/blend** mixes several pictures."
        )
    return able


def following(controlnet: str, able: Sequence[ModelInfo]) -> list[ModelInfo]:
    """The models that have a ControlNet of that name, or any when it has none. Raises: BadInput."""
    known = {name.casefold(): name for info in able for name in info.controlnets}
    if not known:
        raise BadInput(
            "No model here has a ControlNet. The person who runs Easel can add one with "
            "EASEL_CONTROLNETS. Until then, **/vary** makes pictures close to yours."
        )
    if controlnet and controlnet.casefold() not in known:
        raise BadInput(
            "There's no ControlNet {name}. {nearest}",
            name=quoted(controlnet),
            nearest=later(_nearest, controlnet, [*known.values()]),
        )
    return [info for info in able if info.controlnet_named(controlnet)]


def _sized(draft: Draft, info: ModelInfo, what: Txt2Img, most: int) -> tuple[Txt2Img, tuple[int, int], str]:
    """The task and the size of the result as far as they are possible, and what was changed. Raises: BadInput.

    Raises: InvalidRequest when nothing fits.
    """
    if not what.any_size:
        main = what.main_picture
        own = main.size if main is not None and all(main.size) else None
        size = size_of(draft, info, own, min(most, info.max_pixels))
        whole = draft.aspect_ratio or draft.width or draft.height or what.is_edit or own in (None, size)
        if own is not None and not same_ratio(own, size):
            return what, size, _("The picture was cut to the proportions of {size}.", size=f"{size[0]}x{size[1]}")
        return what, size, "" if whole else _(REPAINTED, size=f"{size[0]}x{size[1]}", model=info.key)
    asked = (draft.width, draft.height) if draft.width and draft.height else what.result_size
    assert asked is not None, "an edit's size follows from its picture"
    return what.within(asked, info, Room(paint_px=most, keep_px=MAX_PIXELS))


def _allowed(models: Sequence[ModelInfo], name: str | None, terms: Terms) -> Sequence[ModelInfo]:
    """The models these terms include. Raises: BadInput when another one is meant, or none is left."""
    if terms.models is None:
        return models
    mine = [info for info in models if info.key in terms.models]
    if name and (meant := find_model(models, name)) not in mine:
        theirs = ", ".join(info.key for info in mine) or later(_, NONE)
        raise BadInput("You can't use the model {key} here. You can use: {theirs}.", key=meant.key, theirs=theirs)
    if models and not mine:
        raise BadInput("None of the models you can use here is loaded. Please tell an admin of this server.")
    return mine


def _check_loras(draft: Draft, info: ModelInfo, models: Sequence[ModelInfo], terms: Terms) -> None:
    """Every LoRA in the prompt fits the model, and these terms include it. Raises: BadInput."""
    try:
        named = lora_tags.check(draft.prompt, draft.negative_prompt or "", info, models)
    except InvalidRequest as error:
        raise BadInput("{why}", why=later(lambda why: visible(said(why)), error)) from None
    refused = [key for key in named if terms.loras is not None and key not in terms.loras]
    if refused:
        mine = ", ".join(key for key in info.loras if key in (terms.loras or ())) or later(_, NONE)
        raise BadInput("You can't use the LoRA {refused} here. You can use: {mine}.", refused=refused[0], mine=mine)


def _check_ranges(draft: Draft) -> None:
    """Flags were checked when they were read; options and forms come straight from the client. Raises: BadInput."""
    for refused, value, low, high in (
        (N_("The seed can't be {value:g}. Use {low:,} to {high:,}."), draft.seed, 0, MAX_SEED),
        (N_("The number of steps can't be {value:g}. Use {low} to {high}."), draft.num_inference_steps, 1, MAX_STEPS),
        (N_("The guidance can't be {value:g}. Use {low} to {high}."), draft.guidance_scale, 0, 30),
        (N_("The strength can't be {value:g}. Use {low} to {high}."), draft.strength, 0.01, 1),
        (N_("The number of pictures can't be {value:g}. Use {low} to {high}."), draft.num_images, 1, MAX_IMAGES),
    ):
        if value is not None and not low <= value <= high:
            raise BadInput(refused, value=value, low=low, high=high)


def _best_of(draft: Draft, info: ModelInfo) -> int | None:
    if draft.best_of is None:
        return None
    kept = draft.num_images or GRID
    if not kept <= draft.best_of <= MAX_IMAGES:
        raise BadInput(
            "The best {kept} of {best_of} can't be kept. Use --best {kept} to {most}, or --n 1.",
            kept=kept,
            best_of=draft.best_of,
            most=MAX_IMAGES,
        )
    if not info.ranks:
        raise BadInput(
            "Pictures of {key} can't be ranked here. Leave out --best, or choose another model.", key=info.key
        )
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
    _check_ranges(Draft(num_inference_steps=steps, guidance_scale=guidance))
    _scheduler(scheduler, info)


def price_mc(spec: Spec, info: ModelInfo) -> int:
    """The price in millicredits: 1 credit a picture at the model's own size, scheduler and steps.

    From there it goes by pixels x denoiser calls. Of an edit count the pixels that are painted and the steps that its
    strength asks for; an upscale that adds nothing takes no model, only room.
    """
    if not spec.request.paints:
        return max(ENLARGED_MC, ENLARGED_MC * spec.width * spec.height // 1_000_000)
    work = spec.request.pixel_calls(info) * PICTURE_MC
    own = info.width * info.height * schedulers.resolve(info.scheduler).calls(info.num_inference_steps)
    return max(1, -(-work // own))


def painting(models: Sequence[ModelInfo]) -> list[str]:
    """The keys of the models that paint from words alone: the others can be nobody's default."""
    return [info.key for info in models if WORDS.suits(info)]


def find_model(models: Sequence[ModelInfo], name: str | None) -> ModelInfo:
    """The model a person means, or the default. Raises: BadInput."""
    if not models:
        raise BadInput("No model is loaded yet. Try again in a minute.")
    wanted = (name or models[0].key).casefold()
    for info in models:
        if info.key.casefold() == wanted:
            return info
    keys = [info.key for info in models]
    near = later(_nearest, wanted, keys)
    raise BadInput("There is no model {name}. {nearest}", name=quoted(name or ""), nearest=near)


def _nearest(wanted: str, known: Sequence[str]) -> str:
    near = get_close_matches(wanted[:80].casefold(), known, n=1, cutoff=0.5)
    return _("Did you mean {near}?", near=near[0]) if near else _("Available: {known}.", known=", ".join(known))


def _scheduler(name: str | None, info: ModelInfo) -> str:
    if name is None:
        return info.scheduler
    try:
        found = info.scheduler_named(name)
    except UnknownScheduler:
        usable = [each.name for each in info.schedulers]
        raise BadInput(
            "There is no scheduler {name}. {nearest}", name=quoted(name), nearest=later(_nearest, name, usable)
        ) from None
    if found is None:
        label = schedulers.resolve(name).label
        raise BadInput(
            "The model {key} can't use the scheduler {label}. Use {scheduler}.",
            key=info.key,
            label=label,
            scheduler=info.scheduler,
        )
    return found.name


def _steps(draft: Draft, info: ModelInfo, terms: Terms) -> int:
    if draft.num_inference_steps is None:
        wanted = round(info.num_inference_steps * (draft.quality or 1.0))
        return min(max(1, wanted), terms.max_steps)
    if draft.num_inference_steps > terms.max_steps:
        raise BadInput(
            "{steps} steps are too many for this server. Use at most {most}.",
            steps=draft.num_inference_steps,
            most=terms.max_steps,
        )
    return draft.num_inference_steps


def draft_of(spec: Spec) -> Draft:
    """Return what a member would ask for to get one spec."""
    return Draft(
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        width=spec.width,
        height=spec.height,
        num_inference_steps=spec.num_inference_steps,
        guidance_scale=spec.guidance_scale,
        scheduler=spec.scheduler,
        seed=spec.seed,
        model=spec.model,
        strength=spec.strength,
        tiling=spec.tiling,
        num_images=spec.num_images,
        best_of=spec.best_of,
        variations=spec.variations,
        weird=spec.request.weird or None,
        stop_at=spec.request.stop_at if spec.request.stop_at < 1 else None,
    )
