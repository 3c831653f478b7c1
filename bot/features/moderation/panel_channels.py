"""The panel's page for channels: where Easel paints, where it posts stars and audit entries, and who moderates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from discord.ui import TextDisplay

from bot.errors import BadInput
from bot.features.moderation.service import Moderation
from bot.features.moderation.store import MAX_STARS, Rules
from bot.kit import modals
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, ask, button, buttons, line
from bot.kit.checks import check_admin, check_moderator_role, check_postable
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, SelectId
from bot.kit.select import MAX_OPTIONS, Select, row_of
from bot.languages.speech import N_, _
from bot.prompt.numbers import read_whole
from bot.prompt.text import quoted

TAB = Tab(3, N_("Channels"), "#️⃣", N_("Where Easel can be used, where it posts, and who moderates."))
ALLOWED, GALLERY, AUDIT, MODERATORS = 0, 1, 2, 3  # numbers of the lists
AGE_ONLY, SPOILER, STARS, MENTIONS = 0, 1, 2, 3  # numbers of the buttons


class Services(Protocol):
    """What this module works with."""

    moderation: Moderation


def install(client: Client, panel: Panel, app: Services) -> None:
    """Add the page."""
    panel.add(TAB, lambda interaction: parts(app, interaction))

    @client.on_select(Action.CHANNEL)
    async def chosen(interaction: Interaction, number: int, values: tuple[str, ...]) -> None:
        ids = [int(value) for value in values]
        if number == MODERATORS:
            check_moderator_role(interaction, *ids)
            role = ids[0] if ids else None
            await _change(app, panel, interaction, lambda rules: replace(rules, moderator_role=role))
            return
        if (guild := interaction.guild) is not None:
            listed = (await app.moderation.rules(guild.id)).allowed if number == ALLOWED else frozenset()
            check_postable(*(guild.get_channel(each) for each in ids if each not in listed))
        if number == ALLOWED:
            await _change(app, panel, interaction, lambda rules: replace(rules, allowed=frozenset(ids)))
            return
        new: dict[str, Any] = {"gallery_channel" if number == GALLERY else "audit_channel": ids[0] if ids else None}
        await _change(app, panel, interaction, lambda rules: replace(rules, **new))

    @client.on_button(Action.CHANNEL)
    async def pressed(interaction: Interaction, number: int) -> None:
        by = check_admin(interaction)
        if number == STARS:
            rules = await app.moderation.rules(by.guild_id)
            field = line("stars", _("Stars an image needs"), str(rules.stars), 4, needed=True)
            await interaction.client.forms.send(interaction, ask(_("Gallery"), Action.CHANNEL, STARS, field))
        elif number == SPOILER:
            await _change(app, panel, interaction, lambda rules: replace(rules, spoiler=not rules.spoiler))
        elif number == MENTIONS:
            await _change(
                app, panel, interaction, lambda rules: replace(rules, answers_mentions=not rules.answers_mentions)
            )
        else:
            await _change(app, panel, interaction, lambda rules: replace(rules, age_only=not rules.age_only))

    @client.on_modal(Action.CHANNEL)
    async def stars(interaction: Interaction, _number: int) -> None:
        said = modals.answers(interaction).get("stars", "")
        count = read_whole(said)
        if count is None or not 1 <= count <= MAX_STARS:
            raise BadInput(
                "{said} isn't a number of stars. Use 1 to {max_stars:,}.", said=quoted(said), max_stars=MAX_STARS
            )
        await _change(app, panel, interaction, lambda rules: replace(rules, stars=count))


async def _change(app: Services, panel: Panel, interaction: Interaction, change: Callable[[Rules], Rules]) -> None:
    await app.moderation.change_rules(check_admin(interaction), change)
    await panel.show(interaction, TAB, _("Changed."))


async def parts(app: Services, interaction: Interaction) -> list[Any]:
    rules = await app.moderation.rules(interaction.guild_id or 0)
    allowed = sorted(rules.allowed)
    where = _("**Where Easel can be used** (none chosen: everywhere).")
    if len(allowed) > MAX_OPTIONS:
        where += _(" Only {shown} of {all} are shown: use /admin channels.", shown=MAX_OPTIONS, all=len(allowed))
    return [
        TextDisplay(where),
        _select(ALLOWED, _("Everywhere"), allowed[:MAX_OPTIONS], MAX_OPTIONS),
        TextDisplay(_("**Gallery**: where images with {stars} ⭐ are reposted", stars=rules.stars)),
        _select(GALLERY, _("No gallery"), [rules.gallery_channel] if rules.gallery_channel else []),
        TextDisplay(_("**Audit**: where admins' actions and appeals are posted")),
        _select(AUDIT, _("No audit channel, no appeals"), [rules.audit_channel] if rules.audit_channel else []),
        TextDisplay(_("**Moderators**: a role that can also use /moderate")),
        _role(rules.moderator_role),
        buttons(
            button(Action.CHANNEL, AGE_ONLY, _("Age-restricted only"), on=rules.age_only),
            button(Action.CHANNEL, SPOILER, _("Flagged as spoilers"), on=rules.spoiler),
            button(Action.CHANNEL, MENTIONS, _("Answers mentions"), on=rules.answers_mentions),
            button(Action.CHANNEL, STARS, _("Stars …")),
        ),
        TextDisplay(_("-# Flagged images are withheld, or posted as spoilers in age-restricted channels only.")),
    ]


def _select(number: int, placeholder: str, now: list[int], at_most: int = 1) -> Any:
    return row_of(Select.channel(SelectId(Action.CHANNEL, number), placeholder, now=now, at_most=at_most))


def _role(now: int | None) -> Any:
    choice = SelectId(Action.CHANNEL, MODERATORS)
    return row_of(Select.role(choice, _("Only people with Manage Server"), now=now, needed=False))
