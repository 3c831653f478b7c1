"""`easel doctor`: try everything Easel needs, and say in a sentence each what is missing and how to mend it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from bot.cli.checks import account, machine, models, stored, workers
from bot.cli.checks.finding import Check
from bot.config import Settings
from bot.store.errors import of_file

Look = Callable[[Settings], Iterable[Check]]
LOOKS: tuple[Look, ...] = (
    machine.keys,
    machine.python,
    machine.torch,
    machine.sqlite,
    machine.data_folder,
    stored.database,
    machine.disk,
    machine.backups,
    machine.web_server,
    machine.marks,
    models.device,
    models.files,
    models.memory,
    models.compiled,
    workers.workers,
    workers.cluster,
    account.shop,
    account.form,
)


def run(settings: Settings) -> int:
    """Print every finding as it is found; 1 if something is bad, else 0."""
    bad = False
    for check in _all(settings):
        print(f"{check.verdict:<5} {check.what}: {check.sentence}", flush=True)
        bad = bad or check.verdict == "bad"
    return int(bad)


def checks(settings: Settings) -> Iterator[Check]:
    """Every finding on this machine, in the order in which they would stop a start."""
    for look in LOOKS:
        try:
            yield from look(settings)
        except OSError as error:  # a folder of somebody else's, say
            yield Check(look.__name__.replace("_", " "), "bad", of_file(error))


def _all(settings: Settings) -> Iterator[Check]:
    """Those, and what Discord says, if there is a token to ask with."""
    good_token = False
    for check in checks(settings):
        good_token = (check.what, check.verdict) == ("token", "ok")
        yield check
    if good_token:
        yield from asyncio.run(account.ask(settings))
