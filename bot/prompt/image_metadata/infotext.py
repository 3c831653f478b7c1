"""A1111's infotext: a prompt, `Negative prompt: ...`, and a last line of `Name: value` pairs (as Forge and Civitai)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from bot.languages.speech import _
from bot.prompt.image_metadata.records import MAX_OTHERS, MAX_TEXT, Parameters, name, number, whole, words

FACTS, NEGATIVE = "Steps: ", "Negative prompt:"
MAX_FACTS = 64
KNOWN = frozenset(
    {
        "steps",
        "sampler",
        "schedule type",
        "cfg scale",
        "seed",
        "size",
        "model",
        "denoising strength",
        "tiling",
        "hashes",
    }
)


def parse(text: str) -> Parameters | None:
    """What an infotext says; None when it is none."""
    lines = text[:MAX_TEXT].replace("\r\n", "\n").split("\n")
    last = next((at for at in range(len(lines) - 1, -1, -1) if lines[at].lstrip().startswith(FACTS)), None)
    if last is None:
        return None
    if " | Seed: " in lines[last]:  # SD.Next of 2023
        lines[last] = lines[last].replace(" | ", ", ")
        lines[0] = lines[0].removeprefix("prompt: ").removeprefix("Prompt: ")
    start = next((at for at in range(last) if lines[at].startswith(NEGATIVE)), last)
    negative = "\n".join(lines[start:last]).removeprefix(NEGATIVE)
    said = {key.casefold(): value for key, value in reversed([*pairs(lines[last])])}
    width, _, height = said.get("size", "").partition("x")
    return Parameters(
        tool=_tool(said),
        prompt=words("\n".join(lines[:start])),
        negative_prompt=words(negative),
        steps=whole(said.get("steps")),
        guidance=number(said.get("cfg scale")),
        sampler=_sampler(said),
        seed=whole(said.get("seed")),
        width=whole(width),
        height=whole(height),
        model=name(said.get("model", "")),
        strength=None if _second_pass(said) else number(said.get("denoising strength")),
        tiling=said.get("tiling") == "True",
        from_picture=("denoising strength" in said and not _second_pass(said)) or "controlnet 0" in said,
        left_out=tuple(_left_out(said)),
        others=tuple((key, value) for key, value in pairs(lines[last]) if key.casefold() not in KNOWN)[:MAX_OTHERS],
    )


def _tool(said: dict[str, str]) -> str:
    """Which of the programs that write infotexts; they name themselves in `App` or `Version`."""
    app, version = said.get("app", ""), said.get("version", "")
    if app:
        return app[:40]
    if version.startswith("f") and version[1:2].isdigit():  # f2.0.1v1.10.1
        return "Forge"
    named = next((each for each in ("Fooocus", "ComfyUI", "Easel", "neo") if version.startswith(each)), "")
    if named:
        return "Forge" if named == "neo" else named
    return "Civitai" if "civitai resources" in said else "A1111"


def _second_pass(said: dict[str, str]) -> bool:
    return "hires upscale" in said or "hires resize" in said or "hires upscaler" in said


def _left_out(said: dict[str, str]) -> Iterator[str]:
    """What A1111, Forge and SD.Next do besides, which isn't done here."""
    if _second_pass(said):
        if times := said.get("hires upscale"):
            yield _("the second pass to {times} times the size", times=times)
        else:
            yield _("the second pass to {size}", size=said.get("hires resize") or _("a larger size"))
    if said.get("refiner"):
        yield _("the refiner {name}", name=said["refiner"])
    if any(key.startswith("adetailer") for key in said):
        yield "ADetailer"
    for key, value in said.items():
        if key.startswith("controlnet ") and key.removeprefix("controlnet ").isdigit():
            model = re.search(r"[Mm]odel: ([^,]+)", value)
            yield _("the ControlNet {name}", name=model[1].strip() if model else value)[:120]
    if said.get("vae"):
        yield _("the VAE {name}", name=said["vae"])


def _sampler(said: dict[str, str]) -> str:
    schedule = said.get("schedule type", "")
    plain = schedule.casefold() in ("", "automatic", "normal", "uniform")
    return name(said.get("sampler", "") if plain else f"{said.get('sampler', '')} {schedule}")


def pairs(line: str) -> Iterator[tuple[str, str]]:
    """`Name: value, Name: "value, in quotes"`; each character is looked at once."""
    at = 0
    for _fact in range(MAX_FACTS):
        colon = line.find(":", at)
        if colon < 0:
            return
        key, at = line[at:colon].strip(), colon + 1
        while line[at : at + 1] == " ":
            at += 1
        value, at = _quoted(line, at) if line[at : at + 1] == '"' else _object(line, at)
        comma = line.find(",", at)
        end = len(line) if comma < 0 else comma
        yield words(key, 60), words(value or line[at:end], 400)
        at = end + 1


def _object(line: str, start: int) -> tuple[str, int]:
    """A JSON object and where it ends, as `Hashes` has one; ("", start) when there is none."""
    if line[start : start + 1] != "{":
        return "", start
    end = line.find("}", start) + 1  # none of them is nested
    return (line[start:end], end) if end else ("", start)


def _quoted(line: str, start: int) -> tuple[str, int]:
    """A JSON string and where it ends; ("", start) when it is not closed or none."""
    at = start + 1
    while at < len(line) and line[at] != '"':
        at += 2 if line[at] == "\\" else 1
    if at >= len(line):
        return "", start
    try:
        value = json.loads(line[start : at + 1])
    except ValueError:
        return "", start
    return str(value), at + 1
