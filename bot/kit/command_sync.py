"""Publishing the slash commands in all languages, when they changed: Discord allows 200 creations a day."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from discord import Locale, app_commands
from discord.app_commands import TranslationContextLocation, TranslationContextTypes, locale_str

from bot.languages.speech import LANGUAGES, _, speaking
from bot.store.key_value_store import KeyValues

NAMES = frozenset(
    {
        TranslationContextLocation.command_name,
        TranslationContextLocation.group_name,
        TranslationContextLocation.parameter_name,
    }
)
AnyCommand = app_commands.Command[Any, ..., Any] | app_commands.ContextMenu | app_commands.Group


class CommandSync:
    """Compares the commands with what was published last. `always`: publish in any case."""

    def __init__(self, key_values: KeyValues, *, always: bool = False) -> None:
        self._key_values, self._always = key_values, always

    async def sync(self, tree: app_commands.CommandTree[Any], application_id: int) -> bool:
        """Publish the commands if they changed; whether they were published."""
        payload = json.dumps([await _payload(command, tree) for command in tree.get_commands()], sort_keys=True)
        digest, key = hashlib.sha256(payload.encode()).hexdigest(), f"commands:{application_id}"
        if not self._always and await self._key_values.recall(key) == digest:
            return False
        await tree.sync()
        await self._key_values.remember(key, digest)
        return True


async def _payload(command: AnyCommand, tree: app_commands.CommandTree[Any]) -> dict[str, Any]:
    """What Discord is told of a command, in all languages."""
    if tree.translator is None:
        return command.to_dict(tree)
    return await command.get_translated_payload(tree, tree.translator)


class CommandTranslator(app_commands.Translator):
    """Looks a command's texts up in the catalogues. Names stay, for people tell each other to type /imagine; those of
    menus are read only."""

    async def translate(self, string: locale_str, locale: Locale, context: TranslationContextTypes) -> str | None:
        is_menu = isinstance(context.data, app_commands.ContextMenu)
        if str(locale) not in LANGUAGES or (context.location in NAMES and not is_menu):
            return None
        with speaking(locale):
            words = _(string.message)
        return None if words == string.message else words
