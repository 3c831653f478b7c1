"""The Seed button: the seeds, and the line that makes the same again."""

from __future__ import annotations

from bot.demo.simulation import Stage
from tests.e2e.screen import paint, picture, press

LONG = "a boat " + "under a very long sky " * 100


async def test_under_one_picture_it_gives_that_picture(studio: Stage) -> None:
    grid = await paint(studio, "a red boat --seed 100")
    third = (await press(studio, grid, "U3")).response
    text = (await press(studio, third, "Seed")).response.content
    assert "Picture 3: seed **102**" in text
    assert "Picture 1" not in text
    again = await paint(studio, text.split("```\n")[1].splitlines()[0])
    assert picture(studio, again).tobytes() == picture(studio, third).tobytes()


async def test_under_a_grid_it_gives_the_grid(studio: Stage) -> None:
    grid = await paint(studio, "a red boat --seed 100")
    text = (await press(studio, grid, "Seed")).response.content
    assert "Picture 4: seed **103**" in text
    again = await paint(studio, text.split("```\n")[1].splitlines()[0])
    assert picture(studio, again).tobytes() == picture(studio, grid).tobytes()


async def test_a_long_line_comes_as_a_file(studio: Stage) -> None:
    grid = await paint(studio, LONG + "--seed 100")
    shown = (await press(studio, grid, "Seed")).response
    data = studio.env.backend.cdn.get(shown.attachments[0].url)
    assert data is not None
    again = await paint(studio, data.decode())
    assert picture(studio, again).tobytes() == picture(studio, grid).tobytes()
