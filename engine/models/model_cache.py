"""Models in memory: load them safely, share their modules between tasks, let the idle ones go.

All lives in the engine's thread, but for what is loaded, which the loader's threads do.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from engine.api import schedulers
from engine.api.errors import ModelUnloadable
from engine.api.inspection import LoadedModel
from engine.api.model_info import ModelInfo
from engine.device import devices, overflow
from engine.device.failures import attempt, loaded
from engine.device.fibers import Kind, Stub
from engine.device.loader import Load, Loader, Tell
from engine.diffusion import modular
from engine.diffusion.embeddings import EncoderCache
from engine.diffusion.preview import Previewer
from engine.models import families, signatures, single_file, super_resolution, whole
from engine.models.catalog import UPSCALER, Source, describe
from engine.models.files import hub
from engine.models.files.hashes import Hashes

log = logging.getLogger(__name__)

DENOISERS = ("unet", "transformer", "upscaler")
MIB = 1 << 20
SMALL_BYTES = 1 << 30
UPSCALES = ModelInfo(  # nobody asks an upscaler's facts
    key=UPSCALER, family="", width=0, height=0, num_inference_steps=1, guidance_scale=0.0, scheduler="own"
)
BUDGET_SHARE = 0.8  # of the device's memory; the rest is for activations


@dataclass(eq=False)
class Model:
    """A loaded pipeline and what is derived from it.

    Attributes:
        users: images that run on it or on a variant of it now. held: by jobs that aren't done with it, and by loads.
        previews: whether it can be shown on the way, as far as is known.
        base: the model whose weights it shares. variants: those that share its own; see `engine.models.derived_models`.
        info: its facts, from its own files. scheduler: the name of its own noise scheduler.
        adapters: the sha256 of what changes it, by name.
    """

    key: str
    info: ModelInfo
    pipe: Any
    sha256: str
    scheduler: str
    nbytes: int
    encoders: EncoderCache = field(default_factory=EncoderCache)
    users: int = 0
    held: int = 0
    last_used: float = 0.0
    base: Model | None = None
    variants: dict[Hashable, Model] = field(default_factory=dict)
    adapters: Mapping[str, str] = field(default_factory=dict)
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
    def weight_bytes(self) -> int:
        """Memory of its weights, with what its variants add."""
        return self.nbytes + sum(variant.weight_bytes for variant in self.variants.values())

    def tree(self) -> Iterator[Model]:
        """It and its variants, and theirs."""
        yield self
        for variant in self.variants.values():
            yield from variant.tree()

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
        """Let go of what refers back to it: memory must be free now, not when the garbage is collected."""
        for variant in self.variants.values():
            variant.forget()
        self.encoders.clear()
        self.variants.clear()
        self._pipes.clear()

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
            return Stub(part, kind, ("decode",))
        return Stub(part, kind, cached=self.encoders.get if kind == "encode" else None)


def _kind(name: str) -> Kind | None:
    if name in DENOISERS:
        return "denoise"
    if name == "controlnet":
        return "control"
    if name.startswith("text_encoder") or name == "image_encoder":
        return "encode"
    return "decode" if name == "vae" else None


class ModelCache:
    """Loads models on demand and keeps them under a budget.

    Args:
        sources: every model that may be asked for, by key.
        budget_bytes: of weights; a single larger model is still loaded.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        device: torch.device,
        dtype: torch.dtype,
        budget_bytes: int,
        loader: Loader,
        hashes: Hashes,
    ) -> None:
        self._sources, self._device, self._dtype = sources, device, dtype
        self.loader, self.hashes = loader, hashes
        self._budget = budget_bytes or int(devices.memory_bytes(device) * BUDGET_SHARE)
        self._models: dict[str, Model] = {}

    @property
    def loaded(self) -> tuple[str, ...]:
        return tuple(self._models)

    def inspect(self) -> tuple[LoadedModel, ...]:
        """What is in memory."""
        return tuple(_told(model) for model in self._models.values())

    def get(self, key: str, now: float) -> Model:
        """The model. Raises: NotYet, when it must be downloaded or loaded first."""
        if key not in self._models:
            source = self._sources[key]
            if not is_here(source):
                self.loader.wait(("download", source.location), lambda: download(source))
            self.loader.wait(key, lambda: Load(key=key, name=key, stage="load", work=self._work(key), take=self._take))
        self._models[key].last_used = now
        return self._models[key]

    def _work(self, key: str) -> Callable[[Tell], Model]:
        return lambda tell: loaded(key, partial(self._load, key, tell))

    def _take(self, model: Model) -> Model:
        self._models[model.key] = model
        self.make_room(model.key)
        return model

    def clear(self) -> None:
        """Drop everything; the engine ends."""
        for key in tuple(self._models):
            self._drop(key)

    def evict_idle(self) -> bool:
        """Drop every model nobody uses. Returns whether there was one."""
        idle = [m.key for m in self._models.values() if m.idle]
        for key in idle:
            self._drop(key)
        return bool(idle)

    def make_room(self, keep: str = "") -> None:
        """Drop what nobody uses, the longest unused first, until the weights fit the budget; never the model `keep`."""
        known = (m for model in self._models.values() for m in model.tree())
        idle = [m for m in known if m.idle and m.key != keep and m.nbytes]
        for model in sorted(idle, key=lambda m: (m.last_used, m.base is None)):  # before the model that it shares
            if sum(m.weight_bytes for m in self._models.values()) <= self._budget:
                return
            if model.base is None:
                self._drop(model.key)
            elif model.base.drop(model):
                devices.free_cache(self._device)

    def _drop(self, key: str) -> None:
        log.info("unloading %s", key)
        self._models.pop(key).forget()
        devices.free_cache(self._device)

    def _load(self, key: str, tell: Tell) -> Model:
        source = self._sources[key]
        sha256 = self.hashes.of(_files(source), tell)
        read = super_resolution.load if key == UPSCALER else load
        pipe = read(source, self._dtype).to(self._device)
        if self._dtype == torch.float16 and hasattr(pipe, "vae"):
            pipe.vae.to(torch.float32)  # SDXL's overflows in half precision, and upcasting it midway would hit others
        nbytes = sum(p.numel() * p.element_size() for m in _modules(pipe) for p in m.parameters())
        return Model(
            key=key,
            info=UPSCALES if key == UPSCALER else describe(source),
            pipe=pipe,
            sha256=sha256,
            scheduler=schedulers.from_config(getattr(getattr(pipe, "scheduler", None), "config", {})).name,
            nbytes=nbytes,
        )


def _told(model: Model) -> LoadedModel:
    return LoadedModel(
        key=model.key,
        weights_bytes=model.nbytes,
        images=model.users,
        adapters=dict(model.adapters),
        variants=tuple(_told(variant) for variant in model.variants.values()),
    )


def _files(source: Source) -> Path:
    """Its file or folder. Raises: ModelUnloadable when it is not here."""
    if source.on_disk is None:
        raise ModelUnloadable(name=source.key, reason=f"there is no file, folder or download of '{source.location}'")
    return source.on_disk


def is_here(source: Source) -> bool:
    """Whether nothing of it has to be downloaded: a download may have been cut off."""
    if source.path is not None:
        return True
    found = hub.snapshot(source.location)
    return found is not None and not whole.of_any_folder(found)


def download(source: Source) -> Load:
    """Fetches a hub model. Its work raises ModelUnloadable."""

    def work(tell: Tell) -> None:
        folder = loaded(source.key, lambda: hub.fetch(source.location, tell))
        whole.check(source.key, folder)

    return Load(key=("download", source.location), name=source.key, stage="download", work=work)


def load(source: Source, dtype: torch.dtype) -> Any:
    """A text-to-image pipeline from safetensors only; code that comes with a model is never run."""
    source = replace(source, location=str(_files(source)))
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    if source.path is not None and source.single_file:
        return single_file.load(source.key, source.path, dtype)
    if source.path is not None and not (source.path / "model_index.json").is_file():
        return modular.load(source.key, source.path, dtype)
    kwargs: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
    if dtype == torch.float32 and source.path is not None and _weights_bytes(source.path) < SMALL_BYTES:
        kwargs["low_cpu_mem_usage"] = (
            False  # saving memory patches torch for every thread; not worth it for a small one
        )
    if source.path is not None and _variant_only(source.path):
        kwargs["variant"] = "fp16"
    raised = attempt(lambda: _folder(source, kwargs))
    if isinstance(raised, ValueError) and "low_cpu_mem_usage" in str(raised):  # parts of it stay in float32
        return _folder(source, {**kwargs, "low_cpu_mem_usage": True})
    if isinstance(raised, Exception):
        raise raised
    return raised


def _folder(source: Source, kwargs: Mapping[str, Any]) -> Any:
    """The pipeline of a folder or hub id, as one that paints from words where there is such; without a ControlNet."""
    auto: Any = diffusers.AutoPipelineForText2Image
    anything: Any = diffusers.DiffusionPipeline
    if source.path is not None and "txt2img" not in describe(source).tasks:
        return anything.from_pretrained(source.location, **kwargs)
    try:
        pipe = auto.from_pretrained(source.location, **kwargs)
    except ValueError as error:
        if "can't find a pipeline" not in str(error):
            raise
        return anything.from_pretrained(source.location, **kwargs)  # unknown to Auto*
    return auto.from_pipe(pipe, controlnet=None) if hasattr(pipe, "controlnet") else pipe


def _weights_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


def _variant_only(folder: Path) -> bool:
    """Whether some part's weights are there in half precision only, as a download of the variant leaves them."""
    parts = {file.parent for file in folder.glob("*/*.fp16*.safetensors")}
    return any(all(".fp16" in file.name for file in part.glob("*.safetensors")) for part in parts)


def _modules(pipe: Any) -> list[torch.nn.Module]:
    return [m for m in pipe.components.values() if isinstance(m, torch.nn.Module)]
