"""The panel's page for quotas: the limits of everyone, of a role and of the whole server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import discord
from discord.ui import TextDisplay

from bot.errors import BadInput
from bot.features.credits import views
from bot.features.credits.names import LoadedNames
from bot.features.credits.records import QuotaChange
from bot.features.credits.service import Quotas
from bot.kit import modals
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, ask, button, buttons, line
from bot.kit.checks import check_admin
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, SelectId
from bot.kit.select import MAX_OPTIONS, Select, row_of
from bot.languages.speech import N_, _
from bot.ledger.limit_kinds import Limit
from bot.ledger.limits import MEMBER_LIMITS, SERVER_LIMITS, Budget, Quota
from bot.orders.actor import Actor
from bot.store.clock import Clock

TAB = Tab(1, N_("Quotas"), "🎟️", N_("Limits for everyone, for a role, and for the whole server."))
LIMITS = Tab(7, N_("Limits"), "🎚️", N_("Every limit of a role, LoRAs too: choose those to change."))
SHORT_FORM = {
    "credits": (N_("Free credits"), N_("such as 100 a day, or 500 a month; empty: not set here"), ("allowance",)),
    "jobs": (N_("Jobs: running at once, queued or running"), "3, 10", ("max_running", "max_queued")),
    "most": (N_("Largest image, most steps"), "1536x1536, 60", ("max_pixels", "max_steps")),
    "models": (N_("Models"), N_("names, or * for all"), ("models",)),
    "queue": (N_("Weight in the queue, relax lane"), "1, on", ("weight", "relax")),
}
"""By a line's id: its label, its hint, and the limits in it."""
SERVER = 0  # the number of the form for the whole server; of the others it is the role's id
FORM_LINES = 5  # Discord's
LINE_LENGTH = 300


def install(client: Client, panel: Panel, *, quotas: Quotas, names: LoadedNames, clock: Clock) -> None:
    """Add the page. The role's id is the number of its button, select and form."""

    async def parts(interaction: Interaction) -> list[Any]:
        guild_id = interaction.guild_id or 0
        server = await quotas.server(guild_id)
        words = views.server_text(server, quotas.default, guild_id, clock.now_ms())
        return [
            TextDisplay(words[:3000]),
            row_of(Select.role(SelectId(Action.QUOTA, 0), _("Change a role's limits …"))),
            buttons(
                button(Action.QUOTA, guild_id, _("Everyone …")),
                button(Action.QUOTA, SERVER, _("Whole server …")),
            ),
            TextDisplay(_("-# For one member, with an end: /admin quota `user:` `until:`")),
        ]

    async def open_(interaction: Interaction, number: int) -> None:
        by = check_admin(interaction)
        server = await quotas.server(by.guild_id)
        if number == SERVER:
            form = _form(_("The whole server"), Action.QUOTA, SERVER, list(SERVER_LIMITS.values()), server.budget)
            await interaction.client.forms.send(interaction, form)
        else:
            title = _("What everyone can do") if number == by.guild_id else _("What this role can do")
            form = _short_form(title, number, server.roles.get(number, Quota()))
            await interaction.client.forms.send(interaction, form)

    panel.add(TAB, parts)
    client.on_button(Action.QUOTA)(open_)

    @client.on_select(Action.QUOTA)
    async def role(interaction: Interaction, _number: int, values: tuple[str, ...]) -> None:
        await open_(interaction, int(values[0]))

    @client.on_modal(Action.QUOTA)
    async def answered(interaction: Interaction, number: int) -> None:
        by, answers = check_admin(interaction), modals.answers(interaction)
        if number == SERVER:
            typed = _typed(answers, SERVER_LIMITS)
            await quotas.set_budget(by, (await quotas.server(by.guild_id)).budget.changed(typed, names))
        else:
            await _change(quotas, names, by, number, _typed(_apart(answers), MEMBER_LIMITS))
        await panel.show(interaction, TAB, _("Changed."))


def install_limits(client: Client, panel: Panel, *, quotas: Quotas, names: LoadedNames) -> None:
    """Add the page for every limit there is: of a role, those that are chosen.

    The role's id is the number of its select and form; 0 is that of the list of roles.
    """

    async def parts(interaction: Interaction) -> list[Any]:
        return [
            row_of(Select.role(SelectId(Action.LIMIT, 0), _("Change a role's limits …"))),
            buttons(button(Action.LIMIT, interaction.guild_id or 0, _("Everyone …"))),
        ]

    panel.add(LIMITS, parts)

    @client.on_button(Action.LIMIT)
    async def everyone(interaction: Interaction, role_id: int) -> None:
        by = check_admin(interaction)
        quota = (await quotas.server(by.guild_id)).roles.get(role_id, Quota())
        await panel.show_parts(interaction, LIMITS, _role_parts(role_id, by.guild_id, quota))

    @client.on_select(Action.LIMIT)
    async def limits(interaction: Interaction, role_id: int, values: tuple[str, ...]) -> None:
        if role_id == 0:
            await everyone(interaction, int(values[0]))
            return
        by = check_admin(interaction)
        rows = [MEMBER_LIMITS[name] for name in values if name in MEMBER_LIMITS][:FORM_LINES]
        if not rows:
            raise BadInput("Choose at least one limit.")
        quota = (await quotas.server(by.guild_id)).roles.get(role_id, Quota())
        title = _("Everyone's limits") if role_id == by.guild_id else _("This role's limits")
        await interaction.client.forms.send(interaction, _form(title, Action.LIMIT, role_id, rows, quota))

    @client.on_modal(Action.LIMIT)
    async def answered(interaction: Interaction, role_id: int) -> None:
        by, typed = check_admin(interaction), _typed(modals.answers(interaction), MEMBER_LIMITS)
        quota = await _change(quotas, names, by, role_id, typed)
        await panel.show_parts(interaction, LIMITS, _role_parts(role_id, by.guild_id, quota), _("Changed."))


async def _change(quotas: Quotas, names: LoadedNames, by: Actor, role_id: int, typed: Mapping[str, str]) -> Quota:
    """Set what a form says, and nothing else. Raises: BadInput."""
    before = (await quotas.server(by.guild_id)).roles.get(role_id, Quota())
    quota = before.changed(typed, names)
    said = Quota(**{name: value for name, value in quota.values.items() if name in typed})
    await quotas.set_quota(by, QuotaChange(role_id=role_id, quota=quota if quota != Quota() else None, said=said))
    return quota


def _typed(answers: Mapping[str, str], rows: Mapping[str, Limit[Any]]) -> dict[str, str]:
    """A form's lines by the limits' names. Raises: BadInput."""
    typed = {name: text for name, text in answers.items() if name in rows}
    if not typed:
        raise BadInput("This form is from another version of Easel. Open the panel again with /admin panel.")
    return typed


def _role_parts(role_id: int, guild_id: int, quota: Quota) -> list[Any]:
    """What a role's limits are, and a list to choose those to change."""
    said = views.quota_text(quota)
    text = _("**Everyone**: {quota_text}", quota_text=said) if role_id == guild_id else f"**<@&{role_id}>**: {said}"
    rows = list(MEMBER_LIMITS.values())[:MAX_OPTIONS]
    now = [row.text(quota.values[row.name]) if row.name in quota.values else _("not set here") for row in rows]
    select = Select.text(
        SelectId(Action.LIMIT, role_id),
        [(_(row.label), row.name) for row in rows],
        placeholder=_("Choose up to {n} limits to change …", n=FORM_LINES),
        at_most=FORM_LINES,
        notes=now,
    )
    return [TextDisplay(text), row_of(select)]


def _short_form(title: str, role_id: int, now: Quota) -> modals.Form:
    """The usual limits of a role in five lines, filled in; two limits of a line are apart by a comma."""
    typed = {
        line_: ["" if name not in now.values else MEMBER_LIMITS[name].typed(now.values[name]) for name in pair]
        for line_, (_label, _hint, pair) in SHORT_FORM.items()
    }
    texts = {line_: ", ".join(pair) if any(pair[1:]) else pair[0] for line_, pair in typed.items()}
    lines = [
        line(line_, _(label), texts[line_], LINE_LENGTH, hint=_(hint))
        for line_, (label, hint, _pair) in SHORT_FORM.items()
    ]
    return ask(title, Action.QUOTA, role_id, *lines)


def _apart(answers: Mapping[str, str]) -> dict[str, str]:
    """What the short form says, limit by limit."""
    found: dict[str, str] = {}
    for line_, (_label, _hint, pair) in SHORT_FORM.items():
        text = answers.get(line_, "")
        texts = text.replace(";", ",").split(",", 1) if len(pair) > 1 else [text]
        found |= dict(zip(pair, [*texts, ""], strict=False))
    return found


def _form(title: str, action: Action, number: int, rows: Sequence[Limit[Any]], now: Quota | Budget) -> modals.Form:
    """A line for each limit, filled in; an empty one isn't set."""
    return ask(title, action, number, *(_line(row, now.values) for row in rows))


def _line(row: Limit[Any], values: Mapping[str, Any]) -> discord.ui.TextInput[modals.Form]:
    typed = row.typed(values[row.name]) if row.name in values else ""
    return line(row.name, _(row.label), typed, LINE_LENGTH, hint=row.hint)
