"""Ten thousand lines of eight scripts, with the punctuation of 41 languages: what is echoed gives the same again."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from bot.config import Settings
from bot.errors import BadInput
from bot.ledger.limits import default_terms
from bot.orders.drafts import resolve
from bot.prompt.parser import echo, parse
from engine.api.model_info import ModelInfo

MINI = ModelInfo(
    key="mini", family="sd1", width=128, height=128, num_inference_steps=20, guidance_scale=5.0, scheduler="euler"
)
TERMS = default_terms(Settings(_env_file=None))  # type: ignore[call-arg]
LINES = 10_000
WORDS = {
    "latin": "boat bateau Schiff łódź čln ship vaixell gemi laiva hajó Straße naïve œuvre ığdır",
    "cyrillic": "лодка човен кораб мөр красная їжак ѝ №5",
    "greek": "βάρκα καΐκι κόκκινο θάλασσα",
    "arabic": "قارب کشتی کشتی‌ها أحمر ٣ ۵",
    "hebrew": "סירה אדומה צה״ל",
    "devanagari": "नाव लाल समुद्र क्‍ष",
    "han and kana": "紅い船 海 ふね ボート 赤色的船",
    "hangul": "빨간 배 바다",
}
# quotation marks and signs of their own, from CLDR's exemplar punctuation; the dashes are everybody's
LANGUAGES = {
    **{"en": "“” ‘’ ' \"", "ga": "“” ’", "nl": "‘’ “” „”", "de": "„“ ‚‘ »«", "fr": "«» ’ ‹› !", "es": "«» ¿? ¡!"},
    **{"pt": "“” «»", "it": "«» ’", "ca": "«» · l·l", "gl": "«» ¿? ¡!", "ro": "„” «»", "sv": "”” ’", "da": "“” »«"},
    **{"nb": "«» ’", "fi": "”” »»", "is": "„“", "et": "„“", "lv": "“” „“", "lt": "„“", "pl": "„” «»", "cs": "„“ ‚‘"},
    **{"sk": "„“", "sl": "„“ »«", "hr": "„” »«", "hu": "„” »«", "tr": "“” ’", "az": "“”", "vi": "“” …", "id": "“”"},
    **{
        "ru": "«» „“ №",
        "uk": "«» „“ ’",
        "bg": "„“",
        "sr": "„” ’",
        "el": "«» · ;",
        "ar": "“” ، ؛ ؟",
        "fa": "«» ، ؛ ؟ ٪",
    },
    **{
        "he": "”” ״ ׳ ־",
        "hi": "“” । ॥",
        "zh": "，。、；：？！《》（）—— ……",
        "ja": "「」『』、。・〜ー",
        "ko": "“” ‘’ · 『』",
    },
}
PROSE = (" — ", "—", " – ", "–", " - ", "-", "--", "…", ", ", ": ", "; ", "! ", "? ", " ", " ", " ", " & ", "/", "　")
FLAGS = (
    *(
        "--ar 3:2",
        "--seed 7",
        "--no {}",
        "--steps 5",
        "--cfg 2,5",
        "—tile",
        "--n 2",
        "--size 192x128",
        "--v 6",
        "--q .5",
    ),
    *("--ar ３：２", "--chaos 10", '--no "{}"', "--seed random", "--vary 5:0.2", "--fast", "--style raw", "--s 250"),
)


def lines(script: str, count: int) -> Iterator[str]:
    """Words, the signs of some language between and around them, and now and then a flag somewhere."""
    rng = Random(script)
    words = WORDS[script].split()
    for _ in range(count):
        signs = rng.choice(list(LANGUAGES.values())).split()
        parts: list[str] = []
        for _ in range(rng.randint(1, 8)):
            sign, word = rng.choice(signs), rng.choice(words)
            quoted = f"{sign[0]}{word}{sign[-1]}" if rng.random() < 0.3 else word + rng.choice(("", "", sign[-1]))
            parts += [quoted, rng.choice(PROSE)]
            if rng.random() < 0.15:
                parts.append(f" {rng.choice(FLAGS).format(rng.choice(words))} ")
        yield "".join(parts)


@pytest.mark.parametrize("script", WORDS)
def test_echo_and_parse_agree(script: str) -> None:
    refused: list[tuple[BadInput, str]] = []
    count = LINES // len(WORDS)
    for line in lines(script, count):
        try:
            (draft,) = parse(line, rng=Random(1))
        except BadInput as refusal:
            refused.append((refusal, line))
            continue
        spec = resolve(draft, (MINI,), TERMS, 5)
        assert resolve(parse(echo(spec, MINI))[0], (MINI,), TERMS, 1).evolve(note="") == spec.evolve(note=""), line
    assert len(refused) < count * 0.1, [str(refusal) for refusal, _ in refused[:20]]
    assert [line for refusal, line in refused if not refusal.without and "quote" not in str(refusal)] == []


def test_there_are_as_many_as_are_told() -> None:
    assert (len(LANGUAGES), len(WORDS)) == (41, 8)
    assert LINES % len(WORDS) == 0
