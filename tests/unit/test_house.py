"""How large a room may be: what is above these sizes can't be read at a glance any more."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_FILES, MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_AT_THE_TOP = 14, 400, 50, 8


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob("*.py")


def test_no_folder_is_crowded() -> None:
    crowd = Counter(path.parent.relative_to(ROOT) for path in sources("bot", "engine", "tests"))
    assert {str(folder): files for folder, files in crowd.items() if files > MOST_FILES} == {}
    assert len(list((ROOT / "bot").glob("*.py"))) <= MOST_AT_THE_TOP


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest takes a file for the module of its name: of two in different folders it can't import the second."""
    names = Counter(path.name for path in sources("tests") if path.name.startswith("test_"))
    assert [name for name, files in names.items() if files > 1] == []


def test_no_file_is_long() -> None:
    lines = {path: path.read_text("utf-8").count("\n") for path in sources("bot", "engine")}
    assert {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize("folder", ["bot", "engine"])
def test_no_function_is_long(folder: str) -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources(folder)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert long == []
