"""The bot's account on Discord: its token, its application, its log-ins, its servers and what it may do in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import discord

from bot.cli.checks.finding import Check
from bot.config import Settings
from bot.errors import UserError
from bot.features.credits.purchases import offers_of

NEEDED = {
    "view_channel": "View Channels",
    "send_messages": "Send Messages",
    "send_messages_in_threads": "Send Messages in Threads",
    "attach_files": "Attach Files",
    "embed_links": "Embed Links",
}
FEW_LOGINS = 20  # of Discord's thousand a day; beyond them it resets the token
PORTAL = "https://discord.com/developers/applications"
PRIVILEGED = ("gateway_presence", "gateway_guild_members", "gateway_message_content")


def form(settings: Settings) -> Iterator[Check]:
    """Whether the token looks like one; asks nobody."""
    token = settings.token.get_secret_value().strip()
    if not token:
        yield Check("token", "note", "EASEL_TOKEN is empty: demo and imagine work, `easel run` will not.")
    elif token.count(".") != 2 or not token.isascii():
        yield Check("token", "bad", "EASEL_TOKEN does not look like a bot token. Copy it again from the page 'Bot'.")
    else:
        yield Check("token", "ok", "set.")


def shop(settings: Settings) -> Iterator[Check]:
    """Whether what is sold can be read; that Discord knows these SKUs shows when somebody buys one."""
    try:
        offers = offers_of(settings)
    except UserError as error:
        yield Check("shop", "bad", str(error))
        return
    if settings.skus:
        sold = len(offers.packs), len(offers.plans)
        yield Check("shop", "ok", f"{sold[0]} packs of credits and {sold[1]} subscriptions are sold.")


async def ask(settings: Settings) -> list[Check]:
    """Ask Discord; nothing is changed, and no log-in at the gateway is used up."""
    client = discord.Client(intents=discord.Intents.none())
    async with client:
        try:
            await client.login(settings.token.get_secret_value())
            return [*_application(client, settings), await _logins(client), *await _servers(client)]
        except discord.LoginFailure:
            return [Check("Discord", "bad", f"refuses the token. Make a new one on the page 'Bot' at {PORTAL}.")]
        except (aiohttp.ClientError, OSError, discord.HTTPException, discord.GatewayNotFound) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            return [Check("Discord", "bad", f"can't be reached ({reason}).", passing=True)]


def _application(client: discord.Client, settings: Settings) -> Iterator[Check]:
    application = client.application
    assert application is not None, "set by logging in"
    yield Check("Discord", "ok", f"knows the token; the bot is {client.user}.")
    if application.interactions_endpoint_url:
        sentence = f"Commands are sent to {application.interactions_endpoint_url}, so the bot never gets one. Empty "
        yield Check("application", "bad", f"{sentence}'Interactions Endpoint URL' at {PORTAL}.")
    if application.bot_public and not settings.servers:
        sentence = f"Anybody may add the bot to their server. Untick 'Public Bot' at {PORTAL}, or set EASEL_SERVERS."
        yield Check("application", "note", sentence)
    asked = [
        name for name in PRIVILEGED if getattr(application.flags, name) or getattr(application.flags, f"{name}_limited")
    ]
    if asked:
        yield Check("intents", "note", "A privileged intent is on, on the page 'Bot'. Easel needs none: turn them off.")
    else:
        yield Check("intents", "ok", "no privileged one is on, and none is needed.")


async def _logins(client: discord.Client) -> Check:
    _, _, limit = await client.http.get_bot_gateway()
    left, hours = limit["remaining"], limit["reset_after"] / 3_600_000
    if left < FEW_LOGINS:
        sentence = (
            f"only {left} of {limit['total']} are left for {hours:.0f} h. Something starts the bot again and again."
        )
        return Check("log-ins", "bad" if not left else "note", sentence, passing=True)
    return Check("log-ins", "ok", f"{left} of {limit['total']} are left for today.")


async def _servers(client: discord.Client) -> list[Check]:
    guilds: list[Any] = list(await client.http.get_guilds(200))
    if not guilds:
        return [Check("servers", "note", "the bot is in none. Open the address that 'OAuth2' at the portal makes.")]
    checks = [Check("servers", "ok", f"the bot is in {len(guilds)}{' or more' if len(guilds) == 200 else ''}.")]
    for guild in guilds:
        may = discord.Permissions(int(guild["permissions"]))
        missing = [] if may.administrator else [label for name, label in NEEDED.items() if not getattr(may, name)]
        if missing:
            sentence = f"the bot lacks {', '.join(missing)}; its channels may allow it nevertheless."
            checks.append(Check(f"server {guild['id']}", "note", sentence))
    return checks
