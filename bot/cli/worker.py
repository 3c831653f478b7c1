"""`easel worker`: paint for a bot on another machine; and make, list and revoke the tokens for that."""

from __future__ import annotations

import argparse
import asyncio
import logging

from bot import logging_setup, process
from bot.config import Settings
from bot.errors import BadInput
from bot.features.workers import painter
from bot.features.workers.tokens import WorkerTokens
from bot.process import Stopping
from bot.store.lock import directory_lock
from engine.fleet.machines import dialing

log = logging.getLogger(__name__)
CLOSING_S = 10.0
OFF = "Set EASEL_WORKERS=true here and start Easel again, so that workers may dial in."


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Carry out what was asked. Raises: UserError, StoreError, EngineError."""
    tokens = WorkerTokens(settings.data_dir)
    if args.what == "list":
        print("\n".join(tokens.names()) or "There are no tokens. Make one: easel worker token NAME")
    elif args.what in ("token", "revoke") and not args.name:
        raise BadInput(f"Which one? Write: easel worker {args.what} NAME")
    elif args.what == "token":
        print(_told(tokens.make(args.name), settings))
    elif args.what == "revoke":
        tokens.revoke(args.name)
        print(f"The token {args.name} is good no more. Whoever has joined with it is let go within seconds.")
    else:
        return _join(args, settings)
    return 0


def _told(token: str, settings: Settings) -> str:
    address = settings.web_address if settings.web_address.startswith("http") else "https://ADDRESS-OF-THE-BOT"
    line = f"easel worker --join {address.replace('http', 'ws', 1)} --token {token}"
    off = "" if settings.lets_workers_in else f"\n{OFF}"
    return f"On the other machine:\n  {line}\nThe token is shown this once.{off}"


def _join(args: argparse.Namespace, settings: Settings) -> int:
    token = args.token or settings.worker_token.get_secret_value().strip()
    if not args.join or not token:
        raise BadInput("Write: easel worker --join wss://ADDRESS --token TOKEN (or set EASEL_WORKER_TOKEN).")
    address = dialing.address_of(args.join)
    logging_setup.start(settings.log_level, settings.log_format, [token])
    if address.startswith("ws://"):
        log.warning("%s is not encrypted: whoever listens in sees prompts, pictures and the token", address)
    with directory_lock(settings.data_dir):
        grace_s = settings.shutdown_grace_s + CLOSING_S
        return process.run(lambda stopping: _serve(settings, address, token, stopping), grace_s)


async def _serve(settings: Settings, address: str, token: str, stopping: Stopping) -> int:
    """Paint until a signal comes, and finish what was begun by then. Raises: EngineError."""
    leaving = asyncio.Event()

    async def leave() -> None:
        await stopping.wait()
        log.info("leaving: what was begun has %.0f s to finish", settings.shutdown_grace_s)
        leaving.set()

    asked = asyncio.create_task(leave())
    try:
        await painter.paint(settings, address, token, leaving, stopping.ready)
    finally:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    return 0
