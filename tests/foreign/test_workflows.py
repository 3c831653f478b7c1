"""Where a ComfyUI workflow takes what a request says: by titles, or by what leads to its sampler."""

from __future__ import annotations

from typing import Any

import pytest
from services import WORKFLOW

from engine.api.errors import InvalidSetup
from engine.foreign.workflow import places_of

WORDS = {"inputs": {"text": "a boat", "clip": ["90", 1]}}
LATENT = {"inputs": {"width": 1024, "height": 768, "batch_size": 1}}
LOADER = {"inputs": {"ckpt_name": "x.safetensors"}}
SIDES = {"width": ("2", "width"), "height": ("2", "height")}


def sampler(**links: Any) -> dict[str, Any]:
    own = {"seed": 1, "steps": 20, "cfg": 1.0, "model": ["90", 0], "latent_image": ["2", 0]}
    return {"inputs": {**own, **links}}


def test_titles_say_what_a_node_takes() -> None:
    nodes = {
        "1": {"inputs": {"value": "x"}, "_meta": {"title": "Prompt"}},
        "2": {"inputs": {"noise_seed": 1}, "_meta": {"title": "seed"}},
        "3": {"inputs": {"width": 8, "height": 8}, "_meta": {"title": "size"}},
    }
    assert places_of(nodes) == {
        "prompt": ("1", "value"),
        "seed": ("2", "noise_seed"),
        "width": ("3", "width"),
        "height": ("3", "height"),
    }
    for none in ({"nodes": [], "links": []}, {}, {"1": {"inputs": {"seed": 1}}}):
        with pytest.raises(InvalidSetup):
            places_of(none)


FLUX = {  # as in the template that comes with ComfyUI: guidance between words and sampler, nothing for a negative
    "1": WORDS,
    "2": LATENT,
    "3": {"inputs": {"guidance": 3.5, "conditioning": ["1", 0]}},
    "4": {"inputs": {"conditioning": ["1", 0]}},
    "5": sampler(positive=["3", 0], negative=["4", 0]),
    "90": LOADER,
}
ADVANCED = {  # a sampler of parts
    "1": WORDS,
    "2": LATENT,
    "3": {"inputs": {"guidance": 3.5, "conditioning": ["1", 0]}},
    "4": {"inputs": {"model": ["90", 0], "conditioning": ["3", 0]}},
    "5": {"inputs": {"noise_seed": 1}},
    "6": {"inputs": {"scheduler": "simple", "steps": 20, "denoise": 1.0, "model": ["90", 0]}},
    "7": {
        "inputs": {
            "noise": ["5", 0],
            "guider": ["4", 0],
            "sampler": ["91", 0],
            "sigmas": ["6", 0],
            "latent_image": ["2", 0],
        }
    },
    "90": LOADER,
    "91": {"inputs": {"sampler_name": "euler"}},
}
LED = {  # a ControlNet between the words and the sampler, and words that come from another node
    "1": {"inputs": {"text": ["8", 0], "clip": ["90", 1]}},
    "2": LATENT,
    "3": {"inputs": {"text": "fog", "clip": ["90", 1]}},
    "4": {"inputs": {"strength": 1.0, "positive": ["1", 0], "negative": ["3", 0], "image": ["92", 0]}},
    "5": sampler(positive=["4", 0], negative=["4", 1], seed=["9", 0]),
    "8": {"inputs": {"value": "a boat"}},
    "9": {"inputs": {"value": 5}},
    "90": LOADER,
    "92": {"inputs": {"image": "edges.png"}},
}
TWICE = {  # the second pass stands first in the file
    "0": sampler(positive=["1", 0], negative=["3", 0], latent_image=["6", 0], steps=8),
    "1": WORDS,
    "2": LATENT,
    "3": {"inputs": {"text": "fog", "clip": ["90", 1]}},
    "5": sampler(positive=["1", 0], negative=["3", 0]),
    "6": {"inputs": {"samples": ["5", 0], "width": 2048, "height": 1536}},
    "90": LOADER,
}


@pytest.mark.parametrize(
    ("workflow", "places"),
    [
        (
            WORKFLOW,
            {"prompt": ("3", "text"), "negative prompt": ("4", "text"), "seed": ("5", "seed"), "steps": ("5", "steps")}
            | {"guidance": ("5", "cfg"), **SIDES},
        ),
        (
            FLUX,
            {"prompt": ("1", "text"), "seed": ("5", "seed"), "steps": ("5", "steps"), "guidance": ("3", "guidance")}
            | SIDES,
        ),
        (
            ADVANCED,
            {"prompt": ("1", "text"), "seed": ("5", "noise_seed"), "steps": ("6", "steps")}
            | {"guidance": ("3", "guidance"), **SIDES},
        ),
        (
            LED,
            {"prompt": ("8", "value"), "negative prompt": ("3", "text"), "seed": ("9", "value")}
            | {"steps": ("5", "steps"), "guidance": ("5", "cfg"), **SIDES},
        ),
        (
            TWICE,
            {"prompt": ("1", "text"), "negative prompt": ("3", "text"), "seed": ("5", "seed"), "steps": ("5", "steps")}
            | {"guidance": ("5", "cfg"), **SIDES},
        ),
    ],
    ids=["plain", "flux", "advanced", "led", "twice"],
)
def test_without_titles_the_first_sampler_and_what_leads_there_say_it(
    workflow: dict[str, Any], places: dict[str, tuple[str, str]]
) -> None:
    assert places_of(workflow) == places


@pytest.mark.parametrize("link", [5, None, [], [[]], {}, ["5", 0], ["nowhere", 0], True, ""])
def test_odd_links_and_titles_are_refused_or_passed_over(link: Any) -> None:
    nodes = {"1": {**WORDS, "_meta": link}, "5": sampler(positive=link, latent_image=link)}
    with pytest.raises(InvalidSetup, match="title 'prompt'"):
        places_of(nodes)
    titled = {**nodes, "1": {**WORDS, "_meta": {"title": "PROMPT "}}}
    assert places_of(titled)["prompt"] == ("1", "text")
