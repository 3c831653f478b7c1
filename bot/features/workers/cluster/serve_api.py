"""The REST interface of Ray Serve, on the dashboard of a cluster's head. Needs no Ray here.

Its words: an application has deployments, a deployment has replicas; docs.ray.io, "Serve REST API". Whoever reaches a
dashboard may run anything on its cluster, so the token that workers dial in with tells nobody more there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from engine.fleet.machines.ray_address import RayAddress

APPLICATIONS = "/api/serve/applications/"
SCALE = "/api/v1/applications/{application}/deployments/{deployment}/scale"
DEPLOYMENT = "worker"
IMPORT_PATH = "bot.features.workers.cluster.replica:app"
ANSWER_S = 60.0  # Serve's first start takes some seconds on an idle machine
LOOKED_AT_S = 10.0
MORE_S = 10.0  # for a replica to close its engine, beside the seconds that jobs get


class ClusterError(Exception):
    """The cluster doesn't do what it's asked to; says why in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How the application is.

    Attributes:
        deployed: Serve knows its deployment, so that it can be scaled.
        asked: replicas that Serve is to run.
        problem: why they don't all.
    """

    deployed: bool
    asked: int
    running: int
    problem: str = ""

    def __str__(self) -> str:
        """In a few words."""
        how = f"{self.running} of {self.asked} workers run" if self.deployed else "the first worker is being prepared"
        return f"{how}: {self.problem}" if self.problem else how


def application(address: RayAddress, join: str, token: str, grace_s: float, protocol: int) -> dict[str, Any]:
    """What Serve is to run. Replicas are scaled later; there is one at first, from which the bot learns its models.

    Workers are started anew when the arguments differ, and only then: `protocol` of the wire is one of them.
    """
    needs = {"num_gpus": address.gpus, "num_cpus": 0 if address.gpus else 1}
    worker = {
        "name": DEPLOYMENT,
        "num_replicas": max(1, address.fewest),
        "max_ongoing_requests": 1,
        "graceful_shutdown_timeout_s": grace_s + MORE_S,
        "health_check_period_s": LOOKED_AT_S,
        "ray_actor_options": needs,
    }
    return {
        "name": address.name,
        "route_prefix": None,
        "import_path": IMPORT_PATH,
        "args": {"address": join, "token": token, "gpus": f"{address.gpus:g}", "protocol": str(protocol)},
        "external_scaler_enabled": True,
        "deployments": [worker],
    }


def seen(answer: Mapping[str, Any], name: str) -> Seen | None:
    """How an application is, by what Serve says of all; None while there's none of that name."""
    found = answer.get("applications", {}).get(name)
    if found is None:
        return None
    worker = found.get("deployments", {}).get(DEPLOYMENT, {})
    replicas = worker.get("replicas", [])
    told = worker.get("message") or found.get("message") or ""
    well = found.get("status") == "RUNNING"
    return Seen(
        deployed=bool(worker),
        asked=int(worker.get("target_num_replicas", 0)),
        running=sum(each.get("state") == "RUNNING" for each in replicas),
        problem="" if well else " ".join(str(told).split())[:300],
    )


class ServeApi:
    """One cluster's. Each call raises `ClusterError`."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url, self._headers = url, {"Authorization": f"Bearer {token}"} if token else {}

    async def applications(self) -> Mapping[str, Any]:
        """All that Serve runs, as it says it."""
        answer = await self._ask("GET", APPLICATIONS)
        if not isinstance(answer, dict) or not isinstance(answer.get("applications"), dict):
            raise ClusterError(f"{self._url} answers, but not as Ray Serve does")
        return answer

    async def deploy(self, wanted: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Have Serve run an application beside those in its `answer`: what it isn't told of again, it would end."""
        running = answer.get("applications", {}).values()
        configs = [each.get("deployed_app_config") for each in running if each.get("name") != wanted["name"]]
        others = [config for config in configs if config and config.get("import_path")]
        alone = {"proxy_location": "Disabled"} if not running else {}
        await self._ask("PUT", APPLICATIONS, {"applications": [*others, wanted], **alone})

    async def scale(self, application: str, replicas: int) -> None:
        """Have so many replicas."""
        path = SCALE.format(application=application, deployment=DEPLOYMENT)
        await self._ask("POST", path, {"target_num_replicas": replicas})

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        limit = aiohttp.ClientTimeout(total=ANSWER_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit, headers=self._headers) as session,
                session.request(method, self._url + path, json=body) as answer,
            ):
                text = await answer.text()
                if answer.status in (401, 403):
                    raise ClusterError(f"{self._url} wants another token: set EASEL_RAY_TOKEN to the cluster's")
                if answer.status >= 400:
                    raise ClusterError(f"{self._url} refuses ({answer.status}): {' '.join(text.split())[:300]}")
                return await answer.json(content_type=None) if text else None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise ClusterError(
                f"{self._url} doesn't answer as the dashboard of a Ray cluster does ({why}). Start one with: "
                "ray start --head --dashboard-host 0.0.0.0"
            ) from error
