"""The workers of the bot that runs in the data folder, as it says itself, and the cluster that starts some of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from bot.cli.checks.finding import Check
from bot.config import Settings
from bot.features.workers import drains, views
from bot.features.workers.cluster import serve_api
from bot.features.workers.cluster.serve_api import ClusterError, ServeApi
from engine.fleet.machines.ray_address import RayAddress


def workers(settings: Settings) -> Iterator[Check]:
    """How each of them is: what it holds, does and failed at."""
    report = drains.told(settings.data_dir)
    for worker in report.workers if report is not None else ():
        well = worker.up and not worker.drained
        yield Check(f"worker {worker.name}", "ok" if well else "note", f"{views.line(worker)}.")


def cluster(settings: Settings) -> Iterator[Check]:
    """Whether the Ray cluster answers, and how its workers are."""
    if not settings.engine:
        return
    address = RayAddress.parse(settings.engine)
    api = ServeApi(address.url, settings.ray_token.get_secret_value().strip())
    try:
        seen = serve_api.seen(asyncio.run(api.applications()), address.name)
    except ClusterError as error:
        yield Check("cluster", "bad", f"{error}.", passing=True, vital=False)
        return
    if seen is None:
        yield Check("cluster", "ok", f"{address.url} answers; Easel's start has it run workers.")
        return
    yield Check("cluster", "note" if seen.problem else "ok", f"{address.url}: {str(seen).rstrip('.')}.")
