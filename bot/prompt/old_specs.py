"""Specs of versions 1 to 4, which older databases hold, as the requests they always made.

They kept what is done to a picture apart from the request, as an `edit`, and of most pictures no size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.tasks.blend import Blend
from engine.tasks.control import Control
from engine.tasks.img2img import Img2Img
from engine.tasks.inpaint import Inpaint
from engine.tasks.outpaint import Outpaint
from engine.tasks.pictures import StoredPicture
from engine.tasks.txt2img import Txt2Img, Variation
from engine.tasks.upscale import Upscale

Json = Mapping[str, Any]
_SHARED = (
    *("prompt", "negative_prompt", "width", "height", "num_inference_steps", "guidance_scale", "scheduler", "seed"),
    *("best_of", "model", "tiling"),
)


def request_of(spec: Json) -> Txt2Img:
    """The request of a spec. Raises: TypeError when it is none."""
    task, edit = spec.get("task", "txt2img"), spec.get("edit") or {}
    if task not in _READERS or edit.get("kind", task) != task:
        raise TypeError(f"no spec: {task!r} with {edit.get('kind')!r}")
    shared = {name: spec[name] for name in _SHARED if name in spec}
    shared["num_images"] = 1 if spec.get("compare") else spec.get("num_images", 4)
    shared["variations"] = tuple(
        Variation(seed=int(s), strength=float(share)) for s, share in _list(spec, "variations")
    )
    if spec.get("strength") is not None:
        shared["strength"] = spec["strength"]
    return _READERS[task](shared, spec, {name: value for name, value in edit.items() if name != "kind"})


def _list(value: Json, name: str) -> list[Any]:
    return list(value.get(name) or ())


def _picture(spec: Json, size: tuple[int, int] = (0, 0)) -> StoredPicture:
    return StoredPicture(sha256=spec["init_image"], size=size)


def _txt2img(shared: dict[str, Any], spec: Json, edit: dict[str, Any]) -> Txt2Img:
    return Txt2Img(**shared)


def _img2img(shared: dict[str, Any], spec: Json, edit: dict[str, Any]) -> Txt2Img:
    return Img2Img(**shared, init_image=_picture(spec))


def _inpaint(shared: dict[str, Any], spec: Json, edit: dict[str, Any]) -> Txt2Img:
    size = spec["width"], spec["height"]
    left, top, right, bottom = edit.pop("box")
    mask = StoredPicture(sha256=edit.pop("mask"), size=size, box=(left, top, right, bottom))
    return Inpaint(**shared, **edit, init_image=_picture(spec, size), mask=mask)


def _outpaint(shared: dict[str, Any], spec: Json, edit: dict[str, Any]) -> Txt2Img:
    width, height = edit.pop("source")
    return Outpaint(**shared, **edit, init_image=_picture(spec, (width, height)))


def _upscale(shared: dict[str, Any], spec: Json, edit: dict[str, Any]) -> Txt2Img:
    scale = edit.get("scale", 2)
    edit.setdefault("resampling", "lanczos")
    return Upscale(**shared, **edit, init_image=_picture(spec, (spec["width"] // scale, spec["height"] // scale)))


def _blend(shared: dict[str, Any], spec: Json, edit: dict[str, Any]) -> Txt2Img:
    images = [StoredPicture(sha256=sha256) for sha256 in edit["images"]]
    return Blend(**shared, images=images, weights=edit["weights"])


def _control(shared: dict[str, Any], spec: Json, edit: dict[str, Any]) -> Txt2Img:
    return Control(
        **shared,
        control_image=_picture(spec),
        controlnet=edit.get("controlnet", ""),
        controlnet_conditioning_scale=edit.get("scale", 1.0),
        prepared=edit.get("prepared", False),
    )


_READERS: Mapping[str, Callable[[dict[str, Any], Json, dict[str, Any]], Txt2Img]] = {
    "txt2img": _txt2img,
    "img2img": _img2img,
    "inpaint": _inpaint,
    "outpaint": _outpaint,
    "upscale": _upscale,
    "blend": _blend,
    "control": _control,
}
