"""ComfyUI's graphs: what stands around the sampler. Both forms: `prompt` (what ran) and `workflow` (what was drawn)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from bot.prompt.image_metadata.records import MAX_OTHERS, Parameters, name, number, whole, words

Graph = Mapping[str, Mapping[str, Any]]  # node id -> {"class_type": ..., "inputs": {name: value or [node id, output]}}
MAX_NODES = 500  # looked at from one sampler
TEXTS = ("text", "text_g", "t5xxl", "string", "value", "prompt", "text_l", "clip_l")
CONDITIONS = ("conditioning", "conditioning_1", "positive", "guider")
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
    start = next((key for key, node in graph.items() if "sampler" in str(node["class_type"]).lower()), None)
    start = next((key for key, node in graph.items() if _samples(node)), start)
    if start is None:
        return None
    near = {key: _nearest(graph, start, keys) for key, keys in _WANTED.items()}
    scheduler = words(near["scheduler"], 40)
    plain = scheduler in ("", "normal", "simple", "sgm_uniform", "ddim_uniform")
    return Parameters(
        tool="ComfyUI",
        prompt=_prompt(graph, start, ("positive", "guider")),
        negative_prompt=_prompt(graph, start, ("negative",)),
        steps=whole(near["steps"]),
        guidance=number(near["cfg"]),
        sampler=name(f"{words(near['sampler'], 60)}{'' if plain else f' {scheduler}'}"),
        seed=whole(near["seed"]),
        width=whole(near["width"]),
        height=whole(near["height"]),
        model=name(near["model"]),
        strength=number(near["denoise"]),
        from_picture=(number(near["denoise"]) or 1.0) < 1 and near["width"] is None,
        others=tuple(("LoRA", name(node["inputs"]["lora_name"])) for node in _loras(graph))[:MAX_OTHERS],
    )


_WANTED = {
    "steps": ("steps",),
    "cfg": ("cfg",),
    "sampler": ("sampler_name",),
    "scheduler": ("scheduler",),
    "seed": ("seed", "noise_seed"),
    "width": ("width",),
    "height": ("height",),
    "model": MODELS,
    "denoise": ("denoise",),
}


def _samples(node: Mapping[str, Any]) -> bool:
    inputs = node["inputs"]
    return ("positive" in inputs and "latent_image" in inputs) or ("guider" in inputs and "sampler" in inputs)


def _loras(graph: Graph) -> Iterator[Mapping[str, Any]]:
    return (node for node in graph.values() if isinstance(node["inputs"].get("lora_name"), str))


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
    waiting, seen = deque([start]), {start}
    while waiting and len(seen) <= MAX_NODES:
        node = graph.get(waiting.popleft())
        if node is None:
            continue
        yield node
        for key, value in node["inputs"].items():
            link = str(value[0]) if isinstance(value, list) and value and isinstance(value[0], str | int) else None
            if link is not None and link not in seen and (through is None or key in through):
                seen.add(link)
                waiting.append(link)


def _prompt(graph: Graph, start: str, inputs: tuple[str, ...]) -> str:
    """The words behind the sampler's positive or negative input."""
    node: Mapping[str, Any] = graph[start]
    if "guider" in node["inputs"] and isinstance(node["inputs"]["guider"], list) and node["inputs"]["guider"]:
        node = graph.get(str(node["inputs"]["guider"][0]), node)
        inputs = ("positive", "conditioning") if "positive" in inputs else inputs
    first = next((node["inputs"][key] for key in inputs if isinstance(node["inputs"].get(key), list)), None)
    if not first:
        return ""
    for each in _around(graph, str(first[0]), (*CONDITIONS, *TEXTS)):
        for key in TEXTS:
            if text := words(each["inputs"].get(key)):
                return text
    return ""


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
