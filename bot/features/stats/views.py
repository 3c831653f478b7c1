"""The message around the chart. Pure."""

from __future__ import annotations

from discord.ui import File, LayoutView, TextDisplay

from bot.features.stats.service import date
from bot.features.stats.store import Figures
from bot.kit.components import ACCENT, gallery, view
from bot.languages.speech import _, number
from bot.ledger.amounts import credits_text

PICTURE, TABLE = "stats.png", "stats.csv"


def stats_view(figures: Figures, *, everywhere: bool = False) -> LayoutView:
    """The chart, which must be attached as PICTURE, and the table, as TABLE."""
    first, last = date(figures.days[0].day), date(figures.days[-1].day)
    total = figures.total
    title = _("## Statistics of every server") if everywhere else _("## Statistics of this server")
    text = _(
        "{images} images for {members} members, {credits}, {refusals} refusals",
        images=number(f"{total.images:,}"),
        members=number(f"{total.members:,}"),
        credits=credits_text(total.credits_mc),
        refusals=number(f"{total.refusals:,}"),
    )
    return view(
        [
            TextDisplay(f"{title}\n{_('{first} to {last}, days in UTC', first=first, last=last)}"),
            gallery(PICTURE, _("Charts of {first} to {last}: {text}.", first=first, last=last, text=text)),
            File(f"attachment://{TABLE}"),
        ],
        ACCENT,
    )
