"""Tools that write one flat table: SwarmUI, InvokeAI, and Easel's own recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.languages.speech import _
from bot.prompt.image_metadata.records import MAX_OTHERS, Parameters, name, number, whole, words


def swarm(value: Mapping[str, Any]) -> Parameters | None:
    """SwarmUI's `sui_image_params`."""
    said = value.get("sui_image_params")
    if not isinstance(said, dict):
        return None
    scheduler = words(said.get("scheduler"), 40)
    plain = scheduler in ("", "normal", "simple")
    return Parameters(
        tool="SwarmUI",
        prompt=words(said.get("prompt")),
        negative_prompt=words(said.get("negativeprompt")),
        steps=whole(said.get("steps")),
        guidance=number(said.get("cfgscale")),
        sampler=name(f"{words(said.get('sampler'), 60)}{'' if plain else f' {scheduler}'}"),
        seed=whole(said.get("seed")),
        width=whole(said.get("width")),
        height=whole(said.get("height")),
        model=name(said.get("model")),
        strength=number(said.get("initimagecreativity")),
        from_picture="initimage" in said or "initimagecreativity" in said,
        loras=tuple(_swarm_loras(said)),
        left_out=tuple(_swarm_left_out(said)),
    )


def invoke(said: Mapping[str, Any]) -> Parameters | None:
    """InvokeAI's `invokeai_metadata`."""
    if "positive_prompt" not in said:
        return None
    return Parameters(
        tool="InvokeAI",
        prompt=words(said.get("positive_prompt")),
        negative_prompt=words(said.get("negative_prompt")),
        steps=whole(said.get("steps")),
        guidance=number(said.get("cfg_scale")),
        sampler=name(said.get("scheduler")),
        seed=whole(said.get("seed")),
        width=whole(said.get("width")),
        height=whole(said.get("height")),
        model=name(said.get("model")),
        strength=number(said.get("strength")),
        from_picture="init_image" in said or said.get("strength") is not None,
        loras=tuple(_invoke_loras(said)),
        left_out=tuple(_invoke_left_out(said)),
    )


def _invoke_loras(said: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Versions 3 and 4 to 6 name the model differently."""
    for each in said.get("loras") or ():
        if isinstance(each, dict) and (found := name(each.get("model") or each.get("lora"))):
            yield found, number(each.get("weight")) or 1.0


def _invoke_left_out(said: Mapping[str, Any]) -> Iterator[str]:
    for kind, words_of in (("controlnets", "ControlNet"), ("ipAdapters", "IP-Adapter"), ("t2iAdapters", "T2I-Adapter")):
        for each in said.get(kind) or ():
            if isinstance(each, dict):
                model = each.get("control_model") or each.get("ip_adapter_model") or each.get("t2i_adapter_model")
                yield _("the {what}", what=f"{words_of} {name(model)}".strip())
    if refiner := name(said.get("refiner_model")):
        yield _("the refiner {name}", name=refiner)
    if said.get("hrf_enabled") is True:
        yield _("the second pass to {size}", size=_("a larger size"))


def _swarm_loras(said: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    names, weights = said.get("loras"), said.get("loraweights")
    names = names.split(",") if isinstance(names, str) else names if isinstance(names, list) else []
    weights = weights.split(",") if isinstance(weights, str) else weights if isinstance(weights, list) else []
    for at, each in enumerate(names):
        if isinstance(each, str) and each.strip():
            yield name(each.strip()), (number(weights[at]) if at < len(weights) else None) or 1.0


def _swarm_left_out(said: Mapping[str, Any]) -> Iterator[str]:
    if refiner := name(said.get("refinermodel")):
        yield _("the refiner {name}", name=refiner)
    elif said.get("refinerupscale") not in (None, 1, "1"):
        yield _("the second pass to {times} times the size", times=said["refinerupscale"])
    if control := name(said.get("controlnetmodel")):
        yield _("the ControlNet {name}", name=control)


def easel(recipe: Mapping[str, Any]) -> Parameters | None:
    """Our own recipe, see `engine.Recipe`."""
    said = recipe.get("request")
    if not isinstance(said, dict) or whole(recipe.get("seed")) is None:
        return None
    links = said.get("variations")
    links = links if isinstance(links, list) else []
    chain = [(whole(each.get("seed")), number(each.get("strength"))) for each in links if isinstance(each, dict)]
    varied = tuple((seed, min(1.0, strength)) for seed, strength in chain if seed is not None and strength is not None)
    own = whole(recipe.get("seed")) or 0
    facts = (("Task", words(recipe.get("task"), 40)), ("ControlNet", _followed(said)))
    return Parameters(
        tool="Easel",
        prompt=words(said.get("prompt")),
        negative_prompt=words(said.get("negative_prompt")),
        steps=whole(said.get("num_inference_steps")),
        guidance=number(said.get("guidance_scale")),
        sampler=name(said.get("scheduler")),
        seed=whole(said.get("seed")) if varied else own,
        width=whole(said.get("width")),
        height=whole(said.get("height")),
        model=name(recipe.get("model")),
        strength=number(said.get("strength")),
        variations=(*varied[:-1], (own, varied[-1][1])) if varied else (),
        tiling=said.get("tiling") is True,
        from_picture=isinstance(said.get("init_image"), str)
        or bool(said.get("controls"))
        or recipe.get("task") not in ("txt2img", "img2img"),
        others=tuple(fact for fact in facts if fact[1]),
    )


def _followed(said: Mapping[str, Any]) -> str:
    """Every ControlNet that a recipe's request names."""
    more = said.get("controls")
    guides = [each.get("controlnet") for each in more if isinstance(each, dict)] if isinstance(more, list) else []
    return words(", ".join(each for each in (said.get("controlnet"), *guides) if isinstance(each, str)), 120)


NAMES = {
    "prompt": ("prompt", "positive_prompt", "positive", "text"),
    "negative": ("negative_prompt", "negative", "uc"),
    "steps": ("steps", "num_inference_steps"),
    "guidance": ("cfg_scale", "guidance_scale", "cfg", "guidance", "scale"),
    "sampler": ("sampler_name", "sampler", "scheduler"),
    "seed": ("seed",),
    "width": ("width",),
    "height": ("height",),
    "model": ("model", "model_name", "checkpoint"),
    "strength": ("denoising_strength", "strength"),
}
"""What the requests of public programs call the same thing: A1111's and ComfyUI's APIs, diffusers, NovelAI."""


def plain(said: Mapping[str, Any]) -> Parameters | None:
    """A request as people write it by hand or copy it from a program's documentation."""
    values = {mine: next((said[key] for key in theirs if key in said), None) for mine, theirs in NAMES.items()}
    if not words(values["prompt"]):
        return None
    known = {key for theirs in NAMES.values() for key in theirs}
    others = [(words(key, 60), words(str(value), 400)) for key, value in said.items() if key not in known]
    return Parameters(
        tool="JSON",
        prompt=words(values["prompt"]),
        negative_prompt=words(values["negative"]),
        steps=whole(values["steps"]),
        guidance=number(values["guidance"]),
        sampler=name(values["sampler"]),
        seed=whole(values["seed"]),
        width=whole(values["width"]),
        height=whole(values["height"]),
        model=name(values["model"]),
        strength=number(values["strength"]),
        from_picture=any(key.startswith("init_image") for key in said),
        others=tuple(others)[:MAX_OTHERS],
    )
