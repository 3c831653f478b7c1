"""/help is short, and each of its pages is a press away."""

from __future__ import annotations

from bot.demo.simulation import Stage
from bot.features.help.views import PAGES, models_page
from tests.e2e.screen import buttons, press, words


async def test_it_is_five_lines_with_a_button_for_each_page(studio: Stage) -> None:
    shown = (await studio.members["Ann"].slash(studio.channel, "help")).response
    assert shown.ephemeral
    assert len(words(shown).strip().splitlines()) == 5
    assert list(buttons(shown)) == [*PAGES, "Models"]
    await studio.restart()
    for title, says in (
        ("Prompt line", "--ar 3:2"),
        ("Commands", "/compare"),
        ("Models", "mini"),
        ("Start", "/imagine"),
    ):
        shown = (await press(studio, shown, title)).response
        assert says in words(shown)


def test_every_page_fits_into_a_message() -> None:
    assert max(map(len, [*PAGES.values(), models_page(())])) < 2000
