"""`easel run` and `easel sync`: from the settings to a bot on Discord, and down again."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import aiohttp
import discord
from pydantic import SecretStr

from bot import logging_setup, process
from bot.app import FLUSH_S, TOKEN_REFUSED, App
from bot.cli import doctor
from bot.config import Settings
from bot.errors import BadInput, UserError
from bot.jobs.dispatcher import CANCEL_S
from bot.kit.client import Client
from bot.kit.shards import wait_s
from bot.process import FAILED, MISCONFIGURED, Stopped, Stopping

log = logging.getLogger(__name__)


class Disconnected(UserError):
    """The connection is over, and another process may have a better one."""


STOPPING_S = 2 * CANCEL_S + FLUSH_S + 3.0  # beyond EASEL_SHUTDOWN_GRACE_S, then the process ends whatever hangs
NO_TOKEN = (
    "EASEL_TOKEN is empty. Make a bot at https://discord.com/developers/applications, copy the token from its page "
    "'Bot' and put EASEL_TOKEN=... into the file .env here. To try Easel without a token: easel demo"
)
TOKEN_CLOSED = 4004  # the gateway's code for a token that is good no more
UNREACHABLE = (aiohttp.ClientError, OSError, discord.GatewayNotFound, discord.HTTPException)


def run(settings: Settings) -> int:
    """Serve Discord until SIGTERM or Ctrl-C; the exit code. Raises: UserError, StoreError, EngineError."""
    _check_token(settings)
    _start_logging(settings)
    if (code := _examine(settings)) is not None:
        return code
    with suppress(Stopped):
        return process.run(lambda stopping: _serve(settings, stopping), settings.shutdown_grace_s + STOPPING_S)
    log.info("stopped before it was ready")
    return 0


def _examine(settings: Settings) -> int | None:
    """Try what `easel doctor` tries on this machine, before Discord counts a log-in; an exit code if it can't go on."""
    stops = []
    for check in doctor.checks(settings):
        if check.verdict == "bad":
            log.error("%s: %s", check.what, check.sentence)
            stops += [check] if check.vital else []
        elif check.verdict == "note":
            log.info("%s: %s", check.what, check.sentence)
    if not stops:
        return None
    return FAILED if all(check.passing for check in stops) else MISCONFIGURED


def sync(settings: Settings) -> int:
    """Publish the slash commands now, changed or not. Raises: UserError, StoreError."""
    _check_token(settings)
    _start_logging(settings)
    return process.run(lambda _: _sync(settings))


def _start_logging(settings: Settings) -> None:
    secrets = [value.get_secret_value().strip() for _, value in settings if isinstance(value, SecretStr)]
    logging_setup.start(settings.log_level, settings.log_format, secrets)


def _check_token(settings: Settings) -> None:
    if not settings.token.get_secret_value().strip():
        raise BadInput(NO_TOKEN)


async def _serve(settings: Settings, stopping: Stopping) -> int:
    async with process.ending_if_it_hangs(), App(settings) as app, app.client:
        app.on_failure = stopping.ask
        await patiently(lambda: _login(app.client, settings))
        await patiently(lambda: _spare_logins(app.client))
        connection = asyncio.create_task(_connect(app.client), name="discord")
        await _first(asyncio.create_task(app.client.wait_until_ready()), connection)
        await app.start()
        stopping.ready()
        log.info("ready as %s in %d servers", app.client.user, len(app.client.guilds))
        try:
            await _first(asyncio.create_task(stopping.wait()), connection)
        finally:
            await app.stop()
        if app.failure:
            return MISCONFIGURED if app.failure == TOKEN_REFUSED else FAILED
    return 0


async def _sync(settings: Settings) -> int:
    async with App(settings, always_sync=True) as app, app.client:
        try:
            await _login(app.client, settings)
        except UNREACHABLE as error:
            raise BadInput(f"Discord can't be reached ({_reason(error)}). Try again.") from None
        log.info("published %d commands", len(await app.client.tree.sync()))
    return 0


async def patiently(attempt: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Try until Discord is reached: when a machine boots, the network may come after us."""
    for tries in itertools.count(1):
        try:
            return await attempt()
        except UNREACHABLE as error:
            if not _may_pass(error):
                raise
            log.warning("Discord can't be reached (%s); trying again in %.0f s", _reason(error), wait_s(tries))
            await asyncio.sleep(wait_s(tries))


def _may_pass(error: BaseException) -> bool:
    """Whether another try may go better: no network, an outage, a rate limit, an address blocked for a while."""
    status = _status(error)
    return status is None or status >= 500 or status in (403, 408, 429)


def _status(error: BaseException) -> int | None:
    """Discord's answer, if there was one."""
    cause = error.__cause__ if isinstance(error, discord.GatewayNotFound) else error
    return cause.status if isinstance(cause, discord.HTTPException) else None


def _reason(error: BaseException) -> str:
    """What went wrong, in one line."""
    status = _status(error)
    return f"it answers {status}" if status else (str(error) or type(error).__name__).splitlines()[0][:200]


async def _login(client: Client, settings: Settings) -> None:
    """Raises: BadInput when Discord does not know the token."""
    try:
        await client.login(settings.token.get_secret_value())
    except discord.LoginFailure:
        raise BadInput(TOKEN_REFUSED) from None
    except UNREACHABLE:  # the next try makes a session of its own
        await client.http.close()
        client.http.connector = discord.utils.MISSING
        raise


async def _spare_logins(client: Client) -> None:
    """Wait while Discord allows no log-in: one more, and it takes the token away."""
    while True:
        _, _, limit = await client.http.get_bot_gateway()
        if limit["remaining"] > 0:
            return
        wait_s = limit["reset_after"] / 1000
        log.warning("no log-in is left of Discord's %d a day; waiting %.0f s", limit["total"], wait_s)
        await asyncio.sleep(wait_s)


async def _connect(client: Client) -> None:
    """Stay connected; discord.py comes back by itself after outages. Raises: BadInput for what only a person mends."""
    try:
        await patiently(client.connect)
    except (discord.ConnectionClosed, discord.GatewayNotFound, discord.PrivilegedIntentsRequired) as error:
        if _status(error) == 401 or getattr(error, "code", 0) == TOKEN_CLOSED:
            raise BadInput(TOKEN_REFUSED) from None
        raise Disconnected(f"Discord ended the connection ({_reason(error)}). Start Easel again.") from error


async def _first(wanted: asyncio.Task[object], connection: asyncio.Task[None]) -> None:
    """Wait for `wanted`. Raises: what ended the connection before it; Disconnected, if nothing is known of that."""
    try:
        await asyncio.wait({wanted, connection}, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            connection.result()
            raise Disconnected("Discord ended the connection. Start Easel again.")
    finally:
        wanted.cancel()
