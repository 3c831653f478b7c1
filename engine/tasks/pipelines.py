"""Every task in one table: which diffusers pipeline does it, and with which arguments. A new task is a new entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps

from engine.api.requests import Blend, Control, Img2Img, Inpaint, Outpaint, Txt2Img, Upscale
from engine.diffusion import controlnet_preprocess

Arguments = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Task:
    """One way to make a picture.

    Attributes:
        auto_class: the diffusers Auto class whose `from_pipe` shares the model's modules; "" = the pipeline as loaded.
        arguments: what the request adds to the pipeline call. Names the pipeline does not know are left out.
        effort: share of the steps that are run, 0..1.
    """

    name: str
    auto_class: str
    arguments: Arguments
    effort: Callable[[Any], float] = lambda request: 1.0


def _common(request: Txt2Img) -> dict[str, Any]:
    return {
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
        "height": request.height,
        "width": request.width,
        "clip_skip": request.clip_skip,
        "output_type": "pil",
    }


def _img2img(request: Img2Img) -> dict[str, Any]:
    return {**_common(request), "image": fitted(request.init_image, request), "strength": strength(request)}


def _blend(request: Blend) -> dict[str, Any]:
    first, _ = request.shares[0]
    return {**_common(request), "image": covering(first, request), "strength": strength(request)}


def _control(request: Control) -> dict[str, Any]:
    return {
        **_common(request),
        "image": guide(request),
        "controlnet_conditioning_scale": float(request.controlnet_conditioning_scale),
        "control_guidance_start": request.control_guidance_start,
        "control_guidance_end": request.control_guidance_end,
    }


def guide(request: Control) -> Image.Image:
    """What the ControlNet sees: RGB at the size of the request."""
    picture = covering(request.control_image, request)
    return picture if request.prepared else controlnet_preprocess.made_ready(picture, request.controlnet)


def _edit(request: Inpaint | Outpaint | Upscale) -> dict[str, Any]:
    return {**_common(request), "strength": strength(request)}  # the pictures come from `engine.tasks.canvas`


def strength(request: Blend | Img2Img | Inpaint | Outpaint | Upscale) -> float:
    """The strength that runs at least one step; diffusers runs `int(steps * strength)` and fails on none."""
    assert request.num_inference_steps
    return max(request.strength, (1 + 1e-6) / request.num_inference_steps) if request.strength < 1 else 1.0


def fitted(image: Image.Image, request: Txt2Img) -> Image.Image:
    """The picture as RGB at the size of the request."""
    assert request.width is not None
    assert request.height is not None
    image = image.convert("RGB")
    size = (request.width, request.height)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def covering(image: Image.Image, request: Txt2Img) -> Image.Image:
    """The picture as RGB at the size of the request, in its own proportions, its middle kept."""
    assert request.width is not None
    assert request.height is not None
    return ImageOps.fit(image.convert("RGB"), (request.width, request.height), Image.Resampling.LANCZOS)


TASKS: Mapping[type[Txt2Img], Task] = {
    Txt2Img: Task("txt2img", "", _common),
    Img2Img: Task("img2img", "AutoPipelineForImage2Image", _img2img, strength),
    Inpaint: Task("inpaint", "AutoPipelineForInpainting", _edit, strength),
    Outpaint: Task("outpaint", "AutoPipelineForInpainting", _edit, strength),
    Blend: Task("blend", "AutoPipelineForImage2Image", _blend, strength),
    Control: Task(
        "control", "", _control
    ),  # the pipeline that `engine.models.derived_models` has put a ControlNet into
    Upscale: Task("upscale", "AutoPipelineForImage2Image", _edit, strength),
}


BLEND_OF_EMBEDDINGS = Task("blend", "", _common)  # from noise; the pictures are read as words are


def task_of(request: Txt2Img, *, image_prompts: bool = False) -> Task:
    """The task of a request's class; a blend's also depends on how its model takes pictures in."""
    return BLEND_OF_EMBEDDINGS if image_prompts and isinstance(request, Blend) else TASKS[type(request)]
