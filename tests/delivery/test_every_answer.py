"""Whatever Discord answers, at every step of a delivery: it arrives once, is tried again, or its end is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bot.delivery.job_messages import PATIENCE
from bot.delivery.transport import MessageTransport
from bot.demo.simulation import Stage
from bot.jobs.outbox import TokenRefused, TryLater, Undeliverable
from bot.jobs.records import Job, OutboxEntry
from bot.kit.components import notice
from tests.e2e.conftest import settings, studio, unhurried

__all__ = ["settings", "studio", "unhurried"]

STEPS = ("token", "channel", "new message", "direct message")
ANSWERS: tuple[int | Exception, ...] = (
    *(413, 400, 401, 403, 404, 429, 500),
    TimeoutError("no answer"),
    ConnectionResetError("reset by peer"),
)
PASSES = (429, 500)  # and whatever is no answer at all


class Door:
    """Ann's job, and the ways to her."""

    def __init__(self, studio: Stage, message: Any, job: Job) -> None:
        self.studio, self.message, self.job = studio, message, job
        self.number = 0
        ann = studio.members["Ann"].id
        self.requests = {
            "token": ("PATCH", "/webhooks/*/*/messages/*"),
            "channel": ("PATCH", f"/channels/{studio.channel.id}/messages/*"),
            "new message": ("POST", f"/channels/{studio.channel.id}/messages"),
            "direct message": ("GET", f"/users/{ann}"),
        }

    def close(self, step: str, status: int, times: int | None = None) -> None:
        method, path = self.requests[step]
        self.studio.env.inject_error(method, path, status=status, times=times)

    @contextmanager
    def answering(self, step: str, answer: int | Exception, times: int | None) -> Iterator[None]:
        """Let a step give an answer, so many times or always; the ways before it are closed."""
        for before in STEPS[: STEPS.index(step)]:
            self.close(before, 403)
        with pytest.MonkeyPatch.context() as patched:
            if isinstance(answer, int):
                self.close(step, answer, times)
            else:
                self._break(patched, step, answer, times)
            try:
                yield
            finally:
                self.studio.env.backend.faults.clear()

    def _break(self, patched: pytest.MonkeyPatch, step: str, error: Exception, times: int | None) -> None:
        name = {"token": "_edit_by_token", "channel": "_edit_in_channel"}.get(step, "_send")
        works, left = getattr(MessageTransport, name), [times]
        here = self.studio.channel.id

        async def broken(transport: MessageTransport, *args: Any) -> int:
            at_step = name != "_send" or (args[0].id == here) == (step == "new message")
            if at_step and left[0] != 0:
                left[0] = None if left[0] is None else left[0] - 1
                raise error
            return int(await works(transport, *args))

        patched.setattr(MessageTransport, name, broken)

    async def deliver(self) -> list[str]:
        """Try as often as the outbox would before it gives up waiting; how each try ended."""
        self.number += 1
        ended: list[str] = []
        images = await self.studio.app.jobs.images(self.job.id)
        for attempts in range(PATIENCE + 2):
            owed = OutboxEntry(
                id=1, job_id=self.job.id, kind="result", nonce=f"n{self.number}", attempts=attempts, created_at=0
            )
            try:
                await self.studio.app.messages.deliver(owed, self.job, images)
            except TryLater:
                ended.append("later")
                continue
            except Undeliverable:
                return [*ended, "undeliverable"]
            except TokenRefused:
                return [*ended, "refused"]
            return [*ended, "delivered"]
        return ended

    def posts(self) -> int:
        """How many messages show the pictures to Ann."""
        backend = self.studio.env.backend
        return sum(bool(message.attachments) for each in backend.messages.values() for message in each.values())

    async def clear(self) -> None:
        """Take every picture away, and show the job as it is on its way."""
        channel = self.studio.bot.get_partial_messageable(self.studio.channel.id)
        await channel.get_partial_message(self.message.id).edit(view=notice("on its way"), attachments=[])
        for messages in self.studio.env.backend.messages.values():
            for number in [number for number, message in messages.items() if message.attachments]:
                del messages[number]


@pytest.fixture
async def door(studio: Stage) -> AsyncIterator[Door]:
    await studio.app.outbox.stop()
    prompt = "a red boat --n 1 --size 64x64"
    asked = await studio.members["Ann"].slash(studio.channel, "imagine", prompt=prompt)
    async with asyncio.timeout(20):
        while (job := await studio.app.jobs.get(1)).state != "rendered":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert job.reply_token
    yield Door(studio, asked.response, job)
    await studio.app.outbox.start()
    await studio.idle()


def expected(step: str, answer: int | Exception, *, always: bool) -> list[str]:
    last = step == STEPS[-1]
    if not isinstance(answer, int) or answer in PASSES:
        if not always:
            return ["later", "delivered"]
        return ["later"] * (PATIENCE + 2) if last else ["later"] * PATIENCE + ["delivered"]
    if answer == 401 and step != "token":
        return ["refused"]
    if answer == 413 and not always:
        return ["delivered"]
    return ["undeliverable"] if last else ["delivered"]


@pytest.mark.parametrize("step", STEPS)
async def test_every_answer_at_every_step(door: Door, step: str) -> None:
    for answer in ANSWERS:
        for times in (1, None):
            await door.clear()
            with door.answering(step, answer, times):
                ended = await door.deliver()
            name = f"{answer!r} {'always' if times is None else 'once'}, at {step}"
            assert ended == expected(step, answer, always=times is None), name
            assert door.posts() == ended.count("delivered"), name
