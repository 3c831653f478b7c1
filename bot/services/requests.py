"""From a job's normal form to what the engine takes. Knows neither database nor Discord."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from PIL import Image

from bot.spec import Spec
from engine.types import Img2Img, Txt2Img, Variation

_SHARED = {field.name for field in fields(Spec)} & {field.name for field in fields(Txt2Img)} - {"variations"}


def to_request(spec: Spec, init_image: Image.Image | None = None) -> Txt2Img:
    """The engine's request for a spec; `init_image` is the picture that an img2img spec names.

    Raises: engine.errors.InvalidRequest.
    """
    values: dict[str, Any] = {name: getattr(spec, name) for name in _SHARED}
    values["variations"] = tuple(Variation(seed=seed, strength=strength) for seed, strength in spec.variations)
    if spec.task == "txt2img":
        return Txt2Img(**values)
    assert init_image is not None, "an img2img spec names its picture"
    return Img2Img(**values, init_image=init_image, strength=0.6 if spec.strength is None else spec.strength)
