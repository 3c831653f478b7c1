"""What happened here, what /imagine does by itself, and telling every server something."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from bot.config import Settings
from bot.demo.simulation import FIRST_USER_ID, Stage
from tests.e2e.screen import a_minute_later, buttons, delete, paint, press, words

ADA = FIRST_USER_ID + 2


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Ada runs the bot."""
    return settings.model_copy(update={"operators": (ADA,)})


async def admin(studio: Stage, name: str, who: str = "Ada", **options: Any) -> Any:
    result = await studio.members[who].slash(studio.channel, f"admin {name}", **options)
    assert result.acknowledged
    return result.response


async def test_stats_are_a_picture_and_a_table(studio: Stage) -> None:
    await paint(studio, "a red boat")
    await paint(studio, "a blue boat", "Ben")
    await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat --foo")
    shown = await admin(studio, "stats", days=7)
    names = {attachment.filename: attachment.url for attachment in shown.attachments}
    assert list(names) == ["stats.png", "stats.csv"]
    picture = Image.open(io.BytesIO(studio.env.backend.cdn.get(names["stats.png"])))
    assert picture.width == 1200
    lines = studio.env.backend.cdn.get(names["stats.csv"]).decode("utf-8-sig").splitlines()
    assert len(lines) == 1 + 7 + 1 + 1 + 1
    _day, jobs, pictures, members, *_, credits, failed, refusals = lines[7].split(",")
    assert (jobs, pictures, members, credits, failed, refusals) == ("2", "8", "2", "8.0", "0", "1")
    assert lines[-1] == "bad_input,1"


async def test_stats_outlive_the_pictures(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    await delete(studio, message)
    await a_minute_later(studio)
    shown = await admin(studio, "stats", days=1)
    table = studio.env.backend.cdn.get(shown.attachments[1].url).decode("utf-8-sig")
    assert ",1,4,1," in table.splitlines()[1]


async def test_stats_without_anything_are_shown_too(studio: Stage) -> None:
    assert len((await admin(studio, "stats")).attachments) == 2


async def test_defaults_are_shown_and_changed_and_noted(studio: Stage) -> None:
    assert "the model's default" in words(await admin(studio, "defaults"))
    text = words(await admin(studio, "defaults", model="mini", size="3:2", steps=7, negative="fog"))
    assert "Changed: model, negative, size, steps." in text
    assert "**Steps** 7" in text
    message = await paint(studio, "a boat")
    assert "--steps 7" in words(message).replace("\\", "")
    await admin(studio, "defaults", size="none", steps=0, negative="none")
    assert "**Steps** the model's default" in words(await admin(studio, "defaults"))
    assert "defaults.set" in words(await admin(studio, "audit")).replace("\\", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "dalle"}, "There is no model"),
        ({"size": "1:9"}, "ratio"),
        ({"styles": "ink"}, "This server has no style 'ink'"),
        ({"scheduler": "eulr"}, "Did you mean"),
    ],
)
async def test_defaults_that_cannot_be_are_refused(studio: Stage, options: dict[str, Any], says: str) -> None:
    assert says in (await admin(studio, "defaults", **options)).content


async def test_the_operator_says_what_models_are(studio: Stage) -> None:
    await admin(studio, "models", model="mini", licence="MIT (c) us", about="Good at *boats*")
    text = words((await studio.members["Ann"].slash(studio.channel, "models")).response)
    assert "MIT \\(c\\) us" in text
    assert "Good at \\*boats\\*" in text


async def test_an_announcement_is_asked_about_and_sent_once(studio: Stage) -> None:
    room = studio.guild.create_text_channel("log")
    await admin(studio, "channels", audit=room)
    asked = await admin(studio, "announce", text="Tonight at eight: new models")
    before = len(room.history())
    (label,) = buttons(asked)
    await press(studio, asked, label, "Ada")
    assert "Sent to 1 of 1" in words(asked)
    (sent,) = [m for m in room.history()[before:] if "Tonight" in m.components[0].children[0].content]
    assert sent.author.bot


async def test_only_operators_announce_and_see_everything(studio: Stage) -> None:
    studio.app.settings.operators = ()
    for name, options in (("announce", {"text": "x"}), ("stats", {"everywhere": True}), ("models", {"model": "mini"})):
        assert "Only the people who run this bot" in (await admin(studio, name, **options)).content, name
