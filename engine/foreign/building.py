"""The engines that a setting names, as members of a fleet. Knows no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from engine.api.errors import InvalidSetup
from engine.fleet.members import Member
from engine.foreign.comfyui import ComfyUi
from engine.foreign.engine import ForeignEngine, Service
from engine.foreign.openai import OpenAiImages

NAME = re.compile(r"[\w.+-]{1,40}")  # what can be typed behind --model
KNOWN = {"comfyui": {"comfyui", "workflow"}, "openai": {"openai", "model", "key"}}


def members(engines: Mapping[str, Mapping[str, str]]) -> list[Member]:
    """A member for each, by the name that people type. Raises: InvalidSetup, naming what can't be used."""
    return [Member(name, ForeignEngine(_service(name, how)), foreign=True) for name, how in engines.items()]


def _service(name: str, how: Mapping[str, str]) -> Service:
    if not NAME.fullmatch(name):
        raise InvalidSetup(
            reason=f"'{name}' is no name for an engine; use letters, digits, dots and dashes, 40 at most"
        )
    kind = next((each for each in KNOWN if each in how), "")
    if not kind or set(how) - KNOWN[kind] or not str(how[kind]).startswith(("http://", "https://")):
        raise InvalidSetup(reason=f"the engine '{name}' needs the address of a comfyui and a workflow, or of an openai")
    if kind == "openai":
        return OpenAiImages(name, how["openai"], how.get("model", ""), how.get("key", ""))
    return ComfyUi(name, how["comfyui"], Path(os.path.expanduser(how.get("workflow", ""))))
