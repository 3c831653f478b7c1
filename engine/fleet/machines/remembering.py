"""The models of engines that come and go, so that what is asked of one that's away waits for it. Knows no torch."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from engine.api.model_info import ModelInfo
from engine.wire.frames import Malformed, joined, parted
from engine.wire.records import Plain, Rich

log = logging.getLogger(__name__)
FILE = "worker-models.bin"  # a frame of the wire: what workers say is read back as carefully as it came
Known = Mapping[str, Mapping[str, tuple[ModelInfo, ...]]]  # by the name of a token, and by a worker's own


class Remembered:
    """What each has said last, also to an earlier process where there is a folder.

    Attributes:
        models: of all, by name, in the order of the workers' names, whoever came first.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder is not None else None
        self._learn(self._read())

    def note(self, token: str, worker: str, models: tuple[ModelInfo, ...]) -> None:
        """A worker is there with these; whatever else it had is gone."""
        mine = self._known.get(token, {})
        if models and mine.get(worker) != models:
            self._learn({**self._known, token: {**mine, worker: models}})
            self._write()

    def keep(self, tokens: Collection[str]) -> bool:
        """Forget the workers of all other tokens. Returns whether there were any."""
        kept = {token: workers for token, workers in self._known.items() if token in tokens}
        if len(kept) == len(self._known):
            return False
        self._learn(kept)
        self._write()
        return True

    def _learn(self, known: Known) -> None:
        every = [
            info for _, workers in sorted(known.items()) for _, models in sorted(workers.items()) for info in models
        ]
        self._known, self.models = known, {info.key: info for info in every}

    def _read(self) -> Known:
        try:
            said, attachments = parted(self._path.read_bytes()) if self._path is not None else ({}, [])
            known: Known = Rich(attachments).of(Known, said)
        except (OSError, Malformed):
            return {}
        return known

    def _write(self) -> None:
        if self._path is None:
            return
        plain = Plain()
        said, fresh = plain.of(self._known), self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(b"".join(joined(said, plain.attachments)))
            fresh.replace(self._path)
        except OSError as error:  # a full disk, say: it's known until the next start
            log.warning("the workers' models could not be written down: %s", error)
