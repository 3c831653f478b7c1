"""Every way to say which picture is meant, and pictures as people have them, in every command that takes one."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bot.demo.simulation import Stage
from tests.e2e.screen import paint, words
from tests.features.generate.test_edit_commands import asked, job_of, png, said

PROXY = "https://media.discordapp.net/attachments/1/2/boat.heic"


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def moving() -> bytes:
    frames = [Image.new("RGB", (96, 64), colour) for colour in ("red", "blue")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


SMALL = Image.new("RGB", (96, 64), "teal")
HAVE = {
    "gif": ("a.gif", moving(), "Only the first frame was used."),
    "bmp": ("a.bmp", encoded(SMALL, "BMP"), ""),
    "avif": ("a.avif", encoded(SMALL, "AVIF"), ""),
    "tiff": ("a.tif", encoded(SMALL, "TIFF"), ""),
    "a wrong name": ("a.webp", encoded(SMALL, "JPEG"), ""),
    "no name to speak of": ("a", encoded(SMALL, "PNG"), ""),
    "20 megapixels": (
        "phone.jpg",
        encoded(Image.new("RGB", (5472, 3648), "teal"), "JPEG"),
        "The picture was scaled from 5472x3648 to 2736x1824.",
    ),
}


@pytest.mark.parametrize("name", HAVE)
@pytest.mark.parametrize("command", ["imagine", "vary", "control", "upscale"])
async def test_pictures_as_people_have_them(studio: Stage, command: str, name: str) -> None:
    if name == "20 megapixels" and command == "upscale":
        pytest.skip("twice 5 megapixels are more than can be kept")
    filename, data, note = HAVE[name]
    options = {} if command == "upscale" else {"prompt": "a boat"}
    if command == "control" and not any(info.controlnets for info in studio.app.backend.models()):
        pytest.skip("no ControlNet here")
    result = await asked(studio, command, image=(filename, data), **options)
    assert result.response.attachments, said(result)
    assert note in words(result.response)


async def test_words_that_a_photo_was_scaled_stay_with_the_menus(studio: Stage) -> None:
    message = await studio.members["Ben"].send(studio.channel, "look", attachments=[("a.gif", moving())])
    shown = await studio.members["Ann"].context_menu(studio.channel, "Vary", message)
    done = await studio.members["Ann"].submit_modal(shown, {"prompt": "a boat", "strength": "strong"})
    await studio.idle()
    assert "Only the first frame" in words(done.response)


# ---------------------------------------------------------------- which one is meant
@pytest.mark.parametrize("command", ["imagine", "vary", "upscale", "outpaint", "compare"])
async def test_a_picture_is_named_by_a_jobs_number_or_a_messages_link(studio: Stage, command: str) -> None:
    painted = await paint(studio, "a red boat")
    job = await job_of(studio, painted)
    link = f"https://discord.com/channels/{studio.guild.id}/{studio.channel.id}/{painted.id}"
    options: dict[str, Any] = {"prompt": "a boat"} if command != "upscale" else {}
    if command == "compare":
        options |= {"x": "steps", "x_values": "2, 3"}
    result = await asked(studio, command, source=f"{job.id}.2", **options)
    assert result.response.attachments, said(result)
    refused = await asked(studio, command, source=link, **options)
    assert "shows 4 pictures" in said(refused)


async def test_a_blend_takes_pictures_by_name_too(studio: Stage) -> None:
    job = await job_of(studio, await paint(studio, "a red boat"))
    result = await asked(studio, "blend", image1=("a.png", png()), sources=f"{job.id}.1 {job.id}.4", prompt="boats")
    assert result.response.attachments, said(result)
    assert "2 to 5 pictures" in said(await asked(studio, "blend", image1=("a.png", png())))


async def test_a_private_picture_stays_private_by_its_number(studio: Stage) -> None:
    job = await job_of(studio, await paint(studio, "a red boat", private=True))
    result = await asked(studio, "imagine", source=f"{job.id}.1", prompt="a boat")
    assert result.response.attachments, said(result)
    assert result.ephemeral


async def test_a_refused_line_keeps_the_picture_that_it_named(studio: Stage) -> None:
    job = await job_of(studio, await paint(studio, "a red boat"))
    refused = await asked(studio, "imagine", source=f"{job.id}.1", prompt="a boat --sed 7")
    shown = refused.followups[-1] if refused.followups else refused.response
    pressed = await studio.members["Ann"].click(shown, label="Use --seed")
    await studio.idle()
    again = await job_of(studio, pressed.response or pressed.followups[-1])
    assert again.spec.init_image is not None


@pytest.mark.parametrize("where", ["preview", "reply"])
async def test_a_menu_finds_what_a_message_previews_or_replies_to(studio: Stage, where: str) -> None:
    ben = studio.members["Ben"]
    if where == "preview":
        address = "https://images-ext-1.discordapp.net/external/abc/https/example.org/boat.jpg"
        copy = f"{address}?format=webp&quality=lossless&animated=false&width=96&height=64"
        studio.env.backend.cdn._blobs[copy] = encoded(SMALL, "WEBP", lossless=True)
        preview = {
            "thumbnail": {"url": "https://example.org/boat.jpg", "proxy_url": address, "width": 96, "height": 64}
        }
        message = await ben.send(studio.channel, "https://example.org/boat.jpg")
        studio.env.backend.get_message(studio.channel.id, message.id).embeds = [{"type": "image", **preview}]
    else:
        painted = await paint(studio, "a red boat --n 1")
        message = await ben.send(studio.channel, "nice", reply_to=painted)
    shown = await studio.members["Ann"].context_menu(studio.channel, "Upscale", message)
    assert shown.modal is not None
    done = await studio.members["Ann"].submit_modal(shown, {"scale": "2", "mode": "faithful"})
    await studio.idle()
    assert done.response.attachments, said(done)


# ---------------------------------------------------------------- Discord's media proxy
async def test_what_is_not_read_here_comes_through_discords_proxy(studio: Stage) -> None:
    copy = f"{PROXY}?format=webp&quality=lossless&animated=false"
    studio.env.backend.cdn._blobs[copy] = encoded(SMALL, "WEBP", lossless=True)
    result = await asked(studio, "vary", source=PROXY, prompt="a boat")
    assert result.response.attachments, said(result)


@pytest.mark.parametrize("why", ["a format that isn't read here", "too many bytes", "too many pixels"])
async def test_an_attachment_comes_smaller_through_the_proxy_where_it_must(studio: Stage, why: str) -> None:
    """A phone's HEIC, a screenshot of 13 MiB, a WebP of 12 megapixels: what is asked of the proxy fits."""
    ben, backend = studio.members["Ben"], studio.env.backend
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
    large = encoded(Image.new("RGB", (4000, 3000), "teal"), "WEBP", lossless=True)
    data = large if why == "too many pixels" else heic
    message = await ben.send(studio.channel, "look", attachments=[("IMG_1.HEIC", data)])
    facts = {"proxy_url": PROXY, "width": 4000, "height": 3000}
    facts |= {"size": 13 * 2**20} if why == "too many bytes" else {}
    backend.get_message(studio.channel.id, message.id).attachments[0] |= facts
    copy = f"{PROXY}?format=webp&quality=lossless&animated=false&width=2190&height=1643"
    backend.cdn._blobs[copy] = encoded(Image.new("RGB", (2190, 1643), "teal"), "WEBP", lossless=True)
    shown = await studio.members["Ann"].context_menu(studio.channel, "Vary", message)
    done = await studio.members["Ann"].submit_modal(shown, {"prompt": "a boat", "strength": "strong"})
    await studio.idle()
    assert "scaled from 4000x3000 to 2190x1643" in words(done.response)


async def test_an_attachment_that_is_gone_is_said(studio: Stage) -> None:
    result = await asked(studio, "vary", source=PROXY.replace("boat", "gone"), prompt="a boat")
    assert "no longer has that picture" in said(result)


@pytest.mark.parametrize(
    "link", ["https://example.org/a.png", "https://media.discordapp.net.evil.org/attachments/1/2/a"]
)
async def test_nothing_is_fetched_from_anywhere_else(studio: Stage, link: str) -> None:
    result = await asked(studio, "vary", source=link, prompt="a boat")
    assert "couldn't find an image" in said(result)


# ---------------------------------------------------------------- proportions
async def test_another_ratio_is_cut_and_that_is_said(studio: Stage) -> None:
    result = await asked(studio, "imagine", image=("a.png", png(128, 64)), prompt="a boat --ar 1:1 --strength 0.1")
    assert "The picture was cut to the proportions of 128x128." in words(result.response)


def test_a_circle_stays_a_circle() -> None:
    from engine.tasks.pictures import fitted

    picture = Image.new("RGB", (200, 100))
    ImageDraw.Draw(picture).ellipse((70, 20, 130, 80), fill="white")
    box = fitted(picture, (64, 64)).convert("L").point([0] * 128 + [255] * 128).getbbox()
    assert box is not None
    assert abs((box[2] - box[0]) - (box[3] - box[1])) <= 1
    assert np.asarray(fitted(picture, (204, 100))).shape == (100, 204, 3)
