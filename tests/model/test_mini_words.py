"""What Mini says it knows is what its captions teach."""

import random
import subprocess
import sys

import pytest

from engine.mini import MODEL_DIR, forty_eight, hint, unknown_words, vocabulary
from engine.mini.neighbours import ALWAYS, INSTEAD, instead_of
from engine.mini.train.captions import caption
from engine.mini.train.scenes import Diet, sample_scene
from engine.mini.words import KNOWN


def test_the_world_has_the_promised_size() -> None:
    words = vocabulary()
    assert (len(words["colours"]), len(words["things"]), len(words["scenes"]), len(words["styles"])) == (12, 28, 10, 5)


def test_every_caption_is_made_of_known_words(rng: random.Random) -> None:
    captions = [caption(rng, sample_scene(rng, Diet())) for _ in range(2000)]
    assert {word for text in captions for word in unknown_words(text)} == set()


@pytest.mark.parametrize(
    ("prompt", "strangers"),
    [
        ("A RED Circle!", ()),
        ("three pine trees, 8-bit", ()),
        ("a beautiful picture of the blue boat", ()),
        ("a dragon and a dragon riding a boat", ("dragon", "riding")),
        ("un château rouge", ("un", "château", "rouge")),
        ("7 stars", ()),
        ("", ()),
        ("👻", ()),
    ],
)
def test_unknown_words(prompt: str, strangers: tuple[str, ...]) -> None:
    assert unknown_words(prompt) == strangers


def test_a_hint_names_strangers_and_offers_three_prompts() -> None:
    assert hint("a dragon") == (
        "Mini does not know 'dragon'. It can paint: “a blue bird”, “a castle in the mountains”, “a boat on the sea”."
    )
    assert hint("a red circle") is None


@pytest.mark.parametrize(
    ("prompt", "offer"),
    [
        ("an astronaut", "“a rocket in space”"),
        ("my dog", "“an orange cat”"),
        ("two dogs", "“an orange cat”"),
        ("a green lizardfolk and a puppy", "“a green cat”"),
        ("a whale, cyberpunk", "“an orange fish, neon”"),
        ("xylophone", "“a boat on the sea”"),
    ],
)
def test_a_hint_offers_what_is_nearest_in_meaning(prompt: str, offer: str) -> None:
    assert offer in (hint(prompt) or "")


def test_every_offer_is_made_of_words_that_mini_knows() -> None:
    offers = [*INSTEAD, *ALWAYS, *(offer for words in INSTEAD.values() for offer in instead_of(words.split(), ""))]
    assert {word for offer in offers for word in unknown_words(offer)} == set()


def test_no_offer_stands_in_for_a_word_that_mini_knows() -> None:
    assert {word for words in INSTEAD.values() for word in words.split()} & KNOWN == set()


def test_a_hint_stays_short_and_harmless() -> None:
    text = hint(" ".join(f"word{i}{'x' * 500}" for i in range(50)) + " @everyone **bold** <@1>")
    assert text is not None
    assert len(text) < 300
    assert "\n" not in text
    assert not set(text) & set("@*<>`")


def test_the_fixed_sheet_asks_for_what_mini_knows() -> None:
    assert len(set(forty_eight.PROMPTS)) == 48
    assert {word for prompt in forty_eight.PROMPTS for word in unknown_words(prompt)} == set()


def test_importing_mini_does_not_import_torch() -> None:
    code = "import sys, engine.mini; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_folder_is_small_and_complete() -> None:
    files = [file for file in MODEL_DIR.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 25 * 10**6
    assert {"unet", "vae", "text_encoder", "tokenizer", "scheduler", "ranker", "checker"} <= {
        file.parent.name for file in files
    }
