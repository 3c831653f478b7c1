"""The prompt line: words, `--flags` and `{a, b}` permutations in, drafts out, and back. Pure; knows no Discord.

Linear time by construction: each stage walks the line once, left to right, and nothing backtracks.

    line -> permutations (count, then expand) -> _scan (prompt and flags) -> flags (values) -> Draft
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from bot.errors import BadInput
from bot.prompt import flags, permutations
from bot.prompt.spec import Spec
from bot.prompt.text import is_blank, quoted, visible
from engine.api.model_info import ModelInfo
from engine.tasks.txt2img import MAX_SEED

MAX_LINE_CHARS = 12_000  # an echoed line of the longest prompt, everything escaped, still fits
MAX_PROMPT_CHARS = 4_000  # a text input of Discord
MAX_NEGATIVE_CHARS = 1_000
MAX_JOBS = 16
GRID = 4  # pictures of a job unless it says otherwise
_MARK = re.compile(r"[\\—–-]")  # where a flag or an escape may begin; one class, so the search cannot backtrack


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person asked for; None = not said. `bot.orders.drafts.resolve` makes it whole.

    Attributes:
        aspect_ratio: width and height as a proportion. width, height: pixels; they and it replace each other.
        style: names of the server's styles, the first one innermost; () = none, not even the server's own.
        plain: neither one's settings nor the server's defaults hold.
        variations: chain of (seed, strength). repeat: jobs of the same draft; `parse` has multiplied it out.
    """

    prompt: str = ""
    negative_prompt: str | None = None
    aspect_ratio: tuple[float, float] | None = None
    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    seed: int | None = None
    model: str | None = None
    strength: float | None = None
    tiling: bool | None = None
    repeat: int | None = None
    num_images: int | None = None
    best_of: int | None = None
    variations: tuple[tuple[int, float], ...] | None = None
    style: tuple[str, ...] | None = None
    plain: bool | None = None


def parse(line: str, options: Draft | None = None, *, wordless: bool = False) -> list[Draft]:
    """The jobs a line asks for, flags laid over the slash command's `options`; at least one, at most MAX_JOBS.

    `wordless` allows a prompt without words, as an edit's may be.
    Raises: BadInput naming the flag or brace that cannot be used, or the count when it is above MAX_JOBS.
    """
    base = options or Draft()
    drafts = [_checked(merge(base, draft), wordless) for draft in _variants(line)]
    total = sum(draft.repeat or 1 for draft in drafts)
    if total > MAX_JOBS:
        raise _too_many(total)
    return [each for draft in drafts for each in _repeated(draft)]


def count(line: str) -> int:
    """How many jobs a line asks for, without making them. Raises: BadInput as `parse`, except for a high count."""
    variants = permutations.count(_fitting(line))
    if variants > MAX_JOBS:
        return variants
    return sum(draft.repeat or 1 for draft in _variants(line))


def merge(options: Draft, text: Draft) -> Draft:
    """Lay the text's flags over the options: the text wins, negative prompts add up, a ratio and a size exclude."""
    said = {f.name: value for f in fields(Draft) if (value := getattr(text, f.name)) not in (None, "")}
    if text.negative_prompt and options.negative_prompt:
        said["negative_prompt"] = f"{visible(options.negative_prompt)}, {text.negative_prompt}"
    if text.aspect_ratio or text.width or text.height:
        options = replace(options, aspect_ratio=None, width=None, height=None)
    return replace(options, **said)


def _variants(line: str) -> Iterator[Draft]:
    """One draft for each permutation of the line. Raises: BadInput when there are too many."""
    line = _fitting(line)
    total = permutations.count(line)
    if total > MAX_JOBS:
        raise _too_many(total)
    return map(_read, permutations.expand(line))


def _fitting(line: str) -> str:
    if len(line) > MAX_LINE_CHARS:
        raise BadInput(
            f"This line has {len(line):,} characters; the limit is {MAX_PROMPT_CHARS:,}. Shorten it a little."
        )
    return visible(line)


def _too_many(total: int) -> BadInput:
    number = f"{total:,}" if total < permutations.MANY else f"more than {permutations.MANY:,}"
    return BadInput(f"This line asks for {number} jobs; the limit is {MAX_JOBS} at once. Remove a few choices.")


def _repeated(draft: Draft) -> Iterator[Draft]:
    """The draft's repeats; a fixed seed moves on by a grid each time, or every repeat would be the same picture."""
    for turn in range(draft.repeat or 1):
        seed = draft.seed
        if seed is not None:
            seed = (seed + turn * (draft.best_of or draft.num_images or GRID)) % (MAX_SEED + 1)
        yield replace(draft, repeat=None, seed=seed)


# ---------------------------------------------------------------- one line without permutations
def _read(line: str) -> Draft:
    """The draft of one expanded line. Raises: BadInput."""
    words: list[str] = []
    values = flags.Values()
    for flag, value in _scan(line):
        words.append(value if flag is None else values.take(flag, value))
    return Draft(prompt=" ".join(" ".join(words).split()), **values.said)


def _scan(line: str) -> Iterator[tuple[flags.Flag | None, str]]:
    """Stretches of the line: (None, prompt words) or (flag, the raw text up to the next flag)."""
    flag: flags.Flag | None = None
    text: list[str] = []
    at = 0
    while at < len(line):
        if _escapes_flag(line, at):
            head = _head(line, at + 1)
            text.append(line[at + 1 : at + 1 + head])
            at += 1 + head
        elif head := _flag_head(line, at):
            yield flag, "".join(text)
            name_end = flags.name_end(line, at + head)
            flag, text = flags.find(line[at + head : name_end]), []
            at, literal = _quoted_value(line, name_end, flag)
            text.append(literal)
        else:
            following = _MARK.search(line, at + 1)
            end = following.start() if following else len(line)
            text.append(line[at:end])
            at = end
    yield flag, "".join(text)


def _head(line: str, at: int) -> int:
    """Length of the dashes that would begin a flag at `at`: `--x`, `—x`, `–x` (phones turn -- into those), else 0."""
    dashes = 2 if line.startswith("--", at) else 1 if line[at : at + 1] in ("—", "–") else 0
    follower = line[at + dashes : at + dashes + 1]
    return dashes if dashes and follower.isascii() and follower.isalpha() else 0


def _flag_head(line: str, at: int) -> int:
    """As `_head`, but 0 inside a word: `well--known` and `1990—today` are words."""
    before = line[at - 1 : at] if at else ""
    return 0 if before.isalnum() or before in ("-", "—", "–") else _head(line, at)


def _escapes_flag(line: str, at: int) -> bool:
    return line[at] == "\\" and _head(line, at + 1) > 0


def _quoted_value(line: str, at: int, flag: flags.Flag) -> tuple[int, str]:
    """Where to go on, and the marked text of a value in quotes (`--no "a --b"`), in which nothing is special."""
    start = at + 1 if line[at : at + 1] == "=" else at
    start += line[start : start + 1] == " "
    closing = flags.QUOTES.get(line[start : start + 1])
    if closing is None:
        return at, ""
    end = line.find(closing, start + 1)
    if end < 0:
        raise BadInput(f"The quote after --{flag.name} isn't closed. Add {closing} at its end, or remove both.")
    return end + 1, flags.mark(line[start + 1 : end])


def _checked(draft: Draft, wordless: bool) -> Draft:
    """The draft, if its words can be painted. Raises: BadInput."""
    if is_blank(draft.prompt) and not wordless:
        raise BadInput("There's nothing to paint yet. Describe a picture, such as 'a red boat under a yellow moon'.")
    for what, text, most in (
        ("prompt", draft.prompt, MAX_PROMPT_CHARS),
        ("negative prompt", draft.negative_prompt or "", MAX_NEGATIVE_CHARS),
    ):
        if len(text) > most:
            raise BadInput(f"The {what} has {len(text):,} characters; the limit is {most:,}. Shorten it.")
    _check_multi_prompt(draft.prompt)
    return draft


def _check_multi_prompt(prompt: str) -> None:
    """Refuse Midjourney's `a::2 b`; `[from::0.5]` of A1111 and a `std::vector` are left alone. Raises: BadInput."""
    if "::" not in prompt:
        return
    depth = 0
    for at, char in enumerate(prompt):
        depth = depth + 1 if char == "[" else max(0, depth - 1) if char == "]" else depth
        if char == ":" and depth == 0 and prompt.startswith("::", at) and not prompt.startswith(":", at + 2):
            after = prompt[at + 2 : at + 3]
            if after in ("", " ", "-") or after.isdigit():
                word = prompt[:at].rsplit(maxsplit=1)[-1:] or ["word"]
                raise BadInput(
                    f"Weights with :: aren't supported. For more or less of something, write "
                    f"({quoted(word[0], 20)[1:-1]}:1.3)."
                )


# ---------------------------------------------------------------- back to a line
def echo(spec: Spec, info: ModelInfo | None = None, default_model: str = "", hidden: Sequence[str] = ()) -> str:
    """The line that gives the same job again; an input picture has to be attached again.

    What equals the default of the model `info` is left out, the model itself when it is `default_model`, and the flags
    that are `hidden`.
    """
    parts = [plain(spec.prompt)]
    parts += [f"--no {plain(flags.unquote_proof(spec.negative_prompt))}"] if spec.negative_prompt else []
    parts += [f"--vary {seed}:{flags.decimal(strength)}" for seed, strength in spec.variations]
    parts += [f"--{name} {value}" for name, value in _unusual(spec, info, default_model) if name not in hidden]
    parts += ["--tile"] if spec.tiling else []
    return " ".join(parts)


def _unusual(spec: Spec, info: ModelInfo | None, default_model: str) -> Iterator[tuple[str, str]]:
    """Flags with their values, where they differ from what would be filled in."""
    if info is None or (spec.width, spec.height) != (info.width, info.height) or spec.init_image:
        yield "size", f"{spec.width}x{spec.height}"
    yield "seed", str(spec.seed)
    if info is None or spec.num_inference_steps != info.num_inference_steps:
        yield "steps", str(spec.num_inference_steps)
    if info is None or spec.guidance_scale != info.guidance_scale:
        yield "cfg", flags.decimal(spec.guidance_scale)
    if info is None or spec.scheduler != info.scheduler:
        yield "scheduler", f'"{spec.scheduler}"' if " " in spec.scheduler else spec.scheduler
    if spec.model != default_model:
        yield "model", f'"{spec.model}"' if " " in spec.model else spec.model
    if spec.strength is not None:
        yield "strength", flags.decimal(spec.strength)
    if spec.num_images != GRID:
        yield "n", str(spec.num_images)
    if spec.best_of:
        yield "best", str(spec.best_of)


def plain(text: str) -> str:
    """Escape words so that they are read as words: no flag and no permutation begins in them."""
    pieces = [f"\\{char}" if _flag_head(text, at) else char for at, char in enumerate(text)]
    return permutations.escape("".join(pieces))
