"""What a prompt says of LoRAs and taught words, and what is refused before anything is charged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.config import Settings
from bot.errors import BadInput
from bot.ledger.limits import Quota, default_quota, default_terms, most_generous, terms_of
from bot.orders import drafts, reproduce
from bot.prompt.image_metadata import Parameters
from bot.prompt.parser import Draft
from engine import InvalidRequest, Txt2Img
from engine.fake import MINI
from engine.tasks import lora_tags

INFO = replace(MINI, loras=("waves", "ink.v2"), embeddings=("dawn",))
LARGE = replace(MINI, key="large", loras=("grand",))
TERMS = default_terms(Settings(_env_file=None))


def spec(prompt: str, terms: object = TERMS, negative: str = "", model: str = "mini") -> object:
    draft = Draft(prompt=prompt, negative_prompt=negative, model=model)
    return drafts.resolve(draft, (INFO, LARGE), terms, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompt", "wanted", "left"),
    [
        ("a red boat", {}, "a red boat"),
        ("a  red\nboat", {}, "a  red\nboat"),
        ("a <lora:waves:0.8> boat", {"waves": 0.8}, "a boat"),
        ("a boat<LoRA:ink.v2>", {"ink.v2": 1.0}, "a boat"),
        ("<lora:waves:.5><lora:waves:.25> boat", {"waves": 0.75}, "boat"),
        ("(a boat <lora:waves:-1>:1.2)", {"waves": -1.0}, "(a boat :1.2)"),
        ("a <lora boat>", {}, "a <lora boat>"),
        ("<lora:" * 500, {}, "<lora:" * 500),
    ],
)
def test_tags_are_read_and_taken_out(prompt: str, wanted: dict[str, float], left: str) -> None:
    assert lora_tags.loras(prompt) == {name: (weight, weight) for name, weight in wanted.items()}
    assert lora_tags.without(prompt) == left


@pytest.mark.parametrize("weight", ["nan", "inf", "5", "", "much", "1e9"])
def test_a_weight_is_a_small_number(weight: str) -> None:
    with pytest.raises(InvalidRequest, match=r"isn't a number from -4 to 4"):
        lora_tags.loras(f"a boat <lora:waves:{weight}>")


def test_taught_words_are_whole_words() -> None:
    assert lora_tags.tokens_in("Dawn, dawning, <dawn> (dawn:1.2)", ["dawn"]) == "<dawn>, dawning, <dawn> (<dawn>:1.2)"
    request = Txt2Img(prompt="dawning <lora:dawn:1>", negative_prompt="no dawn")
    assert lora_tags.used(replace(request, prompt="dawning"), INFO) == ({}, ("dawn",))
    assert lora_tags.used(Txt2Img(prompt="dawning"), INFO) == ({}, ())
    assert lora_tags.strange("a dawn boat <lora:waves:1>", ["dawn"]).split() == ["a", "boat"]


@pytest.mark.parametrize(
    ("prompt", "negative", "sentence"),
    [
        ("<lora:wavs:1> boat", "", "Did you mean <lora:waves:1>?"),
        ("<lora:zzz:1> boat", "", "It can use: waves, ink.v2."),
        ("<lora:grand:1> boat", "", "The LoRA 'grand' does not fit mini. It fits: large."),
        ("<lora:waves:9> boat", "", "a number"),
        ("boat", "<lora:waves:1>", "negative prompt"),
        ("<lora:@everyone `*:1> boat", "", "no LoRA '·everyone ··'."),
        ("".join(f"<lora:x{n}:1>" for n in range(5)) + "boat", "", "at most 4"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_way_out(prompt: str, negative: str, sentence: str) -> None:
    with pytest.raises(BadInput) as refusal:
        spec(prompt, negative=negative)
    assert sentence in str(refusal.value)


def test_terms_name_the_loras_one_may_use() -> None:
    base = default_quota(Settings(_env_file=None))
    assert terms_of(base, None).loras is None
    mine = terms_of(base.overlaid(Quota(loras=frozenset({"waves"}))), None)
    spec("a boat <lora:Waves:0.5>", mine)
    with pytest.raises(BadInput, match=r"use the LoRA ink\.v2 here\. You can use: waves\."):
        spec("a boat <lora:ink.v2:0.5>", mine)
    few, more = Quota(loras=frozenset({"waves"})), Quota(loras=frozenset({"ink.v2"}))
    everyone = base.overlaid(Quota(loras=frozenset()))
    assert most_generous(everyone, [few, more]).loras == {"waves", "ink.v2"}


def test_a_strangers_prompt_keeps_the_loras_that_are_here() -> None:
    said = Parameters(tool="A1111", prompt="a boat <lora:waves:0.8> <lora:other:1>")
    found = reproduce.of(said, (INFO,), TERMS)
    assert "<lora:waves:0.8>" in found.draft.prompt
    assert "other" not in found.draft.prompt
    assert "LoRAs that aren't here are left out." in found.changes
