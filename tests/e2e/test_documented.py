"""What the documents say of commands is what the bot has."""

from __future__ import annotations

from pathlib import Path

from discord import app_commands

from bot.demo.simulation import Stage

COMMANDS = Path(__file__).parents[2] / "docs" / "commands.md"


async def test_every_command_and_option_is_documented(studio: Stage) -> None:
    text = COMMANDS.read_text(encoding="utf-8")
    for command in [*studio.bot.tree.walk_commands(), *studio.bot.tree.get_commands()]:
        menu = isinstance(command, app_commands.ContextMenu)
        assert (f"**{command.name}**" if menu else f"/{command.qualified_name}") in text
        for option in getattr(command, "parameters", ()):
            assert f"`{option.name}`" in text, f"/{command.qualified_name} {option.name}"
