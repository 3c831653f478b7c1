"""`easel doctor`: look at everything Easel needs and say, in a sentence each, what is missing and how to mend it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from bot.config import Settings, unknown_keys
from engine import mini

Verdict = Literal["ok", "note", "bad"]
WAL_RESET_FIXED = (3, 51, 3)  # the first SQLite in which two writers cannot lose a WAL reset


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: `bad` stops Easel from working, `note` is worth knowing."""

    what: str
    verdict: Verdict
    sentence: str


def run(settings: Settings) -> int:
    """Print every finding; 1 if something is bad, else 0."""
    found = list(checks(settings))
    for check in found:
        print(f"{check.verdict:<5} {check.what}: {check.sentence}")
    return int(any(check.verdict == "bad" for check in found))


def checks(settings: Settings) -> Iterator[Check]:
    """Every finding, in the order in which they would stop a start."""
    looks: tuple[Callable[[Settings], Check], ...] = (
        _keys,
        _python,
        _torch,
        _graphics,
        _sqlite,
        _data_dir,
        _disk,
        _model,
        _more_models,
        _lookers,
        _editor,
        _token,
    )
    for look in looks:
        yield look(settings)


def _keys(_settings: Settings) -> Check:
    """A note only: where containers are linked, their manager makes such keys too (EASEL_PORT=tcp://...)."""
    strange = unknown_keys()
    if not strange:
        return Check("settings", "ok", "every EASEL_ key is known.")
    said = [
        f"{key} is no setting{f', did you mean {nearest}?' if nearest else '.'}" for key, nearest in strange.items()
    ]
    return Check("settings", "note", " ".join(said))


def _python(_settings: Settings) -> Check:
    found = ".".join(str(part) for part in sys.version_info[:3])
    verdict: Verdict = "ok" if sys.version_info >= (3, 11) else "bad"
    return Check("python", verdict, found if verdict == "ok" else f"{found} is too old; Easel needs 3.11 or newer.")


def _torch(_settings: Settings) -> Check:
    try:
        return Check("torch", "ok", version("torch"))
    except PackageNotFoundError:
        return Check("torch", "bad", "PyTorch is not installed. Install Easel again: python3 install.py")


def _graphics(settings: Settings) -> Check:
    card = shutil.which("nvidia-smi") is not None
    if settings.device.startswith("cuda") and not card:
        return Check("graphics", "bad", f"EASEL_DEVICE is {settings.device}, but no NVIDIA driver is here. Use auto.")
    if card and _torch(settings).sentence.endswith("+cpu"):
        return Check("graphics", "note", "There is an NVIDIA card, but this PyTorch is the CPU-only build.")
    return Check("graphics", "ok", "NVIDIA" if card else "none found; pictures are painted by the processor.")


def _sqlite(_settings: Settings) -> Check:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < (3, 37, 0):
        return Check("sqlite", "bad", f"{found} is too old for STRICT tables; Easel needs 3.37 or newer.")
    if sqlite3.sqlite_version_info < WAL_RESET_FIXED:
        sentence = f"{found} has the WAL-reset bug (fixed in 3.51.3); harmless here, for only one connection writes."
        return Check("sqlite", "note", sentence)
    return Check("sqlite", "ok", found)


def _data_dir(settings: Settings) -> Check:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.data_dir) as probe:
            probe.write(b"easel")
            os.fsync(probe.fileno())
    except OSError as error:
        sentence = f"{settings.data_dir} cannot be written ({error.strerror}). Change EASEL_DATA_DIR or its owner."
        return Check("data", "bad", sentence)
    return Check("data", "ok", f"{settings.data_dir.resolve()} can be written.")


def _disk(settings: Settings) -> Check:
    existing = next(path for path in (settings.data_dir, *settings.data_dir.resolve().parents) if path.exists())
    free_mib = shutil.disk_usage(existing).free // 2**20
    if free_mib < settings.min_free_mib:
        sentence = f"{free_mib:,} MiB free, EASEL_MIN_FREE_MIB is {settings.min_free_mib:,}: new jobs will be refused."
        return Check("disk", "bad", sentence)
    return Check("disk", "ok", f"{free_mib:,} MiB free.")


def _model(settings: Settings) -> Check:
    return _look_at_model("model", settings.model)


def _more_models(settings: Settings) -> Check:
    found = [_look_at_model(f"model {name}", source) for name, source in settings.models.items()]
    worst = next((check for check in found if check.verdict != "ok"), None)
    return worst or Check("models", "ok", f"{len(found)} more configured.")


def _lookers(settings: Settings) -> Check:
    """The models that look at pictures."""
    named = {name: getattr(settings, name) for name in ("captioner", "segmenter", "ranker", "safety")}
    found = [_looker(name, source) for name, source in named.items() if source not in ("", "off")]
    worst = next((check for check in found if check.verdict != "ok"), None)
    return worst or Check("looking", "ok", f"{len(found)} configured.")


def _looker(name: str, source: str) -> Check:
    path = Path(source).expanduser()
    if (path / "config.json").is_file() or (name == "safety" and (path / "safety_checker").is_dir()):
        return Check(name, "ok", str(path))
    if not path.exists() and source.count("/") == 1 and not source.startswith((".", "/", "~")):
        return Check(name, "note", f"{source} is downloaded from the hub when it is first needed.")
    return Check(name, "bad", f"EASEL_{name.upper()} is {source}, which is neither a model's folder nor a hub id.")


def _look_at_model(what: str, source: str) -> Check:
    path = mini.MODEL_DIR if source == "mini" else Path(source)
    if path.suffix == ".safetensors" and path.is_file():
        return Check(what, "ok", str(path))
    if (path / "model_index.json").is_file():
        return Check(what, "ok", "Easel Mini, built in." if source == "mini" else str(path))
    if not path.exists() and source.count("/") == 1 and not source.startswith((".", "/", "~")):
        return Check(what, "note", f"{source} is downloaded from the hub when it is first needed.")
    sentence = f"{source} is neither a diffusers folder (with a model_index.json), a .safetensors file nor a hub id."
    return Check(what, "bad", sentence)


def _editor(settings: Settings) -> Check:
    address = settings.web_address
    if not address:
        return Check("mask editor", "ok", "off; EASEL_WEB_ADDRESS turns it on.")
    if address.startswith("http://"):
        sentence = (
            f"{address} is not encrypted: whoever listens in may use the links. Put a proxy with https before it."
        )
        return Check("mask editor", "note", sentence)
    return Check("mask editor", "ok", f"at {address}, listening on {settings.web_host}:{settings.web_port}.")


def _token(settings: Settings) -> Check:
    token = settings.token.get_secret_value().strip()
    if not token:
        return Check("token", "note", "EASEL_TOKEN is empty: demo and imagine work, `easel run` will not.")
    if token.count(".") != 2 or not token.isascii():
        return Check("token", "bad", "EASEL_TOKEN does not look like a bot token. Copy it again from the page 'Bot'.")
    return Check("token", "ok", "set.")
