"""Everything that people read is marked for the catalogues, so that none of it stays English for want of a mark."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import pytest

from bot.demo.simulation import Stage
from tests.languages.collecting import ROOT, error_classes, in_commands, modules, told_in_english
from tests.languages.unmarked import in_room, unmarked

ROOMS = ("features", "kit", "delivery", "orders", "prompt", "ledger", "jobs", "upkeep", "demo")
NOT_WORDS = {
    "names": {
        "Admin",
        "Adobe Firefly",
        "Adobe Photoshop",
        "Black Forest Labs",
        "Draw Things",
        "Easel",
        "Easy Diffusion",
        "Fooocus",
        "JPEG XL",
        "Microsoft (Bing or Designer)",
        "Midjourney",
        "Moderator",
        "OpenAI (ChatGPT or DALL-E)",
        "Stability AI",
    },
    "fields of files": {
        "Comment",
        "Description",
        "Negative prompt:",
        "Prompt: ",
        "Software",
        "Source",
        "cfg scale",
        "denoising strength",
        "hires resize",
        "hires upscale",
        "schedule type",
    },
    "keys": {"gallery key", "audit of {}", "moderator role", "pictures marked", "shared servers"},
    "a table": {"generating, median", "refused because", "wait, median", "{} to {}"},
    "HTML": {"pictures board", "pictures one"},
    "headers": {
        "Authorization",
        "camera=(), geolocation=(), microphone=()",
        "noindex, nofollow",
        "private, max-age=31536000, immutable",
        "private, max-age=86400",
        "public, max-age=300",
    },
    "examples": {
        "euler, ddim",
        "mini, sdxl",
        "a red mushroom in a meadow",
        "a red boat on the sea",
        "an orange fish underwater",
        "a yellow star in the night sky",
    },
    "the log": {
        "direct message",
        "its message, its channel and the direct messages are closed to the bot",
        "new message",
        "progress of job {}",
    },
    "flags": {"--style raw", "offer {}", "x --ar {}", "{} --strength {}"},
}
OWED: frozenset[str] = frozenset()
"""Files that still have such literals."""


@cache
def errors() -> set[str]:
    return error_classes([ast.parse(path.read_text("utf-8")) for room in ("bot", "engine") for path in modules(room)])


@cache
def found() -> tuple[tuple[str, int, str], ...]:
    """Every literal that is neither marked nor excused, with its place."""
    return tuple(_found())


def _found() -> Iterator[tuple[str, int, str]]:
    excused = set().union(*NOT_WORDS.values())
    for room in ROOMS:
        for path, line, text in in_room(ROOT / "bot" / room, errors()):
            where = path.relative_to(ROOT).as_posix()
            if (
                text not in excused
                and not text.startswith(("<!doctype", "<a href", "<figure", "default-src"))
                and not told_in_english(where)
            ):
                yield where, line, text


@pytest.fixture(scope="module", autouse=True)
def files_are_read() -> None:
    """Before a bot runs, whose loop would stand still meanwhile."""
    found()


async def test_every_sentence_for_people_is_marked(studio: Stage) -> None:
    of_commands = {sentence[0] for _, sentence in in_commands(studio.bot.tree)}
    left = [each for each in found() if each[2] not in of_commands]
    assert [each for each in left if each[0] not in OWED] == []
    assert {where for where, _, _ in left} == OWED, "strike from OWED what is done"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("notice('No one is banned here.')", ["No one is banned here."]),
        ("notice(_('No one is banned here.'))", []),
        ("EMPTY = 'No one is banned here.'", ["No one is banned here."]),
        ("EMPTY = N_('No one is banned here.')", []),
        ("Button(id, 'Delete')", ["Delete"]),
        ("button(label=f'{n} images')", ["{} images"]),
        ("notice(_(f'{n} images'))", ["{} images"]),
        ("notice(_('{n} images', n=f'{x} or more'))", ["{} or more"]),
        ("raise BadInput('Choose one.')", []),
        ("raise BadInput(f'Choose {one}.')", ["Choose {}."]),
        ("log.warning('a thing is gone')", []),
        ("raise ValueError('a thing is gone')", []),
        ("assert found, 'it was there before'", []),
        ("db.execute('SELECT words FROM lists WHERE id = ?')", []),
        ("task = create(name=f'job-{n}')", []),
        ("name = f'easel-{n}.png'", []),
        ("if key == 'cfg scale': ...", []),
        ("'A docstring of words.'", []),
    ],
)
def test_what_reads_like_words_is_found(line: str, words: list[str]) -> None:
    assert [text for _, text in unmarked(line, {"BadInput"})] == words
