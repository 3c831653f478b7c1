"""--draft paints a board of small cheap pictures, and a press paints one of them in full."""

from __future__ import annotations

from bot.demo.simulation import Stage
from tests.e2e.screen import buttons, paint, picture, press, words
from tests.features.generate.test_refusals import imagine, newest


async def test_a_board_is_cheap_and_each_picture_has_its_number(studio: Stage) -> None:
    before = await studio.app.credits.balance(studio.members["Ann"].id, studio.guild.id)
    board = await paint(studio, "a red boat --draft --seed 7")
    info = studio.engine.models()[0]
    spec = await newest(studio)
    assert (spec.width, spec.height, spec.num_images) == (info.width * 3 // 4, info.height * 3 // 4, 12)
    assert list(buttons(board)) == [*(f"{n}" for n in range(1, 13)), "🔄", "Remix", "Seed", "Delete", "⭐", "Report"]
    sheet = picture(studio, board)
    assert sheet.width > sheet.height, "four in a row, three rows"
    after = await studio.app.credits.balance(studio.members["Ann"].id, studio.guild.id)
    assert before.free_mc - after.free_mc < 4000


async def test_a_press_paints_one_in_full_also_after_a_restart(studio: Stage) -> None:
    board = await paint(studio, "a red boat --draft --seed 7")
    await studio.restart()
    done = (await press(studio, board, "5")).response
    spec, info = await newest(studio), studio.engine.models()[0]
    assert "Finished version of picture 5 of #1" in words(done)
    assert (spec.width, spec.height, spec.num_images) == (info.width, info.height, 1)
    assert (spec.task, spec.prompt, spec.seed, spec.strength) == ("img2img", "a red boat", 11, 0.6)
    assert spec.num_inference_steps == info.num_inference_steps
    assert "Upscale (2x)" in buttons(done)


async def test_a_board_is_of_words_alone_and_picked_by_hand(studio: Stage) -> None:
    refused = await imagine(studio, "a red boat --draft --best 12")
    assert "Leave out --best" in words(refused)
    edited = await studio.members["Ann"].slash(studio.channel, "vary", source="1", prompt="a boat --draft")
    assert edited.acknowledged


async def test_its_seed_line_gives_the_same_board_again(studio: Stage) -> None:
    board = await paint(studio, "a red boat --draft --seed 7")
    first = await newest(studio)
    line = (await press(studio, board, "Seed")).response.content.split("```\n")[1].removesuffix("\n").splitlines()[0]
    await paint(studio, line)
    assert await newest(studio) == first
    assert len(await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)) == 2
