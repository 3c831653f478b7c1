"""The colours of a picture that was made for another screen than sRGB's, as sRGB has them. Runs in a worker thread."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress

from PIL import Image, ImageCms

MAX_PROFILE = 1 << 16  # bytes; those of screens and cameras have a few thousand, those of printers aren't for RGB
SAME = 2  # of 255: less is no other colour
JPEG_NAME = b"ICC_PROFILE\0\x01\x01"  # ICC.1:2022, B.4: the first of one
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_PROBE = bytes(level for red in range(0, 256, 85) for green in range(0, 256, 85) for level in (red, green, 128))


def in_png(body: bytes) -> bytes:
    """The profile of an iCCP chunk (PNG specification, 11.3.2.3); b"" = none that is read."""
    name, _, packed = body.partition(b"\0")
    if len(name) > 79 or packed[:1] != b"\0":
        return b""
    with suppress(zlib.error):
        profile = zlib.decompressobj().decompress(packed[1:], MAX_PROFILE + 1)
        return checked(profile)
    return b""


def checked(profile: bytes) -> bytes:
    """A profile that says by three primaries and their curves what RGB means; b"" instead of any other.

    Tables (A2B, D2B) are printers' and take four times as long.
    """
    if len(profile) > MAX_PROFILE or profile[16:20] != b"RGB ":
        return b""
    tags = int.from_bytes(profile[128:132], "big")
    names = {profile[at : at + 3] for at in range(132, min(132 + 12 * tags, len(profile)), 12)}
    return b"" if names & {b"A2B", b"D2B"} else profile


def to_srgb(image: Image.Image, profile: bytes) -> None:
    """Change an RGB or RGBA picture from its profile's colours to sRGB's, in place; a broken one changes nothing."""
    with suppress(ImageCms.PyCMSError, OSError):
        of_file = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        probe = Image.frombytes("RGB", (len(_PROBE) // 3, 1), _PROBE)
        seen = ImageCms.applyTransform(probe, _transform(of_file, "RGB"))
        if seen is not None and max(abs(a - b) for a, b in zip(seen.tobytes(), _PROBE, strict=True)) > SAME:
            ImageCms.applyTransform(image, _transform(of_file, image.mode), inPlace=True)
            del image.info["icc_profile"]  # sRGB needs none


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(profile, _SRGB, mode, mode, ImageCms.Intent.RELATIVE_COLORIMETRIC)
