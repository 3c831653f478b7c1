"""What ControlNets follow, as their pipelines take it. Lives in the engine's thread."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from engine.imaging import masks
from engine.tasks.canvas import Region
from engine.tasks.pictures import Guide, covering
from engine.tasks.txt2img import Txt2Img

Draw = Callable[[str, Image.Image], Image.Image]  # what the ControlNet of a name follows, made of any picture


def arguments(pipe: Any, followed: Sequence[tuple[Guide, Image.Image, int | None]]) -> dict[str, Any]:
    """What the guides add to the pipeline's call; of several, or where its ControlNet is a Union, lists in their order.

    `followed`: with each what its ControlNet reads, and which of its kinds that is; None = it knows one only.
    """
    takes = inspect.signature(type(pipe).__call__).parameters
    guides, modes = [guide for guide, _, _ in followed], [mode for _, _, mode in followed]
    told: dict[str, list[Any]] = {
        "control_image" if "control_image" in takes else "image": [picture for _, picture, _ in followed],
        "controlnet_conditioning_scale": [float(each.conditioning_scale) for each in guides],
        "control_guidance_start": [each.guidance_start for each in guides],
        "control_guidance_end": [each.guidance_end for each in guides],
    }
    if any(mode is not None for mode in modes):
        told["control_mode"] = modes
    if len(modes) > 1 or "Union" in type(pipe).__name__:
        return told
    return {name: values[0] for name, values in told.items()}


def seen(request: Txt2Img, guide: Guide, region: Region | None, draw: Draw) -> Image.Image:
    """What the ControlNet reads: of an edit, the part that is painted."""
    picture = covering(guide.image, request.size)
    if region is not None:
        picture = masks.into_frame(picture, region.frame)
    return picture if guide.prepared else draw(guide.controlnet, picture)
