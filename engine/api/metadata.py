"""What a PNG tells about itself: A1111's infotext, Easel's recipe, and that it was made by an algorithm.

Knows no torch. `decode` reads files of strangers: it never raises on a bad one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from PIL import Image, PngImagePlugin

from engine.api import schedulers
from engine.api.recipe import Recipe

EASEL_KEY = "easel"
A1111_KEY = "parameters"
XMP_KEY = "XML:com.adobe.xmp"
MAX_RECIPE_CHARS = 1 << 17  # a prompt is at most a few thousand; more is not ours

# IPTC's word for "made by a trained model" (NewsCodes, digital source type); Google and Meta label pictures by it.
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<Iptc4xmpExt:DigitalSourceType>"
    "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    "</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="w"?>'
)


def encode_png(image: Image.Image, recipe: Recipe) -> bytes:
    """The image as a PNG that carries its recipe. The same image and recipe give the same bytes."""
    info = PngImagePlugin.PngInfo()
    info.add_text(A1111_KEY, infotext(recipe))  # tEXt, or iTXt when it is not Latin-1: as A1111 itself writes it
    info.add_itxt(EASEL_KEY, json.dumps(asdict(recipe), ensure_ascii=False, sort_keys=True))
    info.add_itxt(XMP_KEY, _XMP)
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=info)
    return out.getvalue()


def decode(png: bytes) -> Recipe | None:
    """The recipe inside a PNG that Easel wrote; None for any other file."""
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            text = image.info.get(EASEL_KEY)
        return recipe_from_json(json.loads(text)) if isinstance(text, str) and len(text) <= MAX_RECIPE_CHARS else None
    except (OSError, ValueError, TypeError, SyntaxError, RecursionError, Image.DecompressionBombError):
        return None


def recipe_from_json(value: Any) -> Recipe:
    """The recipe that `dataclasses.asdict` made plain. Raises: TypeError when it is not one."""
    if not isinstance(value, dict) or not isinstance(value.get("request"), dict):
        raise TypeError("not a recipe")
    return Recipe(**value)


def infotext(recipe: Recipe) -> str:
    """A1111's generation parameters (modules/infotext_utils.py there reads them back into its form)."""
    request = recipe.request
    lines = [str(request["prompt"])]
    if request.get("negative_prompt"):
        lines.append(f"Negative prompt: {request['negative_prompt']}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in _facts(recipe)))
    return "\n".join(lines)


def _facts(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    request = recipe.request
    sampler = schedulers.resolve(request["scheduler"])
    yield "Steps", request["num_inference_steps"]
    yield "Sampler", sampler.label.removesuffix(f" {sampler.schedule}")
    yield "Schedule type", sampler.schedule
    yield "CFG scale", f"{request['guidance_scale']:g}"
    yield "Seed", request["seed"] if request.get("variations") else recipe.seed
    yield "Size", f"{request['width']}x{request['height']}"
    yield "Model hash", recipe.model_sha256[:10]
    yield "Model", recipe.model
    yield from _rare_facts(recipe)
    yield "Version", "Easel"


def _rare_facts(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    request = recipe.request
    if request.get("variations"):
        yield "Variation seed", recipe.seed
        yield "Variation seed strength", f"{request['variations'][-1]['strength']:g}"
    if request.get("strength") is not None:
        yield "Denoising strength", f"{request['strength']:g}"
    if request.get("clip_skip"):
        yield "Clip skip", request["clip_skip"] + 1  # A1111 counts from 1, diffusers from 0
    for number, guide in enumerate(_guides(request)):
        yield f"ControlNet {number}", _guided(guide)
    if request.get("tiling"):
        yield "Tiling", "True"


def _guides(request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What ControlNets follow, by the fields of `engine.tasks.pictures.Guide`."""
    if request.get("controlnet"):
        yield {
            "controlnet": request["controlnet"],
            "conditioning_scale": request["controlnet_conditioning_scale"],
            "guidance_start": request["control_guidance_start"],
            "guidance_end": request["control_guidance_end"],
        }
    yield from request.get("controls", ())


def _guided(guide: Mapping[str, Any]) -> str:
    """As the ControlNet extension of A1111 writes it (sd-webui-controlnet, internal_controlnet/external_code.py)."""
    facts = {
        "Model": guide["controlnet"],
        "Weight": f"{guide['conditioning_scale']:g}",
        "Guidance Start": f"{guide['guidance_start']:g}",
        "Guidance End": f"{guide['guidance_end']:g}",
    }
    return ", ".join(f"{name}: {value}" for name, value in facts.items())


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(c in text for c in ',\n:"') else text
