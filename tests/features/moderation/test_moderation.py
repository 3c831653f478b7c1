"""A community is moderated from inside Discord: bans, words, channels, pauses, appeals, and a log of it all."""

from __future__ import annotations

import asyncio
import sqlite3
from types import SimpleNamespace
from typing import Any

import discord
import pytest

from bot.demo.simulation import Stage
from bot.features.audit.store import AuditQuery
from bot.features.moderation import store
from bot.orders.actor import Actor
from tests.e2e.screen import buttons, delete, paint, press, words


def said(result: Any) -> str:
    """Everything an interaction answered."""
    assert result.acknowledged
    told = [*result.followups, *([result.response] if result.response else [])]
    return "\n".join(words(message) for message in told)


async def admin(studio: Stage, command: str, who: str = "Ada", **options: Any) -> str:
    return said(await studio.members[who].slash(studio.channel, f"admin {command}", **options))


async def asks(studio: Stage, prompt: str, who: str = "Ann", **options: Any) -> str:
    result = await studio.members[who].slash(studio.channel, "imagine", prompt=prompt, **options)
    await studio.idle()
    return said(result)


async def actions(studio: Stage) -> list[str]:
    return [entry.action for entry in reversed(await studio.app.audit.search(AuditQuery(), 100))]


async def with_audit_channel(studio: Stage) -> Any:
    channel = studio.guild.create_text_channel("audit")
    assert "Changed" in await admin(studio, "channels", audit=channel)
    return channel


def read(message: discord.Message) -> Any:
    """A message of a channel's history, as `screen` reads responses."""
    components = [component.to_dict() for component in message.components]
    return SimpleNamespace(content=message.content, components=components)


async def posts(channel: Any, wanted: str) -> Any:
    """The newest message of a channel with these words; it comes by itself."""
    async with asyncio.timeout(10):
        while True:
            found = [message for message in channel.history() if wanted in words(read(message))]
            if found:
                return found[-1]
            await asyncio.sleep(0.02)


# ------------------------------------------------------------------ bans
async def test_a_ban_is_one_sentence_everywhere_and_changes_nothing(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    shown = await press(studio, message, "Remix")
    assert "Banned" in await admin(studio, "ban", user=studio.members["Ann"], reason="spam **bold**")
    for name, options in (("imagine", {"prompt": "a boat"}), ("history", {}), ("help", {}), ("show", {"job": 1})):
        result = await studio.members["Ann"].slash(studio.channel, name, **options)
        assert result.ephemeral
        assert said(result).strip() == "You can't use Easel in this server. Reason: spam \\*\\*bold\\*\\*"
    assert await studio.members["Ann"].autocomplete(studio.channel, "imagine", "aspect", "1") == []
    for label in ("U1", "V1", "🔄", "Seed", "Delete"):
        assert "can't use Easel" in said(await press(studio, message, label)), label
    assert "can't use Easel" in said(await studio.members["Ann"].submit_modal(shown, {"prompt": "a blue boat"}))
    assert len([m for m in studio.channel.history() if m.attachments]) == 1
    assert (await press(studio, message, "U1", "Ben")).response is not None
    assert "can use Easel again" in await admin(studio, "unban", user=studio.members["Ann"])
    assert (await paint(studio, "a boat")).attachments
    assert await actions(studio) == ["ban.set", "ban.lift"]


async def test_a_mute_ends_by_itself_and_survives_a_restart(studio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    now = studio.app.clock.now_ms()
    await admin(studio, "ban", user=studio.members["Ann"], until="2h")
    (ban,) = await studio.app.moderation.bans(studio.guild.id)
    assert ban.until_ms is not None
    assert 0 <= ban.until_ms - now - 2 * 3_600_000 < 60_000
    await studio.restart()
    assert f"until <t:{ban.until_ms // 1000}:f>" in await asks(studio, "a boat")
    assert f"<@{ban.user_id}>" in await admin(studio, "ban")
    monkeypatch.setattr(studio.app.clock, "now_ms", lambda: ban.until_ms + 1)
    assert await studio.app.moderation.bans(studio.guild.id) == []
    here = Actor(user_id=ban.user_id, guild_id=studio.guild.id, channel_id=studio.channel.id)
    await studio.app.moderation.check_person(here)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"user": "Ada"}, "People with **Manage Server**"),
        ({"user": "Ann", "until": "soon"}, "'soon' isn't a time"),
        ({"user": "Ann", "until": "2020-01-01"}, "in the future"),
        ({"user": "Ann", "everywhere": True}, "Only the people who run this bot"),
    ],
)
async def test_a_wrong_ban_is_refused_with_a_sentence(studio: Stage, options: dict[str, Any], says: str) -> None:
    options = {**options, "user": studio.members[options["user"]]}
    assert says in await admin(studio, "ban", **options)
    assert await actions(studio) == []


async def test_an_operator_bans_everywhere_and_cannot_be_banned(studio: Stage) -> None:
    studio.settings.operators = (studio.members["Ben"].id,)
    await _lend_admin(studio, "Ben")
    assert "everywhere" in await admin(studio, "ban", "Ben", user=studio.members["Ann"], everywhere=True)
    assert (await asks(studio, "a boat")).strip() == "You can't use Easel."
    assert "can't be banned" in await admin(studio, "ban", user=studio.members["Ben"])
    assert "isn't banned in this server" in await admin(studio, "unban", user=studio.members["Ann"])


async def _lend_admin(studio: Stage, who: str) -> None:
    """Let somebody see /admin, as a server can in its settings."""
    command = next(each for each in await studio.bot.tree.fetch_commands() if each.name == "admin")
    studio.guild.set_command_permissions(command.id, {studio.members[who]: True})


# ------------------------------------------------------------------ words
async def test_blocked_words_are_refused_tested_and_listed(studio: Stage) -> None:
    assert "Added: peg" in await admin(studio, "words", action="add", word="Peg")
    await admin(studio, "words", action="add", word="blood*", rule="flag")
    refusal = await asks(studio, "a p.3.g in a hole")
    assert "The word 'peg' is blocked here" in refusal
    assert "Nothing was charged" in refusal
    assert "peg · refused" in await admin(studio, "words", action="test", word="P E G")
    assert "this prompt is fine" in await admin(studio, "words", action="test", word="a pegboard")
    assert "peg" not in await admin(studio, "words", word="BLO")
    listed = await admin(studio, "words")
    assert "blood\\*" in listed
    assert "refused" in listed
    assert (await paint(studio, "a pegboard, bloody")).attachments
    assert await actions(studio) == ["word.add", "word.add", "prompt.refused", "prompt.flagged"]
    assert "Removed" in await admin(studio, "words", action="remove", word="PEG")
    assert (await paint(studio, "a peg")).attachments


async def test_refusals_can_keep_the_word_to_themselves(studio: Stage) -> None:
    await admin(studio, "words", action="add", word="peg")
    await admin(studio, "words", tell=False)
    refusal = await asks(studio, "a peg")
    assert "peg" not in refusal.split("```")[0]
    assert "blocked here" in refusal


async def test_a_word_is_added_and_what_is_told_changed_at_once(studio: Stage) -> None:
    done = await admin(studio, "words", action="add", word="zzz", tell=False)
    assert "Added: zzz" in done
    assert "refusals don't name the word" in done
    refusal = await asks(studio, "a zzz")
    assert "blocked here" in refusal
    assert "zzz" not in refusal.split("```")[0]
    tested = await admin(studio, "words", action="test", word="zzz", tell=True)
    assert "refusals name the word" in tested
    assert "zzz · refused" in tested
    assert "'zzz'" in await asks(studio, "a zzz")
    assert "Which word do you want to" in await admin(studio, "words", action="remove", tell=False)
    assert "'zzz'" in await asks(studio, "a zzz"), "nothing was changed"


async def test_words_count_in_remixes_batches_and_what_is_left_out(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    asked = await paint(studio, "a {red, peg} boat")
    await admin(studio, "words", action="add", word="peg")
    assert "blocked" in said(await press(studio, asked, "Paint 2"))
    shown = await press(studio, message, "Remix")
    assert "blocked" in said(await studio.members["Ann"].submit_modal(shown, {"prompt": "a peg"}))
    assert "blocked" in await asks(studio, "a boat --no peg")
    assert len([m for m in studio.channel.history() if m.attachments]) == 1


async def test_no_sexual_pictures_of_minors_whatever_the_rules(studio: Stage) -> None:
    await with_audit_channel(studio)
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="n u d e ch1ld")
    assert "no one here can allow it" in said(result)
    assert buttons(result.followups[-1]) == {}
    assert "always refused" in await admin(studio, "words", action="test", word="nude child")
    assert (await paint(studio, "a child on a swing --no nude")).attachments


@pytest.mark.parametrize("typed", ["peg", "рeg", "peg!"])
async def test_a_word_kept_by_an_older_table_can_be_removed(studio: Stage, typed: str) -> None:
    def older(db: sqlite3.Connection) -> None:
        store.add_word(db, studio.guild.id, "рeg", "block", 1, 0)  # with a Cyrillic er

    await studio.app.store.write(older)
    assert "blocked" in await asks(studio, "a peg")
    assert "Removed" in await admin(studio, "words", action="remove", word=typed)
    assert (await paint(studio, "a peg")).attachments


@pytest.mark.parametrize("template", ["ink --ar 3:2 {prompt}", "{prompt} --no fog", "{prompt} —seed 5"])
async def test_a_style_holds_no_flags(studio: Stage, template: str) -> None:
    result = await studio.members["Ada"].slash(studio.channel, "style add", name="ink", template=template)
    assert "Only words can be here" in said(result)
    assert await studio.app.preferences.styles(studio.guild.id) == []
    assert "Only words" in await admin(studio, "defaults", negative="fog --seed 3")


async def test_words_count_in_styles_suffixes_and_defaults(studio: Stage) -> None:
    ann = studio.members["Ann"]
    await studio.members["Ada"].slash(studio.channel, "style add", name="ink", template="{prompt}, a peg")
    await studio.app.preferences.prefer(studio.members["Ben"].id, studio.guild.id, suffix="a p3g")
    await admin(studio, "words", action="add", word="peg")
    assert "blocked" in said(await ann.slash(studio.channel, "imagine", prompt="a boat", style="ink"))
    assert "blocked" in await asks(studio, "a boat --style ink")
    assert "blocked" in await asks(studio, "a boat", "Ben")
    await admin(studio, "defaults", negative="p e g")
    assert "blocked" in await asks(studio, "a boat")


# ------------------------------------------------------------------ appeals
async def refused(studio: Stage) -> Any:
    await admin(studio, "words", action="add", word="peg")
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a peg @everyone")
    return result.followups[-1]


async def test_an_appeal_is_approved_and_lets_that_prompt_run(studio: Stage) -> None:
    channel = await with_audit_channel(studio)
    refusal = await refused(studio)
    await press(studio, refusal, "Appeal")
    assert "was sent to this server's moderators" in words(refusal)
    await studio.restart()
    appeal = await posts(channel, "Appeal")
    assert "@everyone" not in words(read(appeal))
    ids = buttons(read(appeal))
    member = await studio.members["Ann"].click(appeal, custom_id=ids["Approve"])
    assert "Manage Server" in said(member)
    done = await studio.members["Ada"].click(appeal, custom_id=ids["Approve"])
    assert done.acknowledged
    assert "Approved" in words(read(await posts(channel, "Approved")))
    assert (await paint(studio, "a peg @everyone")).attachments
    assert "blocked" in await asks(studio, "another peg")
    assert "blocked" in await asks(studio, "a peg @everyone", "Ben")
    assert studio.members["Ann"].id in studio.env.backend.dm_channels
    assert {"appeal.open", "appeal.approve"} <= set(await actions(studio))


async def test_the_panel_lists_appeals_and_takes_approvals_back(studio: Stage) -> None:
    await with_audit_channel(studio)
    await press(studio, await refused(studio), "Appeal")
    panel = (await studio.members["Ada"].slash(studio.channel, "admin appeals")).response
    assert "a peg" in words(panel)
    await press(studio, panel, "Approve", "Ada")
    ada, ann = studio.members["Ada"].id, studio.members["Ann"].id
    line = next(each for each in words(panel).splitlines() if each.startswith("#1"))
    assert f"<@{ann}>" in line
    assert f"by <@{ada}>, <t:" in line
    assert (await paint(studio, "a peg @everyone")).attachments
    await studio.restart()
    result = await studio.members["Ada"].select(panel.message, ["1"], custom_id="s1:ap:0")
    assert "No prompt is approved" in words(panel)
    assert result.acknowledged
    assert "blocked" in await asks(studio, "a peg @everyone")
    again = await studio.members["Ada"].slash(studio.channel, "admin appeals")
    assert "No appeal waits" in words(again.response)
    assert (await actions(studio))[-2:] == ["appeal.revoke", "prompt.refused"]


async def test_an_appeal_is_denied_once(studio: Stage) -> None:
    channel = await with_audit_channel(studio)
    refusal = await refused(studio)
    ids = buttons(refusal)
    await press(studio, refusal, "Appeal")
    appeal = await posts(channel, "Appeal")
    deny, approve = buttons(read(appeal))["Deny"], buttons(read(appeal))["Approve"]
    await studio.members["Ada"].click(appeal, custom_id=deny)
    late = await _forged(studio, "Ada", approve)
    assert "decided already" in said(late)
    assert "Your appeal was denied" in await asks(studio, "a peg @everyone")
    assert "already appealed" in said(await _forged(studio, "Ann", ids["Appeal"]))


async def test_only_a_few_appeals_may_wait(studio: Stage) -> None:
    await with_audit_channel(studio)
    await admin(studio, "words", action="add", word="peg")
    for number in range(4):
        result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt=f"peg number {number}")
        pressed = await press(studio, result.followups[-1], "Appeal")
        assert ("waiting for a decision" in said(pressed)) is (number == 3)


async def test_without_an_audit_channel_there_is_no_appeal(studio: Stage) -> None:
    assert list(buttons(await refused(studio))) == ["Edit"]


async def _forged(studio: Stage, who: str, custom_id: str) -> Any:
    """Press a button that we make ourselves, with any id."""
    from bot.delivery import layouts
    from bot.kit.button import Button
    from bot.kit.custom_ids import ButtonId

    press_id = ButtonId.parse(custom_id)
    assert press_id is not None
    channel = studio.bot.get_partial_messageable(studio.channel.id)
    message = await channel.send(view=layouts.notice("forged", Button(press_id, "press")))
    return await studio.members[who].click(message, custom_id=custom_id)


# ------------------------------------------------------------------ channels, pauses, jobs
async def test_easel_paints_only_where_it_may(studio: Stage) -> None:
    other = studio.guild.create_text_channel("other")
    await paint(studio, "a boat")
    assert f"<#{other.id}>" in await admin(studio, "channels", allow=other)
    assert f"<#{other.id}>" in await asks(studio, "a boat")
    for command, options in (("show", {"job": 1}), ("describe", {"source": "1.1"})):
        result = await studio.members["Ann"].slash(studio.channel, command, **options)
        assert f"<#{other.id}>" in said(result), command
    result = await studio.members["Ann"].slash(other, "imagine", prompt="a boat")
    await studio.idle()
    assert result.response.attachments
    await admin(studio, "channels", clear="allowed")
    assert (await paint(studio, "a boat")).attachments


async def test_age_only_refuses_other_channels(studio: Stage) -> None:
    await admin(studio, "channels", age_only=True)
    assert "age-restricted" in await asks(studio, "a boat")


async def test_draining_takes_nothing_new_and_finishes_the_rest(studio: Stage) -> None:
    studio.engine.step_s = 0.02  # type: ignore[attr-defined]
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat")
    assert "finishing" in await admin(studio, "pause", mode="drain", sentence="Back at *noon* @here")
    refusal = await asks(studio, "another boat")
    assert "Back at \\*noon\\*" in refusal
    assert "@here" not in refusal
    assert result.response.attachments
    await studio.restart()
    assert "noon" in await asks(studio, "another boat", "Ben")
    assert "as usual" in await admin(studio, "pause", mode="off")
    assert (await paint(studio, "a boat")).attachments


async def test_a_notice_is_told_once_and_nothing_stops(studio: Stage) -> None:
    assert "A notice needs a text" in await admin(studio, "pause", mode="notice")
    await admin(studio, "pause", mode="notice", sentence="Down at noon")
    told = []
    for who in ("Ann", "Ann", "Ben"):
        result = await studio.members[who].slash(studio.channel, "imagine", prompt="a boat")
        await studio.idle()
        assert result.response.attachments
        told.append([words(message) for message in result.followups if message.ephemeral])
    assert told == [["\n📢 Down at noon"], [], ["\n📢 Down at noon"]]
    info = await studio.members["Ann"].slash(studio.channel, "info")
    assert "Down at noon" in words(info.response)


async def test_a_pause_holds_what_waits_until_it_ends(studio: Stage) -> None:
    studio.engine.step_s = 0.02  # type: ignore[attr-defined]
    studio.settings.max_running = 1
    results = [await studio.members["Ann"].slash(studio.channel, "imagine", prompt=f"boat {n}") for n in range(3)]
    await admin(studio, "pause", mode="pause")
    await studio.restart()
    await asyncio.sleep(0.3)
    assert await studio.app.jobs.queue_length() >= 2
    assert "isn't taking new jobs" in await asks_now(studio, "a boat")
    await admin(studio, "pause", mode="off")
    await studio.idle()
    assert all(result.response.attachments for result in results)


async def asks_now(studio: Stage, prompt: str) -> str:
    return said(await studio.members["Ann"].slash(studio.channel, "imagine", prompt=prompt))


async def test_an_admin_cancels_anybodys_job_and_it_is_noted(studio: Stage) -> None:
    studio.engine.step_s = 0.05  # type: ignore[attr-defined]
    await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat")
    await studio.members["Ben"].slash(studio.channel, "imagine", prompt="my secret", private=True)
    shown = await studio.members["Ada"].slash(studio.channel, "admin jobs")
    assert "a boat" in words(shown.response)
    assert "secret" not in words(shown.response)
    ids = [part for part in buttons_of(shown.response) if part.startswith("v1:js:")]
    assert len(ids) == 2
    refused = await _forged(studio, "Ben", ids[0])
    assert "Manage Server" in said(refused)
    done = await studio.members["Ada"].click(shown.response.message, custom_id=ids[0])
    assert "Cancelled job" in said(done)
    assert "Cancelled 1 job of" in await admin(studio, "jobs", user=studio.members["Ben"], cancel=0)
    await studio.idle()
    assert await actions(studio) == ["job.cancel", "job.cancel"]


def buttons_of(message: Any) -> list[str]:
    from tests.e2e.screen import parts

    return [part["custom_id"] for part in parts(message.components) if part["type"] == 2]


# ------------------------------------------------------------------ the log
async def test_the_log_is_searched_exported_and_posted(studio: Stage) -> None:
    channel = await with_audit_channel(studio)
    await admin(studio, "ban", user=studio.members["Ann"], reason="=1+1 <@&1>")
    await admin(studio, "words", action="add", word="peg")
    assert "ban.set" in (await admin(studio, "audit", target=f"<@{studio.members['Ann'].id}>")).replace("\\", "")
    assert "No entries match" in await admin(studio, "audit", text="no such thing")
    assert "word.add" in (await admin(studio, "audit", action="word")).replace("\\", "")
    result = await studio.members["Ada"].slash(studio.channel, "admin audit", export=True)
    data = studio.env.backend.cdn.get(result.response.attachments[0].url)
    assert data.decode("utf-8-sig").count("ban.set") == 1
    await posts(channel, "ban\\.set")


async def test_an_admins_deletion_of_somebody_elses_picture_is_noted(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    await delete(studio, message, "Ada")
    assert await actions(studio) == ["job.delete"]


async def test_an_audit_channel_that_is_closed_to_us_is_refused(studio: Stage) -> None:
    me = studio.guild.me
    assert me is not None
    closed = studio.guild.create_text_channel(
        "closed", overwrites={me: discord.PermissionOverwrite(send_messages=False)}
    )
    assert "can't post" in await admin(studio, "channels", audit=closed)


async def test_a_channel_that_is_closed_to_us_cannot_be_allowed(studio: Stage) -> None:
    me = studio.guild.me
    assert me is not None
    locked = studio.guild.create_text_channel(
        "locked", overwrites={me: discord.PermissionOverwrite(send_messages=False)}
    )
    refusal = await admin(studio, "channels", allow=locked)
    assert (
        f"can't post in <#{locked.id}>. Give Easel **Send Messages** and **Attach Files** there. Nothing was changed"
        in refusal
    )
    assert not (await studio.app.moderation.rules(studio.guild.id)).allowed
