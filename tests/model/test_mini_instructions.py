"""What Mini's editor says it knows is what its instructions teach, and what it offers instead is made of that."""

import random

import pytest

from engine.mini import hint, offers, unknown_words
from engine.mini.neighbours import ALWAYS, INSTEAD, changes_instead_of
from engine.mini.train.editing.changes import KINDS, base_view, made
from engine.mini.train.editing.instructions import instruction
from engine.mini.words import CHANGES, KNOWN

TAUGHT = 40  # instructions of each kind


def taught(kind: str) -> list[str]:
    rng = random.Random(f"taught {kind}")
    found = []
    while len(found) < TAUGHT:
        view = base_view(rng)
        if (change := made(rng, kind, view)) is not None:
            found.append(instruction(rng, change[0], view.scene))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_is_made_of_known_words_and_names_a_change(kind: str) -> None:
    for text in taught(kind):
        assert unknown_words(text, edits=True) == ()
        assert offers(f"{text}, wonderfully", edits=True) == (), text


def test_the_editor_has_words_of_its_own_and_each_is_taught() -> None:
    assert not CHANGES & KNOWN
    said = {word for kind in KINDS for text in taught(kind) for word in text.split()}
    assert {*CHANGES} <= said
    assert unknown_words("remove the moon") == ("remove",)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("give it a dog", "add a cat"),
        ("like ghibli", "as watercolor"),
        ("make it pop", "make it blue"),
        ("remove everything", "make it night"),
    ],
)
def test_what_names_no_change_gets_three_that_work(text: str, instead: str) -> None:
    found = offers(text, edits=True)
    assert len(found) == 3
    assert instead in found
    assert instead in (hint(text, edits=True) or "")


def test_a_hint_keeps_the_colour_that_was_asked_for() -> None:
    assert hint("make the dragon green", edits=True) == (
        "Mini does not know 'dragon'. It can do this: “add a bird”, “make it green”, “make it night”."
    )
    assert hint("make the boat green", edits=True) is None


def test_every_offer_is_made_of_words_that_the_editor_knows() -> None:
    found = {each for words in INSTEAD.values() for each in changes_instead_of(words.split(), "")}
    found |= {*changes_instead_of(["cyberpunk", "manga"], " ".join(ALWAYS))}
    assert {word for text in found for word in unknown_words(text, edits=True)} == set()
    assert all(offers(f"{text} zzz", edits=True) == () for text in found)
