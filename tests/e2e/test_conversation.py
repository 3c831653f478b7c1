"""From the slash command to a grid whose buttons work, today and after a restart."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from PIL import Image

from bot.demo.simulation import Stage
from engine.api import metadata
from engine.fake import paint as painted
from tests.e2e.screen import buttons, delete, paint, picture, press, words


async def credits_of(studio: Stage, who: str = "Ann") -> int:
    balance = await studio.app.credits.balance(studio.members[who].id, studio.guild.id)
    return balance.free_mc + balance.paid_mc


async def test_a_prompt_becomes_a_grid_with_its_buttons(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    assert "a red boat" in words(message)
    assert list(buttons(message)) == [
        *("U1", "U2", "U3", "U4", "🔄"),
        *("V1", "V2", "V3", "V4", "Remix"),
        *("Seed", "Delete", "⭐", "Report"),
    ]
    assert not message.ephemeral
    info = studio.engine.models()[0]
    assert picture(studio, message).width > 2 * info.width - 1


async def test_the_gallery_has_a_text_for_those_who_cannot_see_it(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    gallery = next(part for part in message.components[0]["components"] if part["type"] == 12)
    assert "a red boat" in gallery["items"][0]["description"]


async def test_u3_shows_the_third_picture_alone_and_free(studio: Stage) -> None:
    message = await paint(studio, "a red boat --seed 100")
    before = await credits_of(studio)
    alone = (await press(studio, message, "U3")).response
    info = studio.engine.models()[0]
    expected = painted(102, info.width, info.height)
    assert picture(studio, alone).tobytes() == expected.convert("RGB").tobytes()
    assert await credits_of(studio) == before
    assert "seed **102**" in (await press(studio, alone, "Seed")).response.content


async def test_the_picture_alone_carries_its_recipe(studio: Stage) -> None:
    message = await paint(studio, "a red boat --seed 100")
    alone = (await press(studio, message, "U2")).response
    data = studio.env.backend.cdn.get(alone.attachments[0].url)
    recipe = metadata.decode(data)
    assert recipe is not None
    assert recipe.seed == 101
    with Image.open(io.BytesIO(data)) as image:
        assert image.text["parameters"].startswith("a red boat")


async def test_v2_makes_four_neighbours_of_the_second_picture(studio: Stage) -> None:
    message = await paint(studio, "a red boat --seed 100")
    neighbours = (await press(studio, message, "V2")).response
    assert list(buttons(neighbours))[:4] == ["U1", "U2", "U3", "U4"]
    job, _ = await studio.app.jobs.image(int(buttons(neighbours)["U1"].split(":")[2]))
    assert job.spec.seed == 101
    assert [strength for _, strength in job.spec.variations] == [0.15]
    assert job.parent_image_id == int(buttons(message)["U2"].split(":")[2])


async def test_buttons_work_after_a_restart(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    await studio.restart()
    for label in ("U1", "V1", "🔄", "Seed"):
        result = await press(studio, message, label)
        assert result.response is not None, label
    assert (await press(studio, message, "Remix")).modal is not None


async def test_remix_fills_in_everything_and_paints_what_was_changed(studio: Stage) -> None:
    message = await paint(studio, "a red boat --seed 7 --no clouds --cfg 3")
    shown = await press(studio, message, "Remix")
    fields = {row["components"][0]["custom_id"]: row["components"][0].get("value") for row in shown.modal["components"]}
    info = studio.engine.models()[0]
    assert fields == {
        "prompt": "a red boat",
        "negative": "clouds",
        "seed": "7",
        "size": f"{info.width}x{info.height}",
        "steps": f"{info.num_inference_steps}, 3",
    }
    answer = {**fields, "prompt": "a blue boat", "steps": "3, 2.5"}
    done = await studio.members["Ben"].submit_modal(await press(studio, message, "Remix", "Ben"), answer)
    await studio.idle()
    job, _ = await studio.app.jobs.image(int(buttons(done.response)["U1"].split(":")[2]))
    assert (job.spec.prompt, job.spec.seed, job.spec.num_inference_steps) == ("a blue boat", 7, 3)
    assert job.user_id == studio.members["Ben"].id


async def test_a_form_opened_before_a_restart_is_still_answered(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    shown = await press(studio, message, "Remix")
    await studio.restart()
    done = await studio.members["Ann"].submit_modal(shown, {"prompt": "a blue boat"})
    await studio.idle()
    assert "a blue boat" in words(done.response)


async def test_the_seed_line_gives_the_same_job_again(studio: Stage) -> None:
    message = await paint(studio, "a (red:1.2) boat --no a {b} --ar 3:2", seed=5)
    text = (await press(studio, message, "Seed")).response.content
    line = text.split("```\n")[1].removesuffix("\n").splitlines()[0]
    again = await paint(studio, line)
    assert picture(studio, again).tobytes() == picture(studio, message).tobytes()


async def test_another_member_may_vary_with_own_credits_but_not_delete(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    before = await credits_of(studio), await credits_of(studio, "Ben")
    await press(studio, message, "V1", "Ben")
    after = await credits_of(studio), await credits_of(studio, "Ben")
    assert (before[0] - after[0], before[1] - after[1]) == (0, 4000)
    refused = await press(studio, message, "Delete", "Ben")
    assert "Only the person who asked" in refused.response.content
    assert buttons(message)


async def test_an_admin_may_delete(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    await delete(studio, message, "Ada")
    assert studio.channel.history() == []
    assert list(studio.settings.images_dir.rglob("*.png")) == []


async def test_a_deleted_pictures_other_buttons_say_so(studio: Stage) -> None:
    message = await paint(studio, "a red boat")
    alone = (await press(studio, message, "U1")).response
    await delete(studio, message)
    refused = await press(studio, alone, "Vary (Subtle)")
    assert "deleted" in refused.response.content


async def test_private_pictures_are_seen_by_their_owner_only(studio: Stage) -> None:
    message = await paint(studio, "a red boat", private=True)
    assert message.ephemeral
    assert studio.channel.history(viewer=studio.members["Ben"]) == []
    stranger = await studio.members["Ben"].slash(studio.channel, "show", job=1)
    assert "no such image" in stranger.response.content


async def test_several_jobs_are_priced_and_asked_about_first(studio: Stage) -> None:
    asked = await paint(studio, "a {red, blue} boat --repeat 2")
    assert "**4 jobs, 16 pictures**, for **16 credits**" in words(asked)
    before = await credits_of(studio)
    await press(studio, asked, "Paint 4")
    grids = [m for m in studio.channel.history() if m.attachments]
    assert len(grids) == 4
    assert before - await credits_of(studio) == 16000


async def test_a_batch_is_started_once_and_by_its_owner(studio: Stage) -> None:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="{a red, a blue} boat")
    ids = buttons(result.response)
    mine = studio.members["Ann"]
    first, second = await asyncio.gather(
        *(_quietly(mine.click(result.response.message, custom_id=ids["Paint 2"])) for _ in range(2))
    )
    await studio.idle()
    assert len([m for m in studio.channel.history() if m.attachments]) in (0, 2)
    assert (first, second) != (None, None)


async def _quietly(action: Any) -> Any:
    """simcord allows one action at a time; the second is refused by it, as a person's client would."""
    try:
        return await action
    except Exception as error:
        return error


async def test_not_now_starts_nothing(studio: Stage) -> None:
    asked = await paint(studio, "{a red, a blue} boat")
    await press(studio, asked, "Not now")
    assert await credits_of(studio) == studio.settings.credits_a_day * 1000


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("a boat --foo 3", "There is no flag '--foo'"),
        ("a boat --steps many", "--steps"),
        ("a boat --steps 1000", "150"),
        ("a boat --model dalle", "There is no model 'dalle'"),
        ("a boat --scheduler eulr", "Did you mean euler"),
        ("{a,b,c,d} {a,b,c,d} {a,b}", "32"),
        ("a boat --size 9000x9000", "9000x9000"),
        ("--seed 3", "Describe a picture"),
    ],
)
async def test_bad_input_gets_a_sentence_and_costs_nothing(studio: Stage, prompt: str, says: str) -> None:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt=prompt)
    assert result.ephemeral
    assert says in result.response.content
    assert await credits_of(studio) == studio.settings.credits_a_day * 1000


async def test_without_credits_one_is_told_when_they_renew(studio: Stage) -> None:
    result = await studio.members["Ann"].slash(studio.channel, "imagine", prompt="a boat --size 512x512 --steps 60")
    await studio.idle()
    text = result.followups[-1].content
    assert "costs 960 credits" in text
    assert "midnight UTC" in text
    assert await studio.app.jobs.queue_length() == 0


async def test_a_failed_picture_costs_nothing_and_can_be_tried_again(studio: Stage) -> None:
    message = await paint(studio, "!fail --n 1")
    assert "Nothing was charged" in words(message)
    assert await credits_of(studio) == studio.settings.credits_a_day * 1000
    assert list(buttons(message)) == ["Try again"]
    await press(studio, message, "Try again")


async def test_a_grid_with_one_failed_picture_is_delivered_and_costs_three(studio: Stage) -> None:
    before = await credits_of(studio)
    message = await paint(studio, "!fail")
    assert list(buttons(message))[:4] == ["U1", "U2", "U3", "🔄"]
    assert "1 of 4 pictures failed" in words(message)
    assert before - await credits_of(studio) == 3000


async def test_show_posts_a_job_again_with_working_buttons(studio: Stage) -> None:
    await paint(studio, "a red boat")
    again = (await studio.members["Ben"].slash(studio.channel, "show", job=1)).response
    assert "a red boat" in words(again)
    assert (await press(studio, again, "U1", "Ben")).response is not None


async def test_history_lists_ones_own_jobs_and_pages(studio: Stage) -> None:
    for n in range(6):
        await paint(studio, f"boat number {n}")
    await paint(studio, "somebody's cat", "Ben")
    page = (await studio.members["Ann"].slash(studio.channel, "history")).response
    assert page.ephemeral
    assert "boat number 5" in words(page)
    assert "cat" not in words(page)
    older = await press(studio, page, "Older")
    assert older.acknowledged
    assert "boat number 0" in words(page)


async def test_info_and_help_and_queue_answer(studio: Stage) -> None:
    for name, says in (("info", "100 credits"), ("help", "/imagine"), ("queue", "no active jobs")):
        result = await studio.members["Ann"].slash(studio.channel, name)
        assert says in words(result.response), name
        assert result.ephemeral


async def test_nothing_in_a_prompt_pings_or_hides(studio: Stage) -> None:
    message = await paint(studio, "@everyone <@1> **bold** ||x|| [a](https://x.y) \u202egnp")
    text = words(message)
    assert "@everyone" not in text
    assert "<@1>" not in text
    assert "\u202e" not in text


async def test_jobs_of_two_people_at_once_are_all_delivered(studio: Stage) -> None:
    for n in range(10):
        result = await studio.members[("Ann", "Ben")[n % 2]].slash(studio.channel, "imagine", prompt=f"boat {n}")
        assert result.acknowledged
    await studio.idle()
    grids = [m for m in studio.channel.history() if m.attachments]
    assert len(grids) == 10


async def test_a_job_that_cannot_be_read_hides_no_other_and_is_not_painted_again(studio: Stage) -> None:
    strange, _ = await paint(studio, "a red boat"), await paint(studio, "a blue boat")
    await studio.app.store.write(lambda db: db.execute("UPDATE job SET spec = '{\"version\": 99}' WHERE id = 1"))
    page = (await studio.members["Ann"].slash(studio.channel, "history")).response
    assert "a blue boat" in words(page)
    assert "can't be read by this version" in words(
        (await studio.members["Ann"].slash(studio.channel, "show", job=1)).response
    )
    refused = await press(studio, strange, "🔄")
    assert "There is no model" in refused.response.content
