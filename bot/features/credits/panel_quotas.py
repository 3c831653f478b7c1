"""The panel's page for quotas: what everyone, a role and the whole server may spend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from discord.ui import TextDisplay

from bot.errors import BadInput
from bot.features.credits import views
from bot.features.credits.admin_commands import MOST_CREDITS, MOST_PIXELS, read_models
from bot.kit import modals
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, ask, button, buttons, line
from bot.kit.checks import check_admin
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, SelectId
from bot.kit.select import Select, row_of
from bot.ledger.records import Quota, QuotaChange, ServerQuotas
from bot.ledger.terms import default_quota
from bot.prompt.text import quoted
from engine.tasks.txt2img import MAX_STEPS

TAB = Tab("Quotas", "🎟️", "What everyone, a role, and all together may paint here.")
SERVER = 0  # the number of the form for all together; of the others it is the role's id
YES, NO = ("on", "yes", "true"), ("off", "no", "false")


def install(client: Client, panel: Panel) -> None:
    """The role's id is the number of its button and form."""

    @client.on_select(Action.QUOTA)
    async def role(interaction: Interaction, _number: int, values: tuple[str, ...]) -> None:
        await _open(interaction, int(values[0]))

    @client.on_button(Action.QUOTA)
    async def pressed(interaction: Interaction, number: int) -> None:
        await _open(interaction, number)

    @client.on_modal(Action.QUOTA)
    async def answered(interaction: Interaction, number: int) -> None:
        by, studio, said = check_admin(interaction), interaction.client.studio, modals.answers(interaction)
        if number == SERVER:
            cap, gifts = (_credits_mc(said.get(name, "")) or None for name in ("cap", "gifts"))
            await studio.quotas.set_budget(by, cap, gifts)
        else:
            kept = (await studio.quotas.server(by.guild_id)).roles.get(number, Quota())
            quota = replace(_read(interaction, said), loras=kept.loras)  # a form has room for five lines
            change = QuotaChange(role_id=number, quota=quota if quota != Quota() else None, said=quota)
            await studio.quotas.set_quota(by, change)
        await panel.show(interaction, TAB, "Changed.")


async def parts(interaction: Interaction) -> list[Any]:
    studio, guild_id = interaction.client.studio, interaction.guild_id or 0
    server = await studio.quotas.server(guild_id)
    words = views.server_text(server, default_quota(studio.settings), guild_id, studio.clock.now_ms())
    return [
        TextDisplay(words[:3000]),
        row_of(Select.role(SelectId(Action.QUOTA, 0), "Change what a role may do …")),
        buttons(
            button(Action.QUOTA, guild_id, "Everyone …"),
            button(Action.QUOTA, SERVER, "Whole server …"),
        ),
        TextDisplay("-# For one person, with an end: /admin quota `user:` `until:`"),
    ]


async def _open(interaction: Interaction, number: int) -> None:
    by = check_admin(interaction)
    server = await interaction.client.studio.quotas.server(by.guild_id)
    if number == SERVER:
        await interaction.response.send_modal(_server_form(server))
        return
    await interaction.response.send_modal(_role_form(number, number == by.guild_id, server.roles.get(number, Quota())))


def _server_form(server: ServerQuotas) -> modals.Form:
    return ask(
        "The whole server",
        Action.QUOTA,
        SERVER,
        line("cap", "Credits all together may spend a day", _credits(server.cap_mc), 12, hint="empty: no cap"),
        line("gifts", "Credits one may /gift a day", _credits(server.gifts_mc), 12, hint="empty: /gift is off"),
    )


def _role_form(role_id: int, everyone: bool, now: Quota) -> modals.Form:
    """Everything a quota says, filled in; what is left empty is not said."""
    free = "" if now.allowance_mc is None else f"{_credits(now.allowance_mc)} a {now.period}"
    lane = "" if now.relax is None else ("on" if now.relax else "off")
    return ask(
        "What everyone may do" if everyone else "What this role may do",
        Action.QUOTA,
        role_id,
        line("credits", "Free credits", free, 30, hint="such as 100 a day, or 500 a month; empty: not said here"),
        line("jobs", "Jobs: painted at once, on their way", _pair(now.max_running, now.max_queued), 12, hint="3, 10"),
        line("most", "Most pixels, most steps", _pair(now.max_pixels, now.max_steps), 24, hint="1536x1536, 60"),
        line("models", "Models", ", ".join(sorted(now.models or ())), 300, hint="names, or * for all"),
        line("queue", "Weight in the queue, relax lane", _pair(now.weight, lane or None), 20, hint="1, on"),
    )


# ---------------------------------------------------------------- reading the form
def _read(interaction: Interaction, said: Mapping[str, str]) -> Quota:
    """Raises: BadInput naming the field."""
    allowance_mc, period = _allowance(said.get("credits", ""))
    running, queued = _two(said.get("jobs", ""))
    pixels, steps = _two(said.get("most", ""))
    weight, relax = _two(said.get("queue", ""))
    return Quota(
        allowance_mc=allowance_mc,
        period=period,
        max_running=_whole("jobs painted at once", running, 1, 64),
        max_queued=_whole("jobs on their way", queued, 1, 1000),
        max_pixels=_pixels(pixels),
        max_steps=_whole("steps", steps, 1, MAX_STEPS),
        models=read_models(interaction, said.get("models", "").strip() or None),
        weight=_weight(weight),
        relax=_switch(relax),
    )


def _allowance(text: str) -> tuple[int | None, Any]:
    """`100 a day` as (millicredits, period). Raises: BadInput."""
    words = text.lower().split()
    if not words:
        return None, None
    period = {"day": "day", "month": "month"}.get(words[-1].rstrip("s")) if len(words) > 1 else "day"
    if period is None:
        raise BadInput(f"{quoted(text)} is no allowance. Write such as 100 a day, or 500 a month.")
    return _credits_mc(words[0]), period


def _credits_mc(text: str) -> int | None:
    """Raises: BadInput."""
    plain = text.strip()
    if not plain:
        return None
    number = float(plain) if plain.isascii() and plain.replace(".", "", 1).isdigit() and len(plain) < 12 else -1.0
    if not 0 <= number <= MOST_CREDITS:
        raise BadInput(f"{quoted(text)} is no number of credits. Use 0 to {MOST_CREDITS:,}.")
    return round(number * 1000)


def _two(text: str) -> tuple[str, str]:
    first, _, second = text.replace(";", ",").partition(",")
    return first.strip(), second.strip()


def _whole(name: str, text: str, low: int, high: int) -> int | None:
    """Raises: BadInput."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise BadInput(f"The {name} cannot be {quoted(text)}. Use {low:,} to {high:,}.")
    return int(text)


def _pixels(text: str) -> int | None:
    """`1536x1536` or their product. Raises: BadInput."""
    wide, times, high = text.lower().partition("x")
    if not times:
        return _whole("most pixels", text, 4096, MOST_PIXELS)
    sides = [_whole("sides of a picture", side.strip() or "-", 64, 8192) or 0 for side in (wide, high)]
    return _whole("most pixels", str(sides[0] * sides[1]), 4096, MOST_PIXELS)


def _weight(text: str) -> float | None:
    """Raises: BadInput."""
    if not text:
        return None
    number = float(text) if text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 8 else 0.0
    if not 0.1 <= number <= 100:
        raise BadInput(f"The weight cannot be {quoted(text)}. Use 0.1 to 100; 1 is normal.")
    return number


def _switch(text: str) -> bool | None:
    """Raises: BadInput."""
    word = text.lower()
    if word and word not in YES + NO:
        raise BadInput(f"The relax lane is on or off, not {quoted(text)}.")
    return None if not word else word in YES


def _credits(amount_mc: int | None) -> str:
    return "" if amount_mc is None else f"{amount_mc / 1000:g}"


def _pair(first: object | None, second: object | None) -> str:
    """Two values as the form shows them; the second alone keeps its comma."""
    if second is None:
        return "" if first is None else f"{first}"
    return f"{'' if first is None else first}, {second}"
