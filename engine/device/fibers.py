"""Fibers and the calls they park: the mechanism that lets unmodified pipelines share one forward.

A pipeline runs in a `Fiber`. Its heavy modules are `Stub`s: calling one parks the fiber and hands a `Call` to whoever
resumed it. `forward` joins the rows of calls with equal keys, runs the module once and splits the result.
"""

from __future__ import annotations

import copy
import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from greenlet import getcurrent, greenlet
from torch.utils import _pytree as pytree

from engine.device import compiler, devices
from engine.device.failures import attempt, forget
from engine.device.overflow import in_float32, was_too_small
from engine.device.rows import adapter_rows, times
from engine.device.rows.joins import Joins, joined
from engine.device.tiling import in_tiles

Join = Callable[[Sequence[torch.Tensor], int], torch.Tensor]
Kind = Literal["encode", "control", "denoise", "decode"]
SCALES = ("conditioning_scale",)  # a number that only multiplies what comes out, so each job's own rows get it there
RESIDUALS = (  # of a ControlNet or a T2I-Adapter; none is zeros
    "down_block_additional_residuals",
    "mid_block_additional_residual",
    "block_controlnet_hidden_states",
    "controlnet_block_samples",
    "controlnet_single_block_samples",
    "down_intrablock_additional_residuals",
)
SAME_AS_NONE = {"controlnet_blocks_repeat": False}
SHARED = ("img_ids", "txt_ids")  # no batch dimension
# A list of one tensor a row in place of one tensor: Z-Image's, whose captions differ in length.
ROW_LISTS = ("x", "cap_feats")
# Whose row lengths decide how far all rows are padded, so only calls of equal lengths give the same bits together.
LENGTHS = {"Lumina2Transformer2DModel": ("encoder_attention_mask",)}
WHOLE = ("pixel_values",)  # pictures among words, whose patches are no rows: such a call runs by itself
IGNORED = {"decode": ("generator",)}  # AutoencoderKL.decode takes and never reads it
LEVELS = 40  # torch notes at most 64 frames (c10/util/Backtrace.h), and a level is at least two
FORBIDDEN = [  # what would change a module that others use
    *("set_attn_processor", "set_adapters", "set_adapter", "enable_lora", "disable_lora", "fuse_qkv_projections"),
    *("unfuse_qkv_projections", "enable_tiling", "disable_tiling", "enable_slicing", "disable_slicing"),
    *("half", "float", "requires_grad_", "train", "load_state_dict"),
]


class Fiber(greenlet):  # type: ignore[misc]  # greenlet has no types
    """One image's pipeline call. `advance` runs it to its next parked call, or to its end.

    Args:
        tiled: its convolutions wrap around. strange: of a family we know nothing of, so its calls are never joined.
    """

    def __init__(self, run: Callable[[], Any], *, tiled: bool = False, strange: bool = False) -> None:
        super().__init__(partial(_deep_down, run, LEVELS))
        self.tiled, self.strange = tiled, strange
        self.fragile: Callable[[], bool] = lambda: False  # whether its next denoising must not differ by rounding
        self.digests: dict[int, tuple[torch.Tensor, bytes]] = {}

    def advance(self, value: Any = None) -> Any:
        """Resume with a call's result. Returns the next `Call`, or what the pipeline returned when `dead`."""
        return self.switch(value) if self else self.switch()

    def digest(self, tensor: torch.Tensor) -> bytes:
        """A shared tensor's content; pipelines pass the same object every step, so it is read once."""
        found = self.digests.get(id(tensor))
        if found is None:
            content = tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
            found = self.digests[id(tensor)] = (tensor, content)  # held, so the id stays taken
        return found[1]


def _deep_down(run: Callable[[], Any], levels: int) -> Any:
    """Run that so many levels of C deep, which keeps torch from looking beyond the fiber's first frame.

    For whatever it raises, torch notes the frames of C++ that led there. Those before a fiber's first were somebody
    else's, and are gone once the fiber is resumed from elsewhere: reading them ends the process.
    """
    return operator.call(_deep_down, run, levels - 1) if levels else run()


@dataclass(eq=False, slots=True)
class Call:
    """One parked call. `rows`: its batch dimension. `key`: equal keys may be joined."""

    module: torch.nn.Module
    method: str
    kind: Kind
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    rows: int
    fiber: Fiber
    _form: _Form | None = field(default=None)

    @property
    def sample(self) -> torch.Tensor:
        """The rows themselves: latents or token ids, (rows, ...); of a list of rows the first, (1, ...)."""
        return _sample_of(self.args, self.kwargs)[0]

    @property
    def strange(self) -> bool:
        return self.fiber.strange

    @property
    def target(self) -> torch.nn.Module:
        """The module that computes its rows when they are joined: of a LoRA's, the one that was copied for it."""
        return self.module if self.kind != "denoise" or self.fiber.tiled else adapter_rows.shared(self.module)

    @property
    def shape(self) -> tuple[object, ...]:
        """A cheap key for timing tables: what the seconds depend on."""
        return id(self.target), self.method, tuple(self.sample.shape[1:])

    @property
    def form(self) -> _Form:
        if self._form is None:
            self._form = _form_of(self)
        return self._form

    @property
    def key(self) -> tuple[object, ...]:
        return self.form.key

    @property
    def residual(self) -> object:
        """What is added to it: calls of one key may be joined when these are equal, or None."""
        return self.form.residual

    def in_float32(self) -> Call:
        """The same call, of float32 numbers."""

        def wide(value: Any) -> Any:
            return value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value

        kwargs = {name: wide(value) for name, value in self.kwargs.items()}
        return replace(self, args=tuple(map(wide, self.args)), kwargs=kwargs, _form=None)

    def run(self) -> Any:
        """Run it alone, exactly as the pipeline asked."""
        kwargs = {k: v for k, v in self.kwargs.items() if k not in IGNORED.get(self.method, ())}
        for name, value in kwargs.items():  # some take out what they read, and the call may be run again
            kwargs[name] = copy.copy(value) if isinstance(value, dict | list) else value
        return compiler.call(self.module, self.method, *self.args, changed=self.fiber.tiled, **kwargs)


class Stub:
    """Stands in for a module inside one pipeline: `methods` park the fiber, everything else is the module's own.

    Args:
        cached: takes a call and returns its known result or None; used for text encoders.
        device: where the module computes, wherever its weights are kept.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        kind: Kind,
        methods: Sequence[str] = ("__call__",),
        cached: Callable[[Call], Any] | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.__dict__.update(_module=module, _kind=kind, _methods=tuple(methods), _cached=cached, _device=device)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._module)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_methods"]:
            return lambda *args, **kwargs: self._park(name, args, kwargs)
        if name == "device" and self.__dict__["_device"] is not None:
            return self.__dict__["_device"]
        if name == "dtype":  # diffusers walks all modules for each look; it stays as it is as long as they are shared
            return self.__dict__.setdefault(name, self.__dict__["_module"].dtype)
        if name == "to":
            return self._stay
        if name == "encode" and self.__dict__["_kind"] == "decode":
            return self._encode
        if name in FORBIDDEN:
            raise RuntimeError(f"a job may not call {name}() on a module that others use")
        module = self.__dict__["_module"]
        if name == "text_model" and not hasattr(module, name):
            return module  # transformers 5 flattened CLIPTextModel; diffusers' clip_skip still asks for the inner one
        return getattr(module, name)

    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError(f"a job may not set {name} on a module that others use")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "__call__" not in self._methods:
            return self._module(*args, **kwargs)
        return self._park("__call__", args, kwargs)

    def _stay(self, *args: Any, **kwargs: Any) -> Stub:
        """SDXL moves its VAE between precisions midway; here it stays, and `_as_own` brings the input to it."""
        return self

    def _encode(self, image: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """A VAE's encode is run at once: it is short, happens once a job, and its random sampling must not be torn."""
        own = self._as_own(image)
        output = attempt(lambda: self._module.encode(own, *args, **kwargs))
        if isinstance(output, Exception):
            if not devices.is_out_of_memory(output):
                raise output
            forget(output)
            devices.free_cache(own.device)
            with in_tiles(self._module, on=True):
                output = self._module.encode(own, *args, **kwargs)
        if was_too_small(self._module, own, output):
            with in_float32(self._module):
                output = self._module.encode(image.float(), *args, **kwargs)
        found = getattr(output, "latent_dist", None)
        if found is not None and found.parameters.dtype != image.dtype:
            output.latent_dist = type(found)(found.parameters.to(image.dtype))  # the denoiser reads what came in
        if found is not None:
            output.latent_dist.sample = partial(_drawn, output.latent_dist)
        return output

    def _as_own(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.dtype)

    def _park(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        fiber = getcurrent()
        assert isinstance(fiber, Fiber), "stubs work inside fibers only"
        if self._kind == "decode" and args:
            args = (self._as_own(args[0]), *args[1:])
        _, rows = _sample_of(args, kwargs)
        call = Call(self._module, method, self._kind, args, kwargs, rows, fiber)
        known = self._cached(call) if self._cached else None
        assert fiber.parent is not None
        return fiber.parent.switch(call) if known is None else known


def _drawn(distribution: Any, generator: torch.Generator | None = None) -> torch.Tensor:
    """A sample of a VAE's distribution. Without a generator (SD3's ControlNets have none) its mean: torch's own random
    numbers are everybody's, so the same seed would give other pictures."""
    drawn: torch.Tensor = (
        distribution.mode() if generator is None else type(distribution).sample(distribution, generator)
    )
    return drawn


@dataclass(frozen=True, slots=True)
class _Form:
    """A call's arguments by name, flat, with everything that varies between jobs turned into rows.

    Attributes:
        scale: of the result's rows; as a tensor among the arguments it would be rounded to half precision.
        added: the residuals, flat, each (rows, channels, height, width). residual: their structure and shapes.
    """

    leaves: list[Any]
    spec: Any
    shared: dict[str, Any]
    key: tuple[object, ...]
    scale: float
    added: list[torch.Tensor]
    residual: tuple[Any, ...] | None


_NAMES: dict[tuple[type, str], tuple[str, ...]] = {}


def _names(module: torch.nn.Module, method: str) -> tuple[str, ...]:
    real = getattr(module, "_orig_mod", module)  # torch.compile wraps
    key = type(real), method
    if key not in _NAMES:
        function = real.forward if method == "__call__" else getattr(real, method)
        _NAMES[key] = tuple(inspect.signature(function).parameters)
    return _NAMES[key]


def _sample_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[torch.Tensor, int]:
    """A call's first tensor, and its rows."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor) and value.dim():
            return value, value.shape[0]
        if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
            return value[0][None], len(value)
    raise TypeError("a call without a tensor")


@dataclass(frozen=True, slots=True)
class _Rows:
    """A list of one tensor a row, whose shapes may differ."""

    each: tuple[torch.Tensor, ...]


def _form_of(call: Call) -> _Form:
    named = {**dict(zip(_names(call.module, call.method), call.args, strict=False)), **call.kwargs}
    for name in IGNORED.get(call.method, ()):
        named.pop(name, None)
    shared = {name: named.pop(name) for name in SHARED if named.get(name) is not None}
    residuals = {name: value for name in RESIDUALS if (value := named.pop(name, None)) is not None}
    named = {name: value for name, value in named.items() if name not in SAME_AS_NONE or value != SAME_AS_NONE[name]}
    added, structure = pytree.tree_flatten(residuals)
    residual = (structure, *(_signature(leaf, call) for leaf in added)) if added else None
    for name in times.NAMES:
        if named.get(name) is not None:
            named[name] = times.of_rows(named[name], call.sample, call.rows)
    for name in ROW_LISTS:
        if isinstance(named.get(name), list) and len(named[name]) == call.rows:
            named[name] = _Rows(tuple(named[name]))
    lengths = tuple(call.fiber.digest(named[name]) for name in LENGTHS.get(type(call.module).__name__, ()))
    scale = 1.0
    for name in SCALES:
        if isinstance(named.get(name), float):
            scale, named[name] = named[name], 1.0
    leaves, spec = pytree.tree_flatten(named)
    signature = tuple(_signature(leaf, call) for leaf in leaves)
    content = tuple((name, call.fiber.digest(tensor)) for name, tensor in shared.items())
    own = id(call) if any(named.get(name) is not None for name in WHOLE) else None
    key = (id(call.target), call.method, call.fiber.tiled, spec, signature, content, lengths, own)
    return _Form(leaves, spec, shared, key, scale, added, residual)


def _signature(leaf: Any, call: Call) -> object:
    if isinstance(leaf, _Rows):
        return tuple((tuple(row.shape), row.dtype) for row in leaf.each)
    if not isinstance(leaf, torch.Tensor):
        return leaf if isinstance(leaf, int | float | str | bool | None) else repr(leaf)
    if _is_rows(leaf, call.rows):
        return tuple(leaf.shape[1:]), leaf.dtype
    return tuple(leaf.shape), leaf.dtype, call.fiber.digest(leaf)


def _is_rows(leaf: Any, rows: int) -> bool:
    return isinstance(leaf, _Rows) or (isinstance(leaf, torch.Tensor) and leaf.dim() > 0 and leaf.shape[0] == rows)


def forward(calls: Sequence[Call], pad_to: int = 0, joins: Joins | None = None) -> list[Any]:
    """Run calls of one key as one, padded to `pad_to` rows with copies of the last; the results in order.

    `joins`: remembers what the same calls bring at every step.
    """
    total = max(pad_to, sum(call.rows for call in calls))
    first = calls[0]
    columns = zip(*(call.form.leaves for call in calls), strict=True)
    leaves = [_joined(column, calls, total, joins.of if joins else joined) for column in columns]
    named = {**pytree.tree_unflatten(leaves, first.form.spec), **first.form.shared, **_residuals(calls, total)}
    with adapter_rows.adding(calls) as added:
        output = compiler.call(first.target, first.method, changed=first.fiber.tiled or added, **named)
    return _split(output, calls, total)


def _residuals(calls: Sequence[Call], total: int) -> dict[str, Any]:
    """What a ControlNet adds to the rows; zeros to those of jobs without one, which changes no value of theirs."""
    led = next((call for call in calls if call.form.added), None)
    if led is None or led.form.residual is None:
        return {}
    columns = zip(*(call.form.added or _zeros(led, call.rows) for call in calls), strict=True)
    leaves = [_joined(column, calls, total) for column in columns]
    residuals: dict[str, Any] = pytree.tree_unflatten(leaves, led.form.residual[0])
    return residuals


def _zeros(like: Call, rows: int) -> list[torch.Tensor]:
    return [leaf.new_zeros(()).expand(rows, *leaf.shape[1:]) for leaf in like.form.added]


def _joined(column: Sequence[Any], calls: Sequence[Call], total: int, join: Join = joined) -> Any:
    if not _is_rows(column[0], calls[0].rows):
        return column[0]
    if isinstance(column[0], _Rows):
        rows = [row for rows in column for row in rows.each]
        return rows + rows[-1:] * (total - len(rows))
    return join(column, total)


def _split(output: Any, calls: Sequence[Call], total: int) -> list[Any]:
    if isinstance(output, tuple) and any(isinstance(leaf, _Rows) for leaf in calls[0].form.leaves):
        output = tuple(_Rows(tuple(each)) if isinstance(each, list) else each for each in output)
    leaves, spec = pytree.tree_flatten(output)
    results, start = [], 0
    for call in calls:
        rows = slice(start, start := start + call.rows)
        own = [_of_rows(leaf, rows) if _is_rows(leaf, total) else leaf for leaf in leaves]
        scale = call.form.scale
        results.append(pytree.tree_unflatten([_scaled(leaf, scale) for leaf in own], spec))
    return results


def _of_rows(leaf: Any, rows: slice) -> Any:
    return list(leaf.each[rows]) if isinstance(leaf, _Rows) else leaf[rows]


def _scaled(leaf: Any, scale: float) -> Any:
    return leaf * scale if scale != 1 and isinstance(leaf, torch.Tensor) else leaf
