"""ComfyUI's graphs: what stands around the sampler. Both forms: `prompt` (what ran) and `workflow` (what was drawn)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from bot.languages.speech import _
from bot.prompt.image_metadata.records import MAX_OTHERS, Parameters, name, number, whole, words

Graph = Mapping[str, Mapping[str, Any]]  # node id -> {"class_type": ..., "inputs": {name: value or [node id, output]}}
MAX_NODES, MAX_LINKS = 500, 5_000  # looked at from one sampler
MAX_SAMPLERS = 20  # of which each may be the first
MAX_WORD_NODES = 100  # between a sampler and its words
TEXTS = ("text", "text_g", "t5xxl", "string", "value", "prompt", "text_l", "clip_l")
CONDITIONS = ("conditioning", "conditioning_1", "conditioning_2", "conditioning_to", "conditioning_from", "guider")
JOINED = re.compile(r"(?:string|text|str|prompt|strings?|input)[_ ]?(?:[a-e]|[1-9])", re.IGNORECASE)
BETWEEN = ("delimiter", "separator", "delim")
LATENT = ("latent_image", "latent", "samples", "image", "images", "pixels", "upscaled", "latents")
MODELS = ("ckpt_name", "unet_name", "model_name")
WIDGETS = {  # a drawn node holds its values without names, in this order
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("", "seed", "", "steps", "cfg", "sampler_name", "scheduler"),
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "EmptyLatentImage": ("width", "height"),
    "EmptySD3LatentImage": ("width", "height"),
    "LoraLoader": ("lora_name",),
}


def parse(value: Mapping[str, Any]) -> Parameters | None:
    """What a graph says; None when it has no sampler."""
    graph = _drawn(value) if isinstance(value.get("nodes"), list) else _ran(value)
    samplers = [key for key, node in graph.items() if _samples(node)]
    samplers = samplers or [key for key, node in graph.items() if "sampler" in str(node["class_type"]).lower()]
    if not samplers:
        return None
    start = _first(graph, samplers)
    near = {key: _nearest(graph, start, keys) for key, keys in _WANTED.items()}
    scheduler = words(near["scheduler"], 40)
    plain = scheduler in ("", "normal", "simple", "sgm_uniform", "ddim_uniform")
    return Parameters(
        tool="ComfyUI",
        prompt=_prompt(graph, start, "positive"),
        negative_prompt=_prompt(graph, start, "negative"),
        steps=whole(near["steps"]),
        guidance=number(near["cfg"]),
        sampler=name(f"{words(near['sampler'], 60)}{'' if plain else f' {scheduler}'}"),
        seed=whole(near["seed"]),
        width=whole(near["width"]),
        height=whole(near["height"]),
        model=name(near["model"]),
        strength=number(near["denoise"]),
        from_picture=(number(near["denoise"]) or 1.0) < 1 and near["width"] is None,
        loras=tuple(islice(_loras(graph), MAX_OTHERS)),
        left_out=tuple(islice(_left_out(graph, samplers), MAX_OTHERS)),
    )


_WANTED = {
    "steps": ("steps",),
    "cfg": ("cfg",),
    "sampler": ("sampler_name",),
    "scheduler": ("scheduler",),
    "seed": ("seed", "noise_seed"),
    "width": ("width", "empty_latent_width"),
    "height": ("height", "empty_latent_height"),
    "model": MODELS,
    "denoise": ("denoise",),
}


def _samples(node: Mapping[str, Any]) -> bool:
    inputs = node["inputs"]
    return ("positive" in inputs and "latent_image" in inputs) or ("guider" in inputs and "sampler" in inputs)


def _loras(graph: Graph) -> Iterator[tuple[str, float]]:
    """Of the usual loaders; rgthree's power loader holds each as a table of its own."""
    for node in graph.values():
        inputs = node["inputs"]
        if name(inputs.get("lora_name")) not in ("", "None"):
            yield name(inputs["lora_name"]), number(inputs.get("strength_model")) or 1.0
        for value in inputs.values():
            if isinstance(value, dict) and value.get("on") is True and name(value.get("lora")) not in ("", "None"):
                yield name(value["lora"]), number(value.get("strength")) or 1.0


def _first(graph: Graph, samplers: list[str]) -> str:
    """The sampler that doesn't go on with what another one painted."""
    others = {id(graph[key]) for key in samplers}
    return next((key for key in samplers[:MAX_SAMPLERS] if not _goes_on(graph, key, others)), samplers[0])


def _goes_on(graph: Graph, start: str, samplers: set[int]) -> bool:
    """Whether a sampler's latents come from another one."""
    inputs = graph[start]["inputs"]
    firsts = [value[0] for key, value in inputs.items() if key in LATENT and isinstance(value, list) and value]
    others = samplers - {id(graph[start])}
    return any(id(node) in others for first in firsts for node in _around(graph, str(first)))


def _left_out(graph: Graph, samplers: list[str]) -> Iterator[str]:
    """What the graph does besides its first sampler."""
    if len(samplers) > 1:
        yield _("the second pass") if len(samplers) == 2 else _("{n} further passes", n=len(samplers) - 1)
    for node in graph.values():
        inputs, kind = node["inputs"], str(node["class_type"])
        if isinstance(inputs.get("control_net_name"), str):
            yield _("the ControlNet {name}", name=name(inputs["control_net_name"]))
        elif kind == "UpscaleModelLoader":
            yield _("the upscaler {name}", name=name(inputs.get("model_name")))
        elif kind in ("FaceDetailer", "DetailerForEach"):
            yield _("the detailer")
        elif isinstance(inputs.get("ipadapter_file"), str):
            yield _("the {what}", what=f"IP-Adapter {name(inputs['ipadapter_file'])}")


def _nearest(graph: Graph, start: str, keys: tuple[str, ...]) -> Any:
    """The first plain value of one of these inputs, the nodes nearest to `start` first."""
    for node in _around(graph, start):
        for key in keys:
            value = node["inputs"].get(key)
            if isinstance(value, str | int | float):
                return value
            if isinstance(value, list) and (inner := _value_of(graph, value)) is not None:
                return inner
    return None


def _value_of(graph: Graph, link: list[Any]) -> Any:
    """The value of a node that is nothing but a value (a primitive, an integer, a seed)."""
    node = graph.get(str(link[0])) if link else None
    inputs = node["inputs"] if node else {}
    values = (inputs.get(key) for key in ("value", "int", "float", "seed", "string"))
    return next((value for value in values if isinstance(value, str | int | float)), None)


def _around(graph: Graph, start: str, through: tuple[str, ...] | None = None) -> Iterator[Mapping[str, Any]]:
    """The nodes that lead to `start`, nearest first, each once; `through` limits the inputs that are followed."""
    waiting, seen, links = deque([start]), {start}, 0
    while waiting and len(seen) <= MAX_NODES and links <= MAX_LINKS:
        node = graph.get(waiting.popleft())
        if node is None:
            continue
        yield node
        links += len(node["inputs"])
        for key, value in islice(node["inputs"].items(), MAX_LINKS):
            link = str(value[0]) if isinstance(value, list) and value and isinstance(value[0], str | int) else None
            if link is not None and link not in seen and (through is None or key in through):
                seen.add(link)
                waiting.append(link)


def _prompt(graph: Graph, start: str, side: str) -> str:
    """The words behind the sampler's positive or negative input."""
    inputs = graph[start]["inputs"]
    if isinstance(inputs.get("guider"), list) and inputs["guider"]:
        inputs = graph.get(str(inputs["guider"][0]), graph[start])["inputs"]
        side = "conditioning" if side == "positive" and "positive" not in inputs else side
    first = inputs.get(side)
    if isinstance(first, str):
        return words(first)
    wanted = "negative" if side == "negative" else "positive"
    return words(_said(graph, first, wanted, set())) if isinstance(first, list) and first else ""


def _said(graph: Graph, link: list[Any], side: str, seen: set[str]) -> str:
    """The words that a link leads to: texts of an encoder, those that are joined, of a loader the ones of this side."""
    key = str(link[0])
    node = graph.get(key)
    if node is None or key in seen or len(seen) > MAX_WORD_NODES:
        return ""
    seen.add(key)
    inputs = node["inputs"]
    if inputs.get(side):  # a loader that encodes both, or a ControlNet that passes both on
        return _value(graph, inputs[side], side, seen)
    joined = [
        text
        for name_, value in inputs.items()
        if JOINED.fullmatch(name_) and (text := _value(graph, value, side, seen))
    ]
    if joined:
        between = next((inputs[name_] for name_ in BETWEEN if isinstance(inputs.get(name_), str)), ", ")
        return str(between).join(joined)
    for name_ in TEXTS:
        if text := _value(graph, inputs.get(name_), side, seen):
            return text
    conditions = (_value(graph, inputs.get(name_), side, seen) for name_ in CONDITIONS)
    return ", ".join(dict.fromkeys(filter(None, conditions)))


def _value(graph: Graph, value: object, side: str, seen: set[str]) -> str:
    if isinstance(value, list) and value and isinstance(value[0], str | int):
        return _said(graph, value, side, seen)
    return words(value)


# ---------------------------------------------------------------- the two forms
def _ran(value: Mapping[str, Any]) -> Graph:
    return {
        str(key): node
        for key, node in value.items()
        if isinstance(node, dict) and isinstance(node.get("inputs"), dict) and isinstance(node.get("class_type"), str)
    }


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _drawn(value: Mapping[str, Any]) -> Graph:
    """A drawing as the graph that would run."""
    links = {link[0]: link[1] for link in _list(value.get("links")) if isinstance(link, list) and len(link) > 1
             and isinstance(link[0], int)}  # fmt: skip
    graph: dict[str, Mapping[str, Any]] = {}
    for node in value["nodes"]:
        if isinstance(node, dict) and isinstance(node.get("type"), str):
            graph[str(node.get("id"))] = {"class_type": node["type"], "inputs": _inputs(node, links)}
    return graph


def _inputs(node: Mapping[str, Any], links: Mapping[int, Any]) -> dict[str, Any]:
    values = node.get("widgets_values")
    names = WIDGETS.get(node["type"], ())
    inputs = dict(zip(names, values, strict=False)) if isinstance(values, list) else {}
    for each in node.get("inputs") or ():
        if isinstance(each, dict) and isinstance(each.get("link"), int) and each["link"] in links:
            inputs[str(each.get("name"))] = [str(links[each["link"]]), 0]
    return inputs
