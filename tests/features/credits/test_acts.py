"""An act and its row in the audit log are one: when it can't be noted, nothing happened and the person is told so."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bot.demo.simulation import Stage
from bot.features.audit import store as audit_store
from bot.features.audit.store import AuditQuery
from bot.orders.actor import Actor
from tests.e2e.screen import words
from tests.e2e.test_panel import choose, fill, open_panel


def said(result: Any) -> str:
    assert result.acknowledged
    messages = [*result.followups, *([result.response] if result.response else [])]
    return "\n".join(message.content or words(message) for message in messages)


def command(name: str, who: str = "Ada", **options: Any) -> Callable[[Stage], Awaitable[str]]:
    async def act(studio: Stage) -> str:
        given = dict(options)
        if given.get("role"):
            given["role"] = studio.guild.default_role
        if given.get("user"):
            given["user"] = studio.members[given["user"]]
        return said(await studio.members[who].slash(studio.channel, name, **given))

    return act


async def grant_in_panel(studio: Stage) -> str:
    message = await open_panel(studio, "People")
    await choose(studio, message, "s1:ape:0", studio.members["Ann"])
    return said(await fill(studio, message, "Give credits …", amount="25", reason=""))


async def budget_in_panel(studio: Stage) -> str:
    message = await open_panel(studio, "Quotas")
    return said(await fill(studio, message, "Whole server …", cap="1000", gifts="5"))


def unwritable(*_: Any, **__: Any) -> None:
    raise sqlite3.OperationalError("disk I/O error")


ACTS = {
    "grant": command("admin grant", user="Ann", amount=5),
    "grant in the panel": grant_in_panel,
    "take": command("admin take", user="Ann", amount=5),
    "gift": command("gift", "Ann", user="Ben", amount=5),
    "role": command("admin quota", role=True, max_steps=5),
    "member": command("admin quota", user="Ben", max_steps=5),
    "clear": command("admin quota", user="Ann", clear=True),
    "budget": command("admin quota", server_credits_a_day=5),
    "budget in the panel": budget_in_panel,
}


async def world(studio: Stage) -> list[Any]:
    """Everything that the acts change."""

    def rows(db: sqlite3.Connection) -> list[Any]:
        tables = ("transfer", "account", "quota", "guild_budget", "audit")
        return [tuple(row) for table in tables for row in db.execute(f"SELECT * FROM {table}")]

    server = await studio.app.quotas.server(studio.guild.id)
    return [*await studio.app.store.read(rows), server]


@pytest.mark.parametrize("name", ACTS)
async def test_an_act_that_cannot_be_noted_does_not_happen(
    failing_studio: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    studio = failing_studio
    await command("admin grant", user="Ann", amount=10)(studio)
    await command("admin quota", gifts_a_day=10)(studio)
    await command("admin quota", user="Ann", max_queued=9)(studio)
    before = await world(studio)
    with monkeypatch.context() as patch:
        patch.setattr(audit_store, "add", unwritable)
        assert "nothing was changed" in await ACTS[name](studio)
    assert await world(studio) == before
    assert "nothing was changed" not in await ACTS[name](studio)
    assert await world(studio) != before


async def test_every_act_is_noted_once_and_announced(studio: Stage) -> None:
    heard: list[str] = []
    studio.app.audit.listeners.append(lambda entry: heard.append(entry.action))
    for act in ("grant", "take", "budget", "role", "clear"):
        await ACTS[act](studio)
    noted = [entry.action for entry in reversed(await studio.app.audit.search(AuditQuery(), 100))]
    assert heard == noted == ["credits.grant", "credits.take", "quota.server", "quota.set", "quota.clear"]


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
