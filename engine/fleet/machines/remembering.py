"""The models of engines that come and go, so that what is asked of one that's away waits for it. Knows no torch."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from engine.api.model_info import ModelInfo
from engine.backend import EngineStatus
from engine.wire.frames import Malformed
from engine.wire.messages import State, packed, unpacked

log = logging.getLogger(__name__)
FILE = "worker-models.bin"  # a message of the wire: what workers say is read back as carefully as it came


class Remembered:
    """What was said last, also by an earlier process where there is a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder is not None else None
        self.models: dict[str, ModelInfo] = {info.key: info for info in self._read()}

    def note(self, models: Iterable[ModelInfo]) -> None:
        """These are there now."""
        fresh = self.models | {info.key: info for info in models}
        if fresh != self.models:
            self.models = fresh
            self._write()

    def _read(self) -> tuple[ModelInfo, ...]:
        try:
            said = unpacked(self._path.read_bytes()) if self._path is not None else None
        except (OSError, Malformed):
            return ()
        return (said.models or ()) if isinstance(said, State) else ()

    def _write(self) -> None:
        if self._path is None:
            return
        parts = packed(State(status=EngineStatus(), models=tuple(self.models.values())), "raw")
        fresh = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(b"".join(parts))
            fresh.replace(self._path)
        except OSError as error:  # a full disk, say: it's known until the next start
            log.warning("the workers' models could not be written down: %s", error)
