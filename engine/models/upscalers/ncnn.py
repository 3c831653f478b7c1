"""Networks in ncnn's format as torch modules: a graph in text (`.param`), and its weights in order (`.bin`).

Format: github.com/Tencent/ncnn, docs/developer-guide/param-and-model-file-structure.md. Only what super-resolution
networks are made of; a graph with anything else is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

MAGIC = "7767517"
HALF = 0x01306B47  # before weights in half precision; 0 = before single ones
ARRAY = -23300  # an array is parameter ARRAY - its number: its length, then its values
RELU, LEAKY = 1, 2  # activations of a convolution
RESIZES = {1: "nearest", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A line of the graph. `numbers`: its parameters, each one value or several."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[int, tuple[float, ...]]

    def number(self, at: int, default: float = 0) -> float:
        return self.numbers.get(at, (default,))[0]

    def whole(self, at: int, default: int = 0) -> int:
        return int(self.number(at, default))


def layers(text: str) -> tuple[Layer, ...]:
    """The graph of a `.param` file. Raises: ValueError when it is none."""
    magic, counts, *lines = text.strip().splitlines()
    if magic.strip() != MAGIC or int(counts.split()[0]) != len(lines):
        raise ValueError("it is no graph of ncnn, or only its beginning")
    return tuple(map(_layer, lines))


def _layer(line: str) -> Layer:
    kind, _, taken, given, *rest = line.split()
    several, end = int(taken), int(taken) + int(given)
    return Layer(
        kind=kind,
        inputs=tuple(rest[:several]),
        outputs=tuple(rest[several:end]),
        numbers=dict(map(_numbers, rest[end:])),
    )


def _numbers(text: str) -> tuple[int, tuple[float, ...]]:
    place, _, values = text.partition("=")
    at, found = int(place), tuple(map(float, values.split(",")))
    return (at, found) if at > ARRAY else (ARRAY - at, found[1:])


class _Weights:
    """The `.bin` file, from its beginning to its end."""

    def __init__(self, path: Path) -> None:
        self._bytes, self._at = path.read_bytes(), 0

    def take(self, count: int, kind: type[np.generic] = np.float32) -> torch.Tensor:
        """The next numbers, as float32."""
        found = np.frombuffer(self._bytes, kind, count, self._at)
        self._at += -(-found.nbytes // 4) * 4  # each array ends with a whole word
        return torch.from_numpy(found.astype(np.float32))

    def take_marked(self, count: int) -> torch.Tensor:
        """The next numbers, in the precision that stands before them. Raises: ValueError for one that is unknown."""
        mark = int(np.frombuffer(self._bytes, np.uint32, 1, self._at)[0])
        self._at += 4
        if mark not in (0, HALF):
            raise ValueError("its weights are in a precision that can't be read")
        return self.take(count, np.float16 if mark else np.float32)

    @property
    def rest(self) -> int:
        return len(self._bytes) - self._at


class Network(nn.Module):
    """A network that makes pictures larger. Raises: ValueError, when the files are no such thing."""

    def __init__(self, param: Path) -> None:
        super().__init__()
        self._graph = layers(param.read_text(encoding="utf-8"))
        weights = _Weights(param.with_suffix(".bin"))
        with torch.device("meta"):  # nothing is drawn that is replaced at once
            self._steps = nn.ModuleList(map(_step, self._graph))
        for layer, step in zip(self._graph, self._steps, strict=True):
            for name, tensor in _weights_of(layer, weights):
                setattr(step, name, nn.Parameter(tensor, requires_grad=False))
        if weights.rest:
            raise ValueError(f"{weights.rest} bytes of its weights are left over")
        self._last_use = {name: at for at, layer in enumerate(self._graph) for name in layer.inputs}

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W), 0..1 -> (B, 3, H x scale, W x scale)."""
        known = {self._graph[0].outputs[0]: pixel_values}
        result = pixel_values
        for at, (layer, step) in enumerate(zip(self._graph, self._steps, strict=True)):
            if layer.kind == "Input":
                continue
            result = step(*(known[name] for name in layer.inputs))
            known.update(dict.fromkeys(layer.outputs, result))
            for name in layer.inputs:
                if self._last_use[name] == at:
                    known.pop(name, None)
        return result


class _Convolution(nn.Conv2d):
    """With the activation that ncnn has in the same layer. `slope`: of what is below 0."""

    slope = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = super().forward(x)
        return found if self.slope == 1 else F.leaky_relu_(found, self.slope)


class _Sum(nn.Module):
    """Inputs added up, each times its factor."""

    def __init__(self, factors: tuple[float, ...]) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        if not self.factors:
            return first + second
        return torch.add(first * self.factors[0], second, alpha=self.factors[1])


class _Joined(nn.Module):
    """Inputs side by side, as channels."""

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        return torch.cat(parts, 1)


class _Resized(nn.Module):
    def __init__(self, factor: float, how: str) -> None:
        super().__init__()
        self.factor, self.how = factor, how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=self.factor, mode=self.how)


def _step(layer: Layer) -> nn.Module:
    match layer.kind:
        case "Input" | "Split":
            return nn.Identity()
        case "Convolution":
            return _convolution(layer)
        case "PReLU":
            return nn.PReLU(layer.whole(0))
        case "Concat" if layer.whole(0) == 0:
            return _Joined()
        case "Eltwise" if layer.whole(0) == 1 and len(layer.inputs) == 2:
            return _Sum(layer.numbers.get(1, ()))
        case "BinaryOp" if layer.whole(0) == 0 and len(layer.inputs) == 2:
            return _Sum(())
        case "Interp" if layer.whole(0) in RESIZES and layer.number(1) == layer.number(2):
            return _Resized(layer.number(1), RESIZES[layer.whole(0)])
        case "PixelShuffle":
            return nn.PixelShuffle(layer.whole(0))
    raise ValueError(f"it has a layer that can't be read: {layer.kind}")


def _convolution(layer: Layer) -> _Convolution:
    outputs, kernel = layer.whole(0), layer.whole(1)
    inputs = layer.whole(6) // (outputs * kernel * kernel)
    stride, padding, dilation = layer.whole(3, 1), layer.whole(4), layer.whole(2, 1)
    found = _Convolution(inputs, outputs, kernel, stride, padding, dilation, bias=bool(layer.whole(5)))
    activation, slopes = layer.whole(9), layer.numbers.get(10, ())
    if activation not in (0, RELU, LEAKY):
        raise ValueError("it has an activation that can't be read")
    found.slope = {0: 1.0, RELU: 0.0}[activation] if activation != LEAKY else slopes[0]
    return found


def _weights_of(layer: Layer, weights: _Weights) -> Iterator[tuple[str, torch.Tensor]]:
    """A layer's tensors, in the order in which they lie in the file."""
    if layer.kind == "Convolution":
        outputs, kernel = layer.whole(0), layer.whole(1)
        yield "weight", weights.take_marked(layer.whole(6)).reshape(outputs, -1, kernel, kernel)
        if layer.whole(5):
            yield "bias", weights.take(outputs)
    elif layer.kind == "PReLU":
        yield "weight", weights.take(layer.whole(0))
