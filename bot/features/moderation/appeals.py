"""Appeals: asking the moderators, the panel's page of appeals and approvals, and telling members the decision."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import discord
from discord.ui import TextDisplay

from bot.errors import MissingPermission
from bot.features.moderation import views
from bot.features.moderation.service import Moderation
from bot.features.moderation.store import Appeal
from bot.kit.admin_panel import AdminArea
from bot.kit.admin_panel_view import Tab, buttons
from bot.kit.checks import check_moderator, moderated
from bot.kit.client import Client, Interaction
from bot.kit.components import NOBODY, notice
from bot.kit.custom_ids import Action, SelectId
from bot.kit.interactions import actor_of, server_locale
from bot.kit.select import MAX_OPTIONS, Select, row_of
from bot.languages.speech import N_, _, speaking
from bot.prompt.text import block, shown, visible

log = logging.getLogger(__name__)
TAB = Tab(
    10, N_("Appeals"), "⚖️", N_("Refused prompts that members ask about, and those you approved."), moderators=True
)
MOST_OPEN, MOST_LISTED = 5, 10
TAKEN = {"approved": N_("Approved: {prompt}"), "denied": N_("Denied: {prompt}")}
DECIDED = {
    "approved": N_("Your appeal was approved. You can use this prompt now."),
    "denied": N_("Your appeal was denied."),
}
REVOKED = N_("The approval of this prompt was taken back. It's refused again.")


class Services(Protocol):
    """What this module works with."""

    moderation: Moderation


def install(client: Client, area: AdminArea, app: Services) -> None:
    """Add the command, the page and the buttons."""
    panel, moderation = area.panel, app.moderation
    panel.add(TAB, lambda interaction: _parts(moderation, interaction))

    @area.group.command()
    @moderated
    async def appeals(interaction: Interaction) -> None:
        """See open appeals and approved prompts, decide, and take approvals back."""
        await panel.open(interaction, TAB)

    async def decide(interaction: Interaction, appeal_id: int, *, approve: bool) -> None:
        decided = await moderation.decide(check_moderator(interaction), appeal_id, approve=approve)
        if interaction.message is not None and interaction.message.flags.ephemeral:
            await panel.show(interaction, TAB, _(TAKEN[decided.state], prompt=shown(decided.prompt, 200)))
        else:
            with speaking(server_locale(interaction.guild)):
                view = views.appeal(decided)
            await interaction.response.edit_message(view=view)
        await _tell(interaction.client, decided, DECIDED[decided.state])

    @client.on_select(Action.APPEAL)
    async def revoke(interaction: Interaction, _number: int, values: tuple[str, ...]) -> None:
        by = check_moderator(interaction)
        revoked = await moderation.revoke(by, int(values[0]) if values[0].isdecimal() else 0)
        await panel.show(interaction, TAB, _("Taken back: {prompt}", prompt=shown(revoked.prompt, 200)))
        await _tell(client, revoked, REVOKED)

    @client.on_button(Action.APPEAL)
    async def appeal(interaction: Interaction, appeal_id: int) -> None:
        await interaction.response.defer()
        await _post(client, app.moderation, await app.moderation.appeal(actor_of(interaction), appeal_id))
        view = notice(
            _("Your appeal was sent to this server's moderators. You'll get a direct message with their decision.")
        )
        await interaction.edit_original_response(content=None, view=view)

    @client.on_button(Action.APPROVE)
    async def approve(interaction: Interaction, appeal_id: int) -> None:
        await decide(interaction, appeal_id, approve=True)

    @client.on_button(Action.DENY)
    async def deny(interaction: Interaction, appeal_id: int) -> None:
        await decide(interaction, appeal_id, approve=False)


async def _post(client: Client, moderation: Moderation, appeal: Appeal) -> None:
    """Post an appeal in the audit channel, or take it back if that fails. Raises: MissingPermission."""
    rules = await moderation.rules(appeal.guild_id)
    try:
        if rules.audit_channel is None:
            raise MissingPermission("There's no audit channel any more.")
        channel = client.get_partial_messageable(rules.audit_channel)
        with speaking(server_locale(client.get_guild(appeal.guild_id))):
            view = views.appeal(appeal)
        await channel.send(view=view, allowed_mentions=NOBODY)
    except (discord.HTTPException, MissingPermission) as error:
        await moderation.withdraw(appeal)
        raise MissingPermission("I couldn't post your appeal. Tell an admin of this server.") from error


async def _parts(moderation: Moderation, interaction: Interaction) -> list[Any]:
    guild_id = check_moderator(interaction).guild_id
    asked = await moderation.appeals(guild_id, "open", MOST_OPEN + 1)
    approved = await moderation.appeals(guild_id, "approved", MAX_OPTIONS)
    parts: list[Any] = []
    for each in reversed(asked[:MOST_OPEN]):
        rule = _("{person}, against the rule {rule}", person=f"<@{each.user_id}>", rule=shown(each.rule, 100))
        text = f"{rule}\n{shown(each.prompt, 300)}"
        parts += [TextDisplay(text), buttons(*views.appeal_buttons(each.id))]
    parts += [TextDisplay(_("-# … and more"))] if len(asked) > MOST_OPEN else []
    lines = "\n".join(map(views.approval_line, approved[:MOST_LISTED])) or _("No prompt is approved.")
    parts = [
        *(parts or [TextDisplay(_("No appeal waits for a decision."))]),
        TextDisplay(_("**Approved**\n{lines}", lines=lines)),
    ]
    if approved:
        listed = [(f"#{each.id} {visible(each.prompt)}", str(each.id)) for each in approved]
        parts.append(row_of(Select.text(SelectId(Action.APPEAL, 0), listed, placeholder=_("Take an approval back"))))
    return parts


async def _tell(client: Client, appeal: Appeal, text: str) -> None:
    """Tell the member, if their direct messages are open."""
    with speaking(client.locales.get(appeal.user_id)):
        view = notice(f"{_(text)}\n{block(appeal.prompt, 1500)}")
    try:
        user = await client.fetch_user(appeal.user_id)
        await user.send(view=view, allowed_mentions=NOBODY)
    except discord.HTTPException as error:
        log.info("a decision could not be told: %s", error)
