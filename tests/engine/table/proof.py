"""What the engine does with a small model of a family, tried: the row of docs/models.md's table that says so."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
from PIL import Image

from engine import (
    Blend,
    Edit,
    Engine,
    EngineError,
    Img2Img,
    Inpaint,
    ModelUnloadable,
    Outpaint,
    Preview,
    Txt2Img,
    Upscale,
)
from engine.api.model_info import ModelInfo
from engine.models import signatures

DOCS = Path(__file__).parents[3] / "docs" / "models.md"
BEGIN, END = "<!-- what the tests proved: tests/engine/table -->\n", "<!-- that was it -->"
HEAD = (
    "| in diffusers' table | does | shares steps | shows the way | guidance, what isn't wanted | LoRAs |\n"
    "|---|---|---|---|---|---|\n"
)
ORDER = ("txt2img", "img2img", "inpaint", "outpaint", "upscale", "blend", "edit")
PICTURE = Image.effect_noise((64, 64), 80).convert("RGB")
MASK = Image.new("L", (64, 64))
MASK.paste(255, (16, 16, 48, 48))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was seen of one family; `refused`: the sentence, where it can't be used at all."""

    name: str
    tasks: tuple[str, ...] = ()
    joined: bool = False
    previews: bool = False
    guided: bool = False
    unwanted: bool = False
    loras: bool = False
    refused: str = ""

    def told(self) -> str:
        if self.refused:
            return f"| {self.name} | refused: {self.refused} | | | | |"
        words = " and ".join(what for what, does in (("both", self.guided and self.unwanted),) if does)
        heard = words or ("guidance" if self.guided else "what isn't wanted" if self.unwanted else "neither")
        cells = (self.name, ", ".join(self.tasks), *map(_yes, (self.joined, self.previews)), heard, _yes(self.loras))
        return f"| {' | '.join(cells)} |"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def requests(info: ModelInfo) -> dict[str, Txt2Img]:
    """One for each task, small and short."""
    side = max(64, info.multiple_px)
    unwanted = "a dog" if info.negative_prompts else ""  # no words at all are no tokens to a tokenizer this small
    facts: dict[str, Any] = {
        "prompt": "a red boat",
        "negative_prompt": unwanted,
        "seed": 7,
        "num_inference_steps": 2,
    }
    size = {"width": side, "height": side}
    made: dict[str, Txt2Img] = {
        "txt2img": Txt2Img(**{**facts, "num_inference_steps": 5}, **size),
        "img2img": Img2Img(**facts, **size, init_image=PICTURE, strength=0.7),
        "inpaint": Inpaint(**facts, init_image=PICTURE, mask=MASK),
        "outpaint": Outpaint(**facts, init_image=PICTURE, right=32),
        "upscale": Upscale(**facts, init_image=PICTURE.crop((0, 0, 32, 32)), mode="creative"),
        "blend": Blend(**facts, **size, images=(PICTURE, PICTURE.rotate(90))),
        "edit": Edit(**facts, **size, images=(PICTURE,)),
    }
    assert info.tasks <= set(ORDER)
    return {task: made[task] for task in ORDER if task in info.tasks}


async def proven(name: str, folder: Path) -> Row:
    """Try all that a model of that folder offers; whatever fails, fails the test."""
    try:
        engine = Engine(str(folder), mode="fast")
        info = engine.models()[0]
    except (ModelUnloadable, IndexError):
        return Row(name=name, refused=_reason(folder))
    async with engine:
        painted, seen = [], False
        for task, request in requests(info).items():
            events = [event async for event in engine.submit(request)]
            failed = next((event.error for event in events if hasattr(event, "error")), None)
            assert failed is None, f"{name} {task}: {failed}"
            seen = seen or any(isinstance(event, Preview) for event in events)
            painted.append(task)
        joined = await _joins(engine, info)
    kind = json.loads((folder / "model_index.json").read_text())["_class_name"]
    known = signatures.of(kind)
    assert known is not None
    return Row(
        name=name,
        tasks=tuple(task for task in ORDER if task in painted),
        joined=joined,
        previews=seen,
        guided=bool(info.guided_by),
        unwanted=info.negative_prompts,
        loras=hasattr(getattr(diffusers, kind), "load_lora_weights"),
    )


async def _joins(engine: Engine, info: ModelInfo) -> bool:
    """Whether two jobs of different steps and seeds shared a pass."""
    if "txt2img" not in info.tasks:
        return False
    one = requests(info)["txt2img"]
    tickets = [engine.submit(one, user="a"), engine.submit(Txt2Img(**_like(one)), user="b")]
    for ticket in tickets:
        await ticket.result()
    return (await engine.inspect()).forwards["denoise"].most_joined > 1


def _like(request: Txt2Img) -> dict[str, Any]:
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": 9,
        "num_inference_steps": 4,
        "width": request.width,
        "height": request.height,
    }


def _reason(folder: Path) -> str:
    from engine.models import catalog

    with contextlib.suppress(ModelUnloadable):
        catalog.describe(catalog.source("x", str(folder)))
        return ""
    try:
        catalog.describe(catalog.source("x", str(folder)))
    except EngineError as error:
        return str(error.facts.get("reason", error))
    return ""


def written() -> Mapping[str, str]:
    """The rows that the document has, by family."""
    text = DOCS.read_text(encoding="utf-8")
    rows = text.partition(BEGIN)[2].partition(END)[0].removeprefix(HEAD).splitlines()
    return {match[1]: row for row in rows if (match := re.match(r"\| ([\w-]+) \|", row))}


def write(rows: Mapping[str, str]) -> None:
    """Put rows into the document."""
    text = DOCS.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    table = HEAD + "\n".join({**written(), **rows}[name] for name in sorted({**written(), **rows})) + "\n"
    DOCS.write_text(before + BEGIN + table + END + rest.partition(END)[2], encoding="utf-8")
