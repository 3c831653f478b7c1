"""Discord's answers to a delivery, and what each leads to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import discord
import pytest

from bot.delivery.answers import Next, after, retry_after_s


def refused(status: int, code: int = 0, **headers: str) -> discord.HTTPException:
    """What discord.py raises for an answer."""
    answer = SimpleNamespace(status=status, reason="", headers=headers)
    return discord.HTTPException(cast(Any, answer), {"code": code, "message": ""})


@pytest.mark.parametrize("status", [400, 403, 404, 405])
@pytest.mark.parametrize("by_token", [True, False])
def test_what_is_refused_for_good_leads_to_the_next_way(status: int, by_token: bool) -> None:
    assert after(refused(status, 99_999), by_token=by_token) is Next.OTHER_WAY


@pytest.mark.parametrize("error", [*map(refused, (408, 429, 500, 502, 503, 504, 520, 524)), TimeoutError()])
def test_an_outage_is_waited_out(error: Exception) -> None:
    assert after(error, by_token=True) is after(error, by_token=False) is Next.LATER


@pytest.mark.parametrize("error", [ConnectionResetError(), aiohttp.ServerDisconnectedError()])
def test_a_broken_connection_is_tried_again(error: Exception) -> None:
    assert after(error, by_token=False) is Next.LATER


def test_a_401_ends_a_token_or_the_whole_bot() -> None:
    assert after(refused(401, 50027), by_token=True) is Next.OTHER_WAY
    assert after(refused(401), by_token=False) is Next.STOP


def test_the_code_says_more_than_the_status() -> None:
    assert after(refused(400, 40005), by_token=True) is Next.SMALLER
    assert after(refused(400, 200000), by_token=True) is Next.WORDLESS
    assert after(refused(403, 40004), by_token=False) is Next.LATER


def test_the_pause_that_discord_asks_for_is_read() -> None:
    assert retry_after_s(refused(429, **{"Retry-After": "7.5"})) == 7.5
    assert retry_after_s(refused(429, **{"Retry-After": "soon"})) is None
    assert retry_after_s(TimeoutError()) is None
