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
    "keys": {"gallery key", "moderator role", "pictures marked", "shared servers"},
    "HTML": {"pictures board", "pictures one"},
    "headers": {"noindex, nofollow"},
    "flags": {"--style raw", "{} --strength {}"},
}
OWED: frozenset[str] = frozenset(
    {
        "bot/delivery/image_buttons.py",
        "bot/delivery/transport.py",
        "bot/demo/member_client.py",
        "bot/demo/page.py",
        "bot/demo/simulation.py",
        "bot/demo/welcome.py",
        "bot/features/compare/service.py",
        "bot/features/describe/views.py",
        "bot/features/generate/commands.py",
        "bot/features/generate/refusals.py",
        "bot/features/history/admin_commands.py",
        "bot/features/history/gallery_page.py",
        "bot/features/history/store.py",
        "bot/features/looks/acts.py",
        "bot/features/looks/commands.py",
        "bot/features/looks/service.py",
        "bot/features/looks/views.py",
        "bot/features/operations/alerts.py",
        "bot/features/operations/looks.py",
        "bot/features/operations/pulse.py",
        "bot/features/operations/watch.py",
        "bot/features/privacy/service.py",
        "bot/features/region/editor_server.py",
        "bot/features/servers/allow_list.py",
        "bot/features/settings/admin_commands.py",
        "bot/features/settings/default_views.py",
        "bot/features/settings/models.py",
        "bot/features/settings/panel_defaults.py",
        "bot/features/settings/style_commands.py",
        "bot/features/stats/broadcast.py",
        "bot/features/stats/charts.py",
        "bot/features/stats/panel_overview.py",
        "bot/features/stats/service.py",
        "bot/features/stats/views.py",
        "bot/kit/error_messages.py",
        "bot/orders/drafts.py",
        "bot/orders/picture_files.py",
        "bot/orders/service.py",
        "bot/orders/uploads.py",
        "bot/prompt/flags.py",
        "bot/prompt/foreign.py",
        "bot/prompt/image_metadata/comfy.py",
        "bot/prompt/image_metadata/infotext.py",
        "bot/prompt/image_metadata/makers.py",
        "bot/prompt/image_metadata/tables.py",
        "bot/prompt/image_metadata/tools.py",
        "bot/prompt/parser.py",
        "bot/prompt/spec.py",
    }
)
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
            if text not in excused and not told_in_english(where):
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
