"""Tools with a form of their own: Fooocus, NovelAI, Draw Things, Easy Diffusion, InvokeAI 2, Midjourney.

After what these tools write themselves; what is left out when it's run again is said.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bot.languages.speech import _
from bot.prompt.image_metadata.records import MAX_OTHERS, Parameters, json_of, name, number, whole, words

DREAM_FLAGS = {
    "-s": "steps",
    "-S": "seed",
    "-W": "width",
    "-H": "height",
    "-C": "cfg",
    "-A": "sampler",
    "-f": "strength",
}
_DREAM = re.compile(r'^"(?P<words>.*)" (?P<flags>(?:-\S+ ?(?:[^-"\s]\S*)? ?)+)', re.DOTALL)
_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")
_COMMENT = re.compile(r"<exif:UserComment>.{0,400}?<rdf:li[^>]{0,100}>(.{2,200000}?)</rdf:li>", re.DOTALL)
_JOB_ID = re.compile(r"\s+Job ID: [0-9a-f-]{36}\s*$")
_FLAG = re.compile(r"\s--?(\w{1,20})(?:[ =]((?:(?!\s--?[a-z]).){0,200}))?")
_SIZE = re.compile(r"\D{0,2}(\d{1,5})\D{1,4}(\d{1,5})\D{0,2}")


def fooocus(said: Mapping[str, Any]) -> Parameters | None:
    """Fooocus' own scheme, a flat table (modules/meta_parser.py there)."""
    if "base_model" not in said or "performance" not in said:
        return None
    size = _SIZE.fullmatch(str(said.get("resolution", "")))
    scheduler = words(said.get("scheduler"), 40)
    refiner = name(said.get("refiner_model"))
    left = [_("the refiner {name}", name=refiner)] if refiner not in ("", "None") else []
    styles = said.get("styles")
    if isinstance(styles, list | str) and styles:
        names = styles if isinstance(styles, str) else ", ".join(map(str, styles))
        left.append(_("the styles {names}", names=names)[:200])
    return Parameters(
        tool="Fooocus",
        prompt=words(said.get("prompt")),
        negative_prompt=words(said.get("negative_prompt")),
        steps=whole(said.get("steps")),
        guidance=number(said.get("guidance_scale")),
        sampler=_scheduled(words(said.get("sampler"), 60), scheduler),
        seed=whole(said.get("seed")),
        width=int(size[1]) if size else None,
        height=int(size[2]) if size else None,
        model=name(said.get("base_model")),
        loras=tuple(_fooocus_loras(said)),
        left_out=tuple(left),
        others=_others(said, ("performance", "sharpness", "version")),
    )


def _fooocus_loras(said: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for each in said.get("loras") or ():
        if isinstance(each, list) and len(each) > 1 and isinstance(each[0], str):
            yield name(each[0]), number(each[1]) or 1.0


def novelai(texts: Mapping[str, str]) -> Parameters | None:
    """NovelAI's texts: the prompt is the description, everything else is JSON in the comment."""
    said = json_of(texts.get("Comment", ""))
    if "NovelAI" not in texts.get("Software", "") or not said:
        return None
    prompt = words(texts.get("Description")) or words(said.get("prompt"))
    characters = said.get("v4_prompt")
    many = _characters(characters) if isinstance(characters, dict) else 0
    return Parameters(
        tool="NovelAI",
        prompt=prompt,
        negative_prompt=words(said.get("uc")),
        steps=whole(said.get("steps")),
        guidance=number(said.get("scale")),
        sampler=_scheduled(words(said.get("sampler"), 60).removeprefix("k_"), words(said.get("noise_schedule"), 40)),
        seed=whole(said.get("seed")),
        width=whole(said.get("width")),
        height=whole(said.get("height")),
        model=name(texts.get("Source")),
        strength=number(said.get("strength")) if _repaints(said) else None,
        from_picture=_repaints(said),
        left_out=(_("{n} prompts of single characters", n=many),) if many else (),
        others=_others(said, ("request_type", "cfg_rescale")),
    )


def _repaints(said: Mapping[str, Any]) -> bool:
    return str(said.get("request_type", "")) in ("Image2ImageRequest", "NativeInfillingRequest")


def _characters(said: Mapping[str, Any]) -> int:
    caption = said.get("caption")
    found = caption.get("char_captions") if isinstance(caption, dict) else None
    return len(found) if isinstance(found, list) else 0


def draw_things(xmp: str) -> Parameters | None:
    """Draw Things: JSON in the XMP's user comment, with short names."""
    found = _COMMENT.search(xmp)
    said = json_of(html.unescape(found[1])) if found else {}
    if "c" not in said:
        return None
    size = _SIZE.fullmatch(str(said.get("size", "")))
    strength = number(said.get("strength"))
    return Parameters(
        tool="Draw Things",
        prompt=words(said.get("c")),
        negative_prompt=words(said.get("uc")),
        steps=whole(said.get("steps")),
        guidance=number(said.get("scale")),
        sampler=words(said.get("sampler"), 60),
        seed=whole(said.get("seed")),
        width=int(size[1]) if size else None,
        height=int(size[2]) if size else None,
        model=name(said.get("model")).removesuffix(".ckpt"),
        strength=strength if strength is not None and strength < 1 else None,
        from_picture=strength is not None and strength < 1,
        loras=tuple(
            (name(each.get("model") or each.get("file")), number(each.get("weight")) or 1.0)
            for each in said.get("lora") or ()
            if isinstance(each, dict)
        ),
    )


def easy_diffusion(said: Mapping[str, Any]) -> Parameters | None:
    """Easy Diffusion: each fact is a text of its own, or all are one JSON (ui/easydiffusion/utils there)."""
    if "use_stable_diffusion_model" not in said or "prompt" not in said:
        return None
    lora, weight = _json_or_text(said.get("use_lora_model")), _json_or_text(said.get("lora_alpha"))
    names, weights = _list(lora), _list(weight)
    scaled = words(said.get("use_upscale"), 60)
    picture = bool(said.get("init_image")) or said.get("prompt_strength") not in (None, "", "None")
    return Parameters(
        tool="Easy Diffusion",
        prompt=words(said.get("prompt")),
        negative_prompt=words(said.get("negative_prompt")),
        steps=whole(said.get("num_inference_steps")),
        guidance=number(said.get("guidance_scale")),
        sampler=words(said.get("sampler_name"), 60),
        seed=whole(said.get("seed")),
        width=whole(said.get("width")),
        height=whole(said.get("height")),
        model=name(said.get("use_stable_diffusion_model")),
        strength=number(said.get("prompt_strength")),
        from_picture=picture,
        loras=tuple(
            (name(each), number(weights[at]) or 1.0 if at < len(weights) else 1.0) for at, each in names_of(names)
        ),
        left_out=(_("the upscaler {name}", name=scaled),) if scaled not in ("", "None") else (),
    )


def names_of(names: list[Any]) -> Iterator[tuple[int, str]]:
    """The names among the values, with their places."""
    return ((at, each) for at, each in enumerate(names) if isinstance(each, str) and each not in ("", "None"))


def dream(text: str) -> Parameters | None:
    """InvokeAI 1 and 2: the command line that painted it, `"words [without]" -s 20 -S 5`."""
    found = _DREAM.match(text[:20_000])
    if found is None:
        return None
    parts, said = found["flags"].split(), dict[str, str]()
    for at, part in enumerate(parts):
        flag = next((each for each in DREAM_FLAGS if part.startswith(each)), None)
        if flag is not None:
            said[DREAM_FLAGS[flag]] = part[2:] or (parts[at + 1] if at + 1 < len(parts) else "")
    return Parameters(
        tool="InvokeAI",
        prompt=words(" ".join(_NEGATIVE.sub("", found["words"]).split())),
        negative_prompt=words(", ".join(_NEGATIVE.findall(found["words"]))),
        steps=whole(said.get("steps")),
        guidance=number(said.get("cfg")),
        sampler=words(said.get("sampler"), 60).removeprefix("k_"),
        seed=whole(said.get("seed")),
        width=whole(said.get("width")),
        height=whole(said.get("height")),
        strength=number(said.get("strength")),
        from_picture="strength" in said,
    )


def invoke_2(said: Mapping[str, Any]) -> Parameters | None:
    """InvokeAI 2's `sd-metadata`."""
    image = said.get("image")
    if not isinstance(image, dict) or "model_weights" not in said:
        return None
    prompt = image.get("prompt")
    parts = (
        [str(each.get("prompt", "")) for each in prompt if isinstance(each, dict)] if isinstance(prompt, list) else []
    )
    text = " ".join(parts) if parts else words(prompt)
    return Parameters(
        tool="InvokeAI",
        prompt=words(" ".join(_NEGATIVE.sub("", text).split())),
        negative_prompt=words(", ".join(_NEGATIVE.findall(text))),
        steps=whole(image.get("steps")),
        guidance=number(image.get("cfg_scale")),
        sampler=words(image.get("sampler"), 60).removeprefix("k_"),
        seed=whole(image.get("seed")),
        width=whole(image.get("width")),
        height=whole(image.get("height")),
        model=name(said.get("model_weights")),
        strength=number(image.get("strength")),
        from_picture=image.get("type") == "img2img",
    )


def midjourney(text: str) -> Parameters | None:
    """Midjourney's description: the prompt with its flags, and the number of the job."""
    if _JOB_ID.search(text[-80:]) is None:
        return None
    line = _JOB_ID.sub("", text[:20_000])
    flags = [(flag[1].lower(), (flag[2] or "").strip()) for flag in _FLAG.finditer(line)]
    said = dict(flags)
    ratio = re.fullmatch(r"(\d{1,4}(?:\.\d+)?):(\d{1,4}(?:\.\d+)?)", said.pop("ar", ""))
    first = _FLAG.search(line)
    return Parameters(
        tool="Midjourney",
        prompt=words(line[: first.start()] if first else line),
        negative_prompt=words(said.pop("no", "")),
        seed=whole(said.pop("seed", None)),
        tiling=said.pop("tile", None) is not None,
        ratio=(float(ratio[1]), float(ratio[2])) if ratio and float(ratio[1]) and float(ratio[2]) else None,
        others=tuple((f"--{key}", value) for key, value in said.items())[:MAX_OTHERS],
    )


def _scheduled(sampler: str, scheduler: str) -> str:
    plain = scheduler in ("", "normal", "simple", "native", "None")
    return name(sampler if plain else f"{sampler} {scheduler}")


def _others(said: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(said[key])[:200]) for key in keys if isinstance(said.get(key), str | int | float))


def _json_or_text(value: object) -> object:
    if not isinstance(value, str) or not value.startswith("["):
        return value
    try:
        return json.loads(value[:5000])
    except (ValueError, RecursionError):
        return None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
