"""What a picture shows and says of itself, with buttons to paint it. Pure: texts in, a fresh view out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import discord
from discord.ui import LayoutView, Section, TextDisplay, Thumbnail

from bot.kit.button import Button
from bot.kit.components import ACCENT, notice, row, view
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import N_, _
from bot.prompt.image_metadata import Parameters
from bot.prompt.text import shown

OFFERS = (Action.OFFER_1, Action.OFFER_2, Action.OFFER_3, Action.OFFER_4)
STRONG, WEAK = 0.6, 0.15  # of what the strongest word weighs
WORDS_SHOWN = 1200  # characters
PROMPT_SHOWN = 600  # characters each; a message holds 4,000
THUMBNAIL = "looked-at.webp"


def described(number: int, prompts: Sequence[str], said: Parameters | None = None) -> LayoutView:
    """Up to four prompts, each with the button that opens its form; first what the file itself says, if it does."""
    first = 2 if said else 1
    told = [_("**1.** What its file says:"), *_lines(said)] if said else []
    lines = [f"**{n}.** {shown(prompt, PROMPT_SHOWN)}" for n, prompt in enumerate(prompts, first)]
    seen = [_("**What the picture shows**"), *lines] if lines else []
    text = "\n".join([*told, *seen, _("-# A button opens the form of /imagine with its words.")])
    numbered = enumerate(OFFERS[: len(prompts) + first - 1], 1)
    buttons = [Button(ButtonId(action, number), str(n), emoji="🎨") for n, action in numbered]
    return view([_beside(text, _("The picture that is described")), row(*buttons)], ACCENT)


def parameters(number: int, said: Parameters, changes: Sequence[str]) -> LayoutView:
    """What the file says, what would be different here, and the buttons to paint it again."""
    parts: list[discord.ui.Item[LayoutView]] = [_beside("\n".join(_lines(said)), _("The picture whose file was read"))]
    if changes:
        parts.append(TextDisplay("\n".join([_("**Run here**"), *(f"- {shown(change, 300)}" for change in changes)])))
    again = Button(ButtonId(Action.RERUN, number), _("Run it again"), style=discord.ButtonStyle.primary, emoji="🔁")
    change = Button(ButtonId(Action.OFFER_1, number), _("Change it first"), emoji="🎛️")
    parts.append(row(*([again] if said.prompt else []), change))
    return view(parts, ACCENT)


def _beside(text: str, description: str) -> Section[LayoutView]:
    return Section(text, accessory=Thumbnail(f"attachment://{THUMBNAIL}", description=description))


def _lines(said: Parameters) -> Iterator[str]:
    yield _("**Made with {tool}**", tool=shown(said.tool, 40))
    if said.prompt:
        yield shown(said.prompt, 1200)
    if said.negative_prompt:
        yield _("**Without** {words}", words=shown(said.negative_prompt, 400))
    facts = [f"{name} **{shown(str(value), 80)}**" for name, value in _facts(said)]
    if facts:
        yield " · ".join(facts)
    loras = [("LoRA", f"{name} ({weight:g})") for name, weight in said.loras[:4]]
    others = [f"{shown(name, 30)} {shown(value, 60)}" for name, value in (*loras, *said.others[:8])]
    if others:
        yield f"-# {' · '.join(others)}"


def _facts(said: Parameters) -> Iterator[tuple[str, Any]]:
    named = (
        (_("steps"), said.steps),
        (_("guidance"), said.guidance),
        (_("sampler"), said.sampler),
        (_("seed"), said.seed),
        (_("size"), f"{said.width}x{said.height}" if said.width and said.height else None),
        (_("model"), said.model),
        (_("strength"), said.strength),
    )
    for name, value in named:
        if value not in (None, ""):
            yield name, f"{value:g}" if isinstance(value, float) else value


def shortened(number: int, weighed: Sequence[tuple[str, float]], shorter: Sequence[str]) -> LayoutView:
    """The words as they matter, strong ones bold and weak ones struck out, and shorter prompts with their buttons."""
    told = " ".join(_told(word, weight) for word, weight in weighed)
    lines = [f"**{n}.** {shown(prompt, PROMPT_SHOWN)}" for n, prompt in enumerate(shorter, 1)]
    shorter_ones = "\n".join(lines) or _("It's as short as can be.")
    text = f"## {_('Words that matter')}\n{told[:WORDS_SHOWN]}\n## {_('Shorter')}\n{shorter_ones}"
    buttons = [Button(ButtonId(action, number), f"{n}") for n, action in enumerate(OFFERS[: len(shorter)], 1)]
    return notice(text, *buttons)


def rewritten(number: int, wrote: str, *, paints: bool) -> LayoutView:
    """What a language model wrote, and the button that opens it in a form; an instruction is for /edit."""
    use = (
        N_("The button opens it in a form: change what you like, then paint.") if paints else N_("Use it in **/edit**.")
    )
    text = _("**Written for you**\n{words}\n-# {use}", words=shown(wrote, WORDS_SHOWN), use=_(use))
    return notice(
        text, *([Button(ButtonId(Action.OFFER_1, number), _("Change and paint"), emoji="🎨")] if paints else [])
    )


def _told(word: str, weight: float) -> str:
    if weight >= STRONG:
        return f"**{shown(word, 60)}**"
    return f"~~{shown(word, 60)}~~" if weight < WEAK else shown(word, 60)
