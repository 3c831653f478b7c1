"""Reading a message as a person would: its words, its buttons, its picture."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from PIL import Image

from bot.demo.simulation import Stage
from bot.features.generate import deleting


def parts(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every component, however deep."""
    for component in components:
        yield component
        yield from parts(component.get("components", []))
        if "accessory" in component:
            yield component["accessory"]


def words(message: Any) -> str:
    """All text of a message or response."""
    shown = [part["content"] for part in parts(message.components) if part["type"] == 10]
    return "\n".join([message.content or "", *shown])


def buttons(message: Any) -> dict[str, str]:
    """Label (or emoji) to custom id, of all that can be pressed."""
    found = [part for part in parts(message.components) if part["type"] == 2 and "custom_id" in part]
    return {part.get("label") or part["emoji"]["name"]: part["custom_id"] for part in found}


def picture(studio: Stage, message: Any) -> Image.Image:
    """The attached picture."""
    data = studio.env.backend.cdn.get(message.attachments[0].url)
    assert data is not None
    return Image.open(io.BytesIO(data)).convert("RGB")


async def paint(studio: Stage, prompt: str = "a red boat", who: str = "Ann", **options: Any) -> Any:
    """/imagine, saying yes to its price if asked, and wait; the message with the pictures."""
    result = await studio.members[who].slash(studio.channel, "imagine", prompt=prompt, **options)
    assert result.acknowledged
    await studio.idle()
    return (await agreed(studio, result, who)).response


async def agreed(studio: Stage, result: Any, who: str = "Ann") -> Any:
    """Say yes where a price was asked about; the result, its response being the message with the pictures."""
    shown = [*([result.response] if result.response else []), *result.followups]
    question = next((message for message in shown if "Paint it" in buttons(message)), None)
    if question is None:
        return result
    assert question.ephemeral
    done = await press(studio, question, "Paint it", who)
    response = next((message for message in done.followups if message.attachments), question)
    return SimpleNamespace(acknowledged=True, ephemeral=response.ephemeral, response=response, followups=[], modal=None)


async def press(studio: Stage, message: Any, label: str, who: str = "Ann") -> Any:
    """Press a button and wait until nothing more happens."""
    found = buttons(message)
    assert label in found, f"{label} is not among {list(found)}"
    result = await studio.members[who].click(message.message, custom_id=found[label])
    assert result.acknowledged
    await studio.idle()
    return result


async def delete(studio: Stage, message: Any, who: str = "Ann") -> Any:
    """Press Delete and say yes."""
    asked = await press(studio, message, "Delete", who)
    return await press(studio, asked.response or message, "Yes, delete", who)


async def a_minute_later(studio: Stage) -> None:
    """What was deleted can't be had back any more."""
    await studio.app.store.write(lambda db: db.execute("UPDATE deletion SET due_at = 0") and None)
    await deleting.finish(studio.bot, studio.app)


@contextmanager
def closed_to(studio: Stage, who: str) -> Iterator[None]:
    """Nothing reaches a member: not their token, not the channel, not their direct messages."""
    for method, path, status, code in (
        ("PATCH", "/webhooks/*/*/messages/*", 404, 10008),
        ("PATCH", "/channels/*", 403, 50013),
        ("POST", "/channels/*", 403, 50013),
        ("GET", f"/users/{studio.members[who].id}", 403, 50007),
    ):
        studio.env.inject_error(method, path, status=status, code=code, times=None)
    try:
        yield
    finally:
        studio.env.backend.faults.clear()
