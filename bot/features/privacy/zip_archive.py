"""Many files as ZIP files of a limited size, one in memory at a time. Knows no Discord and no database."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from bot.errors import NotFound
from bot.jobs.files import ImageFiles

ENTRY_BYTES = 200  # what a ZIP needs for an entry besides its name (twice) and content
END_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of the archive: its content, or the path of a picture in the images directory."""

    name: str
    data: bytes = b""
    path: str | None = None


class Archive:
    """Entries, packed into parts. `left_out` names what is larger than a whole part, or gone from the disk."""

    def __init__(self, entries: Sequence[Entry], files: ImageFiles, limit_bytes: int) -> None:
        self._entries, self._files, self._limit = entries, files, limit_bytes
        self.left_out: list[str] = []

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """The ZIP files, each at most as large as the limit."""
        part = _Part()
        for entry in self._entries:
            data = await self._content(entry)
            if data is None:
                continue
            size = _packed_size(entry, data)
            if size + END_BYTES > self._limit:
                self.left_out.append(entry.name)
                continue
            if part.size + size > self._limit:
                yield part.close()
                part = _Part()
            part.add(entry, data, size)
        yield part.close()

    async def _content(self, entry: Entry) -> bytes | None:
        if entry.path is None:
            return entry.data
        try:
            return await self._files.read(entry.path)
        except NotFound:
            self.left_out.append(entry.name)
            return None


class _Part:
    def __init__(self) -> None:
        self.size = END_BYTES
        self._out = io.BytesIO()
        self._zip = zipfile.ZipFile(self._out, "w")

    def add(self, entry: Entry, data: bytes, size: int) -> None:
        kind = zipfile.ZIP_STORED if entry.path else zipfile.ZIP_DEFLATED  # pictures are compressed already
        self._zip.writestr(entry.name, data, kind)
        self.size += size

    def close(self) -> bytes:
        self._zip.close()
        return self._out.getvalue()


def _packed_size(entry: Entry, data: bytes) -> int:
    content = len(data) if entry.path else len(zlib.compress(data)) + 64
    return content + ENTRY_BYTES + 2 * len(entry.name.encode())
