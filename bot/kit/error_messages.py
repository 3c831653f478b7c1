"""The one table from what went wrong to what the person reads, and the one way to say it."""

from __future__ import annotations

import inspect
import logging
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, cast

import discord
from discord import app_commands

from bot.errors import BadInput, Refused, UserError, said
from bot.kit.button import Button
from bot.kit.components import buttons_view
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.modals import typed
from bot.languages.speech import N_, _, speak
from bot.prompt.text import block, is_blank
from engine.api.errors import EngineError

P = ParamSpec("P")
log = logging.getLogger(__name__)
TYPED_CHARS = 1500  # of what was typed, shown again under a refusal
TOKEN_GONE = (10015, 10062, 50027)

DISCORD_SENTENCES = {
    10003: N_("This channel is gone."),
    10008: N_("This message is gone."),
    40005: N_("The file is too large for this server."),
    50001: N_("I can't see this channel. Ask an admin to give Easel **View Channel** here."),
    50007: N_("Your direct messages are closed to bots. Open them in this server's privacy settings."),
    50013: N_(
        "I can't do that here. Ask an admin to give Easel **Send Messages** and **Attach Files** in this channel."
    ),
}


class RefusalCounter(Protocol):
    """The client, as refusals see it."""

    async def count_refusal(self, guild_id: int, code: str) -> None:
        """Note that something was refused; must not raise."""
        ...


def sentence(error: BaseException) -> str:
    """What the person reads: what is wrong and how to mend it. Unknown errors are logged under a short reference."""
    if isinstance(error, app_commands.CommandInvokeError):
        return sentence(error.original)
    if isinstance(error, UserError | EngineError):
        return said(error)
    if isinstance(error, app_commands.TransformerError):
        return _("'{value}' can't be used here.", value=error.value)
    if isinstance(error, discord.HTTPException) and error.code in DISCORD_SENTENCES:
        return _(DISCORD_SENTENCES[error.code])
    if isinstance(error, discord.HTTPException | OSError):
        told = _("Discord or the disk didn't answer as expected. Nothing was charged; try again.")
    elif isinstance(error, sqlite3.Error):  # every act is one transaction
        told = _("The database couldn't be written, so nothing was changed or charged. Try again.")
    else:
        told = _("Something went wrong inside Easel. Nothing was charged; try again.")
    return f"{told} ({_logged(error)})"


async def answer(
    interaction: discord.Interaction[Any], error: BaseException, *buttons: Button, written: str = ""
) -> None:
    """Tell the person, and only them, and count it. What they typed is shown again, with buttons to go on if any."""
    speak(interaction.locale)
    try:
        await _tell(interaction, _said(error, written or typed(interaction), buttons))
    except discord.HTTPException as failure:
        if failure.code not in TOKEN_GONE:
            log.warning("a refusal could not be shown: %s", failure)
    await cast(RefusalCounter, interaction.client).count_refusal(interaction.guild_id or 0, code_of(error))


async def _tell(interaction: discord.Interaction[Any], said: dict[str, Any]) -> None:
    """Answer; an empty "thinking" message is taken away first."""
    if not interaction.response.is_done():
        await interaction.response.send_message(**said, ephemeral=True)
        return
    thinking = interaction.response.type is discord.InteractionResponseType.deferred_channel_message
    if thinking:  # while it is, a follow-up would become the public answer; deleted, it would be refused
        await interaction.edit_original_response(content="…")
    await interaction.followup.send(**said, ephemeral=True)
    if thinking:
        await interaction.delete_original_response()


def code_of(error: BaseException) -> str:
    """The reason in one word, for statistics."""
    if isinstance(error, app_commands.CommandInvokeError):
        return code_of(error.original)
    if isinstance(error, UserError | EngineError):
        return error.code
    if isinstance(error, app_commands.TransformerError):
        return BadInput.code
    return "discord" if isinstance(error, discord.HTTPException) else "internal"


def _said(error: BaseException, written: str, buttons: Sequence[Button]) -> dict[str, Any]:
    """The refusal, what was typed, and the ways to go on: an appeal if there is one."""
    text = sentence(error)
    if written and not is_blank(written) and getattr(error, "shows_words", True):
        text = f"{text}\n{block(written, TYPED_CHARS)}"
    if isinstance(error, Refused) and error.appeal is not None:
        buttons = (*buttons, Button(ButtonId(Action.APPEAL, error.appeal), _("Appeal"), emoji="✋"))
    return {"content": text, "view": buttons_view(*buttons)} if buttons else {"content": text}


def shows_errors(
    command: Callable[Concatenate[discord.Interaction[Any], P], Awaitable[None]],
) -> Any:  # a callback for the tree, which reads its signature
    """A command whose refusals are answered: they are part of the conversation, not errors of the bot."""

    @wraps(command)
    async def answering(interaction: discord.Interaction[Any], *args: P.args, **options: P.kwargs) -> None:
        try:
            await command(interaction, *args, **options)
        except (UserError, EngineError) as refusal:
            await answer(interaction, refusal)

    # discord.py resolves annotations in this module's names otherwise
    answering.__signature__ = inspect.signature(command, eval_str=True)  # type: ignore[attr-defined]
    return answering


def _logged(error: BaseException) -> str:
    reference = secrets.token_hex(3)
    log.error("unexpected error, ref %s", reference, exc_info=error)
    return reference
