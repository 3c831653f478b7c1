"""A file's hash is worked out once, and anew only when the file is another."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from engine import ModelUnloadable
from engine.models.files import hashes, weights
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


def test_weights_that_are_replaced_while_they_are_hashed_are_told(tmp_path: Path) -> None:
    """What was loaded are the old ones, of which nobody knows the hash any more."""
    folder, known = model(tmp_path / "model"), Hashes()
    file = folder / "a" / "x.safetensors"

    def replaced(done: int, total: int) -> None:
        if done == total:
            file.write_bytes(b"other")
            os.utime(file, ns=(1, 1))

    with pytest.raises(ModelUnloadable, match="were replaced"):
        known.of(folder, replaced)
    assert known.of(folder) == hashlib.sha256(b"othersecondthird").hexdigest()
    with pytest.raises(ModelUnloadable, match="were replaced"):
        known.of(model(tmp_path / "another"), was=hashes.stamp_of(folder))


# ---------------------------------------------------------------- reading ahead
def test_what_the_system_holds_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a load finds its weights in memory, and its progress can be told; unless that would not fit."""
    held, asked, told = model(tmp_path / "model"), list[int](), list[tuple[int, int]]()
    monkeypatch.setattr(weights, "_is_held", lambda file, start, size: bool(asked.append(size)) or size == 5)
    read = weights.read_ahead(held, lambda done, total: told.append((done, total)), 32)
    assert (read, asked) == (len("second"), [5, 6, 5])
    assert told == [(0, 16), (5, 16), (11, 16), (16, 16)]
    told.clear()
    assert weights.read_ahead(held, lambda done, total: told.append((done, total)), 31) == 0
    assert told == []


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="asks Linux")
def test_the_system_is_asked_what_it_holds(tmp_path: Path) -> None:
    """What was just written it holds, and lets go of when it's told so; a file system in memory never does."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(bytes(1 << 20))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        assert weights._is_held(file.fileno(), 0, 1 << 20)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if weights._is_held(file.fileno(), 0, 1 << 20):
            pytest.skip("this file system is in memory")
    assert weights.read_ahead(path, lambda done, total: None, 1 << 30) == 1 << 20
    assert weights.read_ahead(path, lambda done, total: None, 1 << 30) == 0
