"""/admin ban, unban, words, channels and pause: who may use Easel, where, with which words, and when not."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, Literal, Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.errors import BadInput, NotYours
from bot.features.audit.store import EVERYWHERE
from bot.features.moderation import appeals, lists, panel_channels, panel_pause, panel_words, views
from bot.features.moderation.confusables import plain
from bot.features.moderation.service import Moderation
from bot.features.moderation.store import MAX_STARS, Rules, WordAction
from bot.features.moderation.views import WORD_ACTIONS
from bot.kit.admin_panel import AdminArea
from bot.kit.checks import (
    check_admin,
    check_bannable,
    check_moderator,
    check_moderator_role,
    check_postable,
    guarded,
    moderated,
)
from bot.kit.client import Client, Interaction
from bot.kit.components import listing, notice
from bot.languages.speech import N_, _, later
from bot.orders.actor import Actor
from bot.prompt.durations import ends_at_ms
from bot.prompt.text import quoted, shown
from bot.store.clock import Clock

MAX_CHANNELS = 50
WHERE = "In every server (only for those who run this bot)"


class Services(Protocol):
    """What this module works with."""

    clock: Clock
    moderation: Moderation


def install(client: Client, area: AdminArea, app: Services) -> None:
    """Add the subcommands of /admin and the pages of its panel."""
    _people(app, area.group)
    _words(app, area.group)
    _channels(app, area.group)
    _pauses(app, area.group)
    panel_channels.install(client, area.panel, app)
    panel_words.install(client, area.panel, app)
    panel_pause.install(client, area.panel, app)
    appeals.install(client, area, app)


def _people(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        user="Who to ban; leave out to see who is banned",
        reason="What they'll see",
        until="How long: 30m, 12h, 7d, 2w or a date such as 2027-01-31; leave out to ban for good",
        everywhere=WHERE,
    )
    @moderated
    async def ban(
        interaction: discord.Interaction[Client],
        user: discord.User | None = None,
        reason: Range[str, 0, 500] = "",
        until: Range[str, 0, 20] = "",
        everywhere: bool = False,
    ) -> None:
        """Stop someone from using Easel, for a time or for good."""
        by = check_moderator(interaction)
        place = EVERYWHERE if everywhere else by.guild_id
        if user is None:
            bans = await app.moderation.bans(place)
            title = _("Banned everywhere") if everywhere else _("Banned here")
            await _show(interaction, listing(title, map(views.ban_line, bans), _("No one.")))
            return
        check_bannable(interaction, user)
        until_ms = ends_at_ms(until, app.clock.now_ms())
        banned = await app.moderation.ban(by, place, user.id, reason, until_ms)
        said = N_("Banned everywhere: {ban}") if everywhere else N_("Banned: {ban}")
        await _say(interaction, _(said, ban=views.ban_line(banned)))

    @group.command()
    @app_commands.describe(user="Who to unban", everywhere=WHERE)
    @moderated
    async def unban(interaction: discord.Interaction[Client], user: discord.User, everywhere: bool = False) -> None:
        """Let someone use Easel again."""
        by = check_moderator(interaction)
        await app.moderation.unban(by, EVERYWHERE if everywhere else by.guild_id, user.id)
        said = N_("<@{user}> can use Easel again everywhere.") if everywhere else N_("<@{user}> can use Easel again.")
        await _say(interaction, _(said, user=user.id))


# ------------------------------------------------------------------ words
def _words(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        action="What to do with the list",
        word="The word (* matches any letters); test: a prompt; list: part of a word; attach: a list's name",
        rule="What happens to prompts with the word",
        tell="Whether refusals name the word",
        file="To import: a text file with a word a line, or word,rule",
        everywhere=WHERE,
    )
    @app_commands.choices(rule=[Choice(name=label, value=value) for value, label in WORD_ACTIONS.items()])
    @moderated
    async def words(
        interaction: discord.Interaction[Client],
        action: Literal["list", "add", "remove", "test", "import", "export", "attach", "detach"] = "list",
        word: Range[str, 0, 4000] = "",
        rule: str = "block",
        tell: bool | None = None,
        file: discord.Attachment | None = None,
        everywhere: bool = False,
    ) -> None:
        """See, change or test the words that can't be used in prompts here."""
        by = check_moderator(interaction)
        place = EVERYWHERE if everywhere else by.guild_id
        if action in ("import", "export"):
            await _exchange(app, interaction, place, _rule(rule), file if action == "import" else None, action)
            return
        if action != "list" and not word.strip():
            raise BadInput("Which word do you want to {action}? Give it as the option word.", action=later(_, action))
        done = []
        if action in ("add", "remove", "attach", "detach"):
            done.append(await _change(app, by, place, action, word, rule, tell))
        elif tell is not None:
            await app.moderation.change_rules(by, lambda rules: replace(rules, tell_word=tell))
        if tell is not None:
            said = (
                N_("From now on, refusals name the word.") if tell else N_("From now on, refusals don't name the word.")
            )
            done.append(_(said))
        if done:
            await _say(interaction, "\n".join(done))
        if action == "test":
            await _show(interaction, await _test(app, by, word))
        elif action == "list" and (word or not done):
            await _show(interaction, await _list(app, place, word))


async def _list(app: Services, place: int, part: str) -> discord.ui.LayoutView:
    moderation = app.moderation
    listed = [*await moderation.words(place), *(await moderation.words(EVERYWHERE) if place else ())]
    listed = [each for each in listed if plain(part) in each.word]
    shared = [views.list_line(*each) for each in (await moderation.attached(place)).items()] if not part else []
    empty = _("None yet. Add one with `/admin words action:add word:…`.")
    return listing(_("Blocked words"), [*shared, *map(views.word_line, listed)], empty)


async def _test(app: Services, by: Actor, text: str) -> discord.ui.LayoutView:
    moderation = app.moderation
    hits = await moderation.hits(text, by.guild_id)
    lines = [views.word_line(hit.word) for hit in hits]
    if moderation.forbidden(text):
        lines.insert(0, _(views.ALWAYS))
    return listing(_("Rules this prompt breaks"), lines, _("None: this prompt is fine."))


async def _change(app: Services, by: Actor, place: int, action: str, word: str, rule: str, tell: bool | None) -> str:
    chosen = _rule(rule)
    if action == "attach":
        name = await app.moderation.attach(by, place, word.strip(), chosen)
        said = N_("Attached the list {name}. Prompts with its words are {rule}.")
        return _(said, name=shown(name, 100), rule=_(WORD_ACTIONS[chosen]))
    if action == "detach":
        name = await app.moderation.detach(by, place, word.strip())
        return _("Detached the list {name}.", name=shown(name, 100))
    if action == "add":
        kept = await app.moderation.add_word(by, place, word, chosen, tell=tell)
        return _(views.ADDED, word=shown(kept, 200), rule=_(WORD_ACTIONS[chosen]))
    gone = await app.moderation.remove_word(by, place, word, tell=tell)
    return _("Removed: {word}.", word=shown(gone, 200))


def _rule(rule: str) -> WordAction:
    if rule not in lists.RULES:
        raise BadInput(
            "There's no rule {rule}. Choose {word_actions}.", rule=quoted(rule), word_actions=", ".join(WORD_ACTIONS)
        )
    return lists.RULES[rule]


async def _exchange(
    app: Services, interaction: Interaction, place: int, rule: WordAction, file: discord.Attachment | None, action: str
) -> None:
    """Import the words of a file, or send the list as one."""
    by = check_moderator(interaction)
    if action == "export":
        if place == EVERYWHERE and not by.is_operator:
            raise NotYours("Only the people who run this bot can export the list of every server.")
        data = io.BytesIO(lists.written(await app.moderation.words(place)))
        text = _("One word a line, with its rule. `action:import` reads it again.")
        await interaction.response.send_message(text, file=discord.File(data, "words.txt"), ephemeral=True)
        return
    if file is None or file.size > lists.MAX_BYTES:
        raise BadInput("Which file? Give a text file of at most 1 MiB as the option file, with a word a line.")
    await interaction.response.defer(ephemeral=True, thinking=True)
    count = await app.moderation.import_words(by, place, await file.read(), rule)
    await interaction.edit_original_response(content=_("Imported {count} words.", count=count))


# ------------------------------------------------------------------ channels
def _channels(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        allow="Let Easel be used in this channel, and only in the channels allowed this way",
        disallow="Take a channel off that list; if it's empty, Easel can be used everywhere",
        age_only="Let Easel be used in age-restricted channels only",
        gallery="Where images with enough stars are reposted",
        stars="How many stars an image needs for that",
        audit="Where admins' actions and appeals are posted",
        spoiler="Post flagged images as spoilers in age-restricted channels instead of withholding them",
        moderators="A role that can moderate: reports, appeals, bans, words, and other members' images and jobs",
        mentions="Paint and edit when a message mentions Easel",
        clear="Forget a channel or the moderators' role",
    )
    @guarded
    async def channels(
        interaction: discord.Interaction[Client],
        allow: discord.TextChannel | discord.VoiceChannel | discord.ForumChannel | None = None,
        disallow: discord.TextChannel | discord.VoiceChannel | discord.ForumChannel | None = None,
        age_only: bool | None = None,
        gallery: discord.TextChannel | None = None,
        stars: Range[int, 1, MAX_STARS] | None = None,
        audit: discord.TextChannel | None = None,
        spoiler: bool | None = None,
        moderators: discord.Role | None = None,
        mentions: bool | None = None,
        clear: Literal["allowed", "gallery", "audit", "moderators"] | None = None,
    ) -> None:
        """See or change where Easel can be used, where it posts, and who moderates."""
        moderation, by = app.moderation, check_admin(interaction)
        _check_server(by)
        check_postable(allow, gallery, audit)
        check_moderator_role(interaction, *([moderators.id] if moderators else []))
        said: dict[str, Any] = {"age_only": age_only, "stars": stars, "spoiler": spoiler, "answers_mentions": mentions}
        said |= {"gallery_channel": gallery.id if gallery else None, "audit_channel": audit.id if audit else None}
        said |= {"moderator_role": moderators.id if moderators else None}

        def change(rules: Rules) -> Rules:
            new = replace(_cleared(rules, clear), **{name: value for name, value in said.items() if value is not None})
            return replace(new, allowed=_allowed(new.allowed, allow, disallow))

        old = await moderation.rules(by.guild_id)
        new = await moderation.change_rules(by, change) if change(old) != old else old
        text = views.rules_text(new, await moderation.pauses(by.guild_id))
        await _say(interaction, _("Changed. Now:") + f"\n{text}" if new != old else text)


def _cleared(rules: Rules, clear: str | None) -> Rules:
    empty: dict[str | None, dict[str, Any]] = {
        "allowed": {"allowed": frozenset()},
        "gallery": {"gallery_channel": None},
        "audit": {"audit_channel": None},
        "moderators": {"moderator_role": None},
    }
    return replace(rules, **empty.get(clear, {}))


def _allowed(
    listed: frozenset[int], allow: discord.abc.GuildChannel | None, disallow: discord.abc.GuildChannel | None
) -> frozenset[int]:
    """Raises: BadInput."""
    new = (listed | ({allow.id} if allow else set())) - ({disallow.id} if disallow else set())
    if len(new) > MAX_CHANNELS:
        raise BadInput(
            "You can list up to {max_channels} channels. Remove some, or allow Easel everywhere.",
            max_channels=MAX_CHANNELS,
        )
    return frozenset(new)


def _check_server(by: Actor) -> None:
    if not by.guild_id:
        raise BadInput("Channels belong to a server. Use this in one.")


# ------------------------------------------------------------------ pauses
def _pauses(app: Services, group: app_commands.Group) -> None:
    @group.command()
    @app_commands.describe(
        mode="off: resume · notice: tell everyone · drain: take no new jobs · pause: start none either",
        sentence="What members see",
        everywhere=WHERE,
    )
    @guarded
    async def pause(
        interaction: discord.Interaction[Client],
        mode: Literal["off", "notice", "drain", "pause"] | None = None,
        sentence: Range[str, 0, 500] = "",
        everywhere: bool = False,
    ) -> None:
        """Stop taking jobs, or show everyone a notice."""
        moderation, by = app.moderation, check_admin(interaction)
        if mode == "notice" and not sentence.strip():
            raise BadInput("A notice needs a text. Give it as the option sentence.")
        if mode is not None:
            place = EVERYWHERE if everywhere else by.guild_id
            await moderation.pause(by, place, None if mode == "off" else mode, sentence)
        lines = [views.pause_line(each) for each in await moderation.pauses(by.guild_id)]
        await _say(interaction, "\n".join(lines) or _("Easel works as usual here."))


async def _say(interaction: Interaction, text: str) -> None:
    await _show(interaction, notice(text))


async def _show(interaction: Interaction, view: discord.ui.LayoutView) -> None:
    if interaction.response.is_done():
        await interaction.followup.send(view=view, ephemeral=True)
    else:
        await interaction.response.send_message(view=view, ephemeral=True)
