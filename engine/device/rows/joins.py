"""Rows of several calls as one tensor. What a group brings again at every step, as its embeddings, is joined once."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

MOST = 64  # columns that are remembered; a group has a few, and they go with the tensors that they were joined of


@dataclass(frozen=True, slots=True)
class _Join:
    sources: Sequence[weakref.ref[torch.Tensor]]
    versions: Sequence[int]
    whole: torch.Tensor
    version: int

    def is_of(self, column: Sequence[torch.Tensor]) -> bool:
        """Whether these are the tensors, and nobody has written into them, nor into the whole."""
        same = all(source() is tensor for source, tensor in zip(self.sources, column, strict=True))
        return same and [each._version for each in column] == self.versions and self.whole._version == self.version


class Joins:
    """Remembers what was joined, as long as all that it was joined of is in use."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, ...], _Join] = OrderedDict()

    def of(self, column: Sequence[torch.Tensor], total: int) -> torch.Tensor:
        """A column as one tensor of `total` rows, the last repeated as often as needed."""
        key = total, *map(id, column)
        known = self._known.get(key)
        if known is not None and known.is_of(column):
            self._known.move_to_end(key)
            return known.whole
        whole = joined(column, total)
        if whole is not column[0] and not any(tensor.is_inference() for tensor in (whole, *column)):
            self._remember(key, column, whole)
        return whole

    def _remember(self, key: tuple[int, ...], column: Sequence[torch.Tensor], whole: torch.Tensor) -> None:
        sources = [weakref.ref(tensor, lambda _: self._known.pop(key, None)) for tensor in column]
        self._known[key] = _Join(sources, [tensor._version for tensor in column], whole, whole._version)
        while len(self._known) > MOST:
            self._known.popitem(last=False)


def joined(column: Sequence[torch.Tensor], total: int) -> torch.Tensor:
    """The same, made anew."""
    missing = total - sum(len(tensor) for tensor in column)
    if missing:
        last = column[-1][-1:]
        column = (*column, last.expand(missing, *last.shape[1:]))
    return torch.cat(list(column)) if len(column) > 1 else column[0]
