"""Easel Mini, the embedded model: where its folder is and which words it knows. Importing this never loads torch."""

from pathlib import Path

from engine.mini import neighbours, words

MODEL_DIR: Path = Path(__file__).parent / "model"
ADAPTERS_DIR: Path = Path(__file__).parent / "adapters"  # one adapter a folder, in diffusers' own formats
EDITOR_DIR: Path = Path(__file__).parent / "editor"  # changes pictures of its world as words say, where it ships
MAX_WORDS_NAMED = 3  # a hint is one line under a picture, not a lecture
MAX_WORD_CHARS = 24

__all__ = ["ADAPTERS_DIR", "EDITOR_DIR", "MODEL_DIR", "hint", "offers", "unknown_words", "vocabulary"]


def vocabulary() -> dict[str, tuple[str, ...]]:
    """Return what Mini can paint, by kind of word."""
    return {
        "colours": tuple(words.COLOURS),
        "things": words.THINGS,
        "scenes": words.SCENES,
        "styles": words.STYLES,
        "sizes": tuple(words.SIZES),
        "places": tuple(words.PLACES),
        "relations": tuple(words.RELATIONS),
        "numbers": tuple(phrases[0] for phrases in words.NUMBERS.values()),
    }


def unknown_words(prompt: str) -> tuple[str, ...]:
    """Return the prompt's words that Mini was never taught, in order and once each. Digits are never reported."""
    strangers = (word for word in words.words_in(prompt) if word not in words.KNOWN and not word.isdigit())
    return tuple(dict.fromkeys(strangers))


def offers(prompt: str) -> tuple[str, ...]:
    """Return three prompts that Mini can paint instead of one that names nothing it knows, else none."""
    strangers = unknown_words(prompt)
    if not strangers or words.PAINTED & set(words.words_in(prompt)):
        return ()
    return neighbours.instead_of(strangers, prompt)


def hint(prompt: str) -> str | None:
    """Return one line about words Mini does not know, with three prompts that it does, or None if it knows them all."""
    strangers = unknown_words(prompt)
    if not strangers:
        return None
    named = " or ".join(f"'{word[:MAX_WORD_CHARS]}'" for word in strangers[:MAX_WORDS_NAMED])
    offers = ", ".join(f"“{offer}”" for offer in neighbours.instead_of(strangers, prompt))
    return f"Mini does not know {named}. It can paint: {offers}."
