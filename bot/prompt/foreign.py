"""What people know from other programs and nothing here carries out: told by name, never painted as words. Pure.

Sources: Midjourney's public list of parameters (docs.midjourney.com, "Parameter List", versions 5 to 8); A1111's wiki,
"Features".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.errors import BadInput
from bot.languages.speech import N_
from bot.prompt import word_lists
from bot.prompt.numbers import decimal
from bot.prompt.text import quoted


@dataclass(frozen=True, slots=True)
class Form:
    """A form of writing: how it is found, what is said, and what stands in its place to go on."""

    pattern: re.Pattern[str]
    sentence: str
    instead: str


FORMS = (
    Form(
        re.compile(r"<hypernet:[^<>]{0,200}>"),
        N_("Easel doesn't read {form}. A LoRA is written <lora:name:0.8>. Nothing was charged."),
        "",
    ),
)


def check(prompt: str) -> None:
    """Raises: BadInput naming the first form that would be painted as words; `without` is left to the parser."""
    for form in FORMS:
        found = form.pattern.search(prompt)
        if found:
            shown = found[0].strip()
            raise BadInput(form.sentence, foreign=True, form=f"`{_plain(shown)}`")


def simplified(line: str) -> str:
    """The line with plain words in the place of every such form."""
    for form in FORMS:
        line = form.pattern.sub(form.instead, line)
    line = word_lists.USE.sub(lambda use: use[0] if use[1] else use[2], line)
    return " ".join(line.split())


def _plain(text: str) -> str:
    """A short piece of a prompt inside a code span."""
    cut = "".join(char for char in text if char.isprintable() and char != "`")
    return cut if len(cut) <= 40 else quoted(cut)[1:-1]


# ---------------------------------------------------------------- Midjourney's flags
@dataclass(frozen=True, slots=True)
class Habit:
    """A flag that is taken and left out. `takes`: as in `bot.prompt.flags.Flag`; `note`: marked, with its {name}."""

    takes: str
    note: str


RAW = N_("`--style raw` has no effect here: these models add no look of their own.")
_PLAIN_RAW = N_("`--raw` has no effect here: these models add no look of their own.")
_MODEL = N_("`--{name}` has no effect here. Choose a model with `--model`; **/models** lists them.")
_SPEED = N_("`--{name}` has no effect here: there is one queue, and it's shared fairly.")
_SIZE = N_("`--{name}` has no effect here. Ask for pixels with `--size`, or press **Upscale** afterwards.")
_NOTHING_ADDED = N_("`--{name}` has no effect here. **Upscale (2x)** adds nothing to a picture.")
_CFG = N_("`--{name}` has no effect here. `--cfg` says how closely words are followed.")
NOTED = {
    "v": Habit("number", _MODEL),
    "niji": Habit("number", _MODEL),
    "fast": Habit("nothing", _SPEED),
    "relax": Habit("nothing", _SPEED),
    "turbo": Habit("nothing", _SPEED),
    "hd": Habit("nothing", _SIZE),
    "sd": Habit("nothing", _SIZE),
    "raw": Habit("nothing", _PLAIN_RAW),
    "stylize": Habit("number", _CFG),
    "profile": Habit("number", N_("`--profile` has no effect here. **/settings** keeps your own style.")),
    "uplight": Habit("nothing", _NOTHING_ADDED),
    "upbeta": Habit("nothing", _NOTHING_ADDED),
    "exp": Habit("number", _CFG),
}
"""What is taken, left out, and said."""

_REFERENCE = N_(
    "Easel doesn't know `--{name}`. `--sref` takes a picture's style and `--oref` its things, by a job's number such "
    "as 12.3 or a message's link; `/imagine reference:` takes an attachment."
)
_MOTION = N_("Easel paints still pictures, so `--{name}` can't be used.")
REFUSED = {
    **dict.fromkeys(("cref", "cw", "sv"), _REFERENCE),
    **dict.fromkeys(("video", "motion", "loop", "end", "bs"), _MOTION),
}
"""What would change the picture, so that leaving it out is asked first."""


# ---------------------------------------------------------------- Midjourney's weights
LEAST_WEIGHT, MOST_WEIGHT = 0.2, 2.0  # beyond, a text encoder's words fall apart
_PART_WEIGHT = re.compile(r"::(-?\d{1,4}(?:\.\d{1,4})?|-?\.\d{1,4})?(?=\s|,|$)")


def weighed(prompt: str) -> tuple[str, str] | None:
    """The words with weights around one, and what has a weight below zero; None where there are no such parts.

    A part's weight stands behind it, and is 1 if it says none. A1111's `[sea::0.5]` and `std::vector` are left alone.
    """
    if "::" not in prompt:
        return None
    parts = _weighed_parts(prompt)
    if len(parts) == 1 and parts[0][1] is None:
        return None
    parts_weighed = [(text, 1.0 if weight is None else weight) for text, weight in parts if text]
    against = ", ".join(text for text, weight in parts_weighed if weight < 0)
    wanted = [(text, weight) for text, weight in parts_weighed if weight > 0]
    if not wanted:
        return "", against
    usual = sum(weight for _, weight in wanted) / len(wanted)
    return ", ".join(_with_weight(text, weight / usual) for text, weight in wanted), against


def _weighed_parts(prompt: str) -> list[tuple[str, float | None]]:
    """Texts with the weights behind them; the last one may have none."""
    found: list[tuple[str, float | None]] = []
    depth = begin = at = 0
    while at < len(prompt):
        char = prompt[at]
        depth = depth + 1 if char == "[" else max(0, depth - 1) if char == "]" else depth
        weight = _PART_WEIGHT.match(prompt, at) if char == ":" and depth == 0 else None
        if weight:
            found.append((prompt[begin:at].strip(" ,"), float(weight[1]) if weight[1] else 1.0))
            begin = at = weight.end()
        else:
            at += 1
    rest = prompt[begin:].strip(" ,")
    return [*found, (rest, None)] if rest or not found else found


def _with_weight(text: str, weight: float) -> str:
    weight = round(min(MOST_WEIGHT, max(LEAST_WEIGHT, weight)), 2)
    return text if weight == 1 else f"({text}:{decimal(weight)})"
