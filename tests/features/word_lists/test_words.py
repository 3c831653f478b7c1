"""/words: admins keep the server's lists, members their own, and /imagine draws from them."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from bot.demo.simulation import Stage
from bot.prompt.word_lists import draw
from tests.e2e.screen import paint, words
from tests.features.generate.test_refusals import imagine, newest
from tests.features.moderation.test_moderation import admin, said


async def kept(studio: Stage, who: str, name: str = "colour", words: str = "red, blue", **options: Any) -> str:
    return said(await studio.members[who].slash(studio.channel, "words save", name=name, words=words, **options))


async def test_the_servers_list_is_drawn_from_by_everyone(studio: Stage) -> None:
    assert "Manage Server" in await kept(studio, "Ann", server=True)
    assert "Kept the server's list" in await kept(studio, "Ada", server=True)
    await paint(studio, "a __colour__ boat --seed 7")
    assert (await newest(studio)).prompt == draw("a __colour__ boat", {"colour": ("red", "blue")}, 7)


async def test_ones_own_list_comes_before_the_servers_and_is_nobody_elses(studio: Stage) -> None:
    await kept(studio, "Ada", server=True)
    await kept(studio, "Ann", words="golden")
    await kept(studio, "Ben", name="secret", words="silver")
    await studio.restart()
    await paint(studio, "a __colour__ boat")
    assert (await newest(studio)).prompt == "a golden boat"
    assert "no word list 'secret'" in words(await imagine(studio, "a __secret__ boat"))
    shown = said(await studio.members["Ann"].slash(studio.channel, "words list"))
    assert "golden · yours" in shown
    assert "red" not in shown


async def test_a_list_is_changed_in_a_form_and_removed(studio: Stage) -> None:
    ann = studio.members["Ann"]
    await kept(studio, "Ann")
    form = await ann.slash(studio.channel, "words edit", name="__colour__")
    await ann.submit_modal(form, {"name": "colour", "words": "pale blue, nearly white\ngreen"})
    assert "pale blue, nearly white" in said(await ann.slash(studio.channel, "words show", name="colour"))
    offered = await ann.autocomplete(studio.channel, "words show", "name", "co")
    assert [choice["value"] for choice in offered] == ["colour"]
    assert "Removed" in said(await ann.slash(studio.channel, "words remove", name="colour"))
    assert "no such word list" in said(await ann.slash(studio.channel, "words remove", name="colour"))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("Zwölf!", "a", "can't be a list's name"),
        ("colour", " , ", "1 to 400 entries"),
        ("colour", "red --ar 3:2", "holds a flag"),
        ("colour", "red --sedd 3", "Did you mean --seed?"),
        ("colour", "a <hypernet:x:1> one", "hypernet"),
        ("colour", "x" * 201, "at most 200"),
    ],
)
async def test_what_can_be_no_list_is_refused(studio: Stage, name: str, text: str, says: str) -> None:
    assert says in await kept(studio, "Ann", name, text)


async def test_words_are_moderated_after_they_are_drawn(studio: Stage) -> None:
    await admin(studio, "words", action="add", word="peg")
    await kept(studio, "Ann", words="peg")
    refused = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a __colour__ boat")
    assert "is blocked here" in said(refused)


async def test_ones_own_lists_go_with_ones_data(studio: Stage) -> None:
    await kept(studio, "Ann")
    await kept(studio, "Ada", server=True)
    await studio.app.privacy.forget(studio.members["Ann"].id)
    assert await studio.app.store.read(owners) == [0]


def owners(db: sqlite3.Connection) -> list[int]:
    return [row["owner_id"] for row in db.execute("SELECT owner_id FROM word_list")]
