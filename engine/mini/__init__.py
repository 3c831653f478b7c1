"""Easel Mini, the embedded model: where its folder is and which words it knows. Importing this never loads torch."""

from pathlib import Path

from engine.mini import neighbours, words

MODEL_DIR: Path = Path(__file__).parent / "model"
ADAPTERS_DIR: Path = Path(__file__).parent / "adapters"  # one adapter a folder, in diffusers' own formats
EDITOR_DIR: Path = Path(__file__).parent / "editor"  # changes pictures of its world as words say, where it ships
MODEL, EDITOR = "mini", "mini-edit"  # what settings call them
MAX_WORDS_NAMED = 3  # a hint is one line under a picture, not a lecture
MAX_WORD_CHARS = 24

__all__ = [
    "ADAPTERS_DIR",
    "EDITOR",
    "EDITOR_DIR",
    "MODEL",
    "MODEL_DIR",
    "folder",
    "hint",
    "offers",
    "unknown_words",
    "vocabulary",
]


def folder(name: str) -> Path | None:
    """Return where the model is that settings call so; None for whatever does not come along."""
    found = {MODEL: MODEL_DIR, EDITOR: EDITOR_DIR}.get(name)
    return found if found is not None and found.is_dir() else None


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


def unknown_words(prompt: str, *, edits: bool = False) -> tuple[str, ...]:
    """Return the words that Mini was never taught, in order and once each. Digits are never reported.

    Args:
        edits: the words are an instruction to its editor, here and below.
    """
    known = words.KNOWN | words.CHANGES if edits else words.KNOWN
    strangers = (word for word in words.words_in(prompt) if word not in known and not word.isdigit())
    return tuple(dict.fromkeys(strangers))


def offers(prompt: str, *, edits: bool = False) -> tuple[str, ...]:
    """Return three prompts that Mini can paint instead of one that names nothing it knows, else none."""
    strangers = unknown_words(prompt, edits=edits)
    if not strangers or (words.CHANGED if edits else words.PAINTED) & set(words.words_in(prompt)):
        return ()
    return _instead(strangers, prompt, edits)


def hint(prompt: str, *, edits: bool = False) -> str | None:
    """Return one line about words Mini does not know, with three prompts that it does, or None if it knows them all."""
    strangers = unknown_words(prompt, edits=edits)
    if not strangers:
        return None
    named = " or ".join(f"'{word[:MAX_WORD_CHARS]}'" for word in strangers[:MAX_WORDS_NAMED])
    able = "It can do this" if edits else "It can paint"
    instead = ", ".join(f"“{each}”" for each in _instead(strangers, prompt, edits))
    return f"Mini does not know {named}. {able}: {instead}."


def _instead(strangers: tuple[str, ...], prompt: str, edits: bool) -> tuple[str, ...]:
    return (neighbours.changes_instead_of if edits else neighbours.instead_of)(strangers, prompt)
