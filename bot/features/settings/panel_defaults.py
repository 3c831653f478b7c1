"""The panel's page for the server's defaults."""

from __future__ import annotations

from typing import Any, Protocol

from discord.ui import TextDisplay

from bot.errors import BadInput
from bot.features.settings.default_views import OWN, described
from bot.features.settings.service import PreferenceService
from bot.features.settings.store import ServerDefaults
from bot.features.settings.views import AS_IT_IS, SHAPES
from bot.kit import modals
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, ask, button, buttons, line, text
from bot.kit.checks import check_admin
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, SelectId
from bot.kit.select import Select, row_of
from bot.languages.speech import N_, _, later
from bot.orders import drafts
from bot.prompt.numbers import read_number, read_whole
from bot.prompt.text import quoted
from engine.backend import Backend

TAB = Tab(6, N_("Defaults"), "🎨", N_("What /imagine uses here for whatever a prompt doesn't say."))
MODEL, SHAPE, STYLES = 0, 1, 2  # numbers of the lists
MAX_STYLES_SET = 5


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    preferences: PreferenceService


def install(client: Client, panel: Panel, app: Services) -> None:
    """Add the page."""
    panel.add(TAB, lambda interaction: parts(app, interaction))

    @client.on_select(Action.DEFAULT)
    async def chosen(interaction: Interaction, number: int, values: tuple[str, ...]) -> None:
        if number == STYLES:
            await _change(app, panel, interaction, {"styles": tuple(value for value in values if value != AS_IT_IS)})
        else:
            value = None if values[0] == AS_IT_IS else values[0]
            await _change(app, panel, interaction, {"model" if number == MODEL else "shape": value})

    @client.on_button(Action.DEFAULT)
    async def edit(interaction: Interaction, _number: int) -> None:
        check_admin(interaction)
        now = await app.preferences.defaults(interaction.guild_id or 0)
        await interaction.client.forms.send(interaction, _form(now))

    @client.on_modal(Action.DEFAULT)
    async def edited(interaction: Interaction, _number: int) -> None:
        said = modals.answers(interaction)
        changes = {
            "steps": _number_of(said.get("steps", ""), "steps", int),
            "guidance": _number_of(said.get("guidance", ""), "guidance", float),
            "scheduler": said.get("scheduler", "").strip() or None,
            "negative": said.get("negative", "").strip(),
        }
        await _change(app, panel, interaction, changes)


async def _change(app: Services, panel: Panel, interaction: Interaction, changes: dict[str, Any]) -> None:
    await app.preferences.set_defaults(check_admin(interaction), **changes)
    await panel.show(interaction, TAB, _("Changed."))


def _form(now: ServerDefaults) -> modals.Form:
    return ask(
        _("This server's defaults"),
        Action.DEFAULT,
        0,
        line("steps", _("Steps"), str(now.steps or ""), 3, hint=_(OWN)),
        line("guidance", _("Guidance"), "" if now.guidance is None else f"{now.guidance:g}", 6, hint=_(OWN)),
        line("scheduler", _("Scheduler"), now.scheduler or "", 80, hint=_(OWN)),
        text("negative", _("Negative prompt for every image"), now.negative, 1000),
    )


def _number_of(said: str, name: str, kind: type[int] | type[float]) -> Any:
    """A number of the form; None when it was left empty. Raises: BadInput."""
    if not said.strip():
        return None
    number = read_number(said) if kind is float else read_whole(said)
    if number is None:
        raise BadInput(
            "{said} isn't a valid number for {name}. Write a number, or leave it empty.",
            said=quoted(said),
            name=later(_, name),
        )
    return number


async def parts(app: Services, interaction: Interaction) -> list[Any]:
    guild_id = interaction.guild_id or 0
    now, styles = await app.preferences.defaults(guild_id), await app.preferences.styles(guild_id)
    models = drafts.painting(app.backend.models())
    found = [
        TextDisplay(described(now).split("\n", 1)[1]),
        _list(MODEL, _("Model"), models, now.model),
        _list(SHAPE, _("Size"), SHAPES, now.shape),
    ]
    if styles:
        listed = [(_("Style: {name}", name=style.name), style.name) for style in styles]
        choice = SelectId(Action.DEFAULT, STYLES)
        select = Select.text(choice, listed, now=now.styles, placeholder=_("No styles"), at_most=MAX_STYLES_SET)
        found.append(row_of(select))
    return [*found, buttons(button(Action.DEFAULT, 0, _("Steps, guidance, scheduler, negative …")))]


def _list(number: int, name: str, options: Any, now: str | None) -> Any:
    kept = [now] if now and now not in options else []
    labelled = [
        (_("{name}: default", name=name), AS_IT_IS),
        *((f"{name}: {value}", value) for value in (*options, *kept)),
    ]
    return row_of(Select.text(SelectId(Action.DEFAULT, number), labelled, now=(now or AS_IT_IS,)))
