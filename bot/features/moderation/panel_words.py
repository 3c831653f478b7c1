"""The panel's page for blocked words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

from discord.ui import TextDisplay

from bot.errors import BadInput
from bot.features.audit.store import EVERYWHERE
from bot.features.moderation import views
from bot.features.moderation.service import Moderation
from bot.features.moderation.store import WordAction
from bot.features.moderation.views import WORD_ACTIONS
from bot.kit import modals
from bot.kit.admin_panel import Panel
from bot.kit.admin_panel_view import Tab, ask, button, buttons, line, text
from bot.kit.checks import check_moderator
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, SelectId
from bot.kit.select import MAX_OPTIONS, Select, row_of
from bot.languages.speech import N_, _
from bot.orders.actor import Actor
from bot.prompt.text import quoted, shown

TAB = Tab(4, N_("Words"), "🚫", N_("Words that can't be used in prompts here."), moderators=True)
ADD, TEST, TELL = 0, 1, 2  # numbers of the buttons and forms
WORDS, LISTS = 0, 1  # numbers of the lists
MOST_SHOWN = 40


class Services(Protocol):
    """What this module works with."""

    moderation: Moderation


def install(client: Client, panel: Panel, app: Services) -> None:
    """Add the page."""
    panel.add(TAB, lambda interaction: parts(app, interaction))

    @client.on_button(Action.WORD)
    async def pressed(interaction: Interaction, number: int) -> None:
        by, moderation = check_moderator(interaction), app.moderation
        if number == ADD:
            word = line("word", _("The word; * stands for any letters"), "", 100, needed=True)
            rule = line("rule", _("Rule: {rules}", rules=", ".join(WORD_ACTIONS)), "block", 10, needed=True)
            await interaction.client.forms.send(interaction, ask(_("Add a word"), Action.WORD, ADD, word, rule))
        elif number == TEST:
            prompt = text("prompt", _("A prompt to test"), "", 4000, needed=True)
            await interaction.client.forms.send(interaction, ask(_("Test a prompt"), Action.WORD, TEST, prompt))
        else:
            await moderation.change_rules(by, lambda rules: replace(rules, tell_word=not rules.tell_word))
            await panel.show(interaction, TAB, _("Changed."))

    @client.on_modal(Action.WORD)
    async def answered(interaction: Interaction, number: int) -> None:
        note = await (_add(app, interaction) if number == ADD else _test(app, interaction))
        await panel.show(interaction, TAB, note)

    @client.on_select(Action.WORD)
    async def remove(interaction: Interaction, number: int, values: tuple[str, ...]) -> None:
        by, moderation = check_moderator(interaction), app.moderation
        if number == LISTS:
            await _share(app, by, values)
            await panel.show(interaction, TAB, _("Changed."))
            return
        listed = {str(word.id): word.word for word in await moderation.words(by.guild_id)}
        if values[0] not in listed:
            raise BadInput("This word is no longer on the list.")
        kept = await moderation.remove_word(by, by.guild_id, listed[values[0]])
        await panel.show(interaction, TAB, _("Removed: {word}.", word=shown(kept, 200)))


async def _share(app: Services, by: Actor, names: Sequence[str]) -> None:
    """Attach these shared lists, and detach the others."""
    attached = await app.moderation.attached(by.guild_id)
    for name in names:
        if name not in attached:
            await app.moderation.attach(by, by.guild_id, name, "block")
    for name in attached:
        if name not in names:
            await app.moderation.detach(by, by.guild_id, name)


async def _add(app: Services, interaction: Interaction) -> str:
    by, said = check_moderator(interaction), modals.answers(interaction)
    rule = said.get("rule", "").strip().lower()
    if rule not in WORD_ACTIONS:
        raise BadInput(
            "There's no rule {rule}. Use {word_actions}.", rule=quoted(rule), word_actions=", ".join(WORD_ACTIONS)
        )
    action = cast(WordAction, rule)
    kept = await app.moderation.add_word(by, by.guild_id, said.get("word", ""), action)
    return _(views.ADDED, word=shown(kept, 200), rule=_(WORD_ACTIONS[rule]))


async def _test(app: Services, interaction: Interaction) -> str:
    by, moderation = check_moderator(interaction), app.moderation
    prompt = modals.answers(interaction).get("prompt", "")
    lines = [views.word_line(hit.word) for hit in await moderation.hits(prompt, by.guild_id)]
    if moderation.forbidden(prompt):
        lines.insert(0, _(views.ALWAYS))
    broken = "\n".join(lines[:10]) or _("none.")
    return _("Rules that {prompt} breaks: {rules}", prompt=shown(prompt, 300), rules=broken)


async def parts(app: Services, interaction: Interaction) -> list[Any]:
    moderation, guild_id = app.moderation, interaction.guild_id or 0
    own, everywhere = await moderation.words(guild_id), await moderation.words(EVERYWHERE)
    rules = await moderation.rules(guild_id)
    lines = [views.word_line(word)[:200] for word in (*own, *everywhere)]
    more = [_("-# … and {n} more: /admin words", n=len(lines) - MOST_SHOWN)] if len(lines) > MOST_SHOWN else []
    found: list[Any] = [TextDisplay("\n".join([*lines[:MOST_SHOWN], *more])[:2500] or _("No words are blocked here."))]
    if own:
        listed = [(word.word, str(word.id)) for word in own[-MAX_OPTIONS:]]
        found.append(row_of(Select.text(SelectId(Action.WORD, WORDS), listed, placeholder=_("Remove a word"))))
    names, attached = moderation.lists.names(), await moderation.attached(guild_id)
    if names:
        choice, most = SelectId(Action.WORD, LISTS), min(len(names), MAX_OPTIONS)
        shared = [(name, name) for name in sorted(names, key=lambda name: name not in attached)]
        found.append(
            row_of(Select.text(choice, shared, now=list(attached), placeholder=_("Shared lists"), at_most=most))
        )
    return [
        *found,
        buttons(
            button(Action.WORD, ADD, _("Add …")),
            button(Action.WORD, TEST, _("Test a prompt …")),
            button(Action.WORD, TELL, _("Refusals name the word"), on=rules.tell_word),
        ),
    ]
