"""A1111's prompt language, rule by rule: sixty cases worked out by hand from what its parser does."""

from __future__ import annotations

import time
from typing import Any

import pytest

from engine.diffusion import embeddings, prompt_schedule
from engine.diffusion.prompts import Piece, encoder_texts, parse
from engine.tasks import lora_tags
from tests.engine.conftest import clip_tokenizer

UP, DOWN = 1.1, 1 / 1.1
TEN = 10  # steps of the cases below

# ---------------------------------------------------------------- weights
ATTENTION: dict[str, list[tuple[str | None, float]]] = {
    "normal text": [("normal text", 1.0)],
    "an (important) word": [("an ", 1.0), ("important", UP), (" word", 1.0)],
    "(unbalanced": [("unbalanced", UP)],
    r"\(literal\]": [("(literal]", 1.0)],
    "(unnecessary)(parens)": [("unnecessaryparens", UP)],
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ("a ", 1.0),
        ("house", 1.3 * UP * UP),
        (" ", UP),
        ("on", UP * DOWN),
        (" a ", UP),
        ("hill", 0.5 * UP),
        (", sun, ", UP),
        ("sky", UP**4),
        (".", UP),
    ],
    "(a:1.5)": [("a", 1.5)],
    "(a : 1.5 )": [("a ", 1.5)],
    "(a:+0.5)": [("a", 0.5)],
    "(a:-1)": [("a", -1.0)],
    "(a:.5)": [("a", 0.5)],
    "a:1.5)": [("a:1.5)", 1.0)],
    "[a:1.5]": [("a:1.5", DOWN)],
    "((a) b)": [("a", UP * UP), (" b", UP)],
    "[[a]]": [("a", DOWN * DOWN)],
    "a) b": [("a) b", 1.0)],
    "a] b": [("a] b", 1.0)],
    r"a\\b": [(r"a\b", 1.0)],
    r"a\b": [("ab", 1.0)],
    "a BREAK b": [("a ", 1.0), (None, 1.0), (" b", 1.0)],
    "BREAKING": [("BREAKING", 1.0)],
    "(a BREAK b)": [("a ", UP), (None, 1.0), (" b", UP)],
    "(a:b:1.2)": [("a:b", 1.2)],
}


@pytest.mark.parametrize("prompt", ATTENTION)
def test_weights(prompt: str) -> None:
    wanted = [Piece(text, pytest.approx(weight) if text is not None else 1.0) for text, weight in ATTENTION[prompt]]
    assert list(parse(prompt)) == wanted


# ---------------------------------------------------------------- words that change
TURNS = [(end, "ab"[(end - 1) % 2]) for end in range(1, TEN + 1)]
CHANGES: dict[str, list[tuple[int, str]]] = {
    "test": [(10, "test")],
    "a [b:3]": [(3, "a "), (10, "a b")],
    "a [b: 3]": [(3, "a "), (10, "a b")],
    "a [[[b]]:2]": [(2, "a "), (10, "a [[b]]")],
    "[(a:2):3]": [(3, ""), (10, "(a:2)")],
    "a [b : c : 1] d": [(1, "a b  d"), (10, "a  c  d")],
    "a[b:[c:d:2]:1]e": [(1, "abe"), (2, "ace"), (10, "ade")],
    "a [unbalanced": [(10, "a [unbalanced")],
    "a [b:.5] c": [(5, "a  c"), (10, "a b c")],
    "a [b:0.25] c": [(2, "a  c"), (10, "a b c")],
    "((a][:b:c [d:3]": [(3, "((a][:b:c "), (10, "((a][:b:c d")],
    "[a|b]": TURNS,
    "[fe|]male": [(end, ("female", "male")[(end - 1) % 2]) for end in range(1, 11)],
    "[fe|||]male": [(end, "female" if end % 4 == 1 else "male") for end in range(1, 11)],
    "[a|(b:1.1)]": [(end, ("a", "(b:1.1)")[(end - 1) % 2]) for end in range(1, 11)],
    "[a::4]": [(4, "a"), (10, "")],
    "[a:b:12]": [(10, "a")],
    "[a:b:0]": [(10, "b")],
    "[a:b:-3]": [(10, "b")],
    "[a:b:1.0]": [(10, "a")],
    "[a:b:c:3]": [(10, "[a:b:c:3]")],
    "[a:b:soon]": [(10, "[a:b:soon]")],
    r"\[a:b:3\]": [(10, r"\[a:b:3\]")],
    "(a:1.2) and [b]": [(10, "(a:1.2) and [b]")],
    "[(a:b:3]": [(10, "[(a:b:3]")],
    "[[a:b:2]|c]": [(end, "c" if end % 2 == 0 else "a" if end <= 2 else "b") for end in range(1, 11)],
}


@pytest.mark.parametrize("prompt", CHANGES)
def test_words_that_change(prompt: str) -> None:
    (part,) = prompt_schedule.parts(prompt, TEN)
    assert (part.weight, list(part.texts)) == (1.0, CHANGES[prompt])


def test_the_step_that_a_text_ends_at_reads_it_too() -> None:
    """A1111 counts from 0, and asks whether the step is at most the end."""
    (part,) = prompt_schedule.parts("[a:b:3]", TEN)
    assert [part.at(step) for step in range(TEN)] == ["a"] * 4 + ["b"] * 6


# ---------------------------------------------------------------- AND
TOGETHER: dict[str, list[tuple[float, str]]] = {
    "a cat AND a dog": [(1.0, "a cat "), (1.0, " a dog")],
    "a cat :1.2 AND a dog AND fog:-0.5": [(1.2, "a cat"), (1.0, " a dog "), (-0.5, " fog")],
    "a cat :.5 AND a dog : 2 ": [(0.5, "a cat"), (2.0, " a dog")],
    "SAND AND sea": [(1.0, "SAND "), (1.0, " sea")],
    "rock and sand": [(1.0, "rock and sand")],
}


@pytest.mark.parametrize("prompt", TOGETHER)
def test_prompts_that_are_joined(prompt: str) -> None:
    found = prompt_schedule.parts(prompt, TEN)
    assert [(part.weight, part.texts[0][1]) for part in found] == TOGETHER[prompt]


# ---------------------------------------------------------------- LoRA tags
TAGS: dict[str, dict[str, tuple[float, float]]] = {
    "<lora:ink:0.5>": {"ink": (0.5, 0.5)},
    "<lora:ink:0.5:0.8>": {"ink": (0.5, 0.8)},
    "<lora:ink:te=0.5:unet=1>": {"ink": (0.5, 1.0)},
    "<lyco:ink:0.5>": {"ink": (0.5, 0.5)},
    "<lora:ink>": {"ink": (1.0, 1.0)},
    "<lora:ink:0:1><lora:ink:0.5>": {"ink": (0.5, 1.5)},
}


@pytest.mark.parametrize("prompt", TAGS)
def test_tags(prompt: str) -> None:
    assert lora_tags.loras(prompt) == TAGS[prompt]
    assert lora_tags.without(f"a {prompt} boat") == "a boat"


def test_there_are_sixty() -> None:
    assert sum(map(len, (ATTENTION, CHANGES, TOGETHER, TAGS))) >= 60


# ---------------------------------------------------------------- chunks of 75 tokens
def chunks(prompt: str, tokenizer: Any = None) -> list[str]:
    """The chunks' tokens, which are letters in this tokenizer."""
    tokenizer = tokenizer or clip_tokenizer()
    found = embeddings._chunks(tokenizer, parse(prompt))
    return [
        "".join(tokenizer.convert_ids_to_tokens([token for token, _ in each])).replace("</w>", "") for each in found
    ]


def test_what_stands_behind_the_last_comma_goes_along() -> None:
    sixty = " ".join("a" * 60)
    assert chunks(f"{sixty} , {'b ' * 20}") == [f"{'a' * 60},", "b" * 20], "fourteen would fit, and go along"
    assert chunks(f"{' '.join('a' * 50)} , {'b ' * 30}") == [f"{'a' * 50},{'b' * 24}", "b" * 6], "the comma is too far"
    assert chunks(" ".join("a" * 80)) == ["a" * 75, "a" * 5]
    assert chunks(f"{' '.join('a' * 75)} , b") == ["a" * 75, ",b"]


def test_a_break_at_the_end_adds_nothing() -> None:
    assert chunks("a BREAK b") == ["a", "b"]
    assert chunks("a BREAK") == ["a"]
    assert chunks("a BREAK BREAK b") == ["a", "", "b"]


def test_a_textual_inversion_is_never_torn() -> None:
    tokenizer = clip_tokenizer()
    tokenizer.add_tokens(["<dawn>", "<dawn>_1", "<dawn>_2", "<dawn>_3"])
    word = "<dawn> <dawn>_1 <dawn>_2 <dawn>_3"
    first, second = chunks(f"{' '.join('a' * 73)} {word}", tokenizer)
    assert (first, second) == ("a" * 73, word.replace(" ", ""))
    assert chunks(f"{word} {word}", tokenizer) == [word.replace(" ", "") * 2]


# ---------------------------------------------------------------- what is looked at
def test_every_text_that_may_be_read_is_looked_at() -> None:
    assert {"a bad thing", "a x thing"} <= set(encoder_texts("a [x:bad:0.5] thing"))
    assert "a bad thing" in encoder_texts("a b[x|a]d thing")
    assert "bad" in encoder_texts("[b|x][a|y|z]d")
    assert " bad " in encoder_texts("good AND bad AND ugly")
    both = encoder_texts("[b:x:0.4]a[y:d:20]")
    assert "bad" in both, "in fifty-one steps and more"


@pytest.mark.parametrize("piece", ["[", "(", "[a|b]", "[a:b:0.1]", "[a:", "]", "a AND ", "[a|b][c:d:0.3]"])
def test_hostile_prompts_end_soon(piece: str) -> None:
    started = time.process_time()
    prompt = (piece * 4000)[:4000]
    encoder_texts(prompt)
    prompt_schedule.parts(prompt, 150)
    assert time.process_time() - started < 5
