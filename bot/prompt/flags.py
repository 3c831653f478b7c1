"""The flags of the prompt line: their names, and reading their values as numbers with a range. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from unicodedata import normalize

from bot.errors import BadInput
from bot.languages.speech import N_, _, later
from bot.prompt import foreign
from bot.prompt.numbers import read_number
from bot.prompt.text import quoted
from engine.tasks.txt2img import MAX_IMAGES, MAX_RATIO, MAX_SEED, MAX_SIDE_PX, MAX_STEPS

MIN_SIDE_PX = 64
RANDOM = -1  # the seed that stands for a new one
MAX_WEIRD = 3000  # Midjourney's
MAX_REPEAT = 16
MAX_VARY = 16
MAX_WORD_CHARS = 80
QUOTES = {'"': '"', "“": "”"}
_QUOTED = "\x00"  # wraps a value that stood in quotes; `visible` has removed every other control character


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: the Draft field it fills, and how its value is read.

    Attributes:
        takes: `word` (one word; what follows goes on with the prompt), `number` (one word, if it is a number or nothing
            follows it), `text` (up to the next flag), `nothing`.
        read: from the value to the Draft field; raises BadInput with the range.
        adds: several of the flag add up; otherwise the last one wins.
        note: what is said of a flag that fills nothing, for it comes from elsewhere.
    """

    name: str
    fills: str
    takes: str
    read: Callable[[str], Any]
    adds: Callable[[Any, Any], Any] | None = None
    note: str = ""


@dataclass(slots=True)
class Values:
    """The Draft fields said so far."""

    said: dict[str, Any] = field(default_factory=dict)

    def take(self, flag: Flag, raw: str) -> str:
        """Note a flag's value; returns the words after it, which belong to the prompt. Raises: BadInput."""
        value, rest = _split(flag, raw)
        if flag.note or (flag.name == "style" and value.lower() == "raw"):
            self._tell(_(flag.note or foreign.RAW, name=flag.name))
        else:
            self._fill(flag, flag.read(value))
        return rest

    def _tell(self, note: str) -> None:
        notes = self.said.setdefault("notes", ())
        if note not in notes:
            self.said["notes"] = (*notes, note)

    def _fill(self, flag: Flag, value: Any) -> None:
        if flag.adds and flag.fills in self.said:
            value = flag.adds(self.said[flag.fills], value)
        if flag.fills == "size":
            self.said.pop("aspect_ratio", None)
            self.said["width"], self.said["height"] = value
            return
        if flag.fills == "aspect_ratio":
            self.said.pop("width", None)
            self.said.pop("height", None)
        self.said[flag.fills] = value


def find(name: str) -> Flag:
    """The flag of a name or alias. Raises: BadInput naming it, with the nearest one that exists."""
    key = key_of(name)
    if key in FLAGS:
        return FLAGS[key]
    if key in foreign.REFUSED:
        raise BadInput(foreign.REFUSED[key], flag=name, name=key)
    near = get_close_matches(key[:MAX_WORD_CHARS], [*FLAGS, *_ALIASES], n=1, cutoff=0.55)
    if near:
        sentence = N_("There is no flag {named}. Did you mean --{near}? For plain dashes write `\\--`.")
    else:
        sentence = N_("There is no flag {named}. /help lists the flags. For plain dashes write `\\--`.")
    best = near[0] if near else ""
    raise BadInput(sentence, flag=name, meant=best, named=quoted(f"--{name}"), near=best)


def key_of(name: str) -> str:
    """A flag's own name for what was typed: its case, width and alias do not matter."""
    key = normalize("NFKC", name).lower().replace("_", "-").rstrip("-")
    return _ALIASES.get(key, key)


def is_known(name: str) -> bool:
    """Whether there is a flag of that name, here or at Midjourney."""
    key = key_of(name)
    return key in FLAGS or key in foreign.REFUSED


def name_end(line: str, at: int) -> int:
    """Where the flag's name that begins at `at` ends."""
    while at < len(line) and (line[at].isalnum() or line[at] in "-_"):
        at += 1
    return at


def mark(value: str) -> str:
    """Mark a value that stood in quotes."""
    return f"{_QUOTED}{value}{_QUOTED}"


def unquote_proof(text: str) -> str:
    """Guard a value that itself begins with a quote from being read as a quoted one."""
    bare = text.lstrip("\\")
    return f"\\{text}" if bare[:1] in QUOTES else text


def _split(flag: Flag, raw: str) -> tuple[str, str]:
    """A flag's value, and the prompt's words after it."""
    raw = raw.removeprefix("=") if not raw.startswith("= ") else raw[2:]
    if _QUOTED in raw:
        _, value, rest = raw.split(_QUOTED, 2)
        return value.strip(), rest
    raw = raw.strip()
    if flag.takes == "nothing":
        return "", raw.removeprefix(",")
    if flag.takes == "text":
        return _unguarded(raw), ""
    word, _, rest = raw.partition(" ")
    value = normalize("NFKC", word).rstrip(",;")
    if flag.takes == "number" and rest and read_number(value) is None:
        return "", raw
    if rest and not any(char.isalpha() for char in rest):
        raise BadInput("--{name} takes one value, not {raw}.", flag=flag.name, name=flag.name, raw=quoted(raw))
    return value, rest


def _unguarded(text: str) -> str:
    bare = text.lstrip("\\")
    return text[1:] if text.startswith("\\") and bare[:1] in QUOTES else text


# ---------------------------------------------------------------- values
def _bad(name: str, takes: str, value: str, **facts: Any) -> BadInput:
    """`takes`: what it takes, with the names of `facts` in braces."""
    if not value:
        return BadInput("--{name} needs a value: {takes}.", flag=name, name=name, takes=later(_, takes, **facts))
    told = later(_, takes, **facts)
    return BadInput("--{name} takes {takes}, not {value}.", flag=name, name=name, takes=told, value=quoted(value))


def _whole(name: str, low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        number = _digits(value)
        if number is None or not low <= number <= high:
            raise _bad(name, N_("a whole number from {low:,} to {high:,}"), value, low=low, high=high)
        return number

    return read


def _digits(value: str) -> int | None:
    """A plain whole number; `int` alone would take ' ٣', '1_0' and a million digits."""
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 12 else None


def _seed(value: str) -> int:
    """A seed; -1 or `random` asks for a new one. Raises: BadInput."""
    if value.lower() in ("-1", "random", "rand"):
        return RANDOM
    return _whole("seed", 0, MAX_SEED)(value)


def _chaos(value: str) -> int:
    return _whole("chaos", 0, 100)(value)


def _weird(value: str) -> float:
    """Midjourney's weirdness as a share. Raises: BadInput."""
    return round(_whole("weird", 0, MAX_WEIRD)(value) / MAX_WEIRD, 6)


def _quality(value: str) -> float:
    """Midjourney's quality as a share of the model's own steps. Raises: BadInput."""
    number = read_number(value)
    if number is None or not 0.1 <= number <= 4:
        raise _bad("quality", N_("a number from 0.25 to 4, such as 0.5"), value)
    return round(number, 4)


def _image_weight(value: str) -> float:
    """Midjourney's image weight as a strength: the heavier the picture, the less is repainted. Raises: BadInput."""
    number = read_number(value)
    if number is None or number > 3:
        raise _bad("iw", N_("a number from 0 to 3, such as 1.5"), value)
    return round(1 / (1 + number), 4)


def _reference(name: str, use: str) -> Callable[[str], tuple[tuple[str, str], ...]]:
    """A picture of Easel's, or a server's style from pictures, that is read as words are. Raises: BadInput."""

    def read(value: str) -> tuple[tuple[str, str], ...]:
        picture = value.partition(AT)[0]
        if not _OWN_PICTURE.fullmatch(picture) and not LOOK.fullmatch(picture.casefold()):
            raise BadInput(
                "--{name} takes a job's number such as 12.3, a message's link, or a style of `/style codes`. Attach "
                "any other picture with `/imagine reference:`.",
                name=name,
            )
        return ((use, value),)

    return read


def _reference_weight(name: str, use: str) -> Callable[[str], tuple[tuple[str, float], ...]]:
    """Midjourney's weight, 100 as usual, as an IP-Adapter's: 1 as usual, 2 at most. Raises: BadInput."""

    def read(value: str) -> tuple[tuple[str, float], ...]:
        return ((use, round(max(0.01, min(2.0, _whole(name, 0, 1000)(value) / 100)), 4)),)

    return read


def read_guidance(value: str) -> float:
    """Guidance, 0 to 30. Raises: BadInput."""
    number = read_number(value)
    if number is None or number > 30:
        raise _bad("cfg", N_("a number from 0 to 30, such as 7.5"), value)
    return round(number, 4)


def read_strength(value: str) -> float:
    """Strength, 0.01 to 1. Raises: BadInput."""
    number = read_number(value)
    if number is None or not 0.01 <= number <= 1:
        raise _bad("strength", N_("a number from 0.01 to 1, such as 0.6"), value)
    return round(number, 4)


def read_ratio(value: str) -> tuple[float, float]:
    """An aspect ratio `W:H`. Raises: BadInput."""
    parts = [read_number(part) for part in value.lower().replace("x", ":").replace("/", ":").split(":")]
    if len(parts) != 2 or not all(parts):
        raise _bad("ar", N_("a ratio such as 3:2 or 16:9"), value)
    wide, high = parts[0] or 1.0, parts[1] or 1.0
    if not 1 / MAX_RATIO <= wide / high <= MAX_RATIO:
        raise _bad("ar", N_("a ratio from 1:4 to 4:1"), value)
    return wide, high


def read_size(value: str) -> tuple[int, int]:
    """A size in pixels, `WxH` or one number for a square. Raises: BadInput."""
    parts = [_digits(part) for part in value.lower().replace("×", "x").replace("*", "x").split("x")]
    sides = [part for part in parts if part is not None and MIN_SIDE_PX <= part <= MAX_SIDE_PX]
    if not len(sides) == len(parts) <= 2:
        takes = N_("pixels such as 768x512, or one number for a square, {low} to {high:,} a side")
        raise _bad("size", takes, value, low=MIN_SIDE_PX, high=MAX_SIDE_PX)
    return sides[0], sides[-1]


def _vary(value: str) -> tuple[tuple[int, float], ...]:
    """One step of a variation, `SEED:STRENGTH`."""
    seed, _, strength = value.partition(":")
    number, share = _digits(seed), read_number(strength)
    if number is None or number > MAX_SEED or share is None or share > 1:
        raise _bad("vary", N_("a seed and a strength from 0 to 1, such as 123:0.15"), value)
    return ((number, round(share, 4)),)


def _chain(old: tuple[tuple[int, float], ...], new: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    if len(old) >= MAX_VARY:
        raise BadInput("--vary can be used at most {max_vary} times. Start from a picture instead.", max_vary=MAX_VARY)
    return old + new


def _words(name: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if not value:
            raise _bad(name, N_("what must not be in the picture, such as text, people"), "")
        return value

    return read


def _name(name: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if not 0 < len(value) <= MAX_WORD_CHARS:
            raise _bad(name, N_("a name; the command's own option lists them"), value)
        return value

    return read


def _styles(value: str) -> tuple[str, ...]:
    """Names of styles, `ink,gold`; `none` = no style, not even the server's own. Whether they exist is asked later."""
    if not value:
        raise _bad("style", N_("a name, or several as ink,gold; /style lists them"), "")
    names = tuple(name.lower() for name in value.split(",") if name)
    return () if names == ("none",) else names


_OWN_PICTURE = re.compile(r"#?\d{1,15}(?:\.\d{1,2})?|https://[\w.]*discord(?:app)?\.com/channels/\S{1,80}")
AT = "@"  # between a reference and the part of the picture that it's for
LOOK = re.compile(r"[a-z][a-z0-9-]{0,29}")  # the name of a server's style from pictures, or its code

FLAGS = {
    flag.name: flag
    for flag in (
        Flag("ar", "aspect_ratio", "word", read_ratio),
        Flag("size", "size", "word", read_size),
        Flag("seed", "seed", "word", _seed),
        Flag("no", "negative_prompt", "text", _words("no"), lambda old, new: f"{old}, {new}"),
        Flag("steps", "num_inference_steps", "word", _whole("steps", 1, MAX_STEPS)),
        Flag("cfg", "guidance_scale", "word", read_guidance),
        Flag("scheduler", "scheduler", "text", _name("scheduler")),
        Flag("model", "model", "word", _name("model")),
        Flag("strength", "strength", "word", read_strength),
        Flag("repeat", "repeat", "word", _whole("repeat", 1, MAX_REPEAT)),
        Flag("tile", "tiling", "nothing", lambda _value: True),
        Flag("n", "num_images", "word", _whole("n", 1, 4)),
        Flag("best", "best_of", "word", _whole("best", 1, MAX_IMAGES)),
        Flag("vary", "variations", "word", _vary, _chain),
        Flag("style", "style", "word", _styles, lambda old, new: (*old, *new)),
        Flag("plain", "plain", "nothing", lambda _value: True),
        Flag("chaos", "chaos", "word", _chaos),
        Flag("weird", "weird", "word", _weird),
        Flag("stop", "stop_at", "word", lambda value: _whole("stop", 10, 100)(value) / 100),
        Flag("quality", "quality", "word", _quality),
        Flag("draft", "board", "nothing", lambda _value: True),
        Flag("iw", "strength", "word", _image_weight),
        Flag("sref", "references", "word", _reference("sref", "style"), lambda old, new: (*old, *new)),
        Flag("oref", "references", "word", _reference("oref", "all"), lambda old, new: (*old, *new)),
        Flag("sw", "reference_weights", "word", _reference_weight("sw", "style"), lambda old, new: (*old, *new)),
        Flag("ow", "reference_weights", "word", _reference_weight("ow", "all"), lambda old, new: (*old, *new)),
        Flag("stealth", "private", "nothing", lambda _value: True),
        Flag("public", "private", "nothing", lambda _value: False),
        *(Flag(name, "", habit.takes, str, note=habit.note) for name, habit in foreign.NOTED.items()),
    )
}
_ALIASES = {
    "aspect": "ar",
    "negative": "no",
    "guidance": "cfg",
    "cfg-scale": "cfg",
    "sampler": "scheduler",
    "r": "repeat",
    "images": "n",
    "best-of": "best",
    "c": "chaos",
    "q": "quality",
    "s": "stylize",
    "version": "v",
    "p": "profile",
    "w": "weird",
}
