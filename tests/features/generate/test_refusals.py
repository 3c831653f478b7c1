"""A refusal keeps what was typed, and offers to go on without what is to blame."""

from __future__ import annotations

import io
import sqlite3
from typing import Any

import pytest
from PIL import Image

from bot.demo.simulation import Stage
from tests.e2e.screen import buttons, parts, press, words


async def imagine(studio: Stage, prompt: str, **options: Any) -> Any:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt=prompt, **options)
    await studio.idle()
    return result.response


async def newest(studio: Stage) -> Any:
    return (await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id))[0].spec


@pytest.mark.parametrize(
    ("line", "labels"),
    [
        ("a red boat --sedd 5", ["Use --seed", "Paint without it", "Edit"]),
        ("a red boat --sref 77", ["Paint without it", "Edit"]),
        ("a red boat --ar 9:1", ["Paint without it", "Edit"]),
        ("a {red boat", ["Edit"]),
        ("a <hypernet:x:1> boat", ["Paint without it", "Edit"]),
    ],
)
async def test_a_refused_line_is_shown_with_its_ways(studio: Stage, line: str, labels: list[str]) -> None:
    refused = await imagine(studio, line)
    assert refused.ephemeral
    assert f"```\n{line}\n```" in words(refused)
    assert list(buttons(refused)) == labels


async def test_painting_without_it_keeps_the_options_also_after_a_restart(studio: Stage) -> None:
    refused = await imagine(studio, "a red boat --sref 77", steps=3, private=True)
    await studio.restart()
    painted = (await press(studio, refused, "Paint without it")).response
    assert painted.ephemeral
    spec = await newest(studio)
    assert (spec.prompt, spec.num_inference_steps) == ("a red boat", 3)


async def test_the_flag_that_was_meant_is_used(studio: Stage) -> None:
    await press(studio, await imagine(studio, "a red boat --sedd 5"), "Use --seed")
    assert (await newest(studio)).seed == 5


async def test_a_refused_line_is_changed_in_a_form_and_may_be_refused_again(studio: Stage) -> None:
    form = await press(studio, await imagine(studio, "a red boat --sedd 5"), "Edit")
    again = await studio.members["Ann"].submit_modal(form, {"prompt": "a red boat --seedd 6"})
    assert "a red boat --seedd 6" in words(again.response)
    form = await press(studio, again.response, "Edit")
    await studio.members["Ann"].submit_modal(form, {"prompt": "a red boat --seed 6"})
    await studio.idle()
    assert (await newest(studio)).seed == 6


async def test_a_refused_form_opens_again_with_what_was_typed(studio: Stage) -> None:
    grid = await imagine(studio, "a red boat")
    form = await press(studio, grid, "Remix")
    said = {"prompt": "a blue boat", "size": "9000x9000", "seed": "5"}
    refused = (await studio.members["Ann"].submit_modal(form, said)).response
    assert "a blue boat" in words(refused)
    again = await press(studio, refused, "Edit")
    shown = {item["custom_id"]: item.get("value") for item in parts(again.modal["components"]) if "custom_id" in item}
    assert {name: shown[name] for name in said} == said
    await studio.members["Ann"].submit_modal(again, {**said, "size": "128x128"})
    await studio.idle()
    assert ((await newest(studio)).prompt, (await newest(studio)).seed) == ("a blue boat", 5)


async def test_a_refused_command_shows_its_words(studio: Stage) -> None:
    grid = await imagine(studio, "a red boat")
    assert grid is not None
    options = {"prompt": "a green boat --sedd 1", "x": "seed", "x_values": "1, 2"}
    result = await studio.members["Ann"].slash(studio.channel, "compare", **options)
    assert "a green boat --sedd 1" in words(result.response)


async def test_deleting_ones_data_takes_refused_lines_along(studio: Stage) -> None:
    await imagine(studio, "a secret boat --sref 77")
    await studio.app.privacy.forget(studio.members["Ann"].id)
    assert not [key for key in await studio.app.store.read(notes) if key.startswith("line:")]


async def test_what_no_other_words_would_mend_is_shown_but_not_kept(studio: Stage) -> None:
    studio.settings.min_free_mib = 10**9
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a red boat")
    (refused,) = result.followups
    assert "disk is almost full" in words(refused)
    assert "```\na red boat\n```" in words(refused)
    assert buttons(refused) == {}
    assert not [key for key in await studio.app.store.read(notes) if key.startswith("line:")]


async def test_who_sees_a_result_is_never_left_unheard(studio: Stage) -> None:
    ann = studio.members["Ann"]
    assert (await imagine(studio, "a red boat --stealth")).ephemeral
    assert not (await imagine(studio, "a red boat --public")).ephemeral
    edited = await ann.slash(studio.channel, "vary", source="1.1", prompt="a red boat --stealth")
    assert "--stealth and --public only work in /imagine" in words([*edited.followups, edited.response][0])
    picture = ("a.png", picture_file())
    assert (await imagine(studio, "a red boat --stealth", image=picture)).ephemeral


def picture_file() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (128, 128), "red").save(out, "PNG")
    return out.getvalue()


def notes(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT key FROM note")]
