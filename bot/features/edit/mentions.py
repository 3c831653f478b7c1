"""Talking to Easel: mention it with words and a picture, or in the answer to a message that shows one.

Discord gives a bot the words of messages that mention it, so this needs no privileged intent.
"""

from __future__ import annotations

import re
from typing import Protocol, cast

import discord

from bot.errors import BadInput, NotFound, Refused
from bot.features.edit.changes import change
from bot.features.edit.message_request import MessageRequest
from bot.features.generate import commands as generate
from bot.features.generate import edits, image_lookup
from bot.features.generate.image_lookup import FoundImage
from bot.features.generate.refusals import Line
from bot.features.moderation.service import Moderation
from bot.kit import error_messages
from bot.kit.client import Client, Interaction
from bot.kit.interactions import actor_of
from bot.languages.speech import N_, _
from bot.prompt.parser import Draft

HELP = N_(
    "Mention me with what you'd like to see: **@Easel a red boat at night**. To change a picture, attach it or reply "
    "to it: **@Easel make the boat blue**."
)
PRIVATE = N_(
    "Your answers are private (see **/settings**), and an answer to a message can't be. Use **/imagine** or **/edit**."
)

UNWELCOME_MS = 3_600_000  # for so long nobody is told again that they, or mentions in this channel, aren't welcome


class Services(generate.Services, Protocol):
    """What this module works with."""

    moderation: Moderation


def install(client: Client, app: Services) -> None:
    """Listen for mentions."""

    async def said(message: discord.Message) -> None:
        words = words_for(client.user, message)
        if words is None or not await _is_wanted(app, client, message):
            return
        asked = cast(Interaction, MessageRequest(client, message))
        try:
            await _check_welcome(app, asked)
        except Exception as error:  # the outer edge, too; who may not ask is told so once an hour
            if client.clicks.is_first(f"unwelcome:{message.channel.id}:{message.author.id}", UNWELCOME_MS):
                await error_messages.answer(asked, error, written=words)
            return
        try:
            await _answer(app, asked, message, words)
        except Exception as error:  # the outer edge, as for presses: discord.py would only log it
            await error_messages.answer(asked, error, written=words)

    client.listen("message", said)


def words_for(me: discord.abc.User | None, message: discord.Message) -> str | None:
    """What a person says to the bot; None where it isn't spoken to: a reply, or a direct message, is no mention."""
    if me is None or message.author.bot:
        return None
    mention = re.compile(rf"<@!?{me.id}>")
    return " ".join(mention.sub(" ", message.content).split()) if mention.search(message.content) else None


async def _check_welcome(app: Services, asked: Interaction) -> None:
    """Who may not use Easel, or not here, is told so; once, for everybody reads the answer. Raises: UserError."""
    await asked.client.run_checks(asked)
    actor = actor_of(asked)
    await app.moderation.check_intake(actor)
    await app.moderation.check_channel(actor)


async def _is_wanted(app: Services, client: Client, message: discord.Message) -> bool:
    """Whether the server lets it answer mentions, and this isn't the second of two in a moment."""
    answers = message.guild is None or (await app.moderation.rules(message.guild.id)).answers_mentions
    return answers and client.clicks.is_first(f"mention:{message.author.id}")


async def _answer(app: Services, asked: Interaction, message: discord.Message, words: str) -> None:
    """Paint what was said, or change the picture that was shown with it. Raises: UserError."""
    if message.guild is not None and await app.submission.wants_private(asked, None):
        raise Refused(PRIVATE)
    found = await _shown(app, asked, message)
    if not words:
        await asked.response.send_message(_(HELP))
    elif found is None:
        await generate.try_line(app, asked, Line(text=words, options=Draft(), private=False))
    else:
        said = edits.read(words)
        source = await edits.of_found(app, asked, found, private=False)
        if source.private:
            raise Refused("That picture is private. Use **/edit** to change it.")
        await change(app, asked, source, said)


async def _shown(app: Services, asked: Interaction, message: discord.Message) -> FoundImage | None:
    """The picture of the message, or of the one that it answers; None when neither shows any. Raises: UserError."""
    if message.attachments:
        return await image_lookup.in_message(app, asked, message)
    if message.reference is None:
        return None
    original = await image_lookup.replied_to(asked, message)
    if original is None:
        raise NotFound("The message you replied to is gone, or I can't read it. Attach the picture instead.")
    try:
        return await image_lookup.in_message(app, asked, original)
    except NotFound:
        if original.author.id == (asked.client.user.id if asked.client.user else 0):
            if any(image_lookup.image_ids(original.components)):
                raise  # it's gone by now, and its words alone would be another picture
            return None  # one of our own answers without a picture
        raise BadInput(
            "I can't find a picture in the message you replied to. Attach it, or use **Apps** > **Edit** in its menu."
        ) from None
