"""JSON files of the data folder that two processes share: the running bot, and the command line beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(path: Path) -> Any:
    """What a file says; {} where there's none, or none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write(path: Path, said: Any) -> None:
    """Put a whole file in the place of another; only its owner may read it. Raises: OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps(said, indent=1, sort_keys=True), encoding="utf-8")
    fresh.chmod(0o600)
    fresh.replace(path)
