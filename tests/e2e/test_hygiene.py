"""Nothing that people type can ping, link, format, break out or hide in anything that Easel posts."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot.demo.simulation import Stage
from bot.kit.custom_ids import Action
from tests.e2e.screen import buttons, paint, press
from tests.features.moderation.test_moderation import _forged, admin, asks, posts, said, with_audit_channel

HOSTILE = (
    "a boat @everyone @here <@777777777777777777> <@&777777777777777777> <#777777777777777777> **hbold** __h line__ "
    "||hspoil|| ~~hstrike~~ `hcode` ```hblock``` [hlink](https://evil.example) https://evil.example <t:7777:R> "
    "<:hmoji:777777777777777777> </himagine:777777777777777777> # hhead \u202ehidden\u2066 \u200b\ufeff"
)
FORBIDDEN = {
    "a ping": re.compile(r"@(everyone|here)|<@[!&]?7{18}>"),
    "a link": re.compile(r"https?://evil|\]\(https|<#7{18}>|</himagine"),
    "a time or an emoji": re.compile(r"<t:7777|<:hmoji"),
    "formatting": re.compile(r"\*\*hbold|__h line|\|\|hspoil|~~hstrike|(?<!`)`hcode`|\[hlink\]"),
    "a heading or a quote": re.compile(r"^(#{1,3}|>) (hhead|hostile)", re.MULTILINE),
}
HIDING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\ufeff]")


def texts(value: Any) -> Iterator[str]:
    """Every text of a message's JSON that Discord shows as markdown."""
    if isinstance(value, dict):
        for key, inside in value.items():
            if key == "content" and isinstance(inside, str):
                yield inside
            yield from texts(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from texts(inside)


def read_as_markdown(text: str) -> str:
    """What Discord still takes for markup: code shown as it is, escaped characters switched off.

    Inside code a backslash is a backslash, so a backtick there ends it.
    """
    return re.sub(r"(?s)```\n.*?\n```|\\[!-/:-@\[-`{-~]|`[^`]*`", "·", text)


def complaints(studio: Stage) -> list[str]:
    """What is wrong with anything that was sent so far."""
    found = []
    for request in studio.env.http_requests:
        if request.method == "PUT" or "/commands" in request.path:
            continue
        for text in texts(request.json):
            plain = read_as_markdown(text)
            found += [f"{what} in {text!r}" for what, sign in FORBIDDEN.items() if sign.search(plain)]
            found += [f"hidden text in {text!r}"] if HIDING.search(text) else []
            found += [f"broken code in {text!r}"] if "`" in plain else []
    return found


async def test_the_test_sees_what_is_wrong(studio: Stage) -> None:
    channel = studio.bot.get_partial_messageable(studio.channel.id)
    await channel.send(HOSTILE)
    assert len(complaints(studio)) >= len(FORBIDDEN)


async def test_prompts_in_every_message_about_a_job(studio: Stage) -> None:
    message = await paint(studio, f"{HOSTILE} --no {HOSTILE}")
    for label in ("Seed", "U1", "V1", "🔄"):
        await press(studio, message, label)
    await paint(studio, f"!fail {HOSTILE} --n 1")
    await paint(studio, f"!flag {HOSTILE}")
    await paint(studio, "{a, b} " + HOSTILE)
    for name in ("history", "queue", "info"):
        await studio.members["Ann"].slash(studio.channel, name)
    await studio.members["Ann"].slash(studio.channel, "show", job=1)
    assert complaints(studio) == []


async def test_prompts_that_wait(studio: Stage) -> None:
    studio.engine.step_s = 0.02  # type: ignore[attr-defined]
    await studio.members["Ann"].slash(studio.channel, "imagine", prompt=HOSTILE)
    await studio.members["Ann"].slash(studio.channel, "queue")
    await studio.members["Ada"].slash(studio.channel, "admin jobs")
    await studio.idle()
    assert complaints(studio) == []


@pytest.mark.parametrize("option", ["aspect", "scheduler", "model", "style", "negative"])
async def test_options_that_are_refused_or_not(studio: Stage, option: str) -> None:
    await asks(studio, "a boat", **{option: HOSTILE})
    await asks(studio, f"a boat --{option} {HOSTILE}")
    await asks(studio, f"a boat --{HOSTILE}")
    await asks(studio, f"a {{{HOSTILE} --seed x")
    assert complaints(studio) == []


async def test_bans_words_pauses_and_the_log(studio: Stage) -> None:
    channel = await with_audit_channel(studio)
    await admin(studio, "words", action="add", word="boat*")
    await admin(studio, "words", action="add", word=HOSTILE[:90])
    await admin(studio, "words", action="remove", word=HOSTILE[20:90])
    await admin(studio, "words", action="test", word=HOSTILE)
    await admin(studio, "words")
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt=HOSTILE)
    await press(studio, result.followups[-1], "Appeal")
    appeal = await posts(channel, "Appeal")
    from tests.features.moderation.test_moderation import read

    await studio.members["Ada"].click(appeal, custom_id=buttons(read(appeal))["Approve"])
    await admin(studio, "pause", mode="drain", sentence=HOSTILE)
    await asks(studio, "a cat")
    await studio.members["Ann"].slash(studio.channel, "info")
    await admin(studio, "channels")
    await admin(studio, "ban", user=studio.members["Ann"], reason=HOSTILE, until=HOSTILE[:20])
    await admin(studio, "ban", user=studio.members["Ann"], reason=HOSTILE)
    await admin(studio, "ban")
    await asks(studio, "a cat")
    for search in ({}, {"text": "evil"}, {"target": HOSTILE[:150]}, {"action": HOSTILE[:40]}):
        await admin(studio, "audit", **search)
    await posts(channel, "ban\\.set")
    for page in range(8):
        await _forged(studio, "Ada", f"v1:{Action.PANEL}:{page}")
    assert complaints(studio) == []


async def test_styles_settings_and_defaults(studio: Stage) -> None:
    ada = studio.members["Ada"]
    await ada.slash(studio.channel, "style add", name="oil", template=f"oil {{prompt}} {HOSTILE}", negative=HOSTILE)
    await ada.slash(studio.channel, "style add", name=HOSTILE[:30], template="x")
    await ada.slash(studio.channel, "style remove", name=HOSTILE[:80])
    await ada.slash(studio.channel, "style list")
    await paint(studio, "a cat --style oil")
    settings = await studio.members["Ann"].slash(studio.channel, "settings")
    shown = await press(studio, settings.response, "Edit")
    field = next(iter(_fields(shown.modal)))
    await studio.members["Ann"].submit_modal(shown, {field: HOSTILE[:180]})
    await studio.members["Ann"].slash(studio.channel, "settings")
    await paint(studio, "a cat")
    assert complaints(studio) == []


async def test_what_files_say_of_themselves(studio: Stage) -> None:
    info, out = PngInfo(), io.BytesIO()
    info.add_text("parameters", f"{HOSTILE}\nNegative prompt: {HOSTILE}\nSteps: 5, Sampler: {HOSTILE[:60]}, Seed: 1")
    Image.new("RGB", (64, 64), (10, 200, 30)).save(out, "PNG", pnginfo=info)
    given = ("a.png", out.getvalue())
    await studio.members["Ann"].slash(studio.channel, "describe", image=given)
    message = await studio.members["Ann"].send(studio.channel, "look", attachments=[given])
    result = await studio.members["Ann"].context_menu(studio.channel, "Read parameters", message)
    assert "evil" in said(result)
    await studio.members["Ann"].slash(studio.channel, "describe", source=HOSTILE[:200])
    await studio.members["Ann"].slash(studio.channel, "inpaint", prompt=HOSTILE, image=given, region=HOSTILE[:100])
    await studio.members["Ann"].slash(studio.channel, "blend", image1=given, image2=given, prompt=HOSTILE)
    await studio.idle()
    assert complaints(studio) == []


def _fields(modal: Any) -> Iterator[str]:
    from tests.e2e.screen import parts

    for part in parts(modal["components"]):
        inside = part.get("component", part)
        if inside.get("type") == 4:
            yield inside["custom_id"]


async def test_what_is_sent_may_mention_nobody(studio: Stage) -> None:
    await paint(studio, HOSTILE)
    posted = [
        request.json
        for request in studio.env.http_requests
        if request.method == "POST" and request.path.endswith("/messages") and isinstance(request.json, dict)
    ]
    assert all(body.get("allowed_mentions", {}).get("parse") == [] for body in posted)
