"""A file's hash is worked out once, and anew only when the file is another."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from engine.models.files import hashes
from engine.models.files.hashes import Hashes


@pytest.fixture
def worked_out(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was hashed."""
    seen: list[bytes] = []

    class Digest:
        def __init__(self) -> None:
            self._real: Any = hashlib.sha256()

        def update(self, block: memoryview) -> None:
            seen.append(bytes(block))
            self._real.update(block)

        def hexdigest(self) -> str:
            return str(self._real.hexdigest())

    class Library:
        @staticmethod
        def sha256(text: bytes | None = None) -> Any:
            return hashlib.sha256(text) if text is not None else Digest()

    monkeypatch.setattr(hashes, "hashlib", Library)
    return seen


def model(folder: Path) -> Path:
    for name, content in {"b/y": b"second", "a/x": b"first", "c/z": b"third"}.items():
        path = (folder / name).with_suffix(".safetensors")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    (folder / "config.json").write_text("{}")
    return folder


def test_a_folder_is_hashed_in_order_of_path_and_once(tmp_path: Path, worked_out: list[bytes]) -> None:
    folder, data = model(tmp_path / "model"), tmp_path / "data"
    expected = hashlib.sha256(b"firstsecondthird").hexdigest()
    assert Hashes(data).of(folder) == expected
    again = Hashes(data)  # after a restart
    assert again.of(folder) == again.of(folder) == expected
    assert worked_out == [b"first", b"second", b"third"]


@pytest.mark.parametrize("change", ["size", "time", "path", "one file more"])
def test_another_file_has_another_hash(tmp_path: Path, worked_out: list[bytes], change: str) -> None:
    folder, known = model(tmp_path / "model"), Hashes(tmp_path / "data")
    known.of(folder)
    file = folder / "a" / "x.safetensors"
    if change == "size":
        file.write_bytes(b"longer")
    elif change == "time":
        file.write_bytes(b"FIRST")
        os.utime(file, ns=(1, 1))
    elif change == "path":
        file.rename(file.with_name("w.safetensors"))
    else:
        (folder / "a" / "xx.safetensors").write_bytes(b"more")
    count = len(worked_out)
    known.of(folder)
    assert len(worked_out) > count


def test_a_damaged_list_of_hashes_is_worked_out_anew(tmp_path: Path, worked_out: list[bytes]) -> None:
    (tmp_path / hashes.FILE).write_text('["half a li')
    assert Hashes(tmp_path).of(model(tmp_path / "model")) == hashlib.sha256(b"firstsecondthird").hexdigest()
    assert Hashes(tmp_path).of(tmp_path / "model")
    assert len(worked_out) == 3


def test_a_file_whose_hash_is_known_is_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the load that follows finds it in memory, and its progress can be told; unless that would not fit."""
    folder, known, told = model(tmp_path / "model"), Hashes(), []
    known.of(folder)
    known.of(folder, lambda done, total: told.append((done, total)))
    assert told[-1] == (16, 16)
    told.clear()
    monkeypatch.setattr(hashes, "_free_bytes", lambda: 20)
    known.of(folder, lambda done, total: told.append((done, total)))
    assert told == []
