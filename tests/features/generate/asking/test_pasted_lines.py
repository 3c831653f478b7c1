"""/imagine takes what people bring from elsewhere, and says what will differ before it paints."""

from __future__ import annotations

from typing import Any

from bot.demo.simulation import Stage
from tests.e2e.screen import buttons, paint, press, words
from tests.features.generate.test_refusals import imagine, newest

PASTED = (
    "a red boat Negative prompt: fog Steps: 5, Sampler: Euler a, CFG scale: 3, Seed: 42, Size: 128x192, Model: dream_8"
)


async def test_a_pasted_infotext_asks_first_and_says_what_differs(studio: Stage) -> None:
    asked = await imagine(studio, PASTED)
    assert "The model" in words(asked)
    assert "paints instead" in words(asked)
    assert not asked.attachments
    await press(studio, asked, "Paint it")
    spec = await newest(studio)
    assert (spec.prompt, spec.negative_prompt, spec.seed, spec.num_inference_steps) == ("a red boat", "fog", 42, 5)
    assert (spec.width, spec.height, spec.num_images, spec.scheduler) == (128, 192, 4, "euler_a")


async def test_the_commands_own_options_win_over_what_was_pasted(studio: Stage) -> None:
    await press(studio, await imagine(studio, '{"prompt": "a boat", "steps": 5, "seed": 1}', steps=3), "Paint it")
    spec = await newest(studio)
    assert (spec.prompt, spec.num_inference_steps, spec.seed) == ("a boat", 3, 1)


async def test_what_only_other_programs_do_is_refused_in_pasted_texts_too(studio: Stage) -> None:
    refused = await imagine(studio, PASTED.replace("red", "<hypernet:x:1> red"))
    assert "hypernet" in words(refused)
    await press(studio, (await press(studio, refused, "Paint without it")).response, "Paint it")
    assert (await newest(studio)).prompt == "a red boat"


async def test_a_message_link_at_the_beginning_is_the_picture_to_start_from(studio: Stage) -> None:
    alone = (await press(studio, await paint(studio, "a red boat"), "U2")).response
    link = f"https://discord.com/channels/{studio.guild.id}/{studio.channel.id}/{alone.message.id}"
    await paint(studio, f"{link} a blue boat --iw 1")
    spec = await newest(studio)
    assert (spec.task, spec.prompt, spec.strength) == ("img2img", "a blue boat", 0.5)


async def test_an_address_that_is_no_picture_here_is_left_out_by_a_press(studio: Stage) -> None:
    for line in ("https://a.example/b.png a blue boat", "https://a.example/1 https://a.example/2 a blue boat"):
        refused = await imagine(studio, line)
        assert "Paint without it" in buttons(refused)
    await press(studio, refused, "Paint without it")
    assert ((await newest(studio)).task, (await newest(studio)).prompt) == ("txt2img", "a blue boat")


async def test_what_has_no_effect_is_said_while_it_is_painted(studio: Stage) -> None:
    shown: list[Any] = []
    layouts, waiting = studio.app.layouts, studio.app.layouts.waiting
    layouts.waiting = lambda *args: shown.append(waiting(*args)) or shown[-1]  # type: ignore[method-assign, func-returns-value]
    await paint(studio, "a boat --fast")
    assert "`--fast` has no effect here" in str(shown[0].to_components())


async def test_flags_in_ones_own_words_are_read(studio: Stage) -> None:
    ann = studio.members["Ann"].id
    await studio.app.preferences.prefer(ann, studio.guild.id, suffix="oil painting --ar 3:2 --no fog --steps 4")
    await paint(studio, "a boat --no text --steps 3")
    spec = await newest(studio)
    assert (spec.prompt, spec.negative_prompt, spec.num_inference_steps) == ("a boat, oil painting", "fog, text", 3)
    assert spec.width > spec.height
    panel = (await studio.members["Ann"].slash(studio.channel, "settings")).response
    form = await press(studio, panel, "Edit")
    refused = await studio.members["Ann"].submit_modal(form, {"suffix": "oil --sedd 3"})
    assert "Did you mean --seed?" in words(refused.response)
