"""Everything of this feature, installed at once."""

from __future__ import annotations

from typing import Protocol

from bot.features.generate import buttons, commands, controlnet, deleting, edit_buttons, edit_commands
from bot.kit.client import Client


class Services(
    buttons.Services,
    commands.Services,
    controlnet.Services,
    deleting.Services,
    edit_buttons.Services,
    edit_commands.Services,
    Protocol,
):
    """What the feature works with."""


def install(client: Client, app: Services) -> None:
    """Add its commands, menus and buttons to the client."""
    for module in (commands, buttons, deleting, edit_commands, controlnet, edit_buttons):
        module.install(client, app)
