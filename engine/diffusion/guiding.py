"""What ControlNets follow, as their pipelines take it. Lives in the engine's thread."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from PIL import Image

from engine.imaging import controlnet_preprocess, masks
from engine.tasks.canvas import Region
from engine.tasks.pictures import Guide, covering
from engine.tasks.txt2img import Txt2Img


def arguments(request: Txt2Img, pipe: Any, region: Region | None, modes: Sequence[int | None]) -> dict[str, Any]:
    """What the guides add to the pipeline's call; of several, or where its ControlNet is a Union, lists in their order.

    `modes`: which of its kinds of pictures each ControlNet is to follow; None = it knows one only.
    """
    takes = inspect.signature(type(pipe).__call__).parameters
    told: dict[str, list[Any]] = {
        "control_image" if "control_image" in takes else "image": [_seen(request, g, region) for g in request.guides],
        "controlnet_conditioning_scale": [float(guide.conditioning_scale) for guide in request.guides],
        "control_guidance_start": [guide.guidance_start for guide in request.guides],
        "control_guidance_end": [guide.guidance_end for guide in request.guides],
    }
    if any(mode is not None for mode in modes):
        told["control_mode"] = [*modes]
    if len(modes) > 1 or "Union" in type(pipe).__name__:
        return told
    return {name: values[0] for name, values in told.items()}


def _seen(request: Txt2Img, guide: Guide, region: Region | None) -> Image.Image:
    """What the ControlNet reads: of an edit, the part that is painted."""
    picture = covering(guide.image, request.size)
    if region is not None:
        picture = masks.into_frame(picture, region.frame)
    return picture if guide.prepared else controlnet_preprocess.made_ready(picture, guide.controlnet)
