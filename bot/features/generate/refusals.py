"""A refused /imagine: what was typed stays, with buttons that paint without what is to blame, or change it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import discord

from bot.errors import BadInput, NotFound, Refused, UserError
from bot.kit import error_messages, modals
from bot.kit.button import Button
from bot.kit.client import Client, Handler, Interaction
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import _
from bot.prompt import draft_json
from bot.prompt.parser import Draft
from bot.store.key_value_store import KeyValues
from engine.api.errors import EngineError
from engine.tasks.pictures import Use

LEAST_WEIGHT = 0.01  # of a reference that is there at all


class Services(Protocol):
    """What this module works with."""

    key_values: KeyValues


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was typed into /imagine; `private` None = not said; `sure`: whatever its words are.

    Attributes:
        image, source: the picture to start from. reference: one that is read as words are, as `use` and `weight` say.
        loras: tags that their option named.
    """

    text: str
    options: Draft
    loras: str = ""
    image: discord.Attachment | None = None
    source: str | None = None
    reference: discord.Attachment | None = None
    use: Use = "all"
    weight: float = 1.0
    private: bool | None = None
    sure: bool = False

    def with_reference(self, picture: discord.Attachment | None, use: Use, weight: float) -> Line:
        """With a picture that is read as words are."""
        return replace(self, reference=picture, use=use, weight=round(weight, 4) or LEAST_WEIGHT)


OFFERS = (Action.LINE_OFFER_1, Action.LINE_OFFER_2, Action.LINE_OFFER_3)
Paint = Callable[[Interaction, Line], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """A line that was refused; `ways`: the lines that would work, by the button that takes them."""

    line: Line
    ways: dict[str, str] = field(default_factory=dict)


def install(client: Client, app: Services, paint: Paint) -> None:
    """Register the buttons under a refusal and the form behind one of them; `paint` is what /imagine does."""

    async def again(interaction: Interaction, number: int, way: str) -> None:
        refused = await _recall(app, interaction, number)
        await try_painting(app, interaction, replace(refused.line, text=refused.ways.get(way, "")), paint)

    @client.on_button(Action.LINE_WITHOUT, once=True)
    async def without(interaction: Interaction, number: int) -> None:
        await again(interaction, number, "without")

    @client.on_button(Action.LINE_INSTEAD, once=True)
    async def instead(interaction: Interaction, number: int) -> None:
        await again(interaction, number, "instead")

    for at, action in enumerate(OFFERS):
        client.on_button(action, once=True)(_offer(again, at))

    @client.on_button(Action.LINE_ANYWAY, once=True)
    async def anyway(interaction: Interaction, number: int) -> None:
        refused = await _recall(app, interaction, number)
        await try_painting(app, interaction, replace(refused.line, sure=True), paint)

    @client.on_button(Action.LINE_EDIT)
    async def edit(interaction: Interaction, number: int) -> None:
        refused = await _recall(app, interaction, number)
        form = modals.prompt_line(ButtonId(Action.LINE_EDIT, number), refused.line.text)
        await interaction.client.forms.send(interaction, form)

    @client.on_modal(Action.LINE_EDIT, once=True)
    async def edited(interaction: Interaction, number: int) -> None:
        refused = await _recall(app, interaction, number)
        text = modals.answers(interaction).get("prompt", "")
        await try_painting(app, interaction, replace(refused.line, text=text), paint)


def _offer(again: Callable[[Interaction, int, str], Awaitable[None]], at: int) -> Handler:
    """The button that paints one of the prompts that would work."""

    async def take(interaction: Interaction, number: int) -> None:
        await again(interaction, number, f"offer {at}")

    return take


async def try_painting(app: Services, interaction: Interaction, line: Line, paint: Paint) -> None:
    """Paint a line, or say why not; where other words would do, keep it for the buttons below.

    A full queue costs no row: a flood of /imagine must not become one of writes.
    """
    try:
        await paint(interaction, line)
    except (UserError, EngineError) as refusal:
        changeable = isinstance(refusal, BadInput | Refused) and refusal.shows_words
        buttons = await _keep(app, interaction, line, refusal) if changeable else ()
        await error_messages.answer(interaction, refusal, *buttons, written=line.text)


async def _keep(app: Services, interaction: Interaction, line: Line, refusal: Exception) -> tuple[Button, ...]:
    """Keep a line for a day; its buttons."""
    ways = {name: text for name in ("without", "instead") if (text := getattr(refusal, name, None))}
    offers = getattr(refusal, "offers", ())
    ways |= {f"offer {at}": text for at, text in enumerate(offers)}
    kept = {
        "text": line.text,
        "ways": ways,
        "options": draft_json.to_json(line.options),
        "loras": line.loras,
        "private": line.private,
        "image": line.image.to_dict() if line.image else None,
        "source": line.source,
        "reference": line.reference.to_dict() if line.reference else None,
        "use": line.use,
        "weight": line.weight,
    }
    await app.key_values.remember(f"line:{interaction.id}", json.dumps([interaction.user.id, kept]))
    number = interaction.id
    buttons = {
        "instead": Button(
            ButtonId(Action.LINE_INSTEAD, number), _("Use --{flag}", flag=getattr(refusal, "meant", ""))[:80]
        ),
        "without": Button(ButtonId(Action.LINE_WITHOUT, number), _("Paint without it")),
    }
    offered = [button for name, button in buttons.items() if name in ways]
    if offers:
        offered += [
            Button(ButtonId(action, number), text[:80], style=discord.ButtonStyle.primary)
            for action, text in zip(OFFERS, offers, strict=False)
        ]
        offered.append(Button(ButtonId(Action.LINE_ANYWAY, number), _("Paint it anyway")))
    return (*offered, Button(ButtonId(Action.LINE_EDIT, number), _("Edit"), emoji="✏️"))


async def _recall(app: Services, interaction: Interaction, number: int) -> _Refused:
    """Raises: NotFound."""
    found = await app.key_values.recall(f"line:{number}")
    owner, kept = json.loads(found) if found else (0, {})
    if owner != interaction.user.id:
        raise NotFound("This is older than a day, or someone else's. Type the prompt into **/imagine** again.")

    def attached(name: str) -> discord.Attachment | None:
        data: Any = kept.get(name)
        return discord.Attachment(data=data, state=interaction._state) if data else None

    line = Line(
        text=kept["text"],
        options=draft_json.from_json(kept["options"]),
        loras=kept.get("loras", ""),
        private=kept["private"],
        source=kept.get("source"),
        image=attached("image"),
        reference=attached("reference"),
        use=kept.get("use", "all"),
        weight=kept.get("weight", 1.0),
    )
    return _Refused(line=line, ways=kept["ways"])
