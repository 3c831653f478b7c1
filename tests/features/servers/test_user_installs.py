"""Easel brought along by a person, into a server that never added it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.features.servers import direct_messages
from engine.fake import FakeEngine
from tests.e2e.screen import buttons
from tests.features.credits.test_quotas import said


class Elsewhere:
    """A server without Easel, with Ann of Easel's server, and Eve whom Easel doesn't know."""

    def __init__(self, studio: Stage) -> None:
        self.studio = studio
        self.guild = studio.env.create_guild("Elsewhere")
        self.square = self.guild.create_text_channel("square")
        self.ann = self.guild.add_member(studio.members["Ann"].user)
        self.eve = self.guild.add_member(studio.env.create_user("eve"))

    async def leave(self) -> None:
        """Discord tells an app nothing of a server it isn't in."""
        await self.studio.idle()
        connection: Any = self.studio.bot._connection
        connection._remove_guild(connection._get_guild(self.guild.id))

    async def imagine(self, member: Any) -> Any:
        result = await member.slash(self.square, "imagine", prompt="a red boat")
        await self.studio.idle()
        return result


async def press(member: Any, result: Any, label: str) -> Any:
    return await member.click(result.response.message, custom_id=buttons(result.response)[label])


@pytest.fixture
async def elsewhere(settings: Settings) -> AsyncIterator[Elsewhere]:
    allowed = settings.model_copy(update={"user_installs": True})
    async with stage(allowed, make_engine=FakeEngine) as studio:
        built = Elsewhere(studio)
        await built.leave()
        yield built
        assert await studio.app.store.problems() == []


async def test_a_member_paints_there_by_the_rules_and_from_the_purse_of_a_shared_server(elsewhere: Elsewhere) -> None:
    result = await elsewhere.imagine(elsewhere.ann)
    assert result.response.attachments
    app, ann = elsewhere.studio.app, elsewhere.studio.members["Ann"].id
    (job,) = await app.jobs.history(ann, 0)
    home = elsewhere.studio.guild.id
    [mine] = await app.direct_messages.shared(ann)
    balance = await app.credits.balance(ann, home, await app.quotas.terms(mine))
    assert balance.free_mc == elsewhere.studio.settings.credits_a_day * 1000 - job.price_mc


async def test_people_whom_no_server_shares_are_refused(elsewhere: Elsewhere) -> None:
    assert direct_messages.STRANGER in said(await elsewhere.imagine(elsewhere.eve))
    assert await elsewhere.studio.app.jobs.queue_length() == 0


async def test_the_owner_of_that_server_has_no_say_and_nobody_else_may_press(elsewhere: Elsewhere) -> None:
    result = await elsewhere.imagine(elsewhere.ann)
    refused = await press(elsewhere.eve, result, "V1")
    assert direct_messages.STRANGER in said(refused)
    assert (await press(elsewhere.ann, result, "U1")).response.attachments


async def test_a_ban_of_the_shared_server_holds_there(elsewhere: Elsewhere) -> None:
    studio = elsewhere.studio
    await studio.members["Ada"].slash(studio.channel, "admin ban", user=studio.members["Ann"])
    assert "banned" in said(await elsewhere.imagine(elsewhere.ann))


@pytest.mark.parametrize("allowed", [False, True])
async def test_commands_say_where_they_may_be_brought_along(settings: Settings, allowed: bool) -> None:
    async with stage(settings.model_copy(update={"user_installs": allowed}), make_engine=FakeEngine) as studio:
        tree = studio.bot.tree
        published = {command.name: command.to_dict(tree) for command in tree.get_commands()}
    anywhere = [0, 1] if allowed else [0]
    assert sorted(published["imagine"]["integration_types"]) == anywhere
    assert sorted(published["Describe"]["integration_types"]) == anywhere
    assert (2 in published["imagine"]["contexts"]) == allowed
    assert published["admin"]["integration_types"] == published["gift"]["integration_types"] == [0]
