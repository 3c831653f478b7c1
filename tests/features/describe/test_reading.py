"""/describe and the menus "Describe" and "Read parameters": what is found, for whom, and what its buttons do later."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import discord
import pytest
from PIL import Image, PngImagePlugin

from bot.demo.simulation import Stage
from bot.errors import NotFound
from bot.features.describe import saved_drafts
from bot.orders.actor import Actor
from bot.orders.visibility import Viewer
from bot.store import key_values
from engine import Txt2Img
from engine.api.metadata import encode_png
from engine.fake import FLAG_COLOUR, MINI, FakeEngine, recipe_of
from engine.fake import paint as painted
from engine.tasks.resolve import complete
from tests.e2e.screen import buttons, paint, picture, press, words

INFOTEXT = (
    "a red boat, @everyone {x}\nNegative prompt: fog\n"
    "Steps: 6, Sampler: Eulerr, Schedule type: Karras, CFG scale: 3, Seed: 7, Size: 96x64, Model: minny"
)


def png(image: Image.Image | None = None, **texts: str) -> bytes:
    info, out = PngImagePlugin.PngInfo(), io.BytesIO()
    for key, text in texts.items():
        info.add_text(key, text)
    (image or Image.new("RGB", (64, 64), "red")).save(out, "PNG", pnginfo=info)
    return out.getvalue()


async def describe(studio: Stage, who: str = "Ann", **options: Any) -> Any:
    result = await studio.members[who].slash(studio.channel, "describe", **options)
    assert result.acknowledged
    return result


async def menu(studio: Stage, name: str, message: Any, who: str = "Ann") -> Any:
    result = await studio.members[who].context_menu(studio.channel, name, getattr(message, "message", message))
    assert result.acknowledged
    return result


async def uploaded(studio: Stage, data: bytes, name: str = "a.png") -> Any:
    return await studio.members["Ben"].send(studio.channel, "look", attachments=[(name, data)])


def said(result: Any) -> str:
    shown = [*result.followups, *([result.response] if result.response else [])]
    return "\n".join(f"{each.content or ''}\n{words(each)}" for each in shown)


def fields(result: Any) -> dict[str, str]:
    rows = [row["components"][0] for row in result.modal["components"]]
    return {field["custom_id"]: field.get("value") or "" for field in rows}


async def test_an_upload_is_described_in_four_prompts_with_a_button_each(studio: Stage) -> None:
    result = await describe(studio, image=("a.png", png()))
    assert words(result.response).count("red") == 4
    assert list(buttons(result.response)) == ["1", "2", "3", "4"]
    assert not result.response.ephemeral
    assert await studio.app.jobs.queue_length() == 0


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_button_opens_the_form_and_the_form_paints(studio: Stage, restarted: bool) -> None:
    result = await describe(studio, image=("a.png", png()))
    if restarted:
        await studio.restart()
    shown = await press(studio, result.response, "2", "Ben")
    assert fields(shown)["prompt"] == "a red balloon"
    if restarted:
        await studio.restart()
    done = await studio.members["Ben"].submit_modal(shown, {**fields(shown), "seed": "9"})
    await studio.idle()
    job, _ = await studio.app.jobs.image(int(buttons(done.response)["U1"].split(":")[2]))
    assert (job.spec.prompt, job.spec.seed, job.user_id) == ("a red balloon", 9, studio.members["Ben"].id)


async def test_own_pictures_are_described_from_their_message_and_by_their_number(studio: Stage) -> None:
    message = await paint(studio, "a boat")
    alone = (await press(studio, message, "U2")).response
    by_menu = await menu(studio, "Describe", alone, "Ben")
    assert by_menu.response.ephemeral
    assert len(buttons(by_menu.response)) == 4
    by_number = await describe(studio, source="1.2")
    assert words(by_number.response).splitlines()[1:5] == words(by_menu.response).splitlines()[1:5]


async def test_a_grid_is_too_many_pictures_to_describe(studio: Stage) -> None:
    message = await paint(studio, "a boat")
    assert "Press U1 to U4" in said(await menu(studio, "Describe", message))


async def test_a_link_to_a_message_here_names_its_picture(studio: Stage) -> None:
    message = await paint(studio, "a boat --n 1")
    link = f"https://discord.com/channels/{studio.guild.id}/{studio.channel.id}/{message.message.id}"
    assert len(buttons((await describe(studio, source=link)).response)) == 4
    elsewhere = link.replace(str(studio.guild.id), "123456789")
    assert "from another server" in said(await describe(studio, "Ben", source=elsewhere))
    for text in ("https://example.com/a.png", "99", "1.7", "a boat"):
        refused = await describe(studio, "Ben", source=text)
        assert refused.response.ephemeral
        assert not buttons(refused.response)


async def test_a_link_into_a_channel_one_cannot_read_finds_nothing(studio: Stage) -> None:
    nobody = discord.PermissionOverwrite(view_channel=False)
    hidden = studio.guild.create_text_channel("staff", overwrites={studio.guild.default_role: nobody})
    posted = await studio.members["Ada"].slash(hidden, "imagine", prompt="a secret --n 1")
    await studio.idle()
    link = f"https://discord.com/channels/{studio.guild.id}/{hidden.id}/{posted.response.message.id}"
    assert "both read" in said(await describe(studio, source=link))


async def test_private_pictures_are_described_to_their_owner_only(studio: Stage) -> None:
    await paint(studio, "a boat --n 1", private=True)
    assert "no such image" in said(await describe(studio, "Ben", source="1"))
    mine = await describe(studio, source="1")
    assert mine.response.ephemeral
    number = int(buttons(mine.response)["1"].split(":")[2])
    for who, guild in (("Ben", studio.guild.id), ("Ann", 5)):  # a forged press, and one from another server
        actor = Actor(user_id=studio.members[who].id, guild_id=guild, channel_id=studio.channel.id)
        with pytest.raises(NotFound):
            await saved_drafts.find(studio.app.key_values, number, Viewer(actor=actor, reads=lambda _: True))


async def test_a_second_description_waits_a_moment(studio: Stage) -> None:
    await describe(studio, image=("a.png", png()))
    assert "One description at a time" in said(await describe(studio, image=("a.png", png())))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (png(Image.new("RGB", (8, 8), FLAG_COLOUR)), "safety check"),
        (b"GIF89a", "damaged"),
        (png()[:60], "damaged"),
    ],
)
async def test_what_cannot_be_described_gets_a_sentence(studio: Stage, data: bytes, says: str) -> None:
    assert says in said(await describe(studio, image=("a.png", data)))
    assert says in said(await menu(studio, "Describe", await uploaded(studio, data), "Ben"))


async def test_a_message_without_a_picture_and_nothing_at_all_get_a_sentence(studio: Stage) -> None:
    message = await studio.members["Ben"].send(studio.channel, "hello")
    assert "can't find a picture" in said(await menu(studio, "Describe", message))
    assert "Attach a picture" in said(await describe(studio))


async def test_without_a_captioner_it_says_so(studio: Stage) -> None:
    studio.make_engine = lambda: FakeEngine(abilities=frozenset())
    await studio.restart()
    assert "No model here can describe" in said(await describe(studio, image=("a.png", png())))


# ---------------------------------------------------------------- parameters
async def test_parameters_of_a_strangers_file_are_shown_and_can_be_run(studio: Stage) -> None:
    result = await menu(studio, "Read parameters", await uploaded(studio, png(parameters=INFOTEXT)))
    text = words(result.response)
    assert result.response.ephemeral
    for part in (
        "A1111",
        "a red boat",
        "fog",
        "seed **7**",
        "96x64",
        "'minny' isn't available here",
        "'Eulerr Karras'",
    ):
        assert part in text.replace("\\", ""), part
    assert "@everyone" not in text
    await studio.restart()
    done = await press(studio, result.response, "Run it again")
    await studio.idle()
    job = await studio.app.jobs.get(1)
    spec = job.spec
    assert spec.prompt == "a red boat, @everyone {x}"
    assert (spec.seed, spec.num_images, spec.num_inference_steps, spec.guidance_scale) == (7, 1, 6, 3)
    assert (spec.width, spec.height, spec.scheduler, spec.model) == (96, 64, "euler_karras", "mini")
    assert "a red boat" in words(done.response)


async def test_parameters_can_be_changed_before_they_are_run(studio: Stage) -> None:
    result = await menu(studio, "Read parameters", await uploaded(studio, png(parameters=INFOTEXT)))
    shown = await press(studio, result.response, "Change it first")
    assert fields(shown) == {
        "prompt": "a red boat, @everyone \\{x\\}",
        "negative": "fog",
        "seed": "7",
        "size": "96x64",
        "steps": "6, 3",
    }
    await studio.members["Ann"].submit_modal(shown, {**fields(shown), "steps": "5, 2"})
    await studio.idle()
    spec = (await studio.app.jobs.get(1)).spec
    assert (spec.num_inference_steps, spec.guidance_scale, spec.scheduler) == (5, 2, "euler_karras")


async def test_our_own_picture_comes_back_bit_by_bit(studio: Stage) -> None:
    message = await paint(studio, "a boat --seed 40 --cfg 2")
    neighbours = (await press(studio, message, "V2")).response
    alone = (await press(studio, neighbours, "U3")).response
    result = await menu(studio, "Read parameters", alone)
    assert "Easel" in words(result.response)
    again = (await press(studio, result.response, "Run it again")).response
    assert picture(studio, again).tobytes() == picture(studio, alone).tobytes()


async def test_our_own_file_posted_elsewhere_comes_back_too(studio: Stage) -> None:
    ask = replace(complete(Txt2Img(prompt="a boat", seed=5, num_images=4), MINI))
    message = await uploaded(studio, encode_png(painted(7, 128, 128), recipe_of(ask, 2)))
    result = await menu(studio, "Read parameters", message)
    again = (await press(studio, result.response, "Run it again")).response
    assert picture(studio, again).tobytes() == painted(7, 128, 128).tobytes()


async def test_a_forwarded_picture_is_found(studio: Stage) -> None:
    forwarded = await studio.members["Ben"].forward(await uploaded(studio, png(parameters=INFOTEXT)), studio.channel)
    assert "A1111" in words((await menu(studio, "Read parameters", forwarded)).response)


async def test_a_grids_parameters_are_those_of_its_first_picture(studio: Stage) -> None:
    message = await paint(studio, "a boat --seed 40")
    assert "seed **40**" in words((await menu(studio, "Read parameters", message)).response)


@pytest.mark.parametrize("texts", [{}, {"parameters": "hello"}, {"prompt": "[" * 9000}])
async def test_a_file_that_says_nothing_gets_a_sentence(studio: Stage, texts: dict[str, str]) -> None:
    assert "says nothing of how" in said(await menu(studio, "Read parameters", await uploaded(studio, png(**texts))))


async def test_hostile_words_are_only_text(studio: Stage) -> None:
    evil = {
        "positive_prompt": "**x** <@1> [a](https://x.y) ||s|| \u202egnp" + "`" * 900,
        "model": "../../etc",
        "seed": 2**63,
    }
    result = await menu(studio, "Read parameters", await uploaded(studio, png(invokeai_metadata=json.dumps(evil))))
    text = words(result.response)
    assert "<@1>" not in text
    assert "\u202e" not in text
    assert "](" not in text.replace("\\", "x")
    assert len(text) < 4000
    assert "a new one is drawn" in text


async def test_old_offers_are_dropped_by_the_upkeep(studio: Stage) -> None:
    result = await describe(studio, image=("a.png", png()))
    number = int(buttons(result.response)["1"].split(":")[2])
    await studio.app.store.write(key_values.drop_offers, key_values.DISCORD_EPOCH_MS + (number >> 22) + 1)
    assert "older than a month" in said(await press(studio, result.response, "1"))


@pytest.mark.parametrize("command", ["describe", "inpaint", "vary", "upscale", "outpaint", "control"])
async def test_own_pictures_are_offered_while_typing(studio: Stage, command: str) -> None:
    await paint(studio, "a boat --n 1")
    await paint(studio, "a moon --n 2")
    await paint(studio, "a secret", "Ben")
    for typed, values in (("", ["2.1", "2.2", "1"]), ("moon", ["2.1", "2.2"]), ("#2.2", ["2.2"]), ("secret", [])):
        result = await studio.members["Ann"].autocomplete(studio.channel, command, "source", typed)
        assert [choice["value"] for choice in result] == values


# ---------------------------------------------------------------- what a file says first
async def test_a_description_begins_with_what_the_file_says(studio: Stage) -> None:
    result = await describe(studio, image=("a.png", png(parameters=INFOTEXT)))
    said = words(result.response)
    assert "What its file says" in said
    assert said.index("a red boat") < said.index("What the picture shows")
    assert list(buttons(result.response)) == ["1", "2", "3", "4"]
    shown = await studio.members["Ann"].click(result.response, label="1")
    assert "a red boat" in str(shown.modal)


async def test_our_own_picture_is_described_by_its_recipe(studio: Stage) -> None:
    job = await paint(studio, "a red boat --n 1")
    assert job.attachments
    result = await describe(studio, source="1")
    assert "Made with Easel" in words(result.response)


async def test_what_is_left_out_is_said(studio: Stage) -> None:
    text = f"{INFOTEXT}, Hires upscale: 2, Hires upscaler: Latent, Denoising strength: 0.4"
    message = await studio.members["Ben"].send(studio.channel, "look", attachments=[("a.png", png(parameters=text))])
    shown = await studio.members["Ann"].context_menu(studio.channel, "Read parameters", message)
    assert "the second pass to 2 times the size" in words(shown.response)


async def test_who_made_a_file_without_words_is_named(studio: Stage) -> None:
    data = png(Software="Paintbox 3")
    message = await studio.members["Ben"].send(studio.channel, "look", attachments=[("a.png", data)])
    shown = await studio.members["Ann"].context_menu(studio.channel, "Read parameters", message)
    assert "This file was made by Paintbox 3, as its file says" in (shown.followups or [shown.response])[-1].content
