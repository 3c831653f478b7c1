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
        image = read_upload(data)
        size, corners = image.size, [image.getpixel((0, 0)), image.getpixel((image.width - 1, 0))]
        found = {"mode": image.mode, "size": size, "corners": corners, "info": bool(image.info)}
    except BadInput as refusal:
        found = {"says": str(refusal)}
    found |= {"ms": (time.process_time() - began) * 1000, "mib": peak_mib() - before}
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


FRAMES = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
BOMB = zlib.compress(bytes(300 * 2**20), 9)
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (400, 400, 3), dtype=np.uint8))
TOO_LARGE, DAMAGED, MOVES, WRONG = "too large", "damaged", "Animated images", "isn't a PNG, JPEG or WebP"

REFUSED: dict[str, tuple[bytes, str]] = {
    "bomb of pixels": (png(chunk(b"IDAT", BOMB), size=(13_000, 13_000)), TOO_LARGE),
    "bomb of width": (png(rows((8, 8)), size=(20_000, 1)), TOO_LARGE),
    "bomb of height": (png(rows((8, 8)), size=(1, 20_000)), TOO_LARGE),
    "bomb just above": (png(rows((8, 8)), size=(4100, 4100)), TOO_LARGE),
    "bomb of text": (png(chunk(b"zTXt", b"a\0\0" + BOMB), rows((8, 8))), DAMAGED),
    "bomb of international text": (png(chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB), rows((8, 8))), DAMAGED),
    "bomb of a profile": (png(chunk(b"iCCP", b"a\0\0" + BOMB), rows((8, 8))), DAMAGED),
    "more pixels than said": (png(chunk(b"IDAT", b"\0"), size=(8, 8)), DAMAGED),
    "fewer pixels than said": (png(rows((8, 8)), size=(800, 800)), DAMAGED),
    "jpeg of many scans": (encoded(halves(), "JPEG", progressive=True) + b"\xff\xda" * 5000, "unusual way"),
    "moving png": (encoded(FRAMES[0], save_all=True, append_images=FRAMES[1:]), MOVES),
    "moving webp": (encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]), MOVES),
    "moving gif": (encoded(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), WRONG),
    "tiff": (encoded(halves(), "TIFF"), WRONG),
    "icon": (encoded(halves(), "ICO"), WRONG),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", WRONG),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', WRONG),
    "zip": (b"PK\x03\x04" + bytes(100), WRONG),
    "nothing": (b"", WRONG),
    "only a signature": (b"\x89PNG\r\n\x1a\n", ""),
    **{
        f"{form} cut at {share}": (data[: int(len(data) * share)], DAMAGED if share > 0.4 else "")
        for form in ("PNG", "JPEG", "WEBP")
        for share in (0.01, 0.2, 0.5, 0.9)
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
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of each file, in a process of its own, so that all its memory counts."""
    folder: Path = tmp_path_factory.mktemp("corpus")
    files = {name: each[0] for name, each in {**REFUSED, **ACCEPTED}.items()}
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


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_can_be_used_becomes_the_right_picture(read: dict[str, Any], name: str) -> None:
    _, size, *expected = ACCEPTED[name]
    found = read[name]
    assert (found["mode"], tuple(found["size"]), found["info"]) == ("RGB", size, False)
    for pixel, colour in zip(found["corners"], expected, strict=True):
        assert colour is None or max(abs(a - b) for a, b in zip(pixel, colour, strict=True)) < 40
    cheap(found)


def cheap(found: dict[str, Any]) -> None:
    assert found["ms"] < CPU_MS
    assert found["mib"] < MEMORY_MIB
