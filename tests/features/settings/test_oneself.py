"""What a member sets holds for commands and buttons; what a member keeps here can be had and deleted."""

from __future__ import annotations

import asyncio
import io
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.features.privacy import commands as privacy_commands
from bot.features.privacy import store as privacy_store
from bot.features.settings import store as preference_store
from bot.features.settings.store import Preferences, ServerDefaults, Style
from bot.orders.actor import Actor
from engine.api.left_out import LeftOut
from engine.api.model_info import About
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import buttons, delete, paint, parts, press, words


def selects(message: Any) -> dict[str, dict[str, Any]]:
    """Custom id to select."""
    return {part["custom_id"]: part for part in parts(message.components) if part["type"] in (3, 5, 6, 7, 8)}


def chosen(message: Any, custom_id: str) -> str:
    (option,) = [option for option in selects(message)[custom_id]["options"] if option.get("default")]
    return str(option["value"])


async def panel(studio: Stage, who: str = "Ann") -> Any:
    result = await studio.members[who].slash(studio.channel, "settings")
    assert result.ephemeral
    return result.response


async def choose(studio: Stage, message: Any, custom_id: str, value: str, who: str = "Ann") -> None:
    result = await studio.members[who].select(message.message, [value], custom_id=custom_id)
    assert result.acknowledged


async def prefer(studio: Stage, who: str = "Ann", **changes: Any) -> Preferences:
    return await studio.app.preferences.prefer(studio.members[who].id, studio.guild.id, **changes)


async def spec_of(studio: Stage, message: Any) -> Any:
    job, _ = await studio.app.jobs.image(int(buttons(message)["U1"].split(":")[2]))
    return job.spec


async def test_the_panel_shows_what_is_set_and_changes_it(studio: Stage) -> None:
    message = await panel(studio)
    assert chosen(message, "s1:set:0") == "-"
    await choose(studio, message, "s1:set:0", "mini")
    await choose(studio, message, "s1:set:1", "3:2")
    await choose(studio, message, "s1:set:2", "25")
    await press(studio, message, "Private: off")
    assert chosen(message, "s1:set:1") == "3:2"
    assert "Private: on" in buttons(message)
    mine = await studio.app.preferences.preferences(studio.members["Ann"].id)
    assert mine == Preferences(model="mini", shape="3:2", subtle=25, private=True)
    await press(studio, message, "Reset")
    assert await studio.app.preferences.preferences(studio.members["Ann"].id) == Preferences()


async def test_the_panels_lists_and_buttons_work_after_a_restart(studio: Stage) -> None:
    message = await panel(studio)
    await studio.restart()
    await choose(studio, message, "s1:set:3", "65")
    await press(studio, message, "Remix on V: off")
    mine = await studio.app.preferences.preferences(studio.members["Ann"].id)
    assert (mine.strong, mine.remix) == (65, True)


async def test_a_button_of_the_bot_outlives_many_panels(studio: Stage) -> None:
    """A select class must not take the button class out of the bot with it, nor be taken out."""
    grid = await paint(studio)
    for value in ("3:2", "1:1", "-"):
        await choose(studio, await panel(studio), "s1:set:1", value)
    assert (await press(studio, grid, "U1")).response is not None


async def test_words_behind_every_prompt_are_given_in_a_form(studio: Stage) -> None:
    shown = await press(studio, await panel(studio), "Edit")
    done = await studio.members["Ann"].submit_modal(shown, {"suffix": " soft light, "})
    assert done.acknowledged
    message = await paint(studio, "a red boat --ar 3:2")
    assert (await spec_of(studio, message)).prompt == "a red boat, soft light"
    assert (await spec_of(studio, await paint(studio, "a red boat --plain"))).prompt == "a red boat"


async def test_settings_hold_where_nothing_else_was_said(studio: Stage) -> None:
    await prefer(studio, shape="3:2", private=True)
    own = await paint(studio, "a red boat")
    assert own.ephemeral
    spec = await spec_of(studio, own)
    assert spec.width > spec.height
    said = await paint(studio, "a red boat --ar 2:3", private=False)
    assert not said.ephemeral
    spec = await spec_of(studio, said)
    assert spec.height > spec.width
    other = await spec_of(studio, await paint(studio, "a red boat", "Ben"))
    assert other.width == other.height


async def test_a_private_member_gets_private_variations_of_public_pictures(studio: Stage) -> None:
    grid = await paint(studio)
    await prefer(studio, "Ben", private=True, subtle=25)
    result = await press(studio, grid, "V1", "Ben")
    assert result.response.ephemeral
    job, _ = await studio.app.jobs.image(int(buttons(result.response)["U1"].split(":")[2]))
    assert [strength for _, strength in job.spec.variations] == [0.25]


async def test_remix_on_v_opens_the_form_first(studio: Stage) -> None:
    grid = await paint(studio, "a red boat --seed 7")
    await prefer(studio, remix=True)
    shown = await press(studio, grid, "V2")
    assert shown.modal is not None
    await studio.restart()
    done = await studio.members["Ann"].submit_modal(shown, {"prompt": "a blue boat", "seed": "8"})
    await studio.idle()
    job, _ = await studio.app.jobs.image(int(buttons(done.response)["U1"].split(":")[2]))
    assert (job.kind, job.spec.prompt, len(job.spec.variations)) == ("vary", "a blue boat", 1)


async def test_who_wants_no_previews_is_known_after_a_restart(studio: Stage) -> None:
    await prefer(studio, previews=False)
    assert studio.members["Ann"].id in studio.app.preferences.quiet
    await studio.restart()
    assert studio.members["Ann"].id in studio.app.preferences.quiet


async def test_the_seed_line_of_somebody_with_settings_says_plain(studio: Stage) -> None:
    await prefer(studio, suffix="soft light")
    message = await paint(studio, "a red boat")
    text = (await press(studio, message, "Seed")).response.content
    line = text.split("```\n")[1].removesuffix("\n").splitlines()[0]
    assert line.endswith("--plain")
    assert await spec_of(studio, await paint(studio, line)) == await spec_of(studio, message)


async def test_styles_are_added_listed_stacked_and_removed(studio: Stage) -> None:
    ada, ann = studio.members["Ada"], studio.members["Ann"]
    grid = await paint(studio, "a red boat")
    for name, template, extra in (
        ("ink", "ink drawing of {prompt}", {"negative": "colour", "example": 1}),
        ("gold", "{prompt}, golden", {}),
    ):
        result = await ada.slash(studio.channel, "style add", name=name, template=template, **extra)
        assert "was added" in words(result.response)
    shown = (await ann.slash(studio.channel, "style list")).response
    assert "ink drawing of" in words(shown)
    assert [attachment.filename for attachment in shown.attachments] == ["style-ink.webp"]
    message = await paint(studio, "a cat", style="ink,gold")
    spec = await spec_of(studio, message)
    assert (spec.prompt, spec.negative_prompt) == ("ink drawing of a cat, golden", "colour")
    assert (await spec_of(studio, await paint(studio, "a cat --style gold"))).prompt == "a cat, golden"
    choices = await ann.autocomplete(studio.channel, "imagine", "style", "ink,g")
    assert [choice["value"] for choice in choices] == ["ink,gold"]
    await delete(studio, grid)
    assert not (await ann.slash(studio.channel, "style list")).response.attachments
    await ada.slash(studio.channel, "style remove", name="ink")
    refused = await ann.slash(studio.channel, "imagine", prompt="a cat --style ink")
    assert "This server has no style 'ink'" in refused.response.content


@pytest.mark.parametrize(
    ("name", "template", "says"),
    [("Ink Drawing!", "{prompt}", "lowercase letters"), ("ink", "{prompt} and {prompt}", "once")],
)
async def test_a_bad_style_is_refused_with_a_sentence(studio: Stage, name: str, template: str, says: str) -> None:
    result = await studio.members["Ada"].slash(studio.channel, "style add", name=name, template=template)
    assert says in result.response.content


async def test_members_may_not_change_styles(studio: Stage) -> None:
    result = await studio.members["Ann"].slash(studio.channel, "style add", name="ink", template="{prompt}")
    assert "Manage Server" in result.response.content


async def test_a_servers_defaults_hold_below_ones_own(studio: Stage) -> None:
    store, guild_id = studio.app.store, studio.guild.id
    await store.write(preference_store.save_style, guild_id, Style(name="ink", template="ink {prompt}"), 0)
    by = Actor(user_id=studio.members["Ada"].id, guild_id=guild_id, channel_id=1, is_admin=True)
    await studio.app.preferences.set_defaults(by, steps=5, shape="2:3", negative="fog", styles=("ink",))
    spec = await spec_of(studio, await paint(studio, "a cat"))
    assert (spec.prompt, spec.num_inference_steps, spec.negative_prompt) == ("ink a cat", 5, "fog")
    assert spec.height > spec.width
    await prefer(studio, shape="3:2")
    spec = await spec_of(studio, await paint(studio, "a cat --style none --steps 6"))
    assert (spec.prompt, spec.num_inference_steps, spec.width > spec.height) == ("a cat", 6, True)
    await studio.app.preferences.set_defaults(
        by, **{name: getattr(ServerDefaults(), name) for name in ("steps", "shape", "negative", "styles")}
    )
    assert (await spec_of(studio, await paint(studio, "a cat", "Ben"))).prompt == "a cat"


async def test_models_are_shown_with_licence_limits_and_tasks(studio: Stage) -> None:
    text = words((await studio.members["Ann"].slash(studio.channel, "models")).response)
    assert "**mini**" in text
    assert "MIT" in text
    assert "Can do: words, repaint" in text


async def test_models_show_what_their_files_say(settings: Settings) -> None:
    thumbnail = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(thumbnail, "JPEG")
    own = About(name="mini", title="*Boats*", author="@everyone", licence="CC-BY-4.0", thumbnail=thumbnail.getvalue())
    ink = About(name="ink", trigger_words=("inked", "wet"))
    told = replace(MINI, key="boats", loras=("ink",), about=(replace(own, name="boats"), ink))
    async with stage(settings, make_engine=lambda: FakeEngine((told,))) as studio:
        result = await studio.members["Ann"].slash(studio.channel, "models")
        text = words(result.response)
        (file,) = result.response.attachments
        assert studio.env.backend.cdn.get(file.url) == thumbnail.getvalue()
    assert "\\*Boats\\* by" in text, "nothing in it is markup"
    assert "@everyone" not in text
    assert "Licence: CC-BY-4.0" in text.replace("\\", "")
    assert "ink: ink · write: inked, wet" in text.replace("\\", "")


async def test_models_names_what_is_left_out(settings: Settings) -> None:
    gone = LeftOut(kind="LoRA", name="waves", reason="waves.safetensors is cut off")
    async with stage(settings, make_engine=lambda: FakeEngine(left_out=[gone])) as studio:
        text = words((await studio.members["Ann"].slash(studio.channel, "models")).response).replace("\\", "")
    assert "**waves** · LoRA" in text
    assert "Can't be used here: waves.safetensors is cut off." in text


async def test_ones_data_can_be_had_as_a_file(studio: Stage) -> None:
    await paint(studio, "a red boat")
    result = await studio.members["Ann"].slash(studio.channel, "privacy export")
    assert result.ephemeral
    data = studio.env.backend.cdn.get(result.response.attachments[0].url)
    assert data is not None
    files = zipfile.ZipFile(io.BytesIO(data))
    assert b"a red boat" in files.read("data/job.json")
    assert len([name for name in files.namelist() if name.startswith("images/")]) == 4


async def test_more_than_fits_comes_in_parts_and_says_so(studio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await paint(studio, "a red boat")
    privacy_service = studio.app.privacy
    whole = privacy_service.export
    monkeypatch.setattr(privacy_service, "export", lambda user_id, _limit: whole(user_id, 12_000))
    monkeypatch.setattr(privacy_commands, "MAX_PARTS", 2)
    result = await studio.members["Ann"].slash(studio.channel, "privacy export")
    assert len(result.response.attachments) == 1
    part, more = result.followups
    assert part.attachments[0].filename.endswith("-2.zip")
    assert "doesn't fit into" in more.content


async def test_ones_data_is_deleted_after_a_yes(studio: Stage) -> None:
    await paint(studio, "a xylophonecanary")
    asked = (await studio.members["Ann"].slash(studio.channel, "privacy delete")).response
    kept = await press(studio, asked, "Keep it")
    assert kept.acknowledged
    assert "Nothing was deleted" in words(asked)
    asked = (await studio.members["Ann"].slash(studio.channel, "privacy delete")).response
    await press(studio, asked, "Delete everything")
    assert "jobs: 1, files: 4" in words(asked)
    await studio.app.privacy.overwrite_traces()
    files = [file for file in studio.settings.data_dir.rglob("*") if file.is_file()]
    assert [file.name for file in files if b"xylophonecanary" in file.read_bytes()] == []
    nothing = await studio.members["Ann"].slash(studio.channel, "privacy export")
    assert "has no data about you" in nothing.followups[-1].content


async def test_previews_are_shown_to_those_who_want_them_only(studio: Stage) -> None:
    studio.engine.step_s = 0.3  # type: ignore[attr-defined]
    await prefer(studio, previews=False)
    shown: dict[str, bool] = {}
    for who in ("Ann", "Ben"):
        result = await studio.members[who].slash(studio.channel, "imagine", prompt="a boat --n 1 --steps 12")
        for _ in range(40):
            await asyncio.sleep(0.1)
            if "▰" in words(result.response):
                shown[who] = shown.get(who, False) or "Preview" in str(result.response.components)
        await studio.idle()
    assert shown == {"Ann": False, "Ben": True}


async def test_nothing_of_a_busy_member_is_left_anywhere(studio: Stage) -> None:
    """The canary is in prompts, uploads, batches, appeals, regions, settings; afterwards in no file."""
    canary, ann = "xylophonecanary", studio.members["Ann"]
    room = studio.guild.create_text_channel("log")
    await studio.members["Ada"].slash(studio.channel, "admin channels", audit=room)
    await studio.members["Ada"].slash(studio.channel, "admin words", action="add", word="forbidden")
    await prefer(studio, suffix=canary)
    out = io.BytesIO()
    Image.effect_noise((96, 64), 90).convert("RGB").save(out, "PNG")
    message = await paint(studio, canary, image=("mine.png", out.getvalue()))
    alone = (await press(studio, message, "U1")).response
    await press(studio, alone, "Vary (Region)")
    await paint(studio, f"{{a, b}} {canary}")  # asked about, never answered
    await ann.slash(studio.channel, "imagine", prompt=f"forbidden {canary}")
    await ann.slash(studio.channel, "imagine", prompt=canary, private=True)
    await studio.idle()
    theirs = await paint(studio, "somebody's boat", "Ben")
    files = [file for file in studio.settings.data_dir.rglob("*") if file.is_file()]
    assert any(canary.encode() in file.read_bytes() for file in files)
    asked = (await ann.slash(studio.channel, "privacy delete")).response
    await press(studio, asked, "Delete everything")
    await studio.app.privacy.overwrite_traces()
    files = [file for file in studio.settings.data_dir.rglob("*") if file.is_file()]
    assert [file.name for file in files if canary.encode() in file.read_bytes()] == []
    assert len([file for file in files if file.suffix == ".png"]) == 4
    assert (await press(studio, theirs, "U1", "Ben")).response is not None


async def test_a_server_that_removes_the_bot_is_noted_and_welcomed_back(studio: Stage) -> None:
    await paint(studio)
    guild = studio.bot.get_guild(studio.guild.id)
    assert guild is not None
    await studio.bot.on_guild_remove(guild)
    after = studio.app.clock.now_ms() + 1
    assert await studio.app.store.read(privacy_store.left_before, after) == [studio.guild.id]
    await studio.bot.on_guild_join(guild)
    assert await studio.app.store.read(privacy_store.left_before, after) == []


async def test_a_ban_takes_nobodys_right_to_their_data(studio: Stage) -> None:
    await paint(studio, "a red boat")
    ada, ann = studio.members["Ada"], studio.members["Ann"]
    await ada.slash(studio.channel, "admin ban", user=ann)
    assert (await ann.slash(studio.channel, "privacy export")).response.attachments
    asked = (await ann.slash(studio.channel, "privacy delete")).response
    await press(studio, asked, "Delete everything")
    assert "was deleted" in words(asked)
    refused = await ann.slash(studio.channel, "imagine", prompt="a boat")
    assert "can't use Easel" in (refused.response or refused.followups[-1]).content


async def test_an_interrupted_deletion_is_finished_after_a_restart(
    studio: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await paint(studio, "a red boat")

    async def ends(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(studio.app.store, "drop_backups_with", ends)
        asked = (await studio.members["Ann"].slash(studio.channel, "privacy delete")).response
        refused = await press(studio, asked, "Delete everything")
        assert "goes on deleting by itself" in refused.followups[-1].content
    await studio.restart()
    async with asyncio.timeout(10):
        while await studio.app.store.read(privacy_store.unfinished_erasures):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert list(studio.settings.images_dir.rglob("*.png")) == []
