"""The settings without what can't be loaded: one bad LoRA must not keep everybody from painting. Knows no Discord."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from bot.config import Settings
from engine.models import catalog, whole
from engine.models.whole import Finding

log = logging.getLogger(__name__)
VISION = ("captioner", "segmenter", "ranker", "safety")
TABLES = {"model": "models", "LoRA": "loras", "embedding": "embeddings", "ControlNet": "controlnets"}
OF_MODELS = "IP-Adapter of"
NEVER_WITHOUT = ("safety",)  # whoever wants pictures judged does not want them unjudged


def findings(settings: Settings) -> Iterator[Finding]:
    """What is known of every file that the settings name; the default model comes first."""
    vision = {name: getattr(settings, name) for name in VISION}
    return whole.look(
        {catalog.key_of(settings.model): settings.model, **settings.models},
        loras=settings.loras,
        embeddings=settings.embeddings,
        ip_adapters=settings.ip_adapters,
        controlnets=settings.controlnets,
        upscaler=settings.upscaler,
        vision={name: location for name, location in vision.items() if location not in ("", "off")},
    )


def is_vital(settings: Settings, what: str) -> bool:
    """Whether Easel doesn't start without it."""
    return what == f"model {catalog.key_of(settings.model)}" or what in NEVER_WITHOUT


def usable(settings: Settings) -> Settings:
    """The settings without what can't be loaded and is not vital; the log tells what was left out."""
    for found in findings(settings):
        if found.problem and not is_vital(settings, found.what):
            log.error("the %s is left out: %s", found.what, found.problem)
            settings = _without(settings, found.what)
    return settings


def _without(settings: Settings, what: str) -> Settings:
    if what.startswith(OF_MODELS):
        return _less(settings, "ip_adapters", what.removeprefix(f"{OF_MODELS} "))
    kind, _, name = what.partition(" ")
    if name:
        settings = _less(settings, TABLES[kind], name)
        return _less(settings, "ip_adapters", name) if kind == "model" else settings
    return settings.model_copy(update={what: ""})


def _less(settings: Settings, table: str, name: str) -> Settings:
    kept = {key: location for key, location in getattr(settings, table).items() if key != name}
    return settings.model_copy(update={table: kept})
