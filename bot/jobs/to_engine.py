"""From a job's normal form to what the engine takes. Knows neither database nor Discord."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from PIL import Image

from bot.prompt.spec import BlendEdit, ControlEdit, InpaintEdit, OutpaintEdit, Spec, UpscaleEdit
from engine.tasks.blend import Blend
from engine.tasks.control import Control
from engine.tasks.img2img import Img2Img
from engine.tasks.inpaint import Inpaint
from engine.tasks.outpaint import Outpaint
from engine.tasks.txt2img import Txt2Img, Variation
from engine.tasks.upscale import Upscale

Pictures = Mapping[str, Image.Image]
_SHARED = {field.name for field in fields(Spec)} & {field.name for field in fields(Txt2Img)} - {"variations"}
_OURS = ("kind", "mask", "box", "source")  # an edit's fields that the engine does not know by these values


def to_request(spec: Spec, inputs: Pictures | None = None) -> Txt2Img:
    """The engine's request for a spec; `inputs` holds each of `spec.inputs`, by its sha256.

    Raises: engine.errors.InvalidRequest.
    """
    values: dict[str, Any] = {name: getattr(spec, name) for name in _SHARED}
    values["variations"] = tuple(Variation(seed=seed, strength=strength) for seed, strength in spec.variations)
    if spec.strength is not None:
        values["strength"] = spec.strength
    return _BUILDERS[spec.task](values, spec, inputs or {})


def _txt2img(values: dict[str, Any], spec: Spec, inputs: Pictures) -> Txt2Img:
    return Txt2Img(**values)


def _img2img(values: dict[str, Any], spec: Spec, inputs: Pictures) -> Txt2Img:
    return Img2Img(**values, init_image=_source(spec, inputs))


def _inpaint(values: dict[str, Any], spec: Spec, inputs: Pictures) -> Txt2Img:
    assert isinstance(spec.edit, InpaintEdit)
    mask = inputs[spec.edit.mask].convert("L")
    return Inpaint(**values, **_options(spec.edit), init_image=_source(spec, inputs), mask=mask)


def _outpaint(values: dict[str, Any], spec: Spec, inputs: Pictures) -> Txt2Img:
    assert isinstance(spec.edit, OutpaintEdit)
    return Outpaint(**values, **_options(spec.edit), init_image=_source(spec, inputs))


def _upscale(values: dict[str, Any], spec: Spec, inputs: Pictures) -> Txt2Img:
    assert isinstance(spec.edit, UpscaleEdit)
    return Upscale(**values, **_options(spec.edit), init_image=_source(spec, inputs))


def _blend(values: dict[str, Any], spec: Spec, inputs: Pictures) -> Txt2Img:
    assert isinstance(spec.edit, BlendEdit)
    return Blend(**values, images=[inputs[sha256] for sha256 in spec.edit.images], weights=spec.edit.weights)


def _control(values: dict[str, Any], spec: Spec, inputs: Pictures) -> Txt2Img:
    edit = spec.edit
    assert isinstance(edit, ControlEdit)
    return Control(
        **values,
        control_image=_source(spec, inputs),
        controlnet=edit.controlnet,
        controlnet_conditioning_scale=edit.scale,
        prepared=edit.prepared,
    )


def _source(spec: Spec, inputs: Pictures) -> Image.Image:
    assert spec.init_image is not None, f"{spec.task} names its picture"
    return inputs[spec.init_image]


def _options(edit: InpaintEdit | OutpaintEdit | UpscaleEdit) -> dict[str, Any]:
    return {name: value for name, value in asdict(edit).items() if name not in _OURS}


_BUILDERS: Mapping[str, Callable[[dict[str, Any], Spec, Pictures], Txt2Img]] = {
    "txt2img": _txt2img,
    "img2img": _img2img,
    "inpaint": _inpaint,
    "outpaint": _outpaint,
    "upscale": _upscale,
    "blend": _blend,
    "control": _control,
}
