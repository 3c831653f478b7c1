"""Models in memory: load them safely, share their modules between tasks, let the idle ones go.

All lives in the engine's thread, but for what is loaded, which the loader's threads do.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import diffusers
import torch

from engine.api import schedulers
from engine.api.errors import ModelTooLarge, ModelUnloadable
from engine.api.inspection import LoadedModel
from engine.api.model_info import ModelInfo
from engine.device import overflow
from engine.device.compiler import Compiler
from engine.device.failures import attempt, loaded
from engine.device.fibers import Kind, Stub
from engine.device.loader import Load, Loader, NoRoom, Tell
from engine.device.memory import DeviceMemory, free_in_host
from engine.diffusion.embeddings import EncoderCache
from engine.diffusion.preview import Previewer
from engine.models import families, known_device, signatures
from engine.models.catalog import Source, describe
from engine.models.files import reading, weights
from engine.models.files.hashes import Hashes
from engine.models.memory import arrival, ladder, plan
from engine.models.memory.ladder import Room, Rung
from engine.models.memory.placing import Placing
from engine.models.memory.plan import Plan
from engine.models.memory.sizes import DENOISERS
from engine.models.upscalers.known import UPSCALER, UPSCALES

log = logging.getLogger(__name__)

MIB = 1 << 20


@dataclass(eq=False)
class Model:
    """A loaded pipeline and what is derived from it.

    Attributes:
        users: images that run on it or on a variant of it now. held: by jobs that aren't done with it, and by loads.
        previews: whether it can be shown on the way, as far as is known.
        base: the model whose weights it shares. variants: those that share its own; see `engine.models.derived`.
        info: its facts, from its own files. scheduler: the name of its own noise scheduler.
        adapters: the sha256 of what changes it, by name. beside: modules that are no part of its pipeline, by folder.
        placing: how its modules are kept in memory. added_bytes: of a variant's own weights.
        hashed: the sha256 of its weights; of a variant, of those it shares. Raises: NotYet, while that is worked out.
    """

    key: str
    info: ModelInfo
    pipe: Any
    hashed: Callable[[], str]
    scheduler: str
    placing: Placing
    added_bytes: int = 0
    encoders: EncoderCache = field(default_factory=EncoderCache)
    users: int = 0
    held: int = 0
    last_used: float = 0.0
    base: Model | None = None
    variants: dict[Hashable, Model] = field(default_factory=dict)
    adapters: Mapping[str, str] = field(default_factory=dict)
    beside: dict[Any, torch.nn.Module] = field(default_factory=dict)
    _pipes: dict[str, Any] = field(default_factory=dict)
    previews: bool = True
    _previewer: Previewer | None = None

    @property
    def root(self) -> Model:
        """The model whose files were read; itself, when it is no variant."""
        return self if self.base is None else self.base.root

    @property
    def previewer(self) -> Previewer:
        """Shows what it paints. Of a kind that cannot be shown it raises anything, here or at the first picture."""
        root = self.root
        if root._previewer is None:
            root._previewer = Previewer(root.pipe, channels_last=root.info.family in families.CHANNELS_LAST)
        return root._previewer

    @property
    def own_bytes(self) -> int:
        """Memory of its own weights on the device; of a variant, of those it doesn't share."""
        return self.placing.nbytes if self.base is None else self.added_bytes

    @property
    def weight_bytes(self) -> int:
        """Memory of its weights, with what its variants add."""
        return self.own_bytes + sum(variant.weight_bytes for variant in self.variants.values())

    def tree(self) -> Iterator[Model]:
        """It and its variants, and theirs."""
        yield self
        for variant in self.variants.values():
            yield from variant.tree()

    def chain(self) -> Iterator[Model]:
        """It, and the models whose weights it shares."""
        yield self
        if self.base is not None:
            yield from self.base.chain()

    def drop(self, variant: Model) -> bool:
        """Let a variant go. Returns whether it was there."""
        key = next((key for key, each in self.variants.items() if each is variant), None)
        if key is not None:
            self.variants.pop(key).forget()
        return key is not None

    @property
    def idle(self) -> bool:
        """Whether nobody would miss it."""
        return not self.users and not self.held

    def hold(self, by: int = 1) -> None:
        """Keep it in memory until that is taken back."""
        self.held += by
        if self.base is not None:
            self.base.hold(by)

    def lease(self) -> None:
        """An image begins to run on it."""
        self.users += 1
        if self.base is not None:
            self.base.lease()

    def forget(self) -> None:
        """Let go of its weights, which nobody uses any more: now, not when the garbage is collected."""
        for variant in self.variants.values():
            variant.forget()
        self.encoders.clear()
        self.variants.clear()
        self._pipes.clear()
        self._previewer = None
        self.placing.empty(beside=[each.placing for each in self.chain() if each is not self])

    def release(self) -> None:
        """An image has left it."""
        self.users -= 1
        if self.base is not None:
            self.base.release()

    def pipeline(self, auto_class: str = "") -> Any:
        """A fresh shallow copy of a pipeline whose heavy modules are stubs.

        `auto_class`: of diffusers, whose `from_pipe` makes it of the model's own; "" = that pipeline as loaded.
        """
        if auto_class not in self._pipes:
            self._pipes[auto_class] = self._adopted(auto_class)
        return copy.copy(self._pipes[auto_class])

    def _adopted(self, auto_class: str) -> Any:
        known = signatures.of(type(self.pipe).__name__)
        auto = getattr(diffusers, auto_class) if auto_class and known is not None and known.tasks else None
        pipe = copy.copy(self.pipe if auto is None else auto.from_pipe(self.pipe))
        pipe.set_progress_bar_config(disable=True)
        if self.info.family.endswith(families.UNSHARED):
            return pipe
        for name, part in pipe.components.items():
            if isinstance(part, torch.nn.Module):
                pipe.__dict__[name] = self._stub(name, part)
        overflow.refuse(pipe)
        known_device.tell(pipe, self.placing.memory.device)
        pipe.__dict__["maybe_free_model_hooks"] = lambda: None  # the engine decides what stays in memory
        return pipe

    def _stub(self, name: str, part: torch.nn.Module) -> Any:
        kind = _kind(name)
        if kind is None:
            return part
        several: Any = getattr(part, "nets", None)
        if kind == "control" and several is not None:  # diffusers' loop over several: each is a call of its own
            looped: Any = type(part)
            return looped([Stub(net, kind) for net in several])
        if kind == "decode":
            return Stub(part, kind, ("decode",), device=self.placing.memory.device)
        cached = self.encoders.get if kind == "encode" else None
        return Stub(part, kind, cached=cached, device=self.placing.memory.device)


def _kind(name: str) -> Kind | None:
    if name in DENOISERS:
        return "denoise"
    if name == "controlnet":
        return "control"
    if name.startswith("text_encoder") or name == "image_encoder":
        return "encode"
    return "decode" if name == "vae" else None


class ModelCache:
    """Loads models on demand, each in the way that fits the device, and keeps them under a budget.

    Nothing that a job works with or waits for is let go. What doesn't fit beside that is not begun.

    Args:
        sources: every model that may be asked for, by key.
        budget_bytes: of weights; 0 = most of what is free. A model that is larger by itself is tried all the same.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        memory: DeviceMemory,
        dtype: torch.dtype,
        budget_bytes: int,
        loader: Loader,
        hashes: Hashes,
        compiler: Compiler | None = None,
    ) -> None:
        self._sources, self._dtype, self._budget, self._compiler = sources, dtype, budget_bytes, compiler
        self.memory, self.loader, self.hashes = memory, loader, hashes
        self._models: dict[str, Model] = {}
        self._coming: dict[Hashable, int] = {}  # bytes of what is being loaded
        self._lowest: dict[str, Rung] = {}  # of models that did not fit as planned
        self._room = self.room()

    @property
    def loaded(self) -> tuple[str, ...]:
        return tuple(self._models)

    def inspect(self) -> tuple[LoadedModel, ...]:
        """What is in memory."""
        return tuple(_told(model) for model in self._models.values())

    def get(self, key: str, now: float) -> Model:
        """The model. Raises: NotYet, when it must be downloaded or loaded first; NoRoom, when it can't be yet."""
        if key not in self._models:
            source = self._sources.get(key)
            if source is None:
                raise ModelUnloadable(name=key, reason="it was removed")
            if not reading.is_here(source):
                self.loader.wait(("download", source.location), lambda: reading.download(source))
            self.loader.wait(key, partial(self._begin, key))
        self._models[key].last_used = now
        return self._models[key]

    def use(self, sources: Mapping[str, Source]) -> None:
        """Know these models from now on; what is loaded of others stays as long as it is used."""
        self._sources = sources
        for key in [m.key for m in self._models.values() if m.idle and m.key not in sources]:
            self._drop(key)

    def clear(self) -> None:
        """Drop everything; the engine ends."""
        for key in tuple(self._models):
            self._drop(key)

    # ------------------------------------------------------------------ room
    @property
    def used_bytes(self) -> int:
        """Of the weights that are loaded, and of those that are coming."""
        return sum(model.weight_bytes for model in self._models.values()) + sum(self._coming.values())

    def room(self) -> Room:
        """What weights may take, by the setting or by what is free."""
        if self._budget:
            return Room.of_setting(self._budget)
        return Room.of_free(self.memory.free_bytes() + sum(model.weight_bytes for model in self._models.values()))

    def make_way(self, wanted: int, keep: Model | None = None) -> None:
        """Let go of what nobody uses, the longest unused first, until so much fits. Raises: NoRoom."""
        if not self._coming:
            self._room = self.room()
        known = [m for model in self._models.values() for m in model.tree()]
        kept = set(keep.chain()) if keep is not None else set()
        idle = [m for m in known if m.idle and m not in kept and m.own_bytes]
        for model in sorted(idle, key=lambda m: (m.last_used, m.base is None)):  # before the model that it shares
            if self.used_bytes + wanted <= self._room.budget:
                return
            if model.base is None:
                self._drop(model.key)
            elif model.base.drop(model):
                self.memory.free_cache()
        if self.used_bytes + wanted > self._room.budget and (self._coming or any(m not in kept for m in self._busy())):
            raise NoRoom

    def _busy(self) -> list[Model]:
        return [model for model in self._models.values() if not model.idle]

    def evict_idle(self) -> bool:
        """Drop every model nobody uses. Returns whether there was one."""
        idle = [m.key for m in self._models.values() if m.idle]
        for key in idle:
            self._drop(key)
        return bool(idle)

    def thin_out(self) -> bool:
        """Let all text encoders leave the device between their calls. Returns whether that made room."""
        thinner = [m.placing.thin_out() for model in self._models.values() for m in model.tree()]
        self.memory.free_cache()
        return any(thinner)

    def offload(self, model: Model) -> bool:
        """Have a model's blocks come to the device one by one. Returns whether that made room."""
        thinner = [each.placing.offload() for each in model.root.tree()]
        self.memory.free_cache()
        return any(thinner)

    def _drop(self, key: str) -> None:
        log.info("unloading %s", key)
        self._models.pop(key).forget()
        self.memory.free_cache()

    # ------------------------------------------------------------------ loads
    def planned(self, key: str) -> Plan:
        """How a model is kept, and what that takes."""
        itemsize, at = self._dtype.itemsize, self._lowest.get(key)
        own, upscales = self.memory.own, key == UPSCALER
        return plan.of(self._sources[key], itemsize, self._room, own_memory=own, upscales=upscales, at=at)

    def kept(self) -> dict[str, str]:
        """How each model on this disk is kept, or would be: as in "whole, 6.9 GB"."""
        here = [key for key, source in self._sources.items() if source.on_disk is not None]
        return {
            key: self._models[key].placing.told() if key in self._models else str(self.planned(key)) for key in here
        }

    def _begin(self, key: str) -> Load:
        if not self._coming:
            self._room = self.room()
        planned = self.planned(key)
        self.make_way(planned.need.within(self._room))
        self._coming[key] = planned.need.within(self._room)
        attempt(self._hash(key))  # begun beside the load
        load = Load(key=key, name=key, stage="load", work=self._work(key, planned.rung), take=self._take)
        load.again = partial(self._again, key, load)
        load.ended = partial(self._coming.pop, key, None)
        return load

    def _work(self, key: str, rung: Rung) -> Callable[[Tell], Model]:
        return lambda tell: loaded(key, partial(self._load, key, rung, tell))

    def _take(self, model: Model) -> Model:
        self._coming.pop(model.key, None)
        self._models[model.key] = model
        if model.placing.rung is not ladder.WHOLE:
            log.info("%s is kept like this: %s", model.key, model.placing.rung.name)
        return model

    def _again(self, key: str, load: Load, error: Exception) -> bool:
        """After a load that ran out of memory: once more with all idle models gone, else in a smaller way."""
        if not isinstance(error, ModelTooLarge):
            return False
        if not self.evict_idle():
            lower = self.planned(key).lower
            if lower is None:
                return False
            self._lowest[key] = lower
        planned = self.planned(key)
        self._coming[key] = planned.need.within(self._room)
        load.work = self._work(key, planned.rung)
        return True

    def _hash(self, key: str) -> Callable[[], str]:
        """What gives, or works out, the sha256 of a model's weights as they are now."""
        return self.hashes.later(reading.files_of(self._sources[key]), self.loader)

    def _load(self, key: str, rung: Rung, tell: Tell) -> Model:
        """In the loader's thread."""
        source = self._sources[key]
        hashed = self._hash(key)
        weights.read_ahead(reading.files_of(source), tell, free_in_host())
        placing = Placing(self.memory, rung, compiler=self._compiler)
        arrival.bring(source, self._dtype, placing, upscales=key == UPSCALER)
        return Model(
            key=key,
            info=UPSCALES if key == UPSCALER else describe(source),
            pipe=placing.pipe,
            hashed=hashed,
            scheduler=schedulers.from_config(getattr(getattr(placing.pipe, "scheduler", None), "config", {})).name,
            placing=placing,
        )


def _told(model: Model) -> LoadedModel:
    return LoadedModel(
        key=model.key,
        weights_bytes=model.own_bytes,
        images=model.users,
        adapters=dict(model.adapters),
        variants=tuple(_told(variant) for variant in model.variants.values()),
        memory=model.placing.rung.name,
    )
