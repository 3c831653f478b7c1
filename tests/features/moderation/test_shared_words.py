"""Words come in files and go out in files, and lists are shared by several servers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bot.demo.simulation import Stage
from bot.errors import BadInput
from bot.features.moderation import lists
from bot.features.moderation.lists import SharedLists
from bot.features.moderation.store import BlockedWord
from tests.e2e.screen import paint
from tests.features.admin.test_panel import choose, open_panel
from tests.features.moderation.test_moderation import admin, asks

FILE = "# ours\r\nPeg\nhot dog , flag\n\nzéb*,age # striped\n"
KEPT = {"peg": "block", "hot dog": "flag", "zeb*": "age"}


async def imported(studio: Stage, data: bytes, **options: Any) -> str:
    return await admin(studio, "words", action="import", file=("words.txt", data), **options)


def share(studio: Stage, name: str, text: str) -> Path:
    folder = studio.settings.data_dir / lists.FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_and_written_as_the_same_words() -> None:
    assert lists.read(FILE.encode("utf-8-sig"), "block", 9) == KEPT
    words = [
        BlockedWord(id=1, guild_id=1, word=word, action=rule)
        for word, rule in lists.read(FILE.encode(), "block", 9).items()
    ]
    assert lists.read(lists.written(words), "flag", 9) == KEPT


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"peg\n!!!", "Line 2: .* would match almost everything"),
        (b"peg,explode", "Line 1: there's no rule 'explode'"),
        (b"\xff\xfe\x00", "isn't a text file"),
        (b"aa\nbb\ncc", "can hold 2 words"),
    ],
)
def test_a_wrong_line_is_named(data: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        lists.read(data, "block", 2)


def test_every_shipped_list_can_be_read() -> None:
    shipped = SharedLists(Path("nowhere"))
    assert {"gore", "nudity"} <= set(shipped.names())
    assert all(shipped.words(name, "block") for name in shipped.names())


async def test_words_are_imported_all_or_none_and_exported(studio: Stage) -> None:
    assert "Imported 3 words" in await imported(studio, FILE.encode())
    assert "blocked" in await asks(studio, "a peg")
    assert "Line 2" in await imported(studio, b"moon\n?")
    assert (await paint(studio, "the moon")).attachments
    ada = studio.members["Ada"]
    result = await ada.slash(studio.channel, "admin words", action="export")
    assert result.ephemeral
    data = studio.env.backend.cdn.get(result.response.attachments[0].url)
    assert data is not None
    assert lists.read(data, "block", 9) == KEPT
    assert "Which file" in await admin(studio, "words", action="import")


async def test_an_operators_list_is_shared_and_followed_as_its_file_changes(studio: Stage) -> None:
    path = share(studio, "ours", "peg\nzebra,flag\n")
    assert "no list 'our'" in await admin(studio, "words", action="attach", word="our")
    assert "Attached the list ours" in await admin(studio, "words", action="attach", word="ours")
    assert "list **ours**" in await admin(studio, "words")
    assert "blocked" in await asks(studio, "a p3g")
    assert "peg · refused · list ours" in await admin(studio, "words", action="test", word="a peg")
    path.write_text("zebra\nmoon\n", encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert (await paint(studio, "a peg")).attachments
    assert "blocked" in await asks(studio, "the moon")
    path.unlink()
    assert (await paint(studio, "the moon")).attachments, "a list that is gone blocks nothing, and its name stays"
    await studio.restart()
    assert "Detached the list ours" in await admin(studio, "words", action="detach", word="ours")
    assert "isn't attached" in await admin(studio, "words", action="detach", word="ours")


@pytest.mark.parametrize("name", ["../easel", "/etc/passwd", "gore.txt", ""])
async def test_a_name_is_no_path(studio: Stage, name: str) -> None:
    said = await admin(studio, "words", action="attach", word=name)
    assert "no list" in said or "Which word" in said


async def test_lists_are_chosen_in_the_panel(studio: Stage) -> None:
    message = await open_panel(studio, "Words")
    await choose(studio, message, "s1:awo:1", ["gore"])
    assert "blocked" in await asks(studio, "a bloodbath")
    await choose(studio, message, "s1:awo:1", [])
    assert (await paint(studio, "a bloodbath")).attachments
