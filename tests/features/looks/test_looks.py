"""Styles from pictures: made, shared by their code, used by whoever may, and forgotten with whose they are."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import discord
import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.features.looks.service import new_code, read_name
from bot.prompt.flags import LOOK
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import paint, press
from tests.features.edit.conftest import png
from tests.features.generate.test_edit_commands import asked, job_of, said

READS = replace(MINI, key="reads", family="sdxl", image_prompts=True)
COLOURS = ("teal", "red", "gold")


@pytest.fixture
async def studio(settings: Settings) -> AsyncIterator[Stage]:
    async with stage(settings, make_engine=lambda: FakeEngine((MINI, READS))) as running:
        yield running
        await running.idle()
        assert await running.app.store.problems() == []


async def made(studio: Stage, name: str = "wash", **more: Any) -> str:
    """Make a style of three pictures; its code."""
    pictures = {f"image{i}": (f"{c}.png", png(c)) for i, c in enumerate(COLOURS, 1)}
    answer = said(await asked(studio, "style from", who="Ada", name=name, **(more or pictures)))
    found = re.search(r"--sref (\w{7})`", answer)
    assert found, answer
    return found[1]


async def references(studio: Stage, prompt: str, who: str = "Ann") -> list[Any]:
    result = await asked(studio, "imagine", who=who, prompt=prompt)
    return list((await job_of(studio, result.response)).spec.request.references)


async def test_a_style_is_used_by_its_name_and_by_its_code(studio: Stage) -> None:
    code = await made(studio)
    for word in (code, code.upper(), "wash"):
        found = await references(studio, f"a boat --sref {word} --sw 50")
        assert [(each.use, each.weight) for each in found] == [("style", 0.5)] * 3
    assert [each.use for each in await references(studio, "a boat --oref wash", "Ben")] == ["all"] * 3
    listed = said(await asked(studio, "style codes"))
    assert "wash" in listed
    assert code in listed
    assert "3 pictures" in listed


async def test_pictures_of_jobs_survive_their_message_and_their_deletion(studio: Stage) -> None:
    await paint(studio, "ink", seed=7)
    code = await made(studio, sources="1.1 1.2")
    await studio.app.jobs.delete(1, studio.members["Ann"].id)
    await studio.app.jobs.remove_ended_files()
    assert len(await references(studio, f"a boat --sref {code}")) == 2


async def test_it_works_again_after_a_restart(studio: Stage) -> None:
    code = await made(studio)
    await studio.restart()
    assert len(await references(studio, f"a boat --sref {code}")) == 3


@pytest.mark.parametrize(
    ("who", "options", "says"),
    [
        ("Ann", {"name": "wash"}, "Manage Server"),
        ("Ada", {"name": "7wash"}, "beginning with a letter"),
        ("Ada", {"name": "w b"}, "beginning with a letter"),
        ("Ada", {"name": "none"}, "1 to 8 pictures"),
    ],
)
async def test_refusals_are_sentences(studio: Stage, who: str, options: dict[str, Any], says: str) -> None:
    picture = {} if options["name"] == "none" else {"image1": ("a.png", png())}
    assert says in said(await asked(studio, "style from", who=who, **options, **picture))
    assert "doesn't have any" in said(await asked(studio, "style codes"))


async def test_a_private_picture_becomes_no_style(studio: Stage) -> None:
    await asked(studio, "imagine", who="Ada", prompt="ink", private=True)
    assert "private" in said(await asked(studio, "style from", who="Ada", name="wash", sources="1.1"))
    assert "no style from pictures" in said(await asked(studio, "imagine", prompt="a boat --sref wash"))


async def test_a_picture_of_a_channel_that_not_everyone_reads_becomes_none(studio: Stage) -> None:
    hidden, shown = discord.PermissionOverwrite(read_messages=False), discord.PermissionOverwrite(read_messages=True)
    overwrites = {studio.guild.default_role: hidden, studio.members["Ada"]: shown, studio.guild.me: shown}
    secret = studio.guild.create_text_channel("secret", overwrites=overwrites)
    await studio.members["Ada"].slash(secret, "imagine", prompt="ink")
    await studio.idle()
    assert "not everyone here can read" in said(
        await asked(studio, "style from", who="Ada", name="wash", sources="1.1")
    )


async def test_a_name_is_taken_once_and_free_again(studio: Stage) -> None:
    code = await made(studio)
    again = await asked(studio, "style from", who="Ada", name="wash", image1=("a.png", png()))
    assert "already" in said(again)
    assert "Manage Server" in said(await asked(studio, "style forget", name="wash"))
    assert "no longer works" in said(await asked(studio, "style forget", who="Ada", name=code))
    assert "no style from pictures" in said(await asked(studio, "imagine", prompt=f"a boat --sref {code}"))
    assert await made(studio) != code


async def test_what_is_unknown_is_said_with_a_way_on(studio: Stage) -> None:
    refused = await asked(studio, "imagine", prompt="a boat --sref nothing --seed 3")
    assert "no style from pictures" in said(refused)
    again = (await press(studio, refused.response or refused.followups[-1], "Paint without it")).response
    assert (await job_of(studio, again)).spec.seed == 3


async def test_erasing_a_member_takes_their_pictures_out(studio: Stage) -> None:
    """A style made of a member's pictures alone ends with them; the name of who made it is forgotten."""
    await paint(studio, "ink")  # Ann's
    await made(studio, "anns", sources="1.1")
    await made(studio, "both", sources="1.2", image1=("a.png", png()))
    await studio.app.privacy.forget(studio.members["Ann"].id)
    left = await studio.app.looks.of_server(studio.guild.id)
    assert [(each.name, len(each.pictures)) for each in left] == [("both", 1)]
    await studio.app.privacy.forget(studio.members["Ada"].id)
    assert await studio.app.looks.of_server(studio.guild.id) == []


async def test_a_member_gets_them_with_their_data(studio: Stage) -> None:
    await made(studio)
    archive = await studio.app.privacy.export(studio.members["Ada"].id, 10_000_000)
    (part,) = [part async for part in archive.parts()]
    with zipfile.ZipFile(io.BytesIO(part)) as found:
        told = {table: json.loads(found.read(f"data/{table}.json")) for table in ("look", "look_picture")}
    assert [each["name"] for each in told["look"]] == ["wash"]
    assert len(told["look_picture"]) == 3


def test_codes_are_no_names_and_no_numbers() -> None:
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(LOOK.fullmatch(code) for code in codes)
    assert read_name(" Ink-Wash ") == "ink-wash"
