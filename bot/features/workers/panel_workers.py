"""The panel's page for workers: each card or machine that paints, for whoever runs the bot."""

from __future__ import annotations

from typing import Any, Protocol

from discord.ui import Separator, TextDisplay

from bot.features.workers import views
from bot.features.workers.service import Workers
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, button, buttons
from bot.kit.client import Interaction
from bot.kit.custom_ids import Action
from bot.prompt.text import shown
from engine.backend import Backend

TAB = Tab(11, "Workers", "🖥️", "The cards and machines that paint, for all servers.", operators=True)
MOST_CHARS = 3000  # of a message's 4,000


class Services(Protocol):
    """What this page works with."""

    backend: Backend
    workers: Workers


def install(panel: Panel, app: Services) -> None:
    """Add the page."""

    async def parts(_: Interaction) -> list[Any]:
        status = app.backend.status()
        workers = status.workers or (views.of_one_engine(status),)
        text, more = _fitting([views.paragraph(worker) for worker in workers])
        total = (
            f"-# {sum(worker.up for worker in workers)} of {len(workers)} are there · running {status.running} · "
            f"queued {status.queued}" + (f" · {more} more aren't shown" if more else "")
        )
        if app.workers.cluster is not None:
            total += f"\n-# {shown(app.workers.cluster.line(), 300)}"
        again = buttons(button(Action.PANEL, TAB.number, "Refresh"))
        return [TextDisplay(text), Separator(), TextDisplay(total), again]

    panel.add(TAB, parts)


def _fitting(paragraphs: list[str]) -> tuple[str, int]:
    """As many as a message takes, and how many are left."""
    text = paragraphs[0][:MOST_CHARS]
    for number, each in enumerate(paragraphs[1:], 1):
        if len(text) + len(each) > MOST_CHARS:
            return text, len(paragraphs) - number
        text += f"\n{each}"
    return text, 0
