"""Direct messages: off, by the rules of the servers shared with the bot, or on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.features.credits import store as quota_store
from bot.features.credits.records import QuotaChange
from bot.features.servers import direct_messages
from bot.ledger.credit_limits import Allowance
from bot.ledger.limits import Quota, Terms, default_quota, strictest, terms_of
from engine.fake import FakeEngine
from tests.e2e.screen import buttons, words
from tests.features.credits.test_quotas import admin, everyone, said
from tests.features.region.test_mask_editor import form, link_of, marked, post


async def asks(studio: Stage, prompt: str = "a red boat", who: str = "Ann", **options: Any) -> str:
    """/imagine in a direct message; what is answered, and "[picture]" if it painted."""
    answer = await studio.members[who].user.slash("imagine", prompt=prompt, **options)
    await studio.idle()
    painted = any(message.attachments for message in studio.members[who].user.dm_channel.history())
    return said(answer) + (" [picture]" if painted else "")


@pytest.fixture
async def off(settings: Settings) -> AsyncIterator[Stage]:
    async with stage(settings.model_copy(update={"direct_messages": "off"}), make_engine=FakeEngine) as studio:
        yield studio


async def test_off_is_one_sentence_but_for_ones_own_data(off: Stage) -> None:
    assert direct_messages.OFF in await asks(off)
    ann = off.members["Ann"].user
    assert direct_messages.OFF in said(await ann.slash("history"))
    assert await ann.autocomplete("imagine", "model", "") == []
    assert direct_messages.OFF not in said(await ann.slash("privacy export"))
    assert await off.app.jobs.queue_length() == 0


async def test_on_is_a_place_of_its_own(settings: Settings) -> None:
    async with stage(settings.model_copy(update={"direct_messages": "on"}), make_engine=FakeEngine) as studio:
        await admin(studio, "words", action="add", word="boat")
        await admin(studio, "ban", user=studio.members["Ann"])
        assert "[picture]" in await asks(studio)
        (job,) = await studio.app.jobs.history(studio.members["Ann"].id, 0)
        balance = await studio.app.credits.balance(studio.members["Ann"].id, 0)
        assert balance.free_mc == studio.settings.credits_a_day * 1000 - job.price_mc
        assert await studio.app.store.problems() == []


async def test_shared_paints_for_members_and_for_nobody_else(studio: Stage) -> None:
    assert "[picture]" in await asks(studio)
    eve = studio.env.create_user("eve")
    assert direct_messages.STRANGER in said(await eve.slash("imagine", prompt="a boat"))
    studio.guild.remove_member(studio.members["Ben"])
    assert direct_messages.STRANGER in await asks(studio, who="Ben")


async def test_a_servers_ban_words_pause_and_channels_hold(studio: Stage) -> None:
    await admin(studio, "words", action="add", word="boat")
    assert "blocked here" in await asks(studio)
    await admin(studio, "words", action="remove", word="boat")
    await admin(studio, "pause", mode="drain", sentence="Back at noon")
    assert "Back at noon" in await asks(studio)
    await admin(studio, "pause", mode="off")
    await admin(studio, "channels", allow=studio.channel)
    assert "can't be used in direct messages" in await asks(studio)
    await admin(studio, "channels", clear="allowed", age_only=True)
    assert "can't be used in direct messages" in await asks(studio)
    await admin(studio, "channels", age_only=False)
    await admin(studio, "ban", user=studio.members["Ann"], reason="spam")
    assert "banned in a server you share with it" in await asks(studio)
    assert "banned in a server" in said(await studio.members["Ann"].user.slash("history"))
    assert "banned" not in said(await studio.members["Ann"].user.slash("privacy export"))
    await admin(studio, "unban", user=studio.members["Ann"])
    assert "[picture]" in await asks(studio)


async def test_a_word_that_only_age_restricted_channels_may_have_is_refused(studio: Stage) -> None:
    await admin(studio, "words", action="add", word="absinthe", rule="age")
    assert "age-restricted channels" in await asks(studio, "a glass of absinthe")


async def test_what_is_said_in_direct_messages_is_told_to_no_server(studio: Stage) -> None:
    """No appeal, no line in the server's log; a server that keeps its words to itself does so here too."""
    audit = studio.guild.create_text_channel("audit")
    await admin(studio, "channels", audit=audit)
    await admin(studio, "words", action="add", word="boat", tell=False)
    answer = await studio.members["Ann"].user.slash("imagine", prompt="a secret boat")
    shown = answer.response or answer.followups[-1]
    assert "A word in this prompt is blocked" in words(shown)
    assert "Appeal" not in buttons(shown)
    await studio.idle()
    assert not [message for message in audit.history() if "secret" in str(message.components)]


async def test_one_purse_for_direct_messages_and_the_server(studio: Stage) -> None:
    await admin(studio, "quota", role=everyone(studio), credits_a_day=6)
    assert "[picture]" in await asks(studio)
    ann, server = studio.members["Ann"].id, studio.guild.id
    terms = await studio.app.quotas.terms(await actor(studio))
    assert (await studio.app.credits.balance(ann, server, terms)).free_mc == 2000
    assert "costs 4 credits and you have 2 left" in await asks(studio)
    assert "2 of 6" in said(await studio.members["Ann"].user.slash("credits"))
    answer = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat")
    assert "you have 2 left" in said(answer)
    assert await studio.app.store.problems() == []


async def actor(studio: Stage) -> Any:
    [mine] = await studio.app.direct_messages.shared(studio.members["Ann"].id)
    return mine


async def test_the_richest_server_pays_and_the_strictest_limits(studio: Stage) -> None:
    other = studio.env.create_guild("Elsewhere")
    square = other.create_text_channel("square")
    other.add_member(studio.members["Ann"].user)
    await admin(studio, "quota", role=everyone(studio), credits_a_day=4, max_steps=30)
    quota = Quota(allowance=Allowance(amount_mc=50_000), max_steps=8, max_pixels=64 * 64)
    await studio.app.store.write(_set_everyone, other.id, quota)
    refused = await asks(studio, "a boat --steps 20")
    assert "Use at most 8" in refused
    await studio.members["Ann"].user.slash("imagine", prompt="a boat --n 1")
    await studio.idle()
    (job,) = await studio.app.jobs.history(studio.members["Ann"].id, 0)
    assert job.spec.width * job.spec.height <= 64 * 64
    terms = await studio.app.quotas.terms(await _in(studio, other.id))
    assert (await studio.app.credits.balance(job.user_id, other.id, terms)).free_mc == 50_000 - job.charged_mc
    assert square.history() == []


async def _in(studio: Stage, guild_id: int) -> Any:
    shared = await studio.app.direct_messages.shared(studio.members["Ann"].id)
    return next(each for each in shared if each.guild_id == guild_id)


def _set_everyone(db: Any, guild_id: int, quota: Quota) -> None:
    quota_store.set_quota(db, guild_id, QuotaChange(role_id=guild_id, quota=quota), 0)


async def test_the_mask_editors_page_follows_the_same_rules(settings: Settings) -> None:
    with_editor = settings.model_copy(update={"web_address": "auto", "web_port": 0})
    async with stage(with_editor, make_engine=FakeEngine) as studio:
        ann = studio.members["Ann"].user
        grid = (await ann.slash("imagine", prompt="a green boat")).response
        await studio.idle()
        alone = (await ann.click(grid.message, custom_id=buttons(grid)["U1"])).response
        chooser = (await ann.click(alone.message, custom_id=buttons(alone)["Vary (Region)"])).response
        link = link_of(chooser)
        await admin(studio, "ban", user=studio.members["Ann"])
        status, told = await post(link, form(marked()))
        assert (status, "banned in a server" in told) == (422, True)
        await admin(studio, "unban", user=studio.members["Ann"])
        assert (await post(link, form(marked())))[0] == 200
        await studio.idle()


async def test_a_slow_or_failing_discord_is_said(studio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_messages, "LOOK_S", 0.0)
    assert direct_messages.SLOW in await asks(studio)
    monkeypatch.undo()
    assert "[picture]" in await asks(studio), "what was found out in the meantime is kept"


async def test_operators_are_bound_by_no_server(studio: Stage) -> None:
    studio.settings.operators = (studio.members["Ann"].id,)
    await admin(studio, "words", action="add", word="boat")
    assert "[picture]" in await asks(studio)


# ------------------------------------------------------------------ limits
SETTINGS = Settings(_env_file=None)


def terms(**values: Any) -> Terms:
    return terms_of(default_quota(SETTINGS).overlaid(Quota(**values)), None)


def test_the_strictest_terms_are_those_of_every_limit_alone() -> None:
    one = terms(max_steps=10, max_queued=9, models=frozenset({"mini", "sdxl"}), relax=True, weight=2.0)
    two = terms(max_steps=20, max_queued=3, models=frozenset({"mini"}), loras=frozenset({"waves"}), relax=False)
    for home, other in ((one, two), (two, one)):
        least = strictest(home, [home, other], 7)
        assert (least.max_steps, least.max_queued, least.weight, least.relax) == (10, 3, 1.0, False)
        assert (least.models, least.loras) == ({"mini"}, {"waves"})
        assert least.allowance == home.allowance
        assert (least.purse, least.paid_in(0)) == (7, 7)
    assert strictest(terms(), [terms()], 1).models is None
