"""The tokens that workers dial in with, by name, in a file of the data folder; only their hashes are kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from bot.errors import BadInput, NotFound
from bot.features.workers import small_files

FILE = "worker-tokens.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class WorkerTokens:
    """Read anew whenever somebody asks: the command line writes while the bot runs."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def make(self, name: str) -> str:
        """A new token of that name, which is shown once; one that was there holds no longer. Raises: BadInput."""
        if not NAME.fullmatch(name):
            raise BadInput(f"'{name}' is no name for a worker. Use letters, digits, dots and dashes, 40 at most.")
        token = secrets.token_urlsafe(32)
        others = {sha: each for sha, each in self._read().items() if each != name}
        small_files.write(self._path, {**others, _sha256(token): name})
        return token

    def revoke(self, name: str) -> None:
        """A running bot lets whoever has dialled in with it go. Raises: NotFound."""
        known = self._read()
        if name not in known.values():
            raise NotFound(f"There is no token called '{name}'. There are: {', '.join(self.names()) or 'none'}.")
        small_files.write(self._path, {sha: each for sha, each in known.items() if each != name})

    def names(self) -> list[str]:
        return sorted(self._read().values())

    def name_of(self, token: str) -> str | None:
        """Whose token that is."""
        return self._read().get(_sha256(token)) if token else None

    def good(self, tokens: Collection[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Those of these tokens that are good, and the names of all that are. Raises: OSError, and changes nothing."""
        with suppress(FileNotFoundError):
            self._path.read_bytes()  # else a file that can't be read would be one of nobody's
        known = self._read()
        return frozenset(token for token in tokens if _sha256(token) in known), frozenset(known.values())

    def _read(self) -> dict[str, str]:
        found = small_files.read(self._path)
        return {str(sha): str(name) for sha, name in found.items()} if isinstance(found, dict) else {}


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
