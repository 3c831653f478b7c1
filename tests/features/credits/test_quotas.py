"""Who may paint how much, changed live by admins; credits by hand, gifts, the relax lane, the price before it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.features.audit.store import AuditQuery
from bot.features.credits import store as quota_store
from bot.features.credits.records import QuotaChange, Subscription
from bot.ledger.credit_limits import Allowance
from bot.ledger.limits import Quota, Terms
from bot.orders.actor import Actor
from engine.fake import FakeEngine
from tests.e2e.screen import buttons, paint, press, words


def said(result: Any) -> str:
    """Everything an interaction answered."""
    assert result.acknowledged
    told = [*result.followups, *([result.response] if result.response else [])]
    return "\n".join(words(message) for message in told)


async def admin(studio: Stage, command: str, who: str = "Ada", **options: Any) -> str:
    return said(await studio.members[who].slash(studio.channel, f"admin {command}", **options))


async def asks(studio: Stage, prompt: str = "a red boat", who: str = "Ann", **options: Any) -> str:
    result = await studio.members[who].slash(studio.channel, "imagine", prompt=prompt, **options)
    await studio.idle()
    return said(result)


def everyone(studio: Stage) -> Any:
    return studio.guild.default_role


async def show_admin_to(studio: Stage, who: str) -> None:
    """As a server may: the command is shown to somebody without the permission it asks for."""
    [command] = [each for each in await studio.bot.tree.fetch_commands() if each.name == "admin"]
    studio.guild.set_command_permissions(command.id, {studio.members[who]: True})


async def terms(studio: Stage, who: str = "Ann") -> Terms:
    guild_id = studio.guild.id
    actor = Actor(user_id=studio.members[who].id, guild_id=guild_id, channel_id=1, role_ids=frozenset({guild_id}))
    return await studio.app.quotas.terms(actor)


async def actions(studio: Stage) -> list[str]:
    return [entry.action for entry in reversed(await studio.app.audit.search(AuditQuery(), 100))]


async def test_an_admin_sees_sets_and_clears_a_quota_live(studio: Stage) -> None:
    assert "100 credits a day" in await admin(studio, "quota")
    told = await admin(studio, "quota", role=everyone(studio), credits_a_day=2, max_steps=4)
    assert "2 credits a day" in told
    assert "costs 4 credits and you have 2 left" in await asks(studio)
    assert "Use at most 4" in await asks(studio, "a boat --steps 5")
    assert "Cleared" in await admin(studio, "quota", role=everyone(studio), clear=True)
    await paint(studio)
    assert await actions(studio) == ["quota.set", "quota.clear"]


async def test_a_month_of_credits_says_when_it_renews(studio: Stage) -> None:
    await admin(studio, "quota", role=everyone(studio), credits_a_month=5)
    await paint(studio)
    assert "on the first of the month" in await asks(studio)
    assert "1 of 5 credits free this month" in said(await studio.members["Ann"].slash(studio.channel, "credits"))


async def test_the_more_generous_role_counts(studio: Stage) -> None:
    role = studio.guild.create_role("Patron")
    await admin(studio, "quota", role=everyone(studio), credits_a_day=1)
    await admin(studio, "quota", role=role, credits_a_day=50)
    cat = studio.guild.add_member(studio.env.create_user("Cat"), roles=[role])
    assert "50 of 50 credits free" in said(await cat.slash(studio.channel, "credits"))
    assert "1 of 1 credit free" in said(await studio.members["Ann"].slash(studio.channel, "credits"))
    listed = await admin(studio, "quota")
    assert f"<@&{role.id}>: 50 credits a day" in listed
    assert "**Everyone**: 1 credit a day" in listed


async def test_one_persons_quota_wins_and_ends(studio: Stage) -> None:
    ann = studio.members["Ann"]
    await admin(studio, "quota", user=ann, credits_a_day=0, max_queued=1, until="2d")
    assert (await terms(studio)).allowance_mc == 0
    assert "you have 0 left" in await asks(studio)
    assert (await terms(studio, "Ben")).allowance_mc == 100_000
    assert "until <t:" in await admin(studio, "quota", user=ann)
    assert "Cleared" in await admin(studio, "quota", user=ann, clear=True)
    assert (await terms(studio)).allowance_mc == 100_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"credits_a_day": 5}, "who it's for"),
        ({"role": True, "credits_a_day": 5, "credits_a_month": 5}, "not both"),
        ({"role": True, "user": "Ann", "max_steps": 5}, "Leave one of them out"),
        ({"role": True, "max_steps": 5, "until": "2d"}, "choose a user"),
        ({"user": "Ann", "max_steps": 5, "until": "soon"}, "7d"),
        ({"user": "Ann", "max_steps": 5, "until": "2001-01-01"}, "in the future"),
        ({"role": True, "models": "sdxl"}, "no model 'sdxl'"),
        ({"role": True, "models": " , "}, "at least one"),
        ({"user": "Ann", "gifts_a_day": 5}, "whole server"),
    ],
)
async def test_what_makes_no_sense_gets_a_sentence_and_changes_nothing(
    studio: Stage, options: dict[str, Any], says: str
) -> None:
    given = dict(options)
    if given.get("role"):
        given["role"] = everyone(studio)
    if given.get("user"):
        given["user"] = studio.members[given["user"]]
    assert says in await admin(studio, "quota", **given)
    assert await actions(studio) == []


async def test_only_admins_and_operators_set_quotas_and_move_credits(studio: Stage) -> None:
    ben = studio.members["Ben"]
    await show_admin_to(studio, "Ann")
    calls = (("quota", {}), ("grant", {"user": ben, "amount": 5}), ("take", {"user": ben, "amount": 5}))
    for command, options in calls:
        assert "Manage Server" in await admin(studio, command, "Ann", **options), command
    assert (await studio.app.credits.balance(ben.id, studio.guild.id)).paid_mc == 0
    studio.settings.operators = (studio.members["Ann"].id,)
    assert "Granted" in await admin(studio, "grant", "Ann", user=ben, amount=5)


async def test_credits_are_granted_and_never_taken_below_zero(studio: Stage) -> None:
    ann = studio.members["Ann"]
    assert "now has 12.5 credits" in await admin(studio, "grant", user=ann, amount=12.5, reason="a prize")
    assert "Only 12.5 of their credits can be taken here" in await admin(studio, "take", user=ann, amount=13)
    assert "has left 0.5 credits" in await admin(studio, "take", user=ann, amount=12)
    account = said(await ann.slash(studio.channel, "credits"))
    assert "`+12.5` granted by an admin" in account
    assert "`-12` taken by an admin" in account
    assert await actions(studio) == ["credits.grant", "credits.take"]


async def test_models_that_are_not_ones_own_are_refused_by_name(studio: Stage) -> None:
    mini = studio.engine.models()[0].key
    await admin(studio, "quota", role=everyone(studio), models=mini)
    await paint(studio)
    other = Quota(models=frozenset({"other"}))
    by = Actor(user_id=studio.members["Ada"].id, guild_id=studio.guild.id, channel_id=1, is_admin=True)
    await studio.app.quotas.set_quota(by, QuotaChange(role_id=studio.guild.id, quota=other))
    assert "None of the models you can use here is loaded" in await asks(studio)
    assert f"You can't use the model {mini} here" in await asks(studio, f"a boat --model {mini}")


async def test_the_server_has_a_cap_a_day(studio: Stage) -> None:
    assert "can spend 6 credits a day" in await admin(studio, "quota", server_credits_a_day=6)
    await paint(studio)
    assert "This server has used up its credits for today" in await asks(studio, who="Ben")
    await paint(studio, "a boat --n 2", "Ben")
    assert "No daily cap" in await admin(studio, "quota", server_credits_a_day=0)
    await paint(studio, who="Ben")


async def test_without_credits_one_goes_on_relaxed(studio: Stage) -> None:
    await admin(studio, "quota", role=everyone(studio), credits_a_day=5, relax=True)
    assert "relax" not in words(await paint(studio))
    relaxed = await paint(studio)
    assert "relax ·" in words(relaxed)
    assert list(buttons(relaxed))[:4] == ["U1", "U2", "U3", "U4"]
    balance = await studio.app.credits.balance(studio.members["Ann"].id, studio.guild.id, await terms(studio))
    assert balance.free_mc == 1000


async def test_what_is_dearer_than_a_grid_is_asked_about_first(studio: Stage) -> None:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat --steps 8")
    asked = result.response
    assert "8 credits" in words(asked)
    assert "You have 100 credits" in words(asked)
    assert await studio.app.jobs.pending() == 0
    assert asked.ephemeral
    done = await press(studio, asked, "Paint it")
    assert list(buttons(done.followups[0]))[:2] == ["U1", "U2"]
    assert (await studio.app.credits.balance(studio.members["Ann"].id, studio.guild.id)).free_mc == 92_000


async def test_gifts_are_off_until_switched_on_and_capped_a_day(studio: Stage) -> None:
    ann, ben = studio.members["Ann"], studio.members["Ben"]

    async def give(amount: float, to: Any = ben) -> str:
        return said(await ann.slash(studio.channel, "gift", user=to, amount=amount))

    await admin(studio, "grant", user=ann, amount=20)
    assert "Gifts are off" in await give(1)
    assert "up to 10 credits a day" in await admin(studio, "quota", gifts_a_day=10)
    assert "gives" in await give(8)
    assert "you gave 8 today" in await give(3)
    assert "Choose another person" in await give(1, ann)
    assert "`-8` a gift" in said(await ann.slash(studio.channel, "credits"))
    assert "`+8` a gift" in said(await ben.slash(studio.channel, "credits"))
    assert "member.gift" in await actions(studio)


async def test_free_credits_cannot_be_given_away(studio: Stage) -> None:
    await admin(studio, "quota", gifts_a_day=10)
    told = said(await studio.members["Ann"].slash(studio.channel, "gift", user=studio.members["Ben"], amount=5))
    assert "You have 0 credits to give away" in told


async def test_credits_shows_everything_and_only_to_oneself(studio: Stage) -> None:
    fresh = await studio.members["Ann"].slash(studio.channel, "credits")
    assert fresh.ephemeral
    assert "Nothing yet" in said(fresh)
    await paint(studio)
    text = said(await studio.members["Ann"].slash(studio.channel, "credits"))
    assert "96 of 100 credits free this day" in text
    assert "`-4` images of job #1" in text
    assert "**4 credits**" in text


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0)


async def test_a_relaxed_server_by_setting(settings: Settings) -> None:
    relaxed = settings.model_copy(update={"relax": True, "credits_a_day": 0})
    async with stage(relaxed, make_engine=FakeEngine) as studio:
        assert "relax" in words(await paint(studio))
        assert await studio.app.store.problems() == []


async def test_a_persons_quota_is_forgotten_with_them(studio: Stage) -> None:
    ann = studio.members["Ann"]
    await admin(studio, "quota", user=ann, credits_a_day=7)
    await admin(studio, "grant", user=ann, amount=50)
    await paint(studio)
    asked = (await ann.slash(studio.channel, "privacy delete")).response
    await press(studio, asked, next(label for label in buttons(asked) if "elete" in label))
    assert (await terms(studio)).allowance_mc == 100_000
    balance = await studio.app.credits.balance(ann.id, studio.guild.id, await terms(studio))
    assert (balance.free_mc, balance.paid_mc) == (96_000, 0)


async def test_a_member_of_another_server_has_another_account(studio: Stage) -> None:
    elsewhere = studio.env.create_guild("Elsewhere")
    channel = elsewhere.create_text_channel("easel")
    await admin(studio, "quota", role=everyone(studio), credits_a_day=5)
    await admin(studio, "grant", user=studio.members["Ann"], amount=50)
    guest = elsewhere.add_member(studio.env.create_user("Guest"))
    assert "100 of 100 credits free" in said(await guest.slash(channel, "credits"))
    balance = await studio.app.credits.balance(studio.members["Ann"].id, elsewhere.id)
    assert balance.paid_mc == 0


# ------------------------------------------------------------------ ceilings
@pytest.mark.parametrize(
    ("option", "too_much", "allowed"),
    [
        ("max_steps", 150, "60"),
        ("max_pixels", 8192 * 8192, "2359296"),
        ("max_running", 64, "16"),
        ("weight", 100.0, "10"),
        ("credits_a_day", 1_000_000, "10000 a day"),
        ("credits_a_month", 1_000_000, "300000 a month"),
    ],
)
async def test_no_admin_sets_more_than_those_who_run_the_bot_allow(
    studio: Stage, option: str, too_much: Any, allowed: str
) -> None:
    for target in ({"role": everyone(studio)}, {"user": studio.members["Ann"]}):
        refusal = await admin(studio, "quota", **target, **{option: too_much})
        assert f"Those who run this bot allow up to {allowed}." in refusal
    assert await actions(studio) == []


async def test_what_was_set_before_there_was_a_ceiling_counts_up_to_it(studio: Stage) -> None:
    """As after an upgrade, or when a setting became smaller: the stored quota stays, what it gives does not."""
    huge = Quota(max_steps=150, weight=100.0, max_running=64, allowance=Allowance(amount_mc=10**9), relax=True)
    guild_id = studio.guild.id
    for change in (
        QuotaChange(role_id=guild_id, quota=huge),
        QuotaChange(user_id=studio.members["Ben"].id, quota=huge),
    ):
        await studio.app.store.write(quota_store.set_quota, guild_id, change, 0)
    for who in ("Ann", "Ben"):
        mine = await terms(studio, who)
        assert (mine.max_steps, mine.weight, mine.max_running, mine.relax) == (60, 10.0, 16, True)
        assert mine.allowance == Allowance(amount_mc=10_000_000)
    assert "up to 60 steps" in await admin(studio, "quota", role=everyone(studio))
    assert "Changed" in await admin(studio, "quota", role=everyone(studio), max_queued=3)


@pytest.mark.parametrize(("own", "most", "holds"), [(0, 0, None), (5, 0, 5), (0, 7, 7), (5, 7, 5), (9, 7, 7)])
async def test_a_server_spends_no_more_than_both_caps_allow(
    settings: Settings, own: int, most: int, holds: int | None
) -> None:
    capped = settings.model_copy(update={"server_credits_a_day": most})
    async with stage(capped, make_engine=FakeEngine) as studio:
        await admin(studio, "quota", server_credits_a_day=own)
        assert (await terms(studio)).server_cap_mc == (holds * 1000 if holds else None)


async def test_what_is_sold_may_be_above_the_ceilings(settings: Settings) -> None:
    """Those who run the bot say both."""
    sold = settings.model_copy(update={"skus": {5: {"max_steps": 100}}})
    async with stage(sold, make_engine=FakeEngine) as studio:
        ann = studio.members["Ann"].id
        await studio.app.quotas.subscribe(Subscription(id=1, sku_id=5, user_id=ann, guild_id=0, ends_at_ms=None))
        assert (await terms(studio)).max_steps == 100
        assert (await terms(studio, "Ben")).max_steps == 60
