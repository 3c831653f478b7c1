"""An act on credits by the same interaction counts once, and is noted once."""

from __future__ import annotations

from bot.demo.simulation import Stage
from bot.features.audit.store import AuditQuery
from bot.orders.actor import Actor


async def test_the_same_interaction_counts_and_is_noted_once(studio: Stage) -> None:
    credits, ann = studio.app.credits, studio.members["Ann"].id
    by = Actor(user_id=studio.members["Ada"].id, guild_id=studio.guild.id, channel_id=1, is_admin=True)
    for _ in range(2):
        await credits.grant(by, ann, 5000, "", "9")
        await credits.take(by, ann, 2000, "", "9")
    assert (await credits.balance(ann, studio.guild.id)).paid_mc == 3000
    assert len(await studio.app.audit.search(AuditQuery(), 100)) == 2
    reasons = {entry.reason: entry.amount_mc for entry in await credits.entries(ann, studio.guild.id)}
    assert reasons == {"granted by an admin": 5000, "taken by an admin": -2000}
