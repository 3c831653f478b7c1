"""What an engine tells of its inside: which models it holds and how much was run. Knows no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwards:
    """Forward passes of one kind of call (`encode`, `control`, `denoise` or `decode`) since the engine started.

    Attributes:
        rows: of all passes, padding included. most_rows: of one pass. most_joined: images that shared one pass.
    """

    count: int = 0
    rows: int = 0
    most_rows: int = 0
    most_joined: int = 0

    def plus(self, images: int, rows: int) -> Forwards:
        """These and one more, which `images` images shared."""
        return self.and_those(Forwards(count=1, rows=rows, most_rows=rows, most_joined=images))

    def and_those(self, others: Forwards) -> Forwards:
        """These and those of another engine."""
        return Forwards(
            count=self.count + others.count,
            rows=self.rows + others.rows,
            most_rows=max(self.most_rows, others.most_rows),
            most_joined=max(self.most_joined, others.most_joined),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model in memory.

    Attributes:
        weights_bytes: of its own weights, without those it shares with the model that it is a variant of.
        images: being painted on it or on a variant of it now.
        adapters: the sha256 of the files that make it a variant, by name.
        variants: models with adapters that share its weights. memory: how it is kept: `whole`, `fp8`, `offload`, ...
    """

    key: str
    weights_bytes: int
    images: int
    adapters: Mapping[str, str]
    variants: tuple[LoadedModel, ...]
    memory: str = "whole"

    def tree(self) -> Iterator[LoadedModel]:
        """It and its variants, and theirs."""
        yield self
        for variant in self.variants:
            yield from variant.tree()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """See `Engine.inspect`. `forwards`: by kind of call; a kind that never ran is there too, with zeros.

    `workers`: where it is several engines, the inside of each; the rest is of all together.
    """

    models: tuple[LoadedModel, ...]
    forwards: Mapping[str, Forwards] = field(default_factory=dict)
    workers: Mapping[str, Inspection] = field(default_factory=dict)


@runtime_checkable
class Inspectable(Protocol):
    """An engine that tells of its inside."""

    async def inspect(self) -> Inspection: ...


def together(workers: Mapping[str, Inspection]) -> Inspection:
    """Several engines as one."""
    forwards: dict[str, Forwards] = {}
    for kind, each in ((kind, each) for inside in workers.values() for kind, each in inside.forwards.items()):
        forwards[kind] = forwards.get(kind, Forwards()).and_those(each)
    models = tuple(model for inside in workers.values() for model in inside.models)
    return Inspection(models=models, forwards=forwards, workers=workers)
