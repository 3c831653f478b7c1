"""What a failed request to Discord means for a delivery: the one table, from status and JSON code. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

import aiohttp
import discord

FAILURES = (discord.HTTPException, aiohttp.ClientError, OSError)  # everything a request to Discord may raise


class Next(Enum):
    """What to try after a request that failed."""

    OTHER_WAY = auto()  # this way is closed: token, then channel, then a new message, then a direct message
    LATER = auto()  # Discord is busy or out of order
    SMALLER = auto()  # the file is too large
    WORDLESS = auto()  # a filter objects to the words: without the prompt
    STOP = auto()  # Discord no longer accepts the bot's own token


# https://docs.discord.com/developers/topics/opcodes-and-status-codes#json; only where the status says something else
BY_CODE: Mapping[int, Next] = {
    30046: Next.OTHER_WAY,  # too many edits of a message older than an hour
    40003: Next.LATER,  # opening direct messages too fast
    40004: Next.LATER,  # sending messages is switched off for a while
    40005: Next.SMALLER,  # request entity too large
    40006: Next.LATER,  # this feature is switched off for a while
    40062: Next.LATER,  # the resource is being rate limited
    40333: Next.LATER,  # Discord's own network failed
    50045: Next.SMALLER,  # file exceeds the maximum size
    20031: Next.WORDLESS,  # words that aren't allowed
    200000: Next.WORDLESS,  # blocked by AutoMod
    200001: Next.WORDLESS,  # title blocked by AutoMod
    240000: Next.WORDLESS,  # blocked by the filter of harmful links
}
BY_STATUS: Mapping[int, Next] = {401: Next.STOP, 408: Next.LATER, 413: Next.SMALLER, 429: Next.LATER}


def after(error: Exception, *, by_token: bool) -> Next:
    """What comes after `error`, one of `FAILURES`. `by_token`: an interaction's token was used, not the bot's."""
    if not isinstance(error, discord.HTTPException):
        return Next.LATER  # no answer at all: a timeout or a broken connection
    if error.code in BY_CODE:
        return BY_CODE[error.code]
    if error.status == 401 and by_token:
        return Next.OTHER_WAY  # the interaction's 15 minutes are over
    return BY_STATUS.get(error.status, Next.LATER if error.status >= 500 else Next.OTHER_WAY)


def retry_after_s(error: Exception) -> float | None:
    """The pause Discord asks for with a rate limit; None when it doesn't."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None
