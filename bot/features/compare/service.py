"""An X/Y grid over two parameters: from values in words to one job whose pictures differ in just these. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.errors import BadInput
from bot.prompt.comparison import Comparison
from bot.prompt.flags import FLAGS, read_guidance, read_strength
from bot.prompt.numbers import decimal
from bot.prompt.parser import Draft
from bot.prompt.spec import Spec
from bot.prompt.text import quoted
from engine.api import schedulers

MAX_VALUES = 5  # of each parameter: 25 pictures, and as many buttons, fit a message
OWN = ("num_inference_steps", "guidance_scale", "scheduler", "seed", "model", "strength", "width", "height")


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter: the Draft field it fills, how a value is read, and how the finished spec's is shown."""

    field: str
    read: Callable[[str], Any]
    label: Callable[[Spec], str]


AXES: Mapping[str, Axis] = {
    "steps": Axis("num_inference_steps", FLAGS["steps"].read, lambda spec: str(spec.num_inference_steps)),
    "guidance": Axis("guidance_scale", read_guidance, lambda spec: decimal(spec.guidance_scale)),
    "scheduler": Axis("scheduler", FLAGS["scheduler"].read, lambda spec: schedulers.resolve(spec.scheduler).label),
    "seed": Axis("seed", FLAGS["seed"].read, lambda spec: str(spec.seed)),
    "model": Axis("model", FLAGS["model"].read, lambda spec: spec.model),
    "strength": Axis("strength", read_strength, lambda spec: decimal(spec.strength or 0)),
}


def values(name: str, text: str) -> list[Any]:
    """The values of a parameter, in the order they were written. Raises: BadInput."""
    axis = AXES.get(name)
    if axis is None:
        raise BadInput("{name} can't be compared. Use one of {axes}.", name=quoted(name), axes=", ".join(AXES))
    found = [axis.read(part.strip()) for part in text.split(",") if part.strip()]
    found = list(dict.fromkeys(found))
    if not 2 <= len(found) <= MAX_VALUES:
        raise BadInput(
            "{name} has {count_found} different values. Give 2 to {max_values}, such as {example}.",
            name=name,
            count_found=len(found),
            max_values=MAX_VALUES,
            example=_example(name),
        )
    return found


def _example(name: str) -> str:
    examples = {"steps": "8, 16, 24", "guidance": "2, 4, 8", "scheduler": "euler, ddim", "seed": "1, 2, 3"}
    return examples.get(name, "0.3, 0.6, 0.9" if name == "strength" else "mini, sdxl")


def spread(base: Draft, x: str, xs: Sequence[Any], y: str | None, ys: Sequence[Any]) -> list[Draft]:
    """The draft of every picture, row by row. Raises: BadInput."""
    if x == y:
        raise BadInput("x and y are both {x}. Choose two different parameters, or leave y out.", x=x)
    if base.best_of or (base.repeat or 1) > 1:
        raise BadInput("A comparison paints one picture of each. Leave --best and --repeat out.")
    rows: list[dict[str, Any]] = [{AXES[y].field: value} for value in ys] if y else [{}]
    return [replace(base, num_images=1, repeat=None, **{AXES[x].field: value}, **row) for row in rows for value in xs]


def joined(specs: Sequence[Spec], x: str, y: str | None, columns: int) -> Spec:
    """One job of all these pictures, which differ in x and y and in what follows from them."""
    base, rows = specs[0], [*specs[::columns]]
    cells = tuple(
        {name: getattr(spec, name) for name in OWN if getattr(spec, name) != getattr(base, name)} for spec in specs
    )
    compare = Comparison(
        x=x,
        columns=tuple(AXES[x].label(spec) for spec in specs[:columns]),
        y=y or "",
        rows=tuple(AXES[y].label(spec) for spec in rows) if y else ("",),
        cells=cells,
    )
    return base.evolve(compare=compare)
