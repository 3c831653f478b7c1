"""What an engine was built with, as its thread gets it. Knows no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.models.adapters import Adapter, Kind
from engine.models.catalog import Source
from engine.models.controlnets import ControlNet
from engine.models.ip_adapters import IpAdapter
from engine.vision.options import VisionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the engine was built with; see `engine.Engine`."""

    sources: Mapping[str, Source]
    device: str
    dtype: str
    mode: str
    threads: int
    max_rows: int
    memory_mib: float
    data_dir: Path | None
    sight: VisionOptions
    adapters: Mapping[Kind, Mapping[str, Adapter]]
    ip_adapters: Mapping[str, IpAdapter]
    controlnets: Mapping[str, ControlNet]
