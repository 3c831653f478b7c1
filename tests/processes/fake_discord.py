"""As much of Discord as a bot needs to start: a few addresses and a gateway, on this machine.

Run a real `easel` against it: `python fake_discord.py http://127.0.0.1:PORT/ run`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any, Self

from aiohttp import WSMsgType, web

ME = {"id": "100", "username": "easel", "discriminator": "0", "avatar": None, "bot": True}
APPLICATION = {
    "id": "100",
    "name": "easel",
    "description": "",
    "icon": None,
    "bot_public": False,
    "bot_require_code_grant": False,
    "verify_key": "",
    "flags": 0,
    "owner": ME,
    "team": None,
}
SERVER, MEMBER = "7", "5"
EVERYBODY = {"id": SERVER, "name": "@everyone", "permissions": "3072", "position": 0, "color": 0, "flags": 0}
HOME = {
    "id": SERVER,
    "name": "home",
    "owner_id": MEMBER,
    "roles": [EVERYBODY],
    "channels": [],
    "members": [],
    "member_count": 1,
}
HELLO, IDENTIFY, HEARTBEAT, ACK, DISPATCH = 10, 2, 1, 11, 0


class FakeDiscord:
    """Serves while entered.

    Attributes:
        status: of every answer but the gateway's; 200 = as usual. guilds: what the bot is in. home: it's in a server of
            one member.
        close_code: the gateway closes each connection with it at once. silent: connections are accepted and not served.
        asked: how often each path was asked for. identified: the tokens that logged in at the gateway.
    """

    def __init__(self, token: str = "good.token.here", *, home: bool = False) -> None:
        self.token, self.home = token, home
        self.status, self.close_code, self.silent = 200, 0, False
        self.application: dict[str, Any] = dict(APPLICATION)
        self.guilds: list[dict[str, Any]] = []
        self.remaining = 1000
        self.asked: Counter[str] = Counter()
        self.identified: list[str] = []
        self._runner: web.AppRunner | None = None
        self._sockets: list[web.WebSocketResponse] = []

    async def drop(self) -> None:
        """Close every connection to the gateway."""
        for socket in self._sockets:
            await socket.close(code=1001)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/gateway", self._gateway)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        assert self._runner is not None
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        if self.status != 200:
            return _json({"message": "no", "code": 0}, self.status)
        if request.headers.get("Authorization") != f"Bot {self.token}":
            return _json({"message": "401: Unauthorized", "code": 0}, 401)
        if request.path == "/gateway/bot":
            limit = {"total": 1000, "remaining": self.remaining, "reset_after": 5000, "max_concurrency": 1}
            url = f"ws://127.0.0.1:{self.port}/gateway"
            return _json({"url": url, "shards": 1, "session_start_limit": limit})
        answers: dict[str, Any] = {
            "/users/@me": ME,
            "/oauth2/applications/@me": self.application,
            "/applications/@me": self.application,
            "/users/@me/guilds": self.guilds,
            f"/guilds/{SERVER}/members/{MEMBER}": {"user": {**ME, "id": MEMBER, "bot": False}, "roles": [], "flags": 0},
        }
        return _json(answers.get(request.path, []))

    async def _gateway(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        if self.close_code:
            await socket.close(code=self.close_code)
            return socket
        if not self.silent:
            await socket.send_json({"op": HELLO, "d": {"heartbeat_interval": 45000}, "s": None, "t": None})
        async for message in socket:
            if message.type is WSMsgType.TEXT and not self.silent:
                await self._told(socket, json.loads(message.data))
        return socket

    async def _told(self, socket: web.WebSocketResponse, said: dict[str, Any]) -> None:
        if said["op"] == HEARTBEAT:
            await socket.send_json({"op": ACK, "d": None, "s": None, "t": None})
        if said["op"] == IDENTIFY:
            self.identified.append(said["d"]["token"])
            ready = {
                "v": 10,
                "user": ME,
                "guilds": [{"id": SERVER, "unavailable": True}] if self.home else [],
                "session_id": "s",
                "resume_gateway_url": f"ws://127.0.0.1:{self.port}/gateway",
                "shard": [0, 1],
                "application": {"id": "100", "flags": 0},
            }
            await socket.send_json({"op": DISPATCH, "t": "READY", "s": 1, "d": ready})
            if self.home:
                await socket.send_json({"op": DISPATCH, "t": "GUILD_CREATE", "s": 2, "d": HOME})


def _json(value: object, status: int = 200) -> web.Response:
    """discord.py reads JSON only where the type is just this."""
    return web.Response(body=json.dumps(value).encode(), status=status, headers={"Content-Type": "application/json"})


if __name__ == "__main__":
    import discord

    from bot.__main__ import run

    discord.http.Route.BASE = sys.argv[1].rstrip("/")
    run(sys.argv[2:])
