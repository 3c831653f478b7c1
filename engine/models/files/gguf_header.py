"""The header of a GGUF file, as llama.cpp's specification has it (ggml's docs/gguf.md). Knows no torch.

Read by hand, since a stranger's file is looked at before anybody wants to paint with it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

MAGIC = b"GGUF"
MAX_STRING, MAX_ENTRIES, MAX_DIMENSIONS = 1 << 24, 1 << 20, 8
ALIGNMENT = 32
_SIZES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# What a block of each type that diffusers can read holds: numbers, bytes.
BLOCKS: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    30: ("BF16", 1, 2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gguf:
    """Its tensors' shapes by name, in torch's order; `packed`: bytes of those that aren't plain numbers; `file_bytes`:
    how long it must be; `strange`: a type of tensor that diffusers can't read."""

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    packed: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    file_bytes: int = 0
    strange: bool = False


def read(file: BinaryIO) -> Gguf:
    """From the file's beginning; empty when it is cut off or something else."""
    try:
        return _read(file)
    except (struct.error, ValueError, UnicodeDecodeError, RecursionError):
        return Gguf()


def _read(file: BinaryIO) -> Gguf:
    magic, version, tensors, entries = file.read(4), *_numbers(file, "<IQQ")
    if magic != MAGIC or version not in (2, 3) or max(tensors, entries) > MAX_ENTRIES:
        raise ValueError("no GGUF of today's")
    known = {}
    for _ in range(entries):
        name = _string(file)
        known[name] = _value(file, *_numbers(file, "<I"))
    shapes, packed = dict[str, tuple[int, ...]](), dict[str, int]()
    end, strange = 0, False
    for _ in range(tensors):
        name, (dimensions,) = _string(file), _numbers(file, "<I")
        if dimensions > MAX_DIMENSIONS:
            raise ValueError("a tensor of too many dimensions")
        shape, (kind, offset) = _numbers(file, f"<{dimensions}Q"), _numbers(file, "<IQ")
        shapes[name] = tuple(reversed(shape))
        _, numbers, size = BLOCKS.get(kind, ("", 1, 0))
        count = 1
        for side in shape:
            count *= side
        nbytes = count // numbers * size
        if numbers > 1:
            packed[name] = nbytes
        end, strange = max(end, offset + nbytes), strange or kind not in BLOCKS
    alignment = known.get("general.alignment", ALIGNMENT)
    start = -(-file.tell() // alignment) * alignment
    texts = {name: value for name, value in known.items() if isinstance(value, str)}
    return Gguf(shapes=shapes, packed=packed, metadata=texts, file_bytes=start + end, strange=strange)


def _numbers(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _string(file: BinaryIO) -> str:
    (length,) = _numbers(file, "<Q")
    if length > MAX_STRING:
        raise ValueError("a text too long")
    text = file.read(length)
    if len(text) != length:
        raise ValueError("cut off")
    return text.decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        return _numbers(file, f"<{_SIZES[kind]}")[0] if kind in _SIZES else _unknown()
    inner, length = _numbers(file, "<IQ")
    if length > MAX_STRING or inner == _ARRAY:
        raise ValueError("a list too long")
    return [_value(file, inner) for _ in range(length)] if inner == _STRING else _skipped(file, inner, length)


def _skipped(file: BinaryIO, kind: int, length: int) -> None:
    if kind not in _SIZES:
        _unknown()
    size = struct.calcsize(f"<{_SIZES[kind]}") * length
    if len(file.read(size)) != size:
        raise ValueError("cut off")


def _unknown() -> Any:
    raise ValueError("a value of no known kind")
