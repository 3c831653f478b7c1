"""The machine: Python, libraries, the data folder, its disk, a second Easel, the web server's port."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from bot.cli.checks.finding import Check
from bot.config import Settings, unknown_keys
from bot.delivery.marks import Marks
from bot.errors import UserError
from bot.features.region.doors import NoDoor
from bot.store.errors import AlreadyRunning, StoreError, unusable
from bot.store.lock import directory_lock
from engine.fleet import building, cards

WAL_RESET_FIXED = (3, 51, 3)  # the first SQLite in which two writers cannot lose a WAL reset
MIN_PYTHON, MIN_SQLITE = (3, 11), (3, 37, 0)


def keys(_settings: Settings) -> Iterator[Check]:
    """A note only: where containers are linked, their manager makes such keys too (EASEL_PORT=tcp://...)."""
    strange = unknown_keys()
    for key, nearest in strange.items():
        yield Check("settings", "note", f"{key} is no setting{f', did you mean {nearest}?' if nearest else '.'}")
    if not strange:
        yield Check("settings", "ok", "every EASEL_ key is known.")


def python(_settings: Settings) -> Iterator[Check]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MIN_PYTHON:
        yield Check("python", "bad", f"{found} is too old; Easel needs 3.11 or newer.")
    else:
        yield Check("python", "ok", found)


def torch(settings: Settings) -> Iterator[Check]:
    if not cards.are_here(settings.device):
        return
    try:
        yield Check("torch", "ok", version("torch"))
    except PackageNotFoundError:
        yield Check("torch", "bad", f"{building.NOT_INSTALLED.format('PyTorch')}.")


def sqlite(_settings: Settings) -> Iterator[Check]:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < MIN_SQLITE:
        yield Check("sqlite", "bad", f"{found} is too old for STRICT tables; Easel needs 3.37 or newer.")
    elif sqlite3.sqlite_version_info < WAL_RESET_FIXED:
        sentence = f"{found} has the WAL-reset bug (fixed in 3.51.3); harmless here, for only one connection writes."
        yield Check("sqlite", "note", sentence)
    else:
        yield Check("sqlite", "ok", found)


def data_folder(settings: Settings) -> Iterator[Check]:
    folder = settings.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"easel")
            os.fsync(probe.fileno())
    except OSError as error:
        yield Check("data", "bad", str(unusable(folder, error)))
        return
    yield Check("data", "ok", f"{folder.resolve()} can be written.")
    yield _alone(settings)


def _alone(settings: Settings) -> Check:
    try:
        with directory_lock(settings.data_dir):
            return Check("other Easel", "ok", "none uses this data folder.")
    except AlreadyRunning:
        return Check("other Easel", "note", "one is running in this data folder; a second one would be refused.")
    except StoreError as error:
        return Check("other Easel", "bad", str(error))


def disk(settings: Settings) -> Iterator[Check]:
    existing = next(path for path in (settings.data_dir, *settings.data_dir.resolve().parents) if path.exists())
    free_mib = shutil.disk_usage(existing).free // 2**20
    if free_mib < settings.min_free_mib:
        sentence = f"{free_mib:,} MiB free, EASEL_MIN_FREE_MIB is {settings.min_free_mib:,}: new jobs will be refused."
        yield Check("disk", "bad", sentence, vital=False)
    else:
        yield Check("disk", "ok", f"{free_mib:,} MiB free.")


def backups(settings: Settings) -> Iterator[Check]:
    folder = settings.backups_dir
    if not settings.backup_every_hours:
        yield Check("backups", "note", "none are made by themselves; EASEL_BACKUP_EVERY_HOURS=24 makes one a day.")
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        yield Check(
            "backups", "bad", f"{folder} can't be written ({error.strerror}). Change EASEL_BACKUP_DIR.", vital=False
        )
        return
    same = folder.stat().st_dev == settings.data_dir.stat().st_dev if settings.data_dir.exists() else False
    where = f"every {settings.backup_every_hours} h into {folder}"
    yield Check("backups", "ok", f"{where}, on the same disk as the data." if same else f"{where}.")


def web_server(settings: Settings) -> Iterator[Check]:
    address = settings.web_address
    if not address:
        yield Check("mask editor", "ok", "off; EASEL_WEB_ADDRESS turns it on.")
    elif address.startswith("http://"):
        sentence = (
            f"{address} is not encrypted: whoever listens in may use the links. Put a proxy with https before it."
        )
        yield Check("mask editor", "note", sentence)
    else:
        yield Check("mask editor", "ok", f"at {address}, listening on {settings.web_host}:{settings.web_port}.")
    if settings.has_web_server:
        yield from _port(settings)


def marks(settings: Settings) -> Iterator[Check]:
    """Whether pictures can be signed, by signing one."""
    wanted = Marks.of(settings)
    try:
        wanted.check()
    except UserError as error:
        yield Check("signing", "bad", str(error), vital=False)
    else:
        yield Check("signing", "ok", "on." if wanted.certificate else "off; EASEL_C2PA_CERTIFICATE turns it on.")


def _port(settings: Settings) -> Iterator[Check]:
    """Whether the port can be had; a bot that is running has it already."""
    if _alone(settings).verdict == "note":
        return
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            settings.web_host or None, settings.web_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except (OSError, UnicodeError) as error:
        found = NoDoor(settings.web_host, settings.web_port, error)
        yield Check("web port", "bad", str(found), passing=found.passing)
