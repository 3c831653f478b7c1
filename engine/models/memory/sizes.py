"""What a model will need in memory, told by its files' headers before anything of it is loaded. Knows no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.models import whole
from engine.models.facts import CHECKER, read_json
from engine.models.files.weights import NCNN, in_use, weights_in

DENOISERS = ("unet", "transformer", "upscaler")
ENCODERS = "text_encoder"
UNREAD = (NCNN, ".pth")  # without a header: two bytes a number at least
PRECISE = ("norm", "embed")  # layers whose rounding is seen, as diffusers' layerwise casting has it
ENDS = ("proj_in", "proj_out")  # and the first and last of some transformers
_ENCODER_IN_FILE = ("cond_stage_model.", "conditioner.", "text_encoder", "text_encoders.")
_VAE_IN_FILE = ("first_stage_model.", "vae.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSize:
    """Numbers of one part of a model. `small`: those of them that may be kept in fewer bits. `packed`: bytes of what is
    in fewer bits already, and stays as its file has it."""

    numbers: int = 0
    small: int = 0
    packed: int = 0

    def __add__(self, other: PartSize) -> PartSize:
        return PartSize(
            numbers=self.numbers + other.numbers, small=self.small + other.small, packed=self.packed + other.packed
        )

    def bytes_at(self, itemsize: float, small: float) -> int:
        """Bytes at so many a number, and so many for each of those that may be kept in fewer."""
        return int((self.numbers - self.small) * itemsize + self.small * small) + self.packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """A model's parts: what denoises, what reads words, and the rest: the VAE, safety checkers, image encoders."""

    denoiser: PartSize = field(default_factory=PartSize)
    encoders: PartSize = field(default_factory=PartSize)
    rest: PartSize = field(default_factory=PartSize)

    @property
    def numbers(self) -> int:
        return self.denoiser.numbers + self.encoders.numbers + self.rest.numbers


def of(path: Path) -> Sizes:
    """A model's sizes: of a diffusers folder, a single file with what lies beside it, or any folder of weights."""
    if path.suffix in UNREAD:
        return Sizes(denoiser=PartSize(numbers=sum(file.stat().st_size for file in weights_in(path)) // 2))
    if path.is_file():
        return _of_file(path)
    if not (parts := [part for part in sorted(path.iterdir()) if part.is_dir() and in_use(part)]):
        return Sizes(denoiser=_of_files(in_use(path)))
    named = {part.name: _of_part(part) for part in parts if _is_loaded(path, part.name)}
    return _sorted(named)


def _is_loaded(folder: Path, name: str) -> bool:
    """A pipeline loads the parts that its index names; others, such as a ranker, just lie there."""
    index = read_json(folder / "model_index.json")
    return not index or (isinstance(index.get(name), list) and name != CHECKER)


def _sorted(parts: Mapping[str, PartSize]) -> Sizes:
    denoiser = sum((size for name, size in parts.items() if name in DENOISERS), PartSize())
    encoders = sum((size for name, size in parts.items() if name.startswith(ENCODERS)), PartSize())
    whole_model = sum(parts.values(), PartSize())
    rest = whole_model.numbers - denoiser.numbers - encoders.numbers
    packed = whole_model.packed - denoiser.packed - encoders.packed
    return Sizes(denoiser=denoiser, encoders=encoders, rest=PartSize(numbers=rest, packed=packed))


def _of_part(folder: Path) -> PartSize:
    """A part of a diffusers folder, in plain numbers or quantised."""
    quantised = "quantization_config" in read_json(folder / "config.json")
    return _of_files(in_use(folder), packed=quantised)


def _of_files(files: Iterable[Path], *, packed: bool = False) -> PartSize:
    headers = [whole.read_header(file) for file in files]
    shapes = {name: shape for header in headers for name, shape in header.shapes.items()}
    kept = {name: nbytes for header in headers for name, nbytes in header.packed.items() if packed}
    return _of_shapes(shapes, kept)


def _of_shapes(shapes: Mapping[str, tuple[int, ...]], packed: Mapping[str, int]) -> PartSize:
    numbers = {name: math.prod(shape) for name, shape in shapes.items() if name not in packed}
    small = sum(count for name, count in numbers.items() if len(shapes[name]) > 1 and can_be_small(name))
    kept = sum(nbytes for name, nbytes in packed.items() if name in shapes)
    return PartSize(numbers=sum(numbers.values()), small=small, packed=kept)


def can_be_small(name: str) -> bool:
    """Whether a tensor of that name may be kept in fewer bits, where it is a matrix or a convolution's."""
    return not any(mark in name for mark in PRECISE) and name.removesuffix(".weight") not in ENDS


def _of_file(path: Path) -> Sizes:
    header = whole.read_header(path)
    packed = header.packed if header.gguf else {}  # what is fp8 in a safetensors file is widened when it's read
    parts = {"transformer": dict[str, tuple[int, ...]](), "text_encoder": {}, "vae": {}}
    for name, shape in header.shapes.items():
        parts[_part_of(name)][name] = shape
    sizes = {part: _of_shapes(found, packed) for part, found in parts.items()}
    beside = path.with_suffix("")
    if (beside / "model_index.json").is_file() and not sizes["text_encoder"].numbers:  # the file is a transformer alone
        others = {part.name: _of_part(part) for part in sorted(beside.iterdir()) if part.is_dir()}
        sizes = {**others, "transformer": sizes["transformer"]}
    return _sorted(sizes)


def _part_of(name: str) -> str:
    if name.startswith(_ENCODER_IN_FILE):
        return "text_encoder"
    return "vae" if name.startswith(_VAE_IN_FILE) else "transformer"
