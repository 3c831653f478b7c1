"""What a picture's file tells about itself: A1111's infotext, Easel's recipe, and that it was made by an algorithm.

Each is in its format's own place: text chunks in a PNG, EXIF and XMP in a WebP or JPEG. Knows no torch. `decode` reads
files of strangers: it never raises on a bad one.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Literal

from PIL import Image, PngImagePlugin

from engine.api import schedulers
from engine.api.recipe import Recipe

Form = Literal["PNG", "WEBP", "JPEG"]
# Runs alone, for PNG's filters leave little else to find in a picture: half the processor time of zlib's own search, a
# fifth of what Pillow takes by default, and files no larger. Pages of text grow by a third.
PNG: Mapping[str, Any] = {"compress_level": 4, "compress_type": zlib.Z_RLE}
EASEL_KEY = "easel"
A1111_KEY = "parameters"
XMP_KEY = "XML:com.adobe.xmp"
MAX_RECIPE_CHARS = 1 << 17  # a prompt is at most a few thousand; more is not ours
SIGNATURE = b"\x89PNG\r\n\x1a\n"
EXIF_POINTER, USER_COMMENT, DESCRIPTION = 0x8769, 0x9286, 0x010E  # EXIF 2.3, 4.6.3 to 4.6.5
SHORT_HASH = 10  # letters of a sha256 that A1111 and CivitAI call AutoV2

# IPTC's words for "made by a trained model" and "a picture with such parts" (NewsCodes, digital source type); Google
# and Meta label pictures by them.
TRAINED, COMPOSITE = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<Iptc4xmpExt:DigitalSourceType>"
    "http://cv.iptc.org/newscodes/digitalsourcetype/{kind}"
    "</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="w"?>'
)


def encode_png(image: Image.Image, recipe: Recipe) -> bytes:
    """The image as a PNG that carries its recipe. The same image and recipe give the same bytes."""
    return encode(image, "PNG", recipe, **PNG)


def encode(image: Image.Image, form: Form, recipe: Recipe | None, *, words: bool = True, **options: Any) -> bytes:
    """The image as a file that tells what it is.

    `recipe`: None = only that it was made by an algorithm. Without `words` neither the prompt nor the recipe is told.
    `options` are Pillow's for the format.
    """
    xmp = _XMP.format(kind=source_type(recipe))
    out, told = io.BytesIO(), recipe if words else None
    if form == "PNG":
        image.save(out, "PNG", pnginfo=_chunks(told, xmp), **options)
    else:
        image.save(out, form, exif=_exif(told), xmp=xmp.encode(), **options)
    return out.getvalue()


def source_type(recipe: Recipe | None) -> str:
    """IPTC's word for how a picture came to be."""
    return COMPOSITE if recipe is not None and recipe.composite else TRAINED


def _chunks(recipe: Recipe | None, xmp: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    if recipe is not None:
        info.add_text(A1111_KEY, infotext(recipe))  # tEXt, or iTXt when it is not Latin-1: as A1111 itself writes it
        info.add_itxt(EASEL_KEY, _json(recipe))
    info.add_itxt(XMP_KEY, xmp)
    return info


def _exif(recipe: Recipe | None) -> Image.Exif:
    """A1111's user comment, and the recipe in the description, as ComfyUI puts its own there."""
    exif = Image.Exif()
    if recipe is not None:
        exif[DESCRIPTION] = f"{EASEL_KEY}:{_json(recipe, ascii_only=True)}"
        exif.get_ifd(EXIF_POINTER)[USER_COMMENT] = b"UNICODE\0" + infotext(recipe).encode("utf-16-be")
    return exif


def _json(recipe: Recipe, *, ascii_only: bool = False) -> str:
    value = asdict(recipe)
    if not recipe.composite:  # as it always was
        del value["composite"]
    return json.dumps(value, ensure_ascii=ascii_only, sort_keys=True)


def without_words(png: bytes) -> bytes:
    """One of our PNGs without prompt and recipe: the pixels and what it is stay, byte for byte."""
    kept, at = [png[: len(SIGNATURE)]], len(SIGNATURE)
    while at + 12 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        chunk = png[at : at + 12 + size]
        if kind not in (b"tEXt", b"iTXt") or chunk[8:].split(b"\0", 1)[0] == XMP_KEY.encode():
            kept.append(chunk)
        at += 12 + size
    return b"".join(kept)


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
    facts = ", ".join(f"{name}: {_quoted(value)}" for name, value in _facts(recipe))
    lines.append(f"{facts}, Hashes: {_hashes(recipe)}")
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
    if loras := {name: sha for name, sha in recipe.adapters.items() if _kind(name, request) == "lora"}:
        yield "Lora hashes", ", ".join(f"{name}: {sha[:SHORT_HASH]}" for name, sha in loras.items())
    yield "Version", "Easel"


def _hashes(recipe: Recipe) -> str:
    """By which CivitAI finds the files again: JSON at the end of the line, as its extension of A1111 writes it."""
    known = {"model": recipe.model_sha256}
    for name, sha in recipe.adapters.items():
        kind = _kind(name, recipe.request)
        known[f"{kind}:{name}" if kind else name] = sha
    return json.dumps({name: sha[:SHORT_HASH] for name, sha in known.items()}, ensure_ascii=False)


def _kind(name: str, request: Mapping[str, Any]) -> str:
    """What an adapter is, in A1111's words; "" = neither a LoRA nor an embedding."""
    if name.startswith("controlnet ") or name == "image_encoder":
        return ""
    said = f"{request['prompt']} {request.get('negative_prompt', '')}".casefold()
    if f"<lora:{name.casefold()}" in said:
        return "lora"
    return "embed" if name.casefold() in said else ""


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
