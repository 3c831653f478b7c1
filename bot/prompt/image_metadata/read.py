"""Which tool wrote a file's texts: the most telling one first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from bot.prompt.image_metadata import comfy, infotext, makers, tables, tools
from bot.prompt.image_metadata.containers import texts
from bot.prompt.image_metadata.records import Parameters, json_of
from bot.prompt.image_metadata.stealth import hidden_text

EASEL, A1111, INVOKE, RAN, DRAWN = "easel", "parameters", "invokeai_metadata", "prompt", "workflow"
XMP, DREAM, INVOKE_2, DESCRIPTION = "XML:com.adobe.xmp", "Dream", "sd-metadata", "Description"


def read(data: bytes, pixels: Image.Image | None = None) -> Parameters | None:
    """What a file says about how it was made; None when it says nothing that we can read.

    `pixels`: the picture as it was decoded, RGB or RGBA, in which some tools hide a text.
    """
    found = texts(data)
    if said := _read_texts(found):
        return said
    hidden = hidden_text(pixels) if pixels is not None else ""
    return _read_texts(_as_texts(hidden)) if hidden else None


def read_table(value: Mapping[str, Any]) -> Parameters | None:
    """What one JSON object says, whoever wrote it; None when there are no words for a picture in it."""
    return (
        tables.easel(value)
        or tables.swarm(value)
        or tools.fooocus(value)
        or tables.invoke(value)
        or comfy.parse(value)
        or tables.plain(value)
    )


def maker(data: bytes) -> str:
    """Who made a file that doesn't say how, as the end of "This file was made by ..."; "" when it can't be told."""
    return makers.maker(data, texts(data))


def _read_texts(found: Mapping[str, str]) -> Parameters | None:
    said = found.get(A1111, "")
    table = json_of(said) if said.lstrip().startswith("{") else {}
    ran = json_of(found.get(RAN, ""))
    return (
        tables.easel(json_of(found.get(EASEL, "")))
        or tables.swarm(table)
        or tools.fooocus(table or json_of(found.get("Comment", "")))
        or tools.novelai(found)
        or infotext.parse(said)
        or tables.invoke(json_of(found.get(INVOKE, "")) or table)
        or tools.invoke_2(json_of(found.get(INVOKE_2, "")))
        or tools.dream(found.get(DREAM, ""))
        or tools.easy_diffusion(table or found)
        or comfy.parse(ran or table)
        or comfy.parse(json_of(found.get(DRAWN, "")))
        or tools.draw_things(found.get(XMP, ""))
        or tools.midjourney(found.get(DESCRIPTION, ""))
    )


def _as_texts(hidden: str) -> dict[str, str]:
    """A hidden text as if it stood in the file: NovelAI's is its own texts as JSON, A1111's an infotext."""
    table = json_of(hidden) if hidden.lstrip().startswith("{") else {}
    return {key: value for key, value in table.items() if isinstance(value, str)} or {A1111: hidden}
