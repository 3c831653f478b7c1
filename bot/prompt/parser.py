"""The prompt line: words, `--flags` and `{a, b}` permutations in, drafts out, and back. Pure; knows no Discord.

Linear time by construction: each stage walks the line once, left to right, and nothing backtracks.

    line -> permutations (count, then expand) -> _scan (prompt and flags) -> flags (values) -> Draft
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from random import Random

from bot.errors import BadInput
from bot.languages.speech import N_, _, later
from bot.prompt import flags, foreign, permutations, word_lists
from bot.prompt.numbers import decimal
from bot.prompt.spec import Spec
from bot.prompt.text import is_blank, visible
from engine.api.model_info import ModelInfo
from engine.tasks.txt2img import MAX_SEED

MAX_LINE_CHARS = 12_000  # an echoed line of the longest prompt, everything escaped, still fits
MAX_PROMPT_CHARS = 4_000  # a text input of Discord
MAX_NEGATIVE_CHARS = 1_000
MAX_JOBS = 16
GRID = 4  # pictures of a job unless it says otherwise
_CHANCE = Random()  # which colour a boat has is no secret, and seeding one for each line takes longer than reading it
_MARK = re.compile(r"[\\—–－-]")  # where a flag or an escape may begin; one class, so the search cannot backtrack


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person asked for; None = not said. `bot.orders.drafts.resolve` makes it whole.

    Attributes:
        aspect_ratio: width and height as a proportion. width, height: pixels; they and it replace each other.
        style: names of the server's styles, the first one innermost; () = none, not even the server's own.
        plain: neither one's settings nor the server's defaults hold.
        variations: chain of (seed, strength). repeat: jobs of the same draft; `parse` has multiplied it out.
        chaos: 0 to 100, how far the pictures are from each other. quality: a share of the model's own steps.
        weird: 0 to 1, how unusual the noise is. stop_at: 0.1 to 1, the share of the steps that are made.
        board: many small pictures to pick from.
        references: pictures that are read as words are, each its use and where it is; reference_weights: by use.
        private: whether only the member sees the result. notes: sentences about what was left out.
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
    chaos: int | None = None
    quality: float | None = None
    board: bool | None = None
    weird: float | None = None
    stop_at: float | None = None
    references: tuple[tuple[str, str], ...] | None = None
    reference_weights: tuple[tuple[str, float], ...] | None = None
    private: bool | None = None
    notes: tuple[str, ...] | None = None


def parse(
    line: str,
    options: Draft | None = None,
    *,
    wordless: bool = False,
    rng: Random | None = None,
    lists: word_lists.Lists | None = None,
) -> list[Draft]:
    """The jobs a line asks for, flags laid over the slash command's `options`; at least one, at most MAX_JOBS.

    `wordless` allows a prompt without words, as an edit's may be. `rng` draws the random choices; `lists` are the word
    lists that may be named, from which each job's own seed draws.
    Raises: BadInput naming the flag or brace that cannot be used, or the count when it is above MAX_JOBS.
    """
    try:
        rng = rng or _CHANCE
        return [drawn(draft, lists, rng) for draft in _parsed(_fitting(line), options or Draft(), wordless, rng)]
    except BadInput as error:
        _offer_ways(error, line)
        raise


def _parsed(line: str, options: Draft, wordless: bool, rng: Random) -> list[Draft]:
    total = permutations.count(line)
    if total > MAX_JOBS:
        raise _too_many(total)
    drafts = [checked(merge(options, _read(text)), wordless) for text in permutations.expand(line, rng)]
    total = sum(draft.repeat or 1 for draft in drafts)
    if total > MAX_JOBS:
        raise _too_many(total)
    if not permutations.has_random(line) or total == len(drafts):
        return [each for draft in drafts for each in _repeated(draft)]
    jobs = [list(_repeated(draft)) for draft in drafts]
    for turn in range(1, max(map(len, jobs))):  # every repeat has its own draw
        for mine, text in zip(jobs, permutations.expand(line, rng), strict=False):
            if turn < len(mine):
                drawn = checked(merge(options, _read(text)), wordless)
                mine[turn] = replace(drawn, repeat=None, seed=mine[turn].seed)
    return [each for mine in jobs for each in mine]


def _offer_ways(error: BadInput, line: str) -> None:
    """Say which lines would work where a flag is to blame."""
    if error.flag:
        line = visible(line)
        error.without = _edited(line, error.flag, "")
        error.instead = _edited(line, error.flag, error.meant) if error.meant else None
    elif error.foreign:
        error.without = foreign.simplified(visible(line))


def _edited(line: str, name: str, instead: str) -> str:
    """The line without the flag `name`, or with another name in its place."""
    kept: list[str] = []
    for start, name_end, end in _stretches(line):
        head, rest = line[start:name_end], line[name_end:end]
        if name_end == start or flags.key_of(head.lstrip("-—–－")) != flags.key_of(name):
            kept.append(line[start:end])
        elif instead:
            kept.append(f"--{instead}{rest}")
        elif len(rest.split()) > 1:  # words that a misread flag would have swallowed
            kept.append(f" {rest.strip()}")
    return " ".join("".join(kept).split())


def count(line: str) -> int:
    """How many jobs a line asks for, without making them. Raises: BadInput as `parse`, except for a high count."""
    line = _fitting(line)
    variants = permutations.count(line)
    if variants > MAX_JOBS:
        return variants
    return sum(_read(text).repeat or 1 for text in permutations.expand(line, Random(0)))


def merge(options: Draft, text: Draft) -> Draft:
    """Lay the text's flags over the options: the text wins, negative prompts add up, a ratio and a size exclude."""
    said = {f.name: value for f in fields(Draft) if (value := getattr(text, f.name)) not in (None, "")}
    if text.negative_prompt and options.negative_prompt:
        said["negative_prompt"] = f"{visible(options.negative_prompt)}, {text.negative_prompt}"
    if text.notes and options.notes:
        said["notes"] = tuple(dict.fromkeys((*options.notes, *text.notes)))
    if text.aspect_ratio or text.width or text.height:
        options = replace(options, aspect_ratio=None, width=None, height=None)
    return replace(options, **said)


def _fitting(line: str) -> str:
    if len(line) > MAX_LINE_CHARS:
        raise BadInput(
            "This line has {count_line:,} characters; the limit is {max_prompt_chars:,}. Shorten it a little.",
            count_line=len(line),
            max_prompt_chars=MAX_PROMPT_CHARS,
        )
    return visible(line)


def _too_many(total: int) -> BadInput:
    number: object = (
        f"{total:,}" if total < permutations.MANY else later(_, N_("more than {many:,}"), many=permutations.MANY)
    )
    return BadInput(
        "This line asks for {number} jobs; the limit is {max_jobs} at once. Remove a few choices.",
        number=number,
        max_jobs=MAX_JOBS,
    )


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


def _stretches(line: str) -> Iterator[tuple[int, int, int]]:
    """Where each stretch of the line begins, its flag's name ends (at the beginning, if it has none), and it ends.

    No value is read. Stretches lie one behind the other.
    """
    start = name_end = at = 0
    while at < len(line):
        if _escapes_flag(line, at):
            at += 1 + _head(line, at + 1)
        elif head := _flag_head(line, at):
            yield start, name_end, at
            start, name_end = at, flags.name_end(line, at + head)
            at = max(name_end, at + head)
        else:
            following = _MARK.search(line, at + 1)
            at = following.start() if following else len(line)
    yield start, name_end, len(line)


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


def has_flags(text: str) -> bool:
    """Whether a text would be read as more than words. Raises: BadInput for a flag that isn't known."""
    return any(flag is not None for flag, _ in _scan(text))


def _head(line: str, at: int) -> int:
    """Length of the dashes that would begin a flag at `at`: `--x`, `—x`, `–x` (phones turn -- into those), else 0."""
    dashes = 2 if line.startswith(("--", "－－"), at) else 1 if line[at : at + 1] in ("—", "–") else 0
    follower = line[at + dashes : at + dashes + 1]
    plain = unicodedata.normalize("NFKC", follower)
    return dashes if dashes and follower.isalpha() and plain.isascii() and plain.isalpha() else 0


def _flag_head(line: str, at: int) -> int:
    """As `_head`, but 0 inside a word (`well--known`, `1990—today`) and where the dash is one of prose."""
    before = line[at - 1 : at] if at else ""
    if before.isalnum() or before in ("-", "—", "–", "－"):
        return 0
    head = _head(line, at)
    return 0 if head and _is_prose(line, at + head, single=head == 1) else head


def _is_prose(line: str, name_at: int, *, single: bool) -> bool:
    """Whether the dash before `name_at` opens an aside, as in `a cat —no, a tiger— in the rain`.

    An aside is closed by a dash at the end of a word. A single dash begins a flag only before a name that there is.
    """
    name_end = flags.name_end(line, name_at)
    after = line[name_end : name_end + 1]
    if after == "=":
        return False
    if single and (after not in ("", " ") or not flags.is_known(line[name_at:name_end])):
        return True
    closing = _MARK.search(line, name_end)
    if closing is None or closing.group() == "\\" or line[closing.start() - 1].isspace():
        return False
    at = closing.start()
    width = 1 if closing.group() in ("—", "–") else 2 if line.startswith(("--", "－－"), at) else 0
    beyond = line[at + width : at + width + 1]
    return width > 0 and not (beyond.isalnum() or beyond in ("-", "=", '"', "“"))


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
        raise BadInput(
            "The quote after --{name} isn't closed. Add {closing} at its end, or remove both.",
            name=flag.name,
            closing=closing,
        )
    return end + 1, flags.mark(line[start + 1 : end])


def checked(draft: Draft, wordless: bool = False) -> Draft:
    """The draft, if its words can be painted. Raises: BadInput."""
    if is_blank(draft.prompt) and not wordless:
        raise BadInput("There's nothing to paint yet. Describe a picture, such as 'a red boat under a yellow moon'.")
    for what, text, most in (
        (N_("The prompt"), draft.prompt, MAX_PROMPT_CHARS),
        (N_("The negative prompt"), draft.negative_prompt or "", MAX_NEGATIVE_CHARS),
    ):
        if len(text) > most:
            long = N_("{what} has {count:,} characters; the limit is {most:,}. Shorten it.")
            raise BadInput(long, what=later(_, what), count=len(text), most=most)
    foreign.check(draft.prompt)
    if draft.seed == flags.RANDOM:
        draft = replace(draft, seed=None)
    weighed = foreign.weighed(draft.prompt)
    if weighed is not None:
        words, against = weighed
        if is_blank(words):
            raise BadInput("Every part of this prompt has a weight below zero. Say what the picture should show.")
        without = ", ".join(filter(None, (draft.negative_prompt, against)))
        draft = replace(draft, prompt=words, negative_prompt=without or None)
    return draft


def drawn(draft: Draft, lists: word_lists.Lists | None = None, rng: Random = _CHANCE) -> Draft:
    """The draft with words of the lists it names, drawn by its seed, which it gets if need be. Raises: BadInput."""
    texts = draft.prompt, draft.negative_prompt or ""
    if not any(map(word_lists.has_draws, texts)):
        seed = draft.seed
    else:
        seed = rng.randrange(MAX_SEED + 1) if draft.seed is None else draft.seed
    prompt, negative = (word_lists.draw(text, lists or {}, seed or 0) for text in texts)
    return replace(draft, prompt=prompt, negative_prompt=negative or draft.negative_prompt, seed=seed)


# ---------------------------------------------------------------- back to a line
def echo(spec: Spec, info: ModelInfo | None = None, default_model: str = "", hidden: Sequence[str] = ()) -> str:
    """The line that gives the same job again; an input picture has to be attached again.

    What equals the default of the model `info` is left out, the model itself when it is `default_model`, and the flags
    that are `hidden`.
    """
    parts = [plain(spec.prompt)]
    if board := spec.is_board:
        spec = spec.evolve(width=spec.full_size[0], height=spec.full_size[1])
    if negative := spec.negative_prompt:  # with `=`, no dash in it can be one of prose
        between = "=" if _MARK.search(negative) else " "
        parts.append(f"--no{between}{plain(flags.unquote_proof(negative))}")
    parts += [f"--vary {seed}:{decimal(strength)}" for seed, strength in spec.variations]
    parts += [f"--{name} {value}" for name, value in _unusual(spec, info, default_model) if name not in hidden]
    parts += ["--tile"] if spec.tiling else []
    parts += ["--draft"] if board else []
    return " ".join(parts)


def _unusual(spec: Spec, info: ModelInfo | None, default_model: str) -> Iterator[tuple[str, str]]:
    """Flags with their values, where they differ from what would be filled in."""
    if info is None or (spec.width, spec.height) != (info.width, info.height) or spec.init_image:
        yield "size", f"{spec.width}x{spec.height}"
    yield "seed", str(spec.seed)
    if info is None or spec.num_inference_steps != info.num_inference_steps:
        yield "steps", str(spec.num_inference_steps)
    if info is None or spec.guidance_scale != info.guidance_scale:
        yield "cfg", decimal(spec.guidance_scale)
    if info is None or spec.scheduler != info.scheduler:
        yield "scheduler", f'"{spec.scheduler}"' if " " in spec.scheduler else spec.scheduler
    if spec.model != default_model:
        yield "model", f'"{spec.model}"' if " " in spec.model else spec.model
    if spec.strength is not None:
        yield "strength", decimal(spec.strength)
    if spec.num_images != GRID and not spec.is_board:
        yield "n", str(spec.num_images)
    if spec.request.weird:
        yield "weird", str(round(spec.request.weird * flags.MAX_WEIRD))
    if spec.request.stop_at < 1:
        yield "stop", str(round(spec.request.stop_at * 100))
    if spec.best_of:
        yield "best", str(spec.best_of)


def plain(text: str) -> str:
    """Escape words so that they are read as words: no flag and no permutation begins in them."""
    pieces = [f"\\{char}" if _reads_as_flag(text, at) else char for at, char in enumerate(text)]
    return word_lists.escape(permutations.escape("".join(pieces)))


def _reads_as_flag(text: str, at: int) -> bool:
    """Whether a flag would begin here, or an escape of one would have begun before."""
    return _flag_head(text, at) > 0 or (text[at - 1 : at] == "\\" and _head(text, at) > 0)
