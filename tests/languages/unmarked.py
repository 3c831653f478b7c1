"""Finds words that people would read in English whatever they speak: literals in the bot's files that nothing marks.

A literal is words when it reads like some: two in a row, one beside a value, or one with a capital letter that a call
gets. What the log, the database or a programmer reads is told by where it stands.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.languages.collecting import FUNCTIONS, called

LOG = {"debug", "info", "warning", "error", "exception", "critical", "getLogger"}
MISTAKES = {
    "ValueError",
    "TypeError",
    "KeyError",
    "RuntimeError",
    "AttributeError",
    "AssertionError",
    "NotRunning",
    "__init__",
}
PLAIN = {"describe", "Choice", "Option", "Group", "command", "ContextMenu", "TypeVar", "NewType", "compile"}
"""What commands are called with is collected from the commands themselves."""
SQL = re.compile(
    r"[=<>] \?$|:\w+$|json_extract|"
    r"\b(SELECT|INSERT|UPDATE|DELETE|WHERE|BY|JOIN|AND|OR|IS|IN|AS|NOT|NULL|DESC|LIMIT|RETURNING)\b"
)
WORD = r"[^\W\d_]{2,}"
PHRASE = re.compile(rf"{WORD}[^\w\s]*\s+\W*{WORD}")
BESIDE_A_VALUE = re.compile(rf"(?:(?<=[\s(])|^){WORD}[^\w\s\0:/=]*(?:\s|$)|\s\W*{WORD}")
CAPITAL = re.compile(r"^\W*[A-Z][a-z]+\W*$")
VALUE = "\0"


def unmarked(source: str, errors: set[str]) -> list[tuple[int, str]]:
    """Literals that are words and not marked, with their lines."""
    return sorted(set(_Reader(errors).read(ast.parse(source))))


class _Reader:
    """Goes through a file's expressions and leaves out what isn't for people."""

    def __init__(self, errors: set[str]) -> None:
        self._errors = errors

    def read(self, node: ast.AST, in_call: bool = False) -> Iterator[tuple[int, str]]:
        if isinstance(node, ast.Constant | ast.JoinedStr):
            yield from self._literal(node, in_call)
        elif isinstance(node, ast.Call):
            yield from self._call(node)
        else:
            for child in self._read_by_people(node):
                yield from self.read(child)

    def _literal(self, node: ast.Constant | ast.JoinedStr, in_call: bool) -> Iterator[tuple[int, str]]:
        text = _text(node)
        if _words(text, in_call) and not SQL.search(text):
            yield node.lineno, text.replace(VALUE, "{}")
        values = [part.value for part in getattr(node, "values", ()) if isinstance(part, ast.FormattedValue)]
        for value in values:
            yield from self.read(value, in_call)

    def _call(self, node: ast.Call) -> Iterator[tuple[int, str]]:
        name = called(node)
        if name in LOG | MISTAKES | PLAIN:
            return
        marked = name in FUNCTIONS or name in self._errors
        skipped = {"name"} if name == "create_task" else {"many"} if marked else set()
        yield from self.read(node.func)
        for argument in [*node.args, *(each.value for each in node.keywords if each.arg not in skipped)]:
            if not (marked and isinstance(argument, ast.Constant)):
                yield from self.read(argument, True)

    @staticmethod
    def _read_by_people(node: ast.AST) -> Iterator[ast.AST]:
        """The parts of a node whose text may reach people: not docstrings, annotations, keys that are looked up, ..."""
        if isinstance(node, ast.Assert | ast.Compare | ast.MatchValue):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        for field, value in ast.iter_fields(node):
            if field in {"annotation", "returns", "slice", "keys"} and not isinstance(node, ast.Return):
                continue
            yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, ast.AST))


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values)


def _words(text: str, in_call: bool) -> bool:
    if VALUE in text:
        return BESIDE_A_VALUE.search(text) is not None
    return PHRASE.search(text) is not None or (in_call and CAPITAL.match(text) is not None)


def in_room(room: Path, errors: set[str]) -> Iterator[tuple[Path, int, str]]:
    """Every unmarked literal of a folder."""
    for path in sorted(room.rglob("*.py")):
        yield from ((path, line, text) for line, text in unmarked(path.read_text("utf-8"), errors))
