"""Pictures of strangers: the right pixels or a sentence, quickly and in little memory."""

import io
import struct
import time
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from bot.errors import BadInput
from bot.orders.uploads import STRANGERS, check_size
from bot.orders.uploads import read_upload as read_file

RED, BLUE = (220, 30, 30), (30, 30, 220)
MAX_BYTES = STRANGERS.size_bytes


def read_upload(data: bytes) -> Image.Image:
    return read_file(data).image


def two_halves(mode: str = "RGB", size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red left, blue right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, size[0], size[1]))
    return image.convert(mode)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    found = image.getpixel(at)
    assert isinstance(found, tuple)
    return max(abs(a - b) for a, b in zip(found, colour, strict=True)) < 40


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has a few bytes of pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(1000)))]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_each_format_gives_its_pixels(form: str) -> None:
    image = read_upload(encoded(two_halves(), form))
    assert (image.mode, image.size) == ("RGB", (40, 20))
    assert near(image, (5, 10), RED)
    assert near(image, (35, 10), BLUE)


@pytest.mark.parametrize(("mode", "form"), [("CMYK", "JPEG"), ("P", "PNG"), ("L", "PNG"), ("1", "PNG"), ("LA", "PNG")])
def test_each_mode_becomes_rgb(mode: str, form: str) -> None:
    source = two_halves(mode)
    image = read_upload(encoded(source, form))
    expected = source.convert("RGB").getpixel((5, 10))
    assert isinstance(expected, tuple)
    assert near(image, (5, 10), (int(expected[0]), int(expected[1]), int(expected[2])))


def test_sixteen_bit_grey_is_scaled_not_cut() -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16)[None, :].repeat(4, axis=0)
    image = read_upload(encoded(Image.fromarray(ramp)))
    assert [image.getpixel((x, 0)) for x in (0, 128, 255)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


def test_alpha_lies_over_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert read_upload(encoded(clear)).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (4, 4), 0)
    assert read_upload(encoded(palette, transparency=0)).getpixel((0, 0)) == (255, 255, 255)


def test_exif_rotation_is_applied_and_all_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    exif[0x010E] = "secret place"
    image = read_upload(encoded(two_halves(), "JPEG", exif=exif))
    assert image.size == (20, 40)
    assert near(image, (10, 5), RED)
    assert not image.info
    assert not image.getexif()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_broken_exif_does_not_matter() -> None:
    assert read_upload(encoded(two_halves(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")).size == (40, 20)


def test_a_single_pixel_is_a_picture() -> None:
    assert read_upload(encoded(Image.new("RGB", (1, 1), RED))).getpixel((0, 0)) == RED


HOSTILE = {
    "empty": (b"", "isn't a picture that I can read"),
    "text": (b"<script>alert(1)</script>", "isn't a picture that I can read"),
    "cut png": (encoded(two_halves(size=(400, 200)))[:-300], "damaged"),
    "cut jpeg": (encoded(two_halves(size=(400, 200)), "JPEG")[:-600], "damaged"),
    "bomb": (png_header(13_000, 13_000), "too large"),
    "huge bomb": (png_header(2**31 - 1, 2**31 - 1), "damaged"),
    "too long": (png_header(70_000, 10), "damaged"),
    "lying header": (png_header(2800, 2800), "damaged"),
    "zero": (png_header(0, 10), ""),
    "too many bytes": (bytes(MAX_BYTES + 1), "limit is 12 MiB"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_get_a_sentence_quickly(name: str) -> None:
    data, says = HOSTILE[name]
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(BadInput) as caught:
        read_upload(data)
    assert time.process_time() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    tracemalloc.stop()
    assert says in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_flipped_bytes_give_a_picture_or_a_sentence(form: str) -> None:
    data = encoded(two_halves(), form)
    dice = np.random.default_rng(1)
    for _ in range(150):
        broken = bytearray(data)
        for at in dice.integers(0, len(data), 3):
            broken[at] = int(dice.integers(0, 256))
        with suppress(BadInput):
            assert read_upload(bytes(broken)).mode == "RGB"


def test_size_is_checked_before_reading() -> None:
    check_size(MAX_BYTES)
    with pytest.raises(BadInput, match=r"13\.0 MiB"):
        check_size(13 * 2**20)
