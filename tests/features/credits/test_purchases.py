"""What is bought on Discord counts once, whatever is heard twice or while the bot was away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.features.credits.records import QuotaChange
from bot.ledger.credit_limits import Allowance
from bot.ledger.limits import Quota, Terms
from bot.orders.actor import Actor
from engine.fake import FakeEngine
from tests.e2e.screen import paint

PACK, PATRON = 700_001, 700_002
SKUS = {PACK: {"credits": 50}, PATRON: {"credits_a_day": 300, "weight": 2, "relax": True}}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0, skus=SKUS)


@pytest.fixture
async def shop(studio: Stage) -> Stage:
    studio.env.create_sku("A pack", type=discord.SKUType.consumable, id=PACK)
    studio.env.create_sku("Patron", type=discord.SKUType.subscription, id=PATRON)
    return studio


async def paid(studio: Stage, guild_id: int | None = None, who: str = "Ann") -> int:
    where = studio.guild.id if guild_id is None else guild_id
    return (await studio.app.credits.balance(studio.members[who].id, where)).paid_mc


async def terms(studio: Stage, who: str = "Ann", guild_id: int | None = None) -> Terms:
    where = studio.guild.id if guild_id is None else guild_id
    return await studio.app.quotas.terms(Actor(user_id=studio.members[who].id, guild_id=where, channel_id=1))


async def test_a_pack_is_credited_once_and_consumed(shop: Stage) -> None:
    bought = await shop.env.grant_entitlement(PACK, user=shop.members["Ann"])
    assert bought.snapshot().consumed
    assert await paid(shop) == 50_000
    await bought.replay_create()
    await shop.restart()
    assert await paid(shop) == 50_000
    await shop.env.grant_entitlement(PACK, user=shop.members["Ann"])
    assert await paid(shop) == 100_000
    assert await paid(shop, who="Ben") == 0


async def test_bought_credits_are_spent_in_any_server_after_the_free_ones(shop: Stage) -> None:
    await shop.env.grant_entitlement(PACK, user=shop.members["Ann"])
    assert await paid(shop, guild_id=0) == await paid(shop, guild_id=99) == 50_000
    by = Actor(user_id=shop.members["Ada"].id, guild_id=shop.guild.id, channel_id=1, is_admin=True)
    nothing = Quota(allowance=Allowance(amount_mc=0))
    await shop.app.quotas.set_quota(by, QuotaChange(user_id=shop.members["Ann"].id, quota=nothing))
    await paint(shop)
    assert await paid(shop, guild_id=99) == 46_000


async def test_what_was_bought_while_the_bot_was_away_counts_at_its_start(shop: Stage) -> None:
    late = shop.env.seed_entitlement(PACK, user=shop.members["Ben"])
    assert await paid(shop, who="Ben") == 0
    await shop.restart()
    assert await paid(shop, who="Ben") == 50_000
    assert late.snapshot().consumed


async def test_a_pack_that_cannot_be_consumed_is_credited_once_all_the_same(
    shop: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Any) -> None:
        raise discord.HTTPException(_Answer(), "Discord is away")  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(discord.Entitlement, "consume", broken)
        bought = await shop.env.grant_entitlement(PACK, user=shop.members["Ann"])
    assert await paid(shop) == 50_000
    assert not bought.snapshot().consumed
    await shop.restart()
    assert await paid(shop) == 50_000
    assert bought.snapshot().consumed


class _Answer:
    status, reason = 503, "away"


async def test_a_subscription_is_a_quota_while_it_runs(shop: Stage) -> None:
    assert (await terms(shop)).allowance_mc == 100_000
    patron = await shop.env.grant_entitlement(PATRON, user=shop.members["Ann"])
    theirs = await terms(shop)
    assert (theirs.allowance_mc, theirs.weight, theirs.relax) == (300_000, 2.0, True)
    assert (await terms(shop, guild_id=99)).allowance_mc == 300_000
    assert (await terms(shop, "Ben")).allowance_mc == 100_000
    await shop.restart()
    assert (await terms(shop)).weight == 2.0
    await patron.revoke()
    assert (await terms(shop)).weight == 1.0


async def test_a_servers_subscription_holds_for_its_members(shop: Stage) -> None:
    await shop.env.grant_entitlement(PATRON, guild=shop.guild)
    assert (await terms(shop, "Ben")).weight == 2.0
    assert (await terms(shop, "Ben", guild_id=99)).weight == 1.0


async def test_a_subscription_that_ended_while_the_bot_was_away_is_over(shop: Stage) -> None:
    past = datetime.now(UTC) - timedelta(days=40)
    shop.env.seed_entitlement(PATRON, user=shop.members["Ann"], starts_at=past, ends_at=past + timedelta(days=30))
    await shop.restart()
    assert (await terms(shop)).weight == 1.0


async def test_nothing_is_sold_unless_the_settings_say_so(tmp_path: Path) -> None:
    plain = Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0)
    async with stage(plain, make_engine=FakeEngine) as studio:
        studio.env.create_sku("A pack", type=discord.SKUType.consumable, id=PACK)
        bought = await studio.env.grant_entitlement(PACK, user=studio.members["Ann"])
        assert not bought.snapshot().consumed
        assert await paid(studio) == 0
