"""The panel's page for quotas: every limit can be chosen, is filled in, and changes alone."""

from __future__ import annotations

from typing import Any

import pytest

from bot.demo.simulation import Stage
from bot.ledger.limits import MEMBER_LIMITS, Quota, default_quota
from tests.e2e.screen import press, words
from tests.features.admin.test_panel import choose, fill, open_panel


async def open_limits(studio: Stage, message: Any, role_id: int, *names: str) -> Any:
    """The form of some of a role's limits."""
    return await choose(studio, message, f"s1:ali:{role_id}", list(names))


async def set_limits(studio: Stage, message: Any, role_id: int, **typed: str) -> Any:
    shown = await open_limits(studio, message, role_id, *typed)
    return await studio.members["Ada"].submit_modal(shown, typed)


def filled(shown: Any) -> dict[str, Any]:
    rows = [row["components"][0] for row in shown.modal["components"]]
    return {row["custom_id"]: row.get("value") for row in rows}


async def roles(studio: Stage) -> Any:
    return (await studio.app.quotas.server(studio.guild.id)).roles


async def test_everyones_limits_are_chosen_changed_and_cleared(studio: Stage) -> None:
    message, everyone = await open_panel(studio, "Limits"), studio.guild.id
    await press(studio, message, "Everyone …", "Ada")
    assert "**Everyone**: nothing set" in words(message)
    await set_limits(
        studio,
        message,
        everyone,
        allowance="20 a day",
        max_running="2",
        max_queued="5",
        max_pixels="512x512",
        relax="off",
    )
    await set_limits(studio, message, everyone, max_steps="30", loras="none")
    now = (await roles(studio))[everyone]
    assert (now.allowance.amount_mc, now.allowance.period, now.max_pixels) == (20_000, "day", 512 * 512)
    assert (now.max_running, now.max_queued, now.max_steps, now.relax) == (2, 5, 30, False)
    assert (now.loras, now.models, now.weight) == (frozenset(), None, None)
    assert "20 credits a day" in words(message)
    assert "no LoRAs" in words(message)
    opened = await open_limits(studio, message, everyone, "allowance", "max_pixels", "relax", "loras", "weight")
    said = filled(opened)
    assert said == {"allowance": "20 a day", "max_pixels": "262144", "relax": "off", "loras": "none", "weight": None}
    await studio.members["Ada"].submit_modal(opened, dict.fromkeys(said, ""))
    assert (await roles(studio))[everyone] == Quota(max_running=2, max_queued=5, max_steps=30)
    await set_limits(studio, message, everyone, max_running="", max_queued="", max_steps="")
    assert everyone not in await roles(studio)


async def test_a_roles_limits_and_the_whole_servers(studio: Stage) -> None:
    message, role = await open_panel(studio, "Limits"), studio.guild.create_role("Painters")
    await choose(studio, message, "s1:ali:0", role)
    assert f"<@&{role.id}>" in words(message)
    await studio.restart()
    await set_limits(studio, message, role.id, allowance="500 a month", models="mini", weight="2")
    now = (await roles(studio))[role.id]
    assert (now.allowance.amount_mc, now.allowance.period, now.models) == (500_000, "month", frozenset({"mini"}))
    message = await open_panel(studio, "Quotas")
    await fill(studio, message, "Whole server …", cap="1000", gifts="")
    server = await studio.app.quotas.server(studio.guild.id)
    assert (server.cap_mc, server.gifts_mc) == (1_000_000, None)
    await fill(studio, message, "Whole server …", cap="", gifts="0.5")
    server = await studio.app.quotas.server(studio.guild.id)
    assert (server.cap_mc, server.gifts_mc) == (None, 500)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("allowance", "lots", "isn't a valid allowance"),
        ("allowance", "5 a week", "isn't a valid allowance"),
        ("max_running", "0", "Jobs running at once can't be"),
        ("max_pixels", "9x9", "isn't a valid size"),
        ("max_steps", "1000", "Use 1 to 150"),
        ("models", "dalle", "There is no model"),
        ("loras", "dalle", "There is no LoRA"),
        ("weight", "1000", "Weight in the queue can't be"),
        ("relax", "maybe", "Use on or off"),
    ],
)
async def test_a_limit_that_cannot_be_is_refused(studio: Stage, name: str, value: str, says: str) -> None:
    message = await open_panel(studio, "Limits")
    await press(studio, message, "Everyone …", "Ada")
    done = await set_limits(studio, message, studio.guild.id, **{name: value})
    assert says in (done.response or done.followups[-1]).content
    assert not await roles(studio)


async def test_every_limit_can_be_chosen_and_its_form_says_what_holds(studio: Stage) -> None:
    message, everyone = await open_panel(studio, "Limits"), studio.guild.id
    whole = default_quota(studio.settings)
    for name, row in MEMBER_LIMITS.items():
        await press(studio, message, "Everyone …", "Ada")
        await set_limits(studio, message, everyone, **{name: row.typed(whole.values[name])})
        message = await open_panel(studio, "Limits")
    assert (await roles(studio))[everyone] == whole


async def test_the_short_form_holds_the_usual_limits_and_keeps_the_others(studio: Stage) -> None:
    message, everyone = await open_panel(studio, "Limits"), studio.guild.id
    await press(studio, message, "Everyone …", "Ada")
    await set_limits(studio, message, everyone, loras="none")
    message = await open_panel(studio, "Quotas")
    await fill(studio, message, "Everyone …", credits="20 a day", jobs="2, 5", most="512x512, 30", queue=", off")
    assert "20 credits a day" in words(message)
    opened = await press(studio, message, "Everyone …", "Ada")
    said = filled(opened)
    assert said == {"credits": "20 a day", "jobs": "2, 5", "most": "262144, 30", "models": None, "queue": ", off"}
    await studio.members["Ada"].submit_modal(opened, dict.fromkeys(said, ""))
    assert (await roles(studio))[everyone] == Quota(loras=frozenset())
