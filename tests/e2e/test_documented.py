"""What the documents say of commands is what the bot has."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from discord import AppCommandOptionType, app_commands

from bot.demo.simulation import Stage

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
NO_COMMANDS = {"last", "data", "dev", "metrics", "tmp", "srv", "easel"}  # an example of the architecture's; paths
NAMED = re.compile(r"[`*]/([a-z]+(?: [a-z_]+)*)((?:`? `?[a-z_]+:[^`*]*)?)[`*]")
OPTION = re.compile(r"(?:^|[ `])([a-z_]+):(\S*)")


async def test_every_command_and_option_is_documented(studio: Stage) -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    for command in [*studio.bot.tree.walk_commands(), *studio.bot.tree.get_commands()]:
        menu = isinstance(command, app_commands.ContextMenu)
        assert (f"**{command.name}**" if menu else f"/{command.qualified_name}") in text
        for option in getattr(command, "parameters", ()):
            assert f"`{option.name}`" in text, f"/{command.qualified_name} {option.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_what_the_pages_tell_one_to_type_is_there(studio: Stage, page: Path) -> None:
    """Each `/command option:value` in the running text: the command, its options, and values that can be chosen."""
    commands = {command.qualified_name: command for command in studio.bot.tree.walk_commands()}
    wrong = []
    for name, options in NAMED.findall(await asyncio.to_thread(page.read_text, "utf-8")):
        words = name.split()
        command = next((commands[" ".join(words[:n])] for n in (2, 1) if " ".join(words[:n]) in commands), None)
        if command is None:
            wrong += [f"/{name}"] if words[0] not in NO_COMMANDS else []
            continue
        said = OPTION.findall(options)
        wrong += [f"/{name} {key}:{value}" for key, value in said if not takes(command, key, value)]
    assert wrong == []


def takes(command: Any, key: str, value: str) -> bool:
    option = next((each for each in getattr(command, "parameters", ()) if each.name == key), None)
    if option is None:
        return False
    if value in ("", "…"):
        return True
    if option.choices:
        return any(value in (choice.name, str(choice.value)) for choice in option.choices)
    if option.type is AppCommandOptionType.boolean:
        return value in ("True", "False")
    if option.type is AppCommandOptionType.integer:
        return value.isdecimal()
    return True


async def test_the_pages_of_the_panel_are_called_what_the_documents_call_them(studio: Stage) -> None:
    text = " ".join((DOCS / name).read_text(encoding="utf-8") for name in ("admins.md", "moderation.md", "quotas.md"))
    named = set(re.findall(r"page \*\*(\w+)\*\*", text))
    asked = await studio.members["Ada"].slash(studio.channel, "admin panel")
    there = set(labels(asked.response.components))
    assert named <= there
    assert there <= named | {"Overview", "Jobs", "Limits"}


def labels(parts: Any) -> list[str]:
    """Of everything that can be chosen in a message's lists."""
    if isinstance(parts, list):
        return [label for part in parts for label in labels(part)]
    inside = [label for key in ("components", "accessory") for label in labels(parts.get(key) or [])]
    return [option["label"].split()[-1] for option in parts.get("options", [])] + inside
