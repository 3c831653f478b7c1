"""Set up one image: its own copy of the pipeline, its scheduler, its noise, its words, its fiber."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from PIL import Image

from engine.api import schedulers
from engine.api.errors import RenderFailed
from engine.api.model_info import ModelInfo
from engine.device.fibers import Fiber, Stub
from engine.diffusion import (
    blending,
    embeddings,
    ending,
    guiding,
    modular,
    noise,
    prompt_schedule,
    prompts,
    scheduler_factory,
    steering,
)
from engine.diffusion.conditioning import Conditioned, Words
from engine.diffusion.guiding import Draw
from engine.diffusion.margins import with_margins
from engine.diffusion.preview import StepWatch
from engine.models import families
from engine.models.controlnets import T2I
from engine.models.derived.controls import with_controlnets
from engine.models.derived.image_prompts import with_ip_adapter
from engine.models.derived.loras import with_adapters
from engine.models.derived.variants import beside
from engine.models.model_cache import Model, ModelCache
from engine.models.upscalers.known import UPSCALER
from engine.runtime.options import Files
from engine.tasks import canvas, guidance, lora_tags, resolve
from engine.tasks.canvas import Place, Region
from engine.tasks.txt2img import Txt2Img, Variation
from engine.upscale import superres


def model_for(request: Txt2Img, info: ModelInfo, cache: ModelCache, files: Files, now: float) -> Model:
    """The model that runs a request, with the adapters it needs. Raises: NotYet, ModelUnloadable."""
    if request.uses_upscaler:
        return cache.get(UPSCALER, now)
    model = cache.get(info.key, now)
    if prompted := request.image_prompts(info):
        model = with_ip_adapter(model, files.ip_adapters[info.key], prompted, request.size, now, cache)
    if request.guides:
        nets = [files.controlnets[guide.controlnet] for guide in request.guides]
        model = with_controlnets(model, nets, now, cache)
    loras, words = lora_tags.used(request, info)
    known = files.adapters
    wanted = {known["lora"][name]: weight for name, weight in loras.items()}
    wanted |= dict.fromkeys((known["embedding"][name] for name in words), lora_tags.Weights(1.0, 1.0))
    return with_adapters(model, wanted, now, cache)


def begin(
    request: Txt2Img, index: int, part: int, model: Model, info: ModelInfo, files: Files, draw: Draw
) -> tuple[Any, Fiber, StepWatch | None]:
    """The pipeline copy of part `part` of image `index`, the fiber that will call it, and what sees its steps.

    `draw`: makes what ControlNets follow.
    """
    enlargement = request.enlargement(info, part)
    if enlargement is not None:
        return *superres.begin(enlargement, request, index, model, info), None
    pipe = model.pipeline(request.pipeline(info))
    strange = model.info.family not in families.JOINED
    name = request.scheduler or schedulers.OWN.name
    is_own = name in (model.scheduler, schedulers.OWN.name)
    pipe.__dict__["scheduler"] = scheduler_factory.build(name, model.pipe.scheduler, is_own=is_own, on_cpu=not strange)
    seed, chain = resolve.image_chain(request, index)
    generator = noise.generator(seed)
    _begin_with(pipe, request, generator, chain, request.place(info, part))
    if info.margins and request.from_nothing(info):
        with_margins(pipe)
    watch = StepWatch(pipe.scheduler)
    prompted = request.image_prompts(info)
    if request.shares and not prompted:
        pipe.__dict__["vae"] = blending.vae_for(request, pipe)
    arguments = {**request.arguments(info), **families.EXACT_SIZE.get(model.info.family, {}), "generator": generator}

    def paint() -> Any:
        ready = request.unpainted()
        if ready is not None:
            return ready
        words = _words(pipe, model, request, info, watch)
        if prompted:
            words["ip_adapter_image_embeds"] = blending.embeddings_of(request, prompted, pipe)
        region, pictures = request.prepare(info, seed, part)
        if request.guides:
            pictures |= _led(pipe, model, request, region, files, watch, draw)
        painted = _picture(pipe, _called(model.info.family, {**arguments, **words, **pictures}))
        if not isinstance(painted, Image.Image):
            raise RenderFailed(reason=f"it gave a {type(painted).__name__} in place of a picture")
        return request.as_asked(canvas.finish(region, painted if painted.mode == "RGB" else painted.convert("RGB")))

    fiber = Fiber(paint, tiled=request.tiling, strange=strange)
    fiber.fragile = lambda: watch.fragile
    return pipe, fiber, watch


def _begin_with(
    pipe: Any, request: Txt2Img, generator: torch.Generator, chain: tuple[Variation, ...], place: Place | None
) -> None:
    """Have the pipeline begin with the noise that is asked for, and end where it is to."""
    if chain:
        pipe.__dict__["prepare_latents"] = _within(noise.Varied(generator, chain), pipe.prepare_latents)
    if request.weird:
        pipe.__dict__["prepare_latents"] = _within(noise.Uneven(generator, request.weird), pipe.prepare_latents)
    if place is not None:
        pipe.__dict__["prepare_latents"] = _within(noise.Cropped(place), pipe.prepare_latents)
        pipe.scheduler.step = _within(noise.Cropped(place), pipe.scheduler.step)
    if request.stop_at < 1:
        ending.end_at(pipe.scheduler, request.stop_at)


def _led(
    pipe: Any, model: Model, request: Txt2Img, region: Region | None, files: Files, watch: StepWatch, draw: Draw
) -> dict[str, Any]:
    """What ControlNets add to the pipeline's call; what T2I-Adapters see is added to its denoiser's."""
    nets = [files.controlnets[guide.controlnet] for guide in request.guides]
    seen = [guiding.seen(request, guide, region, draw) for guide in request.guides]
    guides = list(zip(request.guides, seen, nets, strict=True))
    steered = [(guide, picture, beside(model, net.path)) for guide, picture, net in guides if net.made == T2I]
    if steered:
        found = [steering.features(adapter, picture, guide) for guide, picture, adapter in steered]
        pipe.__dict__["unet"] = steering.Steered(pipe.unet, found, watch, pipe)
    followed = [(guide, picture, net.mode) for guide, picture, net in guides if net.made != T2I]
    return guiding.arguments(pipe, followed) if followed else {}


def _within(mode: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)  # pipelines ask for a scheduler's parameters
    def inside(*args: Any, **kwargs: Any) -> Any:
        with mode:
            return function(*args, **kwargs)

    return inside


def _words(pipe: Any, model: Model, request: Txt2Img, info: ModelInfo, watch: StepWatch) -> dict[str, Any]:
    """The prompts as the pipeline takes them: text where it reads the same, embeddings where we read more."""
    _, taught = lora_tags.used(request, info)
    prompt = lora_tags.tokens_in(lora_tags.without(request.prompt), taught)
    negative = lora_tags.tokens_in(request.negative_prompt, taught)
    if not model.info.weighted_prompts:  # brackets are brackets to T5 and language models
        return {"prompt": prompt, **guidance.arguments(request, model.info, negative)}
    # the pipeline does this to a text by itself, and cannot to our embeddings
    full = [pipe.maybe_convert_prompt(text, pipe.tokenizer) if taught else text for text in (prompt, negative)]
    if not embeddings.needs_embedding(pipe, *full):
        return {
            "prompt": prompts.plain_text(prompt),
            **guidance.arguments(request, model.info, prompts.plain_text(negative)),
        }
    return {**guidance.arguments(request, model.info, ""), **_embedded(pipe, full[0], full[1], request, watch)}


def _embedded(pipe: Any, prompt: str, negative: str, request: Txt2Img, watch: StepWatch) -> dict[str, Any]:
    """The first words as embeddings; where they change or are several, the denoiser is given them as they come."""
    steps = request.num_inference_steps or 1
    wanted, unwanted = prompt_schedule.parts(prompt, steps), prompt_schedule.unwanted(negative, steps)
    texts = [text for part in wanted for _, text in part.texts]
    found, against = embeddings.embed(pipe, texts, [text for _, text in unwanted.texts], request.clip_skip)
    words = Words(wanted, unwanted, found, against)
    if type(pipe.unet) is Stub and (len(found) > 1 or len(against) > 1 or words.weights != [1.0]):
        pipe.__dict__["unet"] = Conditioned(pipe.unet, words, watch)
    return embeddings.arguments(found[wanted[0].at(0)], against[unwanted.at(0)])


def _called(family: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The call's arguments as a family that changes pictures wants them."""
    if (key := families.INSTRUCTIONS.get(family)) is not None:
        arguments |= {"prompt": json.dumps({key: arguments["prompt"]}, ensure_ascii=False)}
    if (name := families.PICTURES.get(family)) is not None:
        arguments |= {name: arguments["image"]}
    return arguments


def _picture(pipe: Any, arguments: Mapping[str, Any]) -> Any:
    if modular.is_modular(pipe):
        return modular.picture(pipe, _known_to(modular.parameters(pipe), arguments))
    kind: type = type(pipe)
    return pipe(**_known_to(_parameters(kind), arguments)).images[0]


def _known_to(parameters: frozenset[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Only what the pipeline's call takes: Flux knows no clip_skip, img2img of SD 1.x no width.

    Nor what nobody said: no negative prompt is the pipeline's own default, which SDXL reads as zeros and Sana as "".
    """
    return {k: v for k, v in arguments.items() if v is not None and k in parameters}


@functools.cache
def _parameters(pipeline: type) -> frozenset[str]:
    return frozenset(inspect.signature(pipeline.__call__).parameters)
