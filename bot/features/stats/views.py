"""The message around the chart. Pure."""

from __future__ import annotations

from discord.ui import File, LayoutView, TextDisplay

from bot.features.stats.service import date
from bot.features.stats.store import Figures
from bot.kit.components import ACCENT, gallery, view
from bot.ledger.amounts import credits_text

PICTURE, TABLE = "stats.png", "stats.csv"


def stats_view(figures: Figures, *, everywhere: bool = False) -> LayoutView:
    """The chart, which must be attached as PICTURE, and the table, as TABLE."""
    where = "every server" if everywhere else "this server"
    first, last = date(figures.days[0].day), date(figures.days[-1].day)
    total = figures.total
    text = (
        f"{total.images:,} images for {total.members:,} members, {credits_text(total.credits_mc)}, "
        f"{total.refusals:,} refusals"
    )
    return view(
        [
            TextDisplay(f"## Statistics of {where}\n{first} to {last}, days in UTC"),
            gallery(PICTURE, f"Charts of {first} to {last}: {text}."),
            File(f"attachment://{TABLE}"),
        ],
        ACCENT,
    )
