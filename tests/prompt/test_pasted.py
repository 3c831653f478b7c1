"""What people paste from elsewhere is read as what it is, whether its lines are still apart or Discord joined them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.prompt.image_metadata import pasted

INFOTEXT = (
    "a red boat, <lora:waves:0.8> (detailed:1.2)\nNegative prompt: fog, text\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 512x768, Model: dream_8, Clip skip: 2"
)


@pytest.mark.parametrize("text", [INFOTEXT, INFOTEXT.replace("\n", " "), f"  {INFOTEXT}  "])
def test_an_infotext_is_read_in_one_line_or_three(text: str) -> None:
    said = pasted.parameters(text)
    assert said is not None
    assert (said.prompt, said.negative_prompt) == ("a red boat, <lora:waves:0.8> (detailed:1.2)", "fog, text")
    assert (said.steps, said.guidance, said.sampler, said.seed) == (20, 7.5, "Euler a", 42)
    assert (said.width, said.height, said.model) == (512, 768, "dream_8")


def test_an_infotext_without_a_negative_prompt_is_read() -> None:
    said = pasted.parameters("a boat Steps: 4, Seed: 1, Size: 64x64")
    assert said is not None
    assert (said.prompt, said.negative_prompt, said.steps) == ("a boat", "", 4)


@pytest.mark.parametrize(
    "value",
    [
        {
            "prompt": "a boat",
            "negative_prompt": "fog",
            "steps": 9,
            "cfg_scale": 5,
            "sampler_name": "Euler a",
            "seed": 3,
        },
        {"prompt": "a boat", "negative_prompt": "fog", "num_inference_steps": 9, "guidance_scale": 5.0, "seed": 3},
        {"sui_image_params": {"prompt": "a boat", "negativeprompt": "fog", "steps": 9, "cfgscale": 5, "seed": 3}},
        {"positive_prompt": "a boat", "negative_prompt": "fog", "steps": 9, "cfg_scale": 5, "seed": 3},
    ],
)
def test_a_request_in_json_is_read_whoever_it_is_meant_for(value: dict[str, object]) -> None:
    said = pasted.parameters(json.dumps(value, indent=1))
    assert said is not None
    assert (said.prompt, said.negative_prompt, said.steps, said.guidance, said.seed) == ("a boat", "fog", 9, 5.0, 3)


@pytest.mark.parametrize(
    "line",
    [
        "a boat",
        "a flight of stairs, Steps: 20",
        "Steps: 20, five of them of stone",
        "{red, blue} boat",
        '{"red", "blue"} boat',
        "{}",
        '{"steps": 4}',
        "Negative prompt: fog",
        "",
    ],
)
def test_words_stay_words(line: str) -> None:
    assert pasted.parameters(line) is None


@pytest.mark.parametrize(
    ("line", "found", "rest"),
    [
        ("https://a.example/b.png a cat --iw 1", ("https://a.example/b.png",), "a cat --iw 1"),
        ("<https://a.example/b.png> a cat", ("https://a.example/b.png",), "a cat"),
        (" http://a.example/1 https://a.example/2 a cat", ("http://a.example/1", "https://a.example/2"), "a cat"),
        ("https://a.example/b.png", ("https://a.example/b.png",), ""),
        ("a cat https://a.example/b.png", (), "a cat https://a.example/b.png"),
    ],
)
def test_addresses_at_the_beginning_are_pictures(line: str, found: tuple[str, ...], rest: str) -> None:
    assert pasted.addresses(line) == (found, rest)


@given(st.text(alphabet=st.sampled_from('aä猫 :,{}"Steps: 20, Seed: 3Negative prompt:\n')))
def test_no_text_breaks_it(line: str) -> None:
    pasted.parameters(line)
    assert pasted.addresses(line)[1] == line
