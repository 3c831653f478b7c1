"""What an engine was built with: its settings, and the files behind them that can be used. Knows no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from engine.api.errors import EngineError, ModelUnloadable, first_line
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo, Upscaler
from engine.imaging import controlnet_preprocess
from engine.models import adapters, catalog, controlnets, own_defaults, whole
from engine.models.adapters import Adapter, Kind
from engine.models.catalog import Source
from engine.models.controlnets import ControlNet
from engine.models.ip_adapters import IpAdapter
from engine.models.ip_adapters import read as read_ip_adapter
from engine.models.upscalers import known
from engine.vision import options as vision_options
from engine.vision.options import VisionOptions

T = TypeVar("T")
F = TypeVar("F", Source, Adapter)
KINDS: Mapping[Kind, str] = {"lora": "LoRA", "embedding": "embedding"}  # in words
LOOKERS = ("captioner", "helper", "segmenter", "ranker")
STRAY = "it fits none of the models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the engine was built with; see `engine.Engine`."""

    files: Files
    device: str
    dtype: str
    mode: str
    threads: int
    max_rows: int
    memory_mib: float
    compiled: bool
    data_dir: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files that can be used. Models, and by model the IP-Adapters, are by key; the rest by name."""

    sources: Mapping[str, Source]
    sight: VisionOptions
    upscaler: tuple[Source, Upscaler] | None
    adapters: Mapping[Kind, Mapping[str, Adapter]]
    ip_adapters: Mapping[str, IpAdapter]
    controlnets: Mapping[str, ControlNet]

    def describe(self, source: Source) -> ModelInfo:
        """What may be asked of a model, with all that fits it. Raises: ModelUnloadable."""
        info = replace(
            catalog.describe(source),
            ranks=bool(self.sight.ranker) or vision_options.own_ranker(source) is not None,
            upscaler=self.upscaler[1] if self.upscaler else Upscaler(),
            image_prompts=source.key in self.ip_adapters,
        )
        return controlnets.fitted(adapters.fitted(info, source, self.adapters), source, self.controlnets)

    def loadable(self) -> Mapping[str, Source]:
        """All that the engine's thread may be asked to load, the upscaler too."""
        extra = {known.UPSCALER: self.upscaler[0]} if self.upscaler else {}
        return {**self.sources, **extra}

    def strays(self, models: Iterable[ModelInfo]) -> Iterable[LeftOut]:
        """Adapters that nobody will be able to use."""
        used = {name for info in models for name in (*info.loras, *info.embeddings, *info.controlnets)}
        for kind, named in self.adapters.items():
            yield from (LeftOut(kind=KINDS[kind], name=name, reason=STRAY) for name in named.keys() - used)
        lone = {str(each.path): name for name, each in self.controlnets.items()}
        for path in lone.keys() - {str(self.controlnets[name].path) for name in self.controlnets.keys() & used}:
            yield LeftOut(kind="ControlNet", name=lone[path], reason=STRAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one configured thing: `problem` "" = it can be used; `later` = it is not on this disk yet."""

    kind: str
    name: str
    location: str
    problem: str = ""
    later: bool = False


@dataclass(slots=True)
class Reading:
    """Reads what is configured, item by item: what cannot be used keeps nothing else from being used.

    Attributes:
        findings: one of each thing. vital: why nothing can be done at all.
    """

    findings: list[Finding] = field(default_factory=list)
    vital: list[ModelUnloadable] = field(default_factory=list)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        return tuple(LeftOut(kind=f.kind, name=f.name, reason=f.problem) for f in self.findings if f.problem)

    def usable(self, kind: str, locations: Mapping[str, str], read: Callable[[str, str], T]) -> dict[str, T]:
        """What `read` makes of each name and location, without those that it cannot read."""
        usable: dict[str, T] = {}
        for name, location in locations.items():
            found = Finding(kind=kind, name=name, location=location)
            try:
                usable[name] = read(name, location)
                self.findings.append(replace(found, later=_is_elsewhere(usable[name])))
            except Exception as error:  # an outer edge: nothing in a stranger's file may keep the engine from starting
                reason = error.facts.get("reason") if isinstance(error, EngineError) else None
                self.findings.append(replace(found, problem=str(reason or first_line(error))))
        return usable

    def models(self, default: str, more: Mapping[str, str]) -> dict[str, Source]:
        """The models that can be used, and the default one where it is anything at all."""
        key = catalog.key_of(default)
        first = self.usable("model", {key: default}, _model)
        named = catalog.with_editor({key: default} | {name: at for name, at in more.items() if name != key})
        rest = self.usable("model", {name: at for name, at in named.items() if name != key}, _model)
        self._told(first | rest, catalog.owners_mistakes)
        return (first or self._as_it_is(key, default)) | rest

    def _told(self, found: Mapping[str, F], mistakes: Callable[[F], str]) -> None:
        """Note what owners say beside their files, and can't be used though the files themselves can."""
        for name, each in found.items():
            if problem := mistakes(each):
                kind, at = f"{own_defaults.FILE} of", str(each.path or "")
                self.findings.append(Finding(kind=kind, name=name, location=at, problem=problem))

    def _as_it_is(self, name: str, location: str) -> dict[str, Source]:
        """What nothing can be done without: told now, and again to whoever needs it."""
        try:
            return {name: _named(name, location)}
        except ModelUnloadable as error:
            self.vital.append(error)
            return {}

    def sight(self, wanted: VisionOptions) -> VisionOptions:
        """The models that look at pictures; one that tells what is safe is never left out."""
        asked = {name: getattr(wanted, name) for name in LOOKERS if getattr(wanted, name)}
        found = self.usable("setting", asked, _looker)
        if wanted.checks and not self.usable("setting", {"safety": wanted.judge}, _judge):
            self._as_it_is("safety", wanted.judge)
        dropped: Any = dict.fromkeys(asked.keys() - found.keys(), "")
        drawing = self.usable("preprocessor", wanted.preprocessors, _preprocessor)
        return replace(wanted, **dropped, preprocessors={kind: wanted.preprocessors[kind] for kind in drawing})

    def adapters(self, kind: Kind, named: Mapping[str, str], sources: Iterable[Source]) -> dict[str, Adapter]:
        """Those that come with Mini, and those that are configured."""
        own = {name: adapters.read(kind, name, at) for name, at in adapters.of_mini(kind, sources).items()}
        found = self.usable(KINDS[kind], named, partial(adapters.read, kind))
        self._told(found, adapters.owners_mistakes)
        return own | found

    def controlnets(self, named: Mapping[str, str], sources: Iterable[Source]) -> dict[str, ControlNet]:
        """Those that come with Mini, and those that are configured."""
        own = {name: controlnets.read(name, at) for name, at in controlnets.of_mini(sources).items()}
        found = own | self.usable("ControlNet", named, controlnets.read)
        return {name: kind for each in found.values() for name, kind in each.named.items()}

    def files(
        self,
        model: str,
        models: Mapping[str, str],
        *,
        loras: Mapping[str, str],
        embeddings: Mapping[str, str],
        ip_adapters: Mapping[str, str],
        controlnets: Mapping[str, str],
        upscaler: str,
        sight: VisionOptions,
    ) -> Files:
        """All that can be used."""
        sources = self.models(model, models)
        named: Mapping[Kind, Mapping[str, str]] = {"lora": loras, "embedding": embeddings}
        enlarging = self.usable("setting", {"upscaler": upscaler} if upscaler else {}, lambda _, at: known.describe(at))
        return Files(
            sources=sources,
            sight=self.sight(sight),
            upscaler=enlarging.get("upscaler"),
            adapters={kind: self.adapters(kind, each, sources.values()) for kind, each in named.items()},
            ip_adapters=self.usable("IP-Adapter", ip_adapters, lambda key, at: read_ip_adapter(key, at, sources)),
            controlnets=self.controlnets(controlnets, sources.values()),
        )


def _is_elsewhere(found: Any) -> bool:
    source = found[0] if isinstance(found, tuple) else found
    return isinstance(source, Source) and source.path is None


def _model(key: str, location: str) -> Source:
    found = catalog.source(key, location)
    catalog.describe(found)
    return _whole(found)


def _judge(name: str, location: str) -> Source:
    return _named(name, location) if location == vision_options.OPEN_NSFW else _looker(name, location)


def _named(name: str, location: str) -> Source:
    """What a setting names. Raises: ModelUnloadable when that can be nothing."""
    if name == "safety" and location == vision_options.OPEN_NSFW:
        return Source(key=name, location=str(vision_options.open_nsfw()))
    return catalog.source(name, location)


def _looker(name: str, location: str) -> Source:
    return _whole(catalog.source(name, location))


def _preprocessor(kind: str, location: str) -> Source | str:
    if kind not in vision_options.PREPROCESSORS:
        raise ModelUnloadable(
            name=kind, reason=f"there is none of that kind; use {', '.join(vision_options.PREPROCESSORS)}"
        )
    drawn_without = (kind, location) == ("soft", controlnet_preprocess.GRADIENT)
    return location if drawn_without else _looker(kind, location)


def _whole(source: Source) -> Source:
    if source.path is not None:
        whole.check(source.key, source.path)
    return source
