"""One or two parameters against each other: the labels of a grid, and what is different in each of its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One or two parameters against each other; picture i is row `i // len(columns)`, column `i % len(columns)`.

    Attributes:
        x, y: the parameters, in people's words; y is "" when there is only one.
        columns, rows: the values as labels; without y there is one row, labelled "".
        cells: for each picture, the fields of the request that are its own.
    """

    x: str
    columns: tuple[str, ...]
    y: str = ""
    rows: tuple[str, ...] = ("",)
    cells: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The comparison that `dataclasses.asdict` made plain. Raises: TypeError when it is none."""
        plain: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in value.items()}
        return cls(**plain)
