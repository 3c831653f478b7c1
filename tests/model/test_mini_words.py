"""What Mini says it knows is what its captions teach."""

import random
import subprocess
import sys

import pytest

from engine.mini import MODEL_DIR, hint, unknown_words, vocabulary
from engine.mini.train.captions import caption
from engine.mini.train.scenes import Diet, sample_scene


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


def test_a_hint_names_strangers_and_things() -> None:
    text = hint("a dragon")
    assert text is not None
    assert text.startswith("Mini does not know 'dragon'.")
    assert "robot" in text
    assert "underwater" in text
    assert hint("a red circle") is None


def test_a_hint_stays_short_and_harmless() -> None:
    text = hint(" ".join(f"word{i}{'x' * 500}" for i in range(50)) + " @everyone **bold** <@1>")
    assert text is not None
    assert len(text) < 600
    assert not set(text) & set("@*<>`")


def test_importing_mini_does_not_import_torch() -> None:
    code = "import sys, engine.mini; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_folder_is_small_and_complete() -> None:
    files = [file for file in MODEL_DIR.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 25 * 10**6
    assert {"unet", "vae", "text_encoder", "tokenizer", "scheduler", "ranker", "checker"} <= {
        file.parent.name for file in files
    }
