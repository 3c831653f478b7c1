"""Fill a request's gaps from the model's defaults, and tell which seed each image has. Knows no torch."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from PIL import Image

from engine.api import schedulers
from engine.api.errors import NO_RANKER, InvalidRequest, UnknownModel
from engine.api.model_info import ModelInfo
from engine.tasks import lora_tags
from engine.tasks.pictures import Beside, StoredPicture
from engine.tasks.txt2img import BESIDE, MAX_SEED, Txt2Img, Variation

R = TypeVar("R", bound=Txt2Img)


def find(models: Sequence[ModelInfo], name: str | None) -> ModelInfo:
    """The model of that key, or the first. Raises: UnknownModel."""
    for info in models:
        if name is None or info.key == name:
            return info
    raise UnknownModel(name=name, known=", ".join(m.key for m in models))


def complete(request: R, info: ModelInfo) -> R:
    """The request with every None filled. Raises: InvalidRequest, UnknownScheduler."""
    request.check_model(info)
    if request.best_of and not info.ranks:
        raise InvalidRequest(*NO_RANKER)
    if request.tiling and not info.tileable:
        raise InvalidRequest(f"{info.key} cannot make tiles.", "Leave tiling out, or use an SD 1.x or SDXL model.")
    lora_tags.check(request.prompt, request.negative_prompt, info)
    info = lora_tags.sampled_by(info, request.prompt)
    width, height = request.result_size or (info.width, info.height)
    filled = replace(
        request,
        width=request.width or width,
        height=request.height or height,
        num_inference_steps=request.num_inference_steps or info.num_inference_steps,
        guidance_scale=info.guidance_scale if request.guidance_scale is None else request.guidance_scale,
        scheduler=_scheduler(request.scheduler or info.scheduler, info),
        seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed,
        model=info.key,
    )
    _check_size(filled, info)
    return filled.completed(info)


def _scheduler(name: str, info: ModelInfo) -> str:
    """Flow-matching models know one scheduler only, so asking for another is told, never ignored."""
    found = info.scheduler_named(name)
    if found is None:
        label = schedulers.resolve(name).label
        raise InvalidRequest(f"{info.key} can't use the scheduler {label}.", f"Use {info.scheduler}, its own.")
    return found.name


def _check_size(request: Txt2Img, info: ModelInfo) -> None:
    assert request.width is not None
    assert request.height is not None
    if request.any_size:
        return
    if request.width % info.multiple_px or request.height % info.multiple_px:
        raise InvalidRequest(
            f"{info.key} can't paint {request.width}x{request.height}.", f"Use multiples of {info.multiple_px}."
        )
    if request.width * request.height > info.max_pixels:
        raise InvalidRequest(
            f"{request.width}x{request.height} is too large for {info.key}.",
            f"Use at most {info.max_pixels} pixels in all.",
        )


def image_seed(request: Txt2Img, index: int) -> int:
    """The number that tells image `index` from its neighbours: its own seed, or its last variation's."""
    assert request.seed is not None
    first = request.variations[-1].seed if request.variations else request.seed
    return (first + index) % (MAX_SEED + 1)


def image_chain(request: Txt2Img, index: int) -> tuple[int, tuple[Variation, ...]]:
    """The base seed of image `index` and the variations that lead from its noise to the image's own."""
    assert request.seed is not None
    if not request.variations:
        return image_seed(request, index), ()
    *before, last = request.variations
    return request.seed, (*before, replace(last, seed=image_seed(request, index)))


def of_one(request: Txt2Img, index: int) -> Txt2Img:
    """The request for image `index` by itself: the same picture, from the same noise."""
    seed, variations = image_chain(request, index)
    return replace(request, seed=seed, variations=variations, num_images=1)


def to_json(request: Txt2Img) -> dict[str, Any]:
    """The request as plain JSON values; a picture becomes the sha256 of its RGB pixels."""
    values = {f.name: getattr(request, f.name) for f in fields(request)}
    return {name: _plain(value) for name, value in values.items() if value or name not in BESIDE}


def _plain(value: Any) -> Any:
    if isinstance(value, Image.Image):
        return picture_sha256(value)
    if isinstance(value, StoredPicture):
        return value.sha256
    if isinstance(value, Variation):
        return {"seed": value.seed, "strength": value.strength}
    if isinstance(value, Beside):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value


def picture_sha256(image: Image.Image) -> str:
    rgb = image.convert("RGB")
    return hashlib.sha256(f"{rgb.width}x{rgb.height}:".encode() + rgb.tobytes()).hexdigest()


def versions() -> Mapping[str, str]:
    """The libraries a picture's bytes depend on, without importing them."""
    from importlib import metadata

    return {name: metadata.version(name) for name in ("torch", "diffusers", "transformers")}
