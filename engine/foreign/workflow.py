"""A ComfyUI workflow in its API format: which inputs of its nodes take what a request says. Pure.

A node's title says what it takes: `prompt`, `negative prompt`, `seed`, `steps`, `guidance`, `size`, `image`. Without
such titles the first sampler is asked, and the nodes before it, the nearest first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from engine.api.errors import InvalidSetup

INPUTS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("text", "prompt", "string", "value"),
    "negative prompt": ("text", "prompt", "string", "value"),
    "seed": ("seed", "noise_seed", "value"),
    "steps": ("steps", "value"),
    "guidance": ("cfg", "guidance", "value"),
    "width": ("width", "value"),
    "height": ("height", "value"),
    "image": ("image",),
}
TEXTS = frozenset({"prompt", "negative prompt", "image"})  # the others are numbers
CONDITIONS = ("conditioning", "conditioning_1", "conditioning_to", "text", "prompt", "string", "value")
WAYS: Mapping[str, tuple[str, ...]] = {  # from a sampler: the inputs whose links are followed
    "seed": ("noise", "seed", "noise_seed"),
    "steps": ("sigmas", "steps"),
    "guidance": ("guider", "cfg", "guidance"),
    "width": ("latent_image", "width"),
    "height": ("latent_image", "height"),
}
NO_PROMPT = (
    "no node of the workflow takes the prompt: give the one that does the title 'prompt'; its input must be called "
    "text, prompt, string or value, and hold a text"
)
Nodes = Mapping[str, Mapping[str, Any]]  # by id: the inputs of each
Place = tuple[str, str]  # a node's id, and one of its inputs


def places_of(workflow: Any) -> dict[str, Place]:
    """Where a workflow takes what, by `INPUTS`. Raises: InvalidSetup when it isn't one in the API format."""
    of = workflow if isinstance(workflow, dict) else {}
    nodes = {key: node["inputs"] for key, node in of.items() if _is_node(node)}
    if not nodes or len(nodes) != len(of):
        raise InvalidSetup(reason="the workflow is no API format; in ComfyUI: Workflow, Export (API)")
    found: dict[str, Place] = {}
    for key, node in of.items():
        title = _title(node)
        for name in ("width", "height") if title == "size" else (title,):
            if (place := _input(nodes, key, name)) is not None:
                found[name] = place
    for name, place in _by_sampler(nodes).items():
        found.setdefault(name, place)
    if "prompt" not in found:
        raise InvalidSetup(reason=NO_PROMPT)
    if found.get("negative prompt") == found["prompt"]:  # as where nothing is made of the same words
        del found["negative prompt"]
    return found


def _is_node(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("inputs"), dict)


def _title(node: Mapping[str, Any]) -> str:
    about = node.get("_meta")
    title = about.get("title") if isinstance(about, dict) else None
    return str(title or "").casefold().replace("_", " ").strip()


def _input(nodes: Nodes, key: str, name: str) -> Place | None:
    """The input of a node that takes something of that name, as what lies there tells."""
    kinds = str if name in TEXTS else (int, float)
    inputs = nodes.get(key, {})
    known = (each for each in INPUTS.get(name, ()) if isinstance(inputs.get(each), kinds))
    wanted = next((each for each in known if not isinstance(inputs[each], bool)), None)
    return None if wanted is None else (key, wanted)


def _linked(nodes: Nodes, key: str, wanted: str) -> str | None:
    """The node whose output an input takes."""
    link = nodes.get(key, {}).get(wanted)
    found = str(link[0]) if isinstance(link, list) and link else ""
    return found if found in nodes else None


def _before(nodes: Nodes, key: str | None, ways: tuple[str, ...]) -> Iterator[str]:
    """A node, and those before it over links of these inputs, the nearest first."""
    coming, seen = deque([key]), {key, None}
    while coming:
        if (here := coming.popleft()) is None:
            return
        yield here
        for way in ways:
            there = _linked(nodes, here, way)
            if there not in seen:
                seen.add(there)
                coming.append(there)


def _by_sampler(nodes: Nodes) -> dict[str, Place]:
    """What the first sampler and the nodes before it take."""
    sampler = _sampler(nodes)
    if sampler is None:
        return {}
    guides = [each for each in _before(nodes, sampler, ("guider",)) if {"positive", "conditioning"} & set(nodes[each])]
    guide = next(iter(guides), sampler)
    found = {name: _nearest(nodes, sampler, name, ways) for name, ways in WAYS.items()}
    for name, side in (("prompt", "positive"), ("negative prompt", "negative")):
        first = _linked(nodes, guide, side)
        if first is None and side == "positive":
            first = _linked(nodes, guide, "conditioning")
        found[name] = _nearest(nodes, first, name, (side, *CONDITIONS))
        if side == "positive":  # a guidance that the model was taught to read, as Flux was, is the one people mean
            read = (each for each in _before(nodes, first, (side, *CONDITIONS)) if "guidance" in nodes[each])
            found["guidance"] = _input(nodes, next(read, ""), "guidance") or found["guidance"]
    return {name: place for name, place in found.items() if place is not None}


def _nearest(nodes: Nodes, first: str | None, name: str, ways: tuple[str, ...]) -> Place | None:
    places = (_input(nodes, key, name) for key in _before(nodes, first, ways))
    return next((place for place in places if place is not None), None)


def _sampler(nodes: Nodes) -> str | None:
    """The first that is run: what a second one starts from is what another has painted."""
    samplers = [key for key in nodes if _linked(nodes, key, "latent_image")]
    samplers = samplers or [key for key, inputs in nodes.items() if "positive" in inputs]
    every = tuple({name for inputs in nodes.values() for name in inputs})
    return next((key for key in samplers if not set(_before(nodes, key, every)) & (set(samplers) - {key})), None)
