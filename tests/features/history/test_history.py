"""/history finds what one looks for, shows what came from what, and hands out the files as they were painted."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from bot.demo.simulation import Stage
from bot.features.history.service import in_order
from tests.e2e.screen import buttons, paint, press, words
from tests.features.moderation.test_moderation import said


async def found(studio: Stage, who: str = "Ann", **options: Any) -> Any:
    return (await studio.members[who].slash(studio.channel, "history", **options)).response


async def test_words_kind_model_and_stars_narrow_it_down(studio: Stage) -> None:
    red = await paint(studio, "a red boat --n 1")
    await paint(studio, "eine BLAUE Straße --n 1")
    await press(studio, red, "Vary (Subtle)")
    await press(studio, red, "⭐")
    assert "BLAUE" in words(await found(studio, words="STRASSE blaue"))
    assert "red" not in words(await found(studio, words="blaue"))
    assert "Variation of #1" in words(await found(studio, kind="vary", words="red"))
    starred = words(await found(studio, starred=True))
    assert ("#1 " in starred, "#2 " in starred, "#3 " in starred) == (True, False, False)
    assert "Nothing of yours fits" in words(await found(studio, model="other"))
    assert "Nothing of yours fits" in words(await found(studio, who="Ben", words="boat"))


async def test_what_is_looked_for_holds_on_older_pages_also_after_a_restart(studio: Stage) -> None:
    for number in range(6):
        await paint(studio, f"a boat number {number} --n 1")
        await paint(studio, f"a house {number} --n 1")
    page = await found(studio, words="boat")
    assert [f"number {n}" in words(page) for n in range(6)] == [False, False, True, True, True, True]
    await studio.restart()
    older = (await press(studio, page, "Older")).response
    assert [f"number {n}" in words(older) for n in range(6)] == [True, True, False, False, False, False]
    assert "house" not in words(older)
    assert "Older" not in buttons(older)


async def test_a_family_is_a_tree(studio: Stage) -> None:
    grid = await paint(studio, "a red boat")
    await press(studio, grid, "V3")
    await press(studio, (await press(studio, grid, "U2")).response, "Upscale (2x)")
    page = await found(studio)
    shown = words((await press(studio, page, "Family")).response)
    lines = [line.replace("*", "").replace("\u2003", ".") for line in shown.splitlines()]
    assert "#1 Imagine" in shown
    assert any(line.startswith(".└ #2 Variation of picture 3") for line in lines)
    assert any(line.startswith(".└ #3 Upscale 2x (Lanczos) of picture 2") for line in lines)


async def test_the_files_come_as_they_were_painted(studio: Stage) -> None:
    await paint(studio, "a red boat")
    answer = (await press(studio, await found(studio), "Originals")).response
    assert answer.ephemeral
    images = await studio.app.jobs.images(1)
    assert [file.filename for file in answer.attachments] == [f"easel-1-{n}.png" for n in range(1, 5)]
    for image, file in zip(images, answer.attachments, strict=True):
        data = studio.env.backend.cdn.get(file.url)
        assert data == await studio.app.files.read(image.path)
        assert "parameters" in Image.open(io.BytesIO(data)).info


async def test_others_see_of_a_family_what_they_may(studio: Stage) -> None:
    grid = await paint(studio, "a red boat")
    await press(studio, grid, "V1", "Ben")
    await studio.members["Ben"].slash(studio.channel, "vary", source="1.2", prompt="a secret boat", private=True)
    await studio.idle()
    shown = said(await press(studio, await found(studio), "Family"))
    assert "#2 " in shown
    assert "secret" not in shown


def test_an_empty_family_has_no_order() -> None:
    assert in_order([]) == []
