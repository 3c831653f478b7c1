"""Which tool wrote a file's texts: the most telling one first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.prompt.image_metadata import comfy, infotext, tables
from bot.prompt.image_metadata.containers import texts
from bot.prompt.image_metadata.records import Parameters, json_of

EASEL, A1111, INVOKE, RAN, DRAWN = "easel", "parameters", "invokeai_metadata", "prompt", "workflow"


def read(data: bytes) -> Parameters | None:
    """What a PNG, JPEG or WebP file says about how it was made; None when it says nothing that we can read."""
    found = texts(data)
    said = found.get(A1111, "")
    table = json_of(said) if said.lstrip().startswith("{") else {}
    return (
        tables.easel(json_of(found.get(EASEL, "")))
        or tables.swarm(table)
        or infotext.parse(said)
        or tables.invoke(json_of(found.get(INVOKE, "")) or table)
        or comfy.parse(json_of(found.get(RAN, "")) or table)
        or comfy.parse(json_of(found.get(DRAWN, "")))
    )


def read_table(value: Mapping[str, Any]) -> Parameters | None:
    """What one JSON object says, whoever wrote it; None when there are no words for a picture in it."""
    return (
        tables.easel(value) or tables.swarm(value) or tables.invoke(value) or comfy.parse(value) or tables.plain(value)
    )
