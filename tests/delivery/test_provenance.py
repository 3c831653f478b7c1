"""What every file that leaves says of itself: that it was made, and how, unless that is not to be told."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from PIL import Image

from bot.demo.simulation import Stage
from bot.prompt import image_metadata
from bot.prompt.image_metadata import containers
from engine.api import metadata
from tests.e2e.conftest import settings, studio, unhurried
from tests.e2e.screen import paint, press
from tests.features.generate.test_edit_commands import asked, png

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
__all__ = ["settings", "studio", "unhurried"]
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
SECRET = "zinnober"


def file_of(studio: Stage, message: Any) -> bytes:
    data = studio.env.backend.cdn.get(message.attachments[-1].url)
    assert data is not None
    return data


def xmp_of(data: bytes) -> str:
    """By each format's own reader, not ours."""
    with Image.open(io.BytesIO(data)) as image:
        found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    return found.decode() if isinstance(found, bytes) else str(found)


def check(data: bytes, prompt: str, source: str = TRAINED) -> None:
    """It tells what it is, how it was made, and with which files."""
    assert f"<Iptc4xmpExt:DigitalSourceType>{source}<" in xmp_of(data)
    said = image_metadata.read(data)
    assert said is not None
    assert (said.tool, said.prompt) == ("Easel", prompt)
    infotext = containers.texts(data)["parameters"]
    assert json.loads(infotext.rsplit("Hashes: ", 1)[1])["model"]


async def test_a_grid_and_a_single_tell_how_they_were_made(studio: Stage) -> None:
    grid = await paint(studio, f"a {SECRET} boat")
    check(file_of(studio, grid), f"a {SECRET} boat")
    check(file_of(studio, (await press(studio, grid, "U2")).response), f"a {SECRET} boat")


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
async def test_each_format_tells_it_in_its_own_place(studio: Stage, form: Any) -> None:
    grid = await paint(studio, '一隻貓, "quoted": <b>')
    [job] = await studio.app.jobs.history(studio.members["Ann"].id, studio.guild.id)
    image = (await studio.app.jobs.images(job.id))[0]
    assert image.made_with is not None
    picture = Image.open(io.BytesIO(file_of(studio, grid)))
    check(metadata.encode(picture, form, image.made_with), job.spec.prompt)
    told = metadata.encode(picture, form, image.made_with, words=False)
    assert TRAINED in xmp_of(told)
    assert image_metadata.read(told) is None
    assert "貓".encode() not in told


async def test_a_sheet_tells_it_too(studio: Stage) -> None:
    result = await asked(studio, "compare", prompt=f"a {SECRET} boat", x="steps", x_values="2, 3")
    check(file_of(studio, result.response), f"a {SECRET} boat")


async def test_an_export_holds_the_pictures_with_all_they_tell(studio: Stage) -> None:
    await paint(studio, f"a {SECRET} boat")
    result = await studio.members["Ann"].slash(studio.channel, "privacy export")
    await studio.idle()
    with zipfile.ZipFile(io.BytesIO(file_of(studio, result.response))) as archive:
        pictures = [archive.read(name) for name in archive.namelist() if name.endswith(".png")]
    assert len(pictures) == 4
    for data in pictures:
        check(data, f"a {SECRET} boat")


# ---------------------------------------------------------------- whose picture it was
async def test_an_edit_of_a_persons_picture_is_a_composite_and_stays_one(studio: Stage) -> None:
    edited = await asked(studio, "vary", image=("a.png", png()), prompt="a boat")
    check(file_of(studio, edited.response), "a boat", COMPOSITE)
    again = (await press(studio, edited.response, "V1")).response
    assert COMPOSITE in xmp_of(file_of(studio, again))


async def test_an_edit_of_our_own_picture_is_none(studio: Stage) -> None:
    alone = (await press(studio, await paint(studio, "a red boat"), "U1")).response
    wider = (await press(studio, alone, "Zoom Out 1.5x")).response
    assert TRAINED in xmp_of(file_of(studio, wider))


# ---------------------------------------------------------------- what is not to be told
async def test_a_members_files_leave_the_prompt_out_if_they_want(studio: Stage) -> None:
    ann = studio.members["Ann"]
    await studio.app.preferences.prefer(ann.id, studio.guild.id, file_words=False)
    grid = await paint(studio, f"a {SECRET} boat")
    single = (await press(studio, grid, "U2")).response
    for message in (grid, single):
        data = file_of(studio, message)
        assert TRAINED in xmp_of(data)
        assert image_metadata.read(data) is None
        assert SECRET.encode() not in data
    await studio.restart()
    assert SECRET.encode() not in file_of(studio, (await press(studio, grid, "U1")).response)


async def test_the_setting_is_a_button(studio: Stage) -> None:
    ann = studio.members["Ann"]
    shown = await ann.slash(studio.channel, "settings")
    assert "Prompt in files: on" in json.dumps(shown.response.components)
    pressed = await ann.click(shown.response, label="Prompt in files: on")
    assert "Prompt in files: off" in json.dumps(pressed.response.components)
    assert not (await studio.app.preferences.preferences(ann.id)).file_words


def test_what_is_cut_out_of_a_png_leaves_its_pixels() -> None:
    image = Image.effect_noise((40, 30), 80).convert("RGB")
    told = metadata.encode(image, "PNG", None)
    assert metadata.without_words(told) == told
