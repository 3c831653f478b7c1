"""The message of a comparison: its axes in words, its sheet, and a button for each picture. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from discord.ui import ActionRow, LayoutView

from bot.jobs.records import StoredImage
from bot.kit.button import Button
from bot.kit.components import row
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import _
from bot.prompt.comparison import Comparison
from bot.prompt.text import shown


def labels(compare: Comparison) -> tuple[list[str], list[str]]:
    """What stands over the columns and before the rows of the sheet."""
    return [_label(compare.x, name) for name in compare.columns], [_label(compare.y, name) for name in compare.rows]


def _label(parameter: str, value: str) -> str:
    """A number says what it is; a name does so by itself."""
    return value if parameter in ("scheduler", "model") else f"{parameter} {value}".strip()


def words(compare: Comparison) -> str:
    """The axes as a line: "steps 4, 8 × guidance 2, 5"."""
    across = f"{compare.x} {', '.join(compare.columns)}"
    return shown(f"{across} × {compare.y} {', '.join(compare.rows)}" if compare.y else across, 400)


def rows(compare: Comparison, images: Sequence[StoredImage], more: Sequence[Button]) -> Iterator[ActionRow[LayoutView]]:
    """A button for each picture, standing as the pictures stand; at most five rows of five, and one more below."""
    wide = len(compare.columns)
    for first in range(0, len(compare.cells), wide):
        here = [image for image in images if first <= image.ordinal < first + wide]
        if here:
            yield row(*(Button(ButtonId(Action.PICK, image.id), f"U{image.ordinal + 1}") for image in here))
    yield row(Button(ButtonId(Action.DELETE, images[0].id), _("Delete"), emoji="🗑️"), *more)
