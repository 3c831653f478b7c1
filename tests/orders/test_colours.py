"""Pictures of other colours than sRGB's keep what they look like; a broken profile changes and costs nothing."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from bot.orders import colours
from bot.orders.uploads import STRANGERS, read_layers, read_upload

ASKED = (200, 60, 40)
XYZ_OF_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))  # adapted to D50


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(primaries: tuple[tuple[float, ...], ...], gamma: float = 2.2, space: bytes = b"RGB ") -> bytes:
    """A screen's profile: what its red, green and blue are in XYZ (ICC.1:2022, 8.3)."""
    white = (0.9642, 1.0, 0.8249)
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(*white), b"cprt": b"text\0\0\0\0x\0\0\0"}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"P\0" + bytes(90)
    for letter, colour in zip("rgb", primaries, strict=True):
        tags[f"{letter}XYZ".encode()] = b"XYZ \0\0\0\0" + fixed(*colour)
        tags[f"{letter}TRC".encode()] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    table, body, begin = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", begin + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", begin + len(body), b"none", 0x02400000, b"mntr", space, b"XYZ ") + bytes(12)
    head = (head + b"acsp").ljust(68, b"\0") + fixed(*white)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


P3 = profile(XYZ_OF_P3)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encoded(icc: bytes, form: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (32, 32)) -> bytes:
    out = io.BytesIO()
    best = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}
    Image.new("RGB", size, ASKED).convert(mode).save(out, form, icc_profile=icc, **best.get(form, {}))
    return out.getvalue()


def seen(data: bytes) -> tuple[int, ...]:
    image = read_upload(data).image
    found = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(found, tuple)
    assert "icc_profile" not in image.info
    return found


def near(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= 4


def as_srgb(rgb: tuple[int, ...], primaries: tuple[tuple[float, ...], ...], gamma: float) -> tuple[int, ...]:
    """The same colour in sRGB by IEC 61966-2-1, its matrix adapted to D50."""
    to_linear = np.array([[3.1339, -1.6169, -0.4907], [-0.9788, 1.9161, 0.0335], [0.0719, -0.2290, 1.4052]])
    linear = to_linear @ (np.array(primaries).T @ (np.array(rgb) / 255) ** gamma)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
    return tuple(int(each) for each in (shown.clip(0, 1) * 255).round())


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_a_wide_screens_picture_keeps_its_colours(form: str) -> None:
    assert near(seen(encoded(P3, form)), as_srgb(ASKED, XYZ_OF_P3, 2.2))
    assert as_srgb(ASKED, XYZ_OF_P3, 2.2)[0] > ASKED[0] + 10, "the same numbers are another red"


def test_what_shows_through_stays() -> None:
    layer = Image.new("RGBA", (8, 8), (*ASKED, 77))
    out = io.BytesIO()
    layer.save(out, "PNG", icc_profile=P3)
    found = read_layers(out.getvalue()).image.getpixel((4, 4))
    assert isinstance(found, tuple)
    assert near(found, (*as_srgb(ASKED, XYZ_OF_P3, 2.2), 77))


@pytest.mark.parametrize(
    "icc",
    [
        SRGB,
        P3[:300],
        P3[:128] + b"\xff" * 400,
        P3[:132] + b"\xff" * (len(P3) - 132),
        profile(XYZ_OF_P3, space=b"CMYK"),
        P3.replace(b"cprt", b"A2B0"),
        P3 + bytes(colours.MAX_PROFILE),
        b"\0",
    ],
)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_any_other_profile_changes_nothing(form: str, icc: bytes) -> None:
    assert near(seen(encoded(icc, form)), ASKED)


def test_a_profile_that_inflates_is_left_out() -> None:
    bomb = b"a\0\0" + zlib.compress(P3 + bytes(2**28))
    began = time.process_time()
    assert colours.in_png(bomb) == b""
    assert time.process_time() - began < 0.1


def test_every_profile_that_is_cut_or_bent_leaves_a_picture() -> None:
    for at in range(0, len(P3), 7):
        assert len(seen(encoded(P3[:at] + b"\xff\xff\xff\xff" + P3[at + 4 :]))) == 3
        assert len(seen(encoded(P3[:at]))) == 3


def test_of_a_very_large_picture_the_numbers_are_taken() -> None:
    side = int(STRANGERS.coloured_px**0.5) + 8
    assert near(seen(encoded(P3, size=(side, side))), ASKED)
