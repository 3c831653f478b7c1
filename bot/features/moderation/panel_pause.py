"""The panel's page for pauses and notices."""

from __future__ import annotations

from typing import Any, Protocol

from discord.ui import TextDisplay

from bot.errors import BadInput
from bot.features.moderation import views
from bot.features.moderation.service import Moderation
from bot.features.moderation.store import PauseMode
from bot.kit import modals
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, ask, button, buttons, text
from bot.kit.checks import check_admin
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.languages.speech import N_, _

TAB = Tab(5, N_("Pause"), "⏸️", N_("Stop taking jobs, or show everyone a notice."))
MODES: tuple[PauseMode, ...] = ("notice", "drain", "pause")  # by the number of their button
TITLES = (N_("Notice"), N_("Drain"), N_("Pause"))
GO_ON = 3


class Services(Protocol):
    """What this module works with."""

    moderation: Moderation


def install(client: Client, panel: Panel, app: Services) -> None:
    """Add the page."""
    panel.add(TAB, lambda interaction: parts(app, interaction))

    @client.on_button(Action.PAUSE)
    async def pressed(interaction: Interaction, number: int) -> None:
        by = check_admin(interaction)
        if number >= GO_ON:
            await app.moderation.pause(by, by.guild_id, None, "")
            await panel.show(interaction, TAB, _("Easel works as usual here."))
            return
        sentence = text("sentence", _("What members see"), needed=MODES[number] == "notice")
        form = ask(_(TITLES[number]), Action.PAUSE, number, sentence)
        await interaction.client.forms.send(interaction, form)

    @client.on_modal(Action.PAUSE)
    async def answered(interaction: Interaction, number: int) -> None:
        by, said = check_admin(interaction), modals.answers(interaction).get("sentence", "")
        if number >= GO_ON:
            raise BadInput("This form is from another version of Easel.")
        await app.moderation.pause(by, by.guild_id, MODES[number], said)
        await panel.show(interaction, TAB, _("Changed."))


async def parts(app: Services, interaction: Interaction) -> list[Any]:
    pauses = await app.moderation.pauses(interaction.guild_id or 0)
    own = any(pause.guild_id == interaction.guild_id for pause in pauses)
    words = "\n".join(views.pause_line(pause) for pause in pauses) or _("Easel works as usual here.")
    row = [button(Action.PAUSE, number, f"{_(title)} …") for number, title in enumerate(TITLES)]
    row += [button(Action.PAUSE, GO_ON, _("Resume"))] if own else []
    about = _(
        "-# **Notice** keeps working and tells everyone · **Drain** takes no new jobs and finishes queued ones · "
        "**Pause** takes no new jobs and starts no queued ones"
    )
    return [TextDisplay(words), buttons(*row), TextDisplay(about)]
