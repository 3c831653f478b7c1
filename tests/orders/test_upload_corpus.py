"""Files that were made to hurt: each ends in the right picture or in a sentence, quickly and in little memory."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory in /proc")
RED, BLUE = (220, 30, 30), (30, 30, 220)
CPU_MS, MEMORY_MIB = 150, 64
READ = """
import json, sys, time, warnings
from contextlib import suppress
from pathlib import Path
warnings.simplefilter("ignore")
from PIL import Image
from bot.errors import BadInput
from bot.orders.uploads import read_upload

def peak_mib():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

for file in sorted(Path(sys.argv[1]).iterdir()):
    data = file.read_bytes()
    open("/proc/self/clear_refs", "w").write("5")  # begin the peak anew
    before, began = peak_mib(), time.process_time()
    try:
        read = read_upload(data)
        image = read.image
        size, corners = image.size, [image.getpixel((0, 0)), image.getpixel((image.width - 1, 0))]
        found = {"mode": image.mode, "size": size, "corners": corners, "info": bool(image.info), "note": read.note}
    except BadInput as refusal:
        found = {"says": str(refusal)}
    found |= {"ms": (time.process_time() - began) * 1000, "mib": peak_mib() - before}
    for _ in range(4):  # what else the machine does makes a try slower, never faster
        if found["ms"] > 100:
            began = time.process_time()
            with suppress(BadInput):
                read_upload(data)
            found["ms"] = min(found["ms"], (time.process_time() - began) * 1000)
    print(json.dumps([file.name, found]))
"""


def halves(mode: str = "RGB", size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Red left, blue right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, size[0], size[1]))
    return image.convert(mode)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks: bytes, size: tuple[int, int] = (8, 8), depth: int = 8, colour: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def rows(size: tuple[int, int], bytes_a_pixel: int = 3) -> bytes:
    """The compressed pixels of a red picture."""
    row = b"\0" + bytes(RED)[:bytes_a_pixel].ljust(bytes_a_pixel, b"\0") * size[0]
    return chunk(b"IDAT", zlib.compress(row * size[1]))


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(halves(), "JPEG", exif=exif, quality=95)


def deep() -> bytes:
    """16 bits a channel, red."""
    row = b"\0" + struct.pack(">HHH", *(value * 257 for value in RED)) * 8
    return png(chunk(b"IDAT", zlib.compress(row * 8)), depth=16)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def gif(*blocks: bytes, screen: tuple[int, int] = (8, 8), frame: tuple[int, int] = (8, 8)) -> bytes:
    """A red picture with a colour table of its own, the blocks before it."""
    one = encoded(Image.new("P", (8, 8)), "GIF")
    at = one.index(b",", 13)
    table = bytes(RED) + bytes(3)
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + table
    flags = one[at + 9]
    data = one[at + 10 + (3 << (flags & 7) + 1 if flags & 0x80 else 0) :]
    return head + b"".join(blocks) + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + data


def tiff(*tags: tuple[int, int, int, int]) -> bytes:
    """A TIFF of one directory: (tag, type, count, value)."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def inflating(form: str, side: int, **options: Any) -> bytes:
    """One colour all over: a few hundred bytes that a decoder makes large."""
    return encoded(Image.new("RGB", (side, side), RED), form, **options)


FRAMES = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
BOMB = zlib.compress(bytes(300 * 2**20), 9)
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (400, 400, 3), dtype=np.uint8))
TOO_LARGE, DAMAGED, UNUSUAL, WRONG = "too large", "damaged", "unusual way", "isn't a picture that I can read"
JPEG = encoded(halves(), "JPEG", quality=95)
PROGRESSIVE = encoded(halves(), "JPEG", progressive=True)
SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]

REFUSED: dict[str, tuple[bytes, str]] = {
    "bomb of pixels": (png(chunk(b"IDAT", BOMB), size=(13_000, 13_000)), TOO_LARGE),
    "bomb of width": (png(rows((8, 8)), size=(70_000, 1)), DAMAGED),
    "bomb of height": (png(rows((8, 8)), size=(1, 2**31 - 1)), DAMAGED),
    "bomb just above": (png(rows((8, 8)), size=(4100, 4100)), TOO_LARGE),
    "more pixels than said": (png(chunk(b"IDAT", b"\0"), size=(8, 8)), DAMAGED),
    "fewer pixels than said": (png(rows((8, 8)), size=(800, 800)), DAMAGED),
    "palette png without a palette": (png(rows((8, 8), 1), colour=3), DAMAGED),
    "png of no size": (png(rows((8, 8)), size=(0, 8)), DAMAGED),
    "png of 300,000 chunks": (png(*[chunk(b"tEXt", b"a\0b")] * 300_000, rows((8, 8))), UNUSUAL),
    "png in a png's chunk": (b"\x89PNG\r\n\x1a\n" + chunk(b"abcd", encoded(halves())), DAMAGED),
    "webp of some 200 bytes that inflates": (inflating("WEBP", 4096, lossless=True), TOO_LARGE),
    "webp that says less than it holds": (
        riff((b"VP8X", bytes(4) + b"\7\0\0\7\0\0"), (b"VP8L", inflating("WEBP", 4096, lossless=True)[20:])),
        DAMAGED,
    ),
    "webp of the largest canvas": (riff((b"VP8X", bytes(4) + b"\xff" * 6), (b"ANIM", bytes(6))), DAMAGED),
    "webp of no picture": (riff((b"VP8X", bytes(4) + b"\7\0\0\7\0\0")), DAMAGED),
    "avif of a thousand bytes that inflates": (inflating("AVIF", 2400, speed=10), TOO_LARGE),
    "7 MB of 0xFF": (b"\xff" * 7_000_000, WRONG),
    "7 MB of 0xFF as a jpeg": (b"\xff\xd8" + b"\xff" * 7_000_000, UNUSUAL),
    "7 MB of 0xFF in a jpeg": (JPEG[:2] + b"\xff\xe1" + b"\xff" * 7_000_000, UNUSUAL),
    "jpeg of a million comments": (b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000, UNUSUAL),
    "jpeg of many scans": (PROGRESSIVE[:-2] + SCAN * 5000 + b"\xff\xd9", UNUSUAL),
    "jpeg of many pixels in many scans": (encoded(Image.new("RGB", (2200, 2200)), "JPEG", progressive=True), TOO_LARGE),
    "jpeg of the largest size": (JPEG.replace(struct.pack(">HH", 32, 64), b"\xff" * 4, 1), TOO_LARGE),
    "gif of a huge screen": (gif(screen=(65535, 65535)), TOO_LARGE),
    "gif of a huge frame": (gif(frame=(65535, 65535)), TOO_LARGE),
    "gif of a million blocks": (gif(b"!\xfe" + b"\1a" * 1_000_000 + b"\0"), UNUSUAL),
    "gif of no frame": (b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0) + b";", DAMAGED),
    "bmp that is packed": (b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 2000, 2000, 1, 8, 1) + bytes(99), UNUSUAL),
    "bmp of a huge size": (
        b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 60_000, 60_000, 1, 1, 0) + bytes(99),
        TOO_LARGE,
    ),
    "tiff of a huge tag": (tiff((256, 4, 1, 8), (257, 4, 1, 8), (273, 4, 2_000_000, 8)), UNUSUAL),
    "tiff of a huge tile": (tiff((256, 4, 1, 8), (257, 4, 1, 8), (322, 4, 1, 2**31 - 1)), UNUSUAL),
    "tiff of nothing": (tiff((256, 4, 1, 8), (257, 4, 1, 8)), DAMAGED),
    "tiff that points outside": (b"II*\0" + struct.pack("<I", 2**31), DAMAGED),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "Most Compatible"),
    "video": (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(64), "a video"),
    "jpeg xl": (b"\xff\x0a" + bytes(64), "JPEG XL"),
    "icon": (encoded(halves(), "ICO"), "icon"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "SVG"),
    "zip": (b"PK\x03\x04" + bytes(100), "ZIP"),
    "a web page": (b"<!doctype html><title>404</title>", WRONG),
    "nothing": (b"", WRONG),
    "only a signature": (b"\x89PNG\r\n\x1a\n", DAMAGED),
    **{
        f"{form} cut at {share}": (data[: int(len(data) * share)], DAMAGED if share > 0.4 else "")
        for form in ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP")
        for share in (0.001, 0.2, 0.5, 0.9)
        for data in (encoded(NOISE, form),)
    },
}
ACCEPTED: dict[str, tuple[bytes, tuple[int, int], Any, Any]] = {
    "one pixel": (encoded(Image.new("RGB", (1, 1), RED)), (1, 1), RED, RED),
    "a line": (encoded(halves(size=(8192, 1))), (8192, 1), RED, BLUE),
    "a column": (encoded(Image.new("RGB", (1, 8192), RED)), (1, 8192), RED, RED),
    "cmyk": (encoded(halves("CMYK"), "JPEG", quality=95), (64, 32), RED, BLUE),
    "palette": (encoded(halves("P")), (64, 32), None, None),
    "grey": (encoded(halves("L")), (64, 32), None, None),
    "grey with alpha": (encoded(Image.new("LA", (8, 8), (0, 0))), (8, 8), (255, 255, 255), (255, 255, 255)),
    "sixteen bit grey": (encoded(Image.new("I;16", (8, 8), 65535)), (8, 8), (255, 255, 255), (255, 255, 255)),
    "sixteen bit colour": (deep(), (8, 8), RED, RED),
    "alpha": (encoded(Image.new("RGBA", (8, 8), (*RED, 0))), (8, 8), (255, 255, 255), (255, 255, 255)),
    "half alpha": (encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 128))), (8, 8), (127, 127, 127), (127, 127, 127)),
    "a transparent colour": (encoded(halves(), transparency=RED), (64, 32), (255, 255, 255), BLUE),
    "webp with alpha": (encoded(halves("RGBA"), "WEBP", lossless=True), (64, 32), RED, BLUE),
    "progressive": (encoded(halves(), "JPEG", progressive=True, quality=95), (64, 32), RED, BLUE),
    "a phone's two pictures": (encoded(halves(), "MPO", save_all=True, append_images=[halves()]), (64, 32), RED, BLUE),
    "text behind": (encoded(halves()) + b"<script>alert(1)</script>" * 1000, (64, 32), RED, BLUE),
    "upright": (turned(1), (64, 32), RED, BLUE),
    "mirrored": (turned(2), (64, 32), BLUE, RED),
    "upside down": (turned(3), (64, 32), BLUE, RED),
    "lying": (turned(6), (32, 64), RED, RED),
    "lying the other way": (turned(8), (32, 64), BLUE, BLUE),
    "turned by nonsense": (turned(99), (64, 32), RED, BLUE),
    "many small chunks": (png(*[chunk(b"tEXt", b"a\0b")] * 20_000, rows((8, 8))), (8, 8), RED, RED),
    "bomb of text": (png(chunk(b"zTXt", b"a\0\0" + BOMB), rows((8, 8))), (8, 8), RED, RED),
    "bomb of international text": (png(chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB), rows((8, 8))), (8, 8), RED, RED),
    "bomb of a profile": (png(chunk(b"iCCP", b"a\0\0" + BOMB), rows((8, 8))), (8, 8), RED, RED),
    "7 MB of text": (png(chunk(b"tEXt", b"a\0" + b"b" * 7_000_000), rows((8, 8))), (8, 8), RED, RED),
    "more behind the pixels": (
        png(chunk(b"IDAT", zlib.compress((b"\0" + bytes(RED) * 8) * 8 + bytes(2**27)))),
        (8, 8),
        RED,
        RED,
    ),
    "a profile in a jpeg": (encoded(halves(), "JPEG", quality=95, icc_profile=b"\1" * 500_000), (64, 32), RED, BLUE),
    "7 MB of exif in a webp": (
        encoded(halves(), "WEBP", lossless=True, exif=b"Exif\0\0II*\0" + b"\1" * 7_000_000),
        (64, 32),
        RED,
        BLUE,
    ),
    "a large screen": (encoded(Image.new("RGB", (3840, 2160), RED)), (1920, 1080), RED, RED),
    "a photo of 20 megapixels": (encoded(Image.new("RGB", (5472, 3648), RED), "JPEG"), (2736, 1824), RED, RED),
    "64 megapixels": (inflating("JPEG", 8000), (2000, 2000), RED, RED),
    "bmp": (encoded(halves(), "BMP"), (64, 32), RED, BLUE),
    "bmp of os/2": (
        b"BM" + struct.pack("<IIIIHHHH", 38, 0, 26, 12, 2, 1, 1, 24) + bytes((*RED[::-1], *BLUE[::-1], 0, 0)),
        (2, 1),
        RED,
        BLUE,
    ),
    "tiff": (encoded(halves(), "TIFF", compression="tiff_lzw"), (64, 32), RED, BLUE),
    "tiff of grey sixteen bits": (
        encoded(Image.new("I;16", (8, 8), 65535), "TIFF"),
        (8, 8),
        (255, 255, 255),
        (255, 255, 255),
    ),
    "avif": (encoded(halves(), "AVIF", quality=95), (64, 32), RED, BLUE),
    "gif": (gif(), (8, 8), RED, RED),
}
ONLY_FIRST: dict[str, tuple[bytes, tuple[int, int], Any, Any]] = {
    "moving png": (encoded(FRAMES[0], save_all=True, append_images=FRAMES[1:]), (8, 8), RED, RED),
    "moving webp": (
        encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], lossless=True),
        (8, 8),
        RED,
        RED,
    ),
    "moving gif": (encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), (8, 8), RED, RED),
    "gif of 30,000 frames": (gif()[:-1] + gif()[19:-1] * 30_000 + b";", (8, 8), RED, RED),
    "tiff of two pages": (encoded(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]), (8, 8), RED, RED),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of each file, in a process of its own, so that all its memory counts."""
    folder: Path = tmp_path_factory.mktemp("corpus")
    files = {name: each[0] for name, each in {**REFUSED, **ACCEPTED, **ONLY_FIRST}.items()}
    names = dict(enumerate(files))
    for number, name in names.items():
        (folder / f"{number:03d}").write_bytes(files[name])
    done = subprocess.run([sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {names[int(number)]: found for number, found in lines}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_with_a_sentence(read: dict[str, Any], name: str) -> None:
    assert REFUSED[name][1] in read[name]["says"]
    assert read[name]["says"].endswith(".")
    cheap(read[name])


@pytest.mark.parametrize("name", ONLY_FIRST)
def test_of_several_pictures_the_first_is_taken_and_that_is_said(read: dict[str, Any], name: str) -> None:
    assert read[name]["note"].startswith("Only the first")


@pytest.mark.parametrize("name", [*ACCEPTED, *ONLY_FIRST])
def test_what_can_be_used_becomes_the_right_picture(read: dict[str, Any], name: str) -> None:
    _, size, *expected = {**ACCEPTED, **ONLY_FIRST}[name]
    found = read[name]
    assert (found["mode"], tuple(found["size"]), found["info"]) == ("RGB", size, False)
    for pixel, colour in zip(found["corners"], expected, strict=True):
        assert colour is None or max(abs(a - b) for a, b in zip(pixel, colour, strict=True)) < 40
    cheap(found)


def cheap(found: dict[str, Any]) -> None:
    assert found["ms"] < CPU_MS
    assert found["mib"] < MEMORY_MIB
