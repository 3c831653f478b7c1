"""Words are drawn from lists by the job's seed: the same seed, the same words; and all else is left as it is."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadInput
from bot.prompt import word_lists
from bot.prompt.parser import parse, plain
from bot.prompt.word_lists import draw

LISTS = {
    "colour": ("red", "blue", "green", "white"),
    "boat": ("boat", "{sail|row}boat"),
    "scene": ("a __colour__ __boat__",),
    "rare": ("99::often", "0::never"),
    "me": ("again __me__",),
}


def test_the_same_seed_draws_the_same_words() -> None:
    drawn = [draw("a __colour__ and a __colour__ __boat__", LISTS, seed) for seed in range(30)]
    assert drawn == [draw("a __colour__ and a __colour__ __boat__", LISTS, seed) for seed in range(30)]
    assert len(set(drawn)) > 10
    assert all("_" not in line and "{" not in line for line in drawn)


def test_lists_name_lists_and_weights_hold() -> None:
    assert draw("__scene__", LISTS, 1).split()[1] in LISTS["colour"]
    assert {draw("__rare__", LISTS, seed) for seed in range(50)} == {"often"}


@pytest.mark.parametrize(
    ("text", "says"),
    [("__colur__", "Did you mean `__colour__`?"), ("__x__", "/words list"), ("a __me__", "circles")],
)
def test_what_cannot_be_drawn_is_named(text: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        draw(text, LISTS, 1)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["snake__case__here", "a __ b __", "____", "__a", r"\\__x"])
def test_what_names_no_list_is_left_alone(text: str) -> None:
    assert draw(text, LISTS, 1) == text


@given(st.text(alphabet=st.sampled_from("_\\ab/ *-x"), max_size=40))
def test_plain_words_come_back_as_they_were(text: str) -> None:
    assert draw(word_lists.escape(text), {}, 1) == text


# ---------------------------------------------------------------- in a line
def test_each_job_of_a_line_draws_by_its_own_seed() -> None:
    drafts = parse("a __colour__ boat --seed 7 --repeat 8", lists=LISTS)
    assert [draft.seed for draft in drafts] == [7 + 4 * turn for turn in range(8)]
    assert [draft.prompt for draft in drafts] == [draw("a __colour__ boat", LISTS, 7 + 4 * turn) for turn in range(8)]
    assert len({draft.prompt for draft in drafts}) > 1


def test_a_line_without_a_seed_gets_the_one_it_was_drawn_by() -> None:
    (draft,) = parse("a __colour__ boat --no __colour__", lists=LISTS, rng=Random(1))
    assert draft.seed is not None
    assert parse(f"a __colour__ boat --no __colour__ --seed {draft.seed}", lists=LISTS) == [draft]
    assert parse("a boat")[0].seed is None


def test_a_line_with_a_list_that_is_not_there_can_go_on_without_it() -> None:
    with pytest.raises(BadInput) as caught:
        parse("a __colur__ boat --ar 3:2", lists=LISTS)
    assert caught.value.without == "a colur boat --ar 3:2"


def test_escaped_underscores_are_words() -> None:
    assert parse(r"a \__colour__ boat", lists=LISTS)[0].prompt == "a __colour__ boat"
    assert parse(plain("a __colour__ boat"), lists=LISTS)[0].prompt == "a __colour__ boat"
