"""Files that several workers write: nothing is lost, and who comes first decides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.models.files import shared_table
from engine.models.files.shared_table import SharedTable

WRITER = """
import sys
from pathlib import Path
from engine.models.files.shared_table import SharedTable
table = SharedTable(Path(sys.argv[1]), int)
for number in range(40):
    table.add(f"{sys.argv[2]}-{number}", number)
    table.add("first", int(sys.argv[2]))
"""


def test_several_processes_lose_nothing_and_agree(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number)], env=where) for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    found = json.loads(path.read_text())
    assert len(found) == 3 * 40 + 1
    assert found["first"] in (0, 1, 2)
    assert {file.name for file in tmp_path.iterdir()} == {"rows.json", "rows.lock"}


def test_what_another_wrote_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_table, "LOOK_S", 0.0)
    one, other = SharedTable(tmp_path / "t.json", int), SharedTable(tmp_path / "t.json", int)
    assert one.add("a", 4) == 4
    assert other.get("a") == 4
    assert other.add("a", 8) == 4
    other.replace("a", 2)
    assert one.get("a") == 2


def test_what_can_not_be_read_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"a": 1, "b": "x", "c": tru')
    assert SharedTable(tmp_path / "t.json", int).get("a") is None
    (tmp_path / "t.json").write_text('{"a": 1, "b": "x", "c": true}')
    table = SharedTable(tmp_path / "t.json", int)
    assert [table.get(name) for name in "abc"] == [1, None, None]
