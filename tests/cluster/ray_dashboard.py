"""Ray Serve's REST interface as far as Easel asks it, by its documentation; its replicas are real workers.

What it declares it runs: an application that a PUT leaves out ends, one whose arguments differ has its replicas started
anew, one that is only scaled doesn't.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from bot.features.workers.cluster.replica import Replica


class Dashboard:
    """One cluster. `puts`: how often it was told what to run. `token`: without it nothing is answered."""

    def __init__(self, token: str = "") -> None:
        self.applications: dict[str, dict[str, Any]] = {}
        self.replicas: list[Replica] = []
        self.puts, self.scales, self.token, self.broken = 0, list[int](), token, ""

    async def show(self, request: web.Request) -> web.Response:
        self._check(request)
        shown = {}
        for name, config in self.applications.items():
            target = config["target"]
            alive = [{"state": "RUNNING"} for replica in self.replicas if not replica._painting.done()]
            worker = {"target_num_replicas": target, "replicas": alive, "message": self.broken, "status": "HEALTHY"}
            status = "UNHEALTHY" if self.broken else "RUNNING"
            deployments = {each["name"]: worker for each in config["said"].get("deployments", ())}
            told = {"name": name, "deployed_app_config": config["said"], "deployments": deployments}
            shown[name] = {**told, "status": status, "message": ""}
        return web.json_response({"applications": shown})

    async def put(self, request: web.Request) -> web.Response:
        self._check(request)
        said = await request.json()
        self.puts += 1
        before, self.applications = self.applications, {}
        for each in said["applications"]:
            old = before.get(each["name"], {})
            same = bool(old) and old["said"] == each
            target = old["target"] if same else sum(part["num_replicas"] for part in each.get("deployments", ()))
            self.applications[each["name"]] = {"said": each, "target": target}
            if each["import_path"].startswith("bot.") and not same:
                await self.end(0)
                self._start(each["args"], target)
        return web.Response()

    async def scale(self, request: web.Request) -> web.Response:
        self._check(request)
        config = self.applications.get(request.match_info["application"])
        if config is None:
            return web.json_response({"error": "Application or Deployment not found"}, status=404)
        if not config["said"].get("external_scaler_enabled"):
            return web.json_response({"error": "external_scaler_enabled is false"}, status=412)
        target = config["target"] = (await request.json())["target_num_replicas"]
        self.scales.append(target)
        await self.end(target)
        self._start(config["said"]["args"], target - len(self.replicas))
        return web.json_response({"message": "Scaling request received."})

    def _check(self, request: web.Request) -> None:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized

    def _start(self, args: dict[str, str], count: int) -> None:
        self.replicas += [Replica(args["address"], args["token"]) for _ in range(count)]

    async def end(self, left: int) -> None:
        """End all replicas but so many."""
        ending, self.replicas = self.replicas[left:], self.replicas[:left]
        await asyncio.gather(*(replica.end() for replica in ending))


@asynccontextmanager
async def dashboard(token: str = "", port: int = 0) -> AsyncIterator[tuple[Dashboard, str]]:
    """A cluster, and its `ray://` address without limits."""
    there, app = Dashboard(token), web.Application()
    app.router.add_get("/api/serve/applications/", there.show)
    app.router.add_put("/api/serve/applications/", there.put)
    app.router.add_post("/api/v1/applications/{application}/deployments/{deployment}/scale", there.scale)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    host, found = runner.addresses[0][:2]
    try:
        yield there, f"ray://{host}:{found}"
    finally:
        await there.end(0)
        await runner.cleanup()
