"""What a picture's file is and how large, told from its bytes before any decoder sees them.

Each reader walks its format's own structure in bounded time and gives back the least that shows the first picture:
no texts, thumbnails and further frames. So a decoder meets nothing that it doesn't need. A colour profile stays apart.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bot.errors import BadInput
from bot.languages.speech import N_, _, later
from bot.orders import colours

MAX_PARTS = 40_000  # chunks, segments or blocks of a file: an 8 MiB GIF has 33,000
MAX_EXIF = 1 << 16  # bytes; a JPEG's segment holds no more
MAX_FILL = 64  # bytes 0xFF before a JPEG's marker; there is none as a rule
MAX_TAG_BYTES = 1 << 19  # of one TIFF tag: offsets of 65,536 strips
MAX_SIDE_PX = 1 << 16
PNG_KEPT = frozenset({b"PLTE", b"tRNS", b"IDAT"})
WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM"})
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_KEPT = JPEG_FRAMES | {0xC4, 0xCC, 0xDB, 0xDD, 0xE0, 0xEE}
TIFF_TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # bytes of each
TIFF_COMPRESSIONS = frozenset({1, 5, 7, 8, 32946, 32773})  # none, LZW, JPEG, deflate (twice), PackBits
READABLE = N_("PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF")
UNUSUAL = N_("This file is built in an unusual way. Save it again as PNG or JPEG and try again.")
DAMAGED = N_("This picture is damaged or cut off. Save it again as PNG or JPEG and try again.")
HEIC = N_(
    "I can't read HEIC pictures. Send it as JPEG: an iPhone makes one with **Settings > Camera > Formats > Most "
    "Compatible**, and a screenshot of the picture works too."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """The first picture of a file, not yet decoded.

    Attributes:
        form: Pillow's name of the format. size: width and height in pixels, not yet turned; (0, 0) = ask the decoder.
        data: the least that shows it. more: what else the file holds, "frame" or "page".
        scans: how often a JPEG's decoder goes over its pixels.
        profile: what its RGB means, as an ICC profile; b"" = sRGB, or only the decoder knows.
    """

    form: str
    size: tuple[int, int]
    data: bytes
    more: str = ""
    scans: int = 1
    profile: bytes = b""


def look(data: bytes) -> PictureFile:
    """What a file is. Raises: BadInput when it is no picture that can be read, or none that is built soundly."""
    read = next((reader for start, reader in _READERS.items() if data.startswith(start)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        read = _webp
    if data[4:8] == b"ftyp" and _brands(data) & {b"avif", b"avis"}:
        read = _avif
    if read is None:
        raise _unknown(data)
    try:
        found = read(data)
    except (struct.error, IndexError):
        raise BadInput(DAMAGED) from None
    if max(found.size) > MAX_SIDE_PX or (found.form != "AVIF" and min(found.size) < 1):
        raise BadInput(DAMAGED)
    return found


# ---------------------------------------------------------------- PNG
def _png(data: bytes) -> PictureFile:
    """PNG specification, 5.3: size, type, body, checksum."""
    width, height, _, colour = struct.unpack_from(">IIBB", data, 16)
    if data[12:16] != b"IHDR" or width >= 1 << 31 or height >= 1 << 31:
        raise BadInput(DAMAGED)
    at, kept, kinds, profile = 33, [data[:33]], set(), b""
    for _ in _few():
        if at + 8 > len(data):
            break
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            break
        kinds.add(kind)
        if kind in PNG_KEPT or (kind == b"eXIf" and size <= MAX_EXIF):
            kept.append(data[at : at + 12 + size])
        if kind == b"iCCP" and size <= colours.MAX_PROFILE:
            profile = colours.in_png(data[at + 8 : at + 8 + size])
        at += 12 + size
    if colour == 3 and b"PLTE" not in kinds:
        raise BadInput(DAMAGED)
    end = b"\0\0\0\0IEND\xae\x42\x60\x82"
    more = "frame" if b"acTL" in kinds else ""
    return PictureFile(form="PNG", size=(width, height), data=b"".join([*kept, end]), more=more, profile=profile)


# ---------------------------------------------------------------- JPEG
def _jpeg(data: bytes) -> PictureFile:
    """ITU T.81, annex B: markers with their lengths up to the first scan, then all scans up to the end."""
    at, kept, size, profile = 2, [data[:2]], None, b""
    for _step in _few():
        marker, body = _marker(data, at)
        if marker == 0xDA:
            at = body - 2
            break
        if marker in (0x01, 0xD8) or 0xD0 <= marker <= 0xD7:  # these stand alone
            at = body
            continue
        (length,) = struct.unpack_from(">H", data, body)
        if marker in JPEG_KEPT or (marker == 0xE1 and data[body + 2 : body + 6] == b"Exif"):
            kept.append(b"\xff" + data[body - 1 : body + length])
        if marker == 0xE2 and data[body + 2 : body + 16] == colours.JPEG_NAME:
            profile = colours.checked(data[body + 16 : body + length])
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, body + 3)
            size = width, height
        at = body + max(2, length)
    if size is None:
        raise BadInput(DAMAGED)
    end = data.find(b"\xff\xd9", at)  # a phone's depth map or second picture lies behind it
    scans = data[at : end if end > 0 else None]
    return PictureFile(
        form="JPEG", size=size, data=b"".join([*kept, scans, b"\xff\xd9"] if end > 0 else [*kept, scans]),
        scans=scans.count(b"\xff\xda"), profile=profile,
    )  # fmt: skip


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker that begins at `at`, and where its body does. Raises: BadInput."""
    if data[at] != 0xFF:
        raise BadInput(DAMAGED)
    for place in range(at + 1, at + MAX_FILL):
        if data[place] != 0xFF:
            return data[place], place + 1
    raise BadInput(UNUSUAL)


# ---------------------------------------------------------------- WebP
def _webp(data: bytes) -> PictureFile:
    """RFC 9649: chunks, each padded to an even size."""
    at, kept, size, frames, profile = 12, [], (0, 0), 0, b""
    for _step in _few():
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        body = at + 8
        frames += kind == b"ANMF"
        if size == (0, 0):
            size = _webp_size(kind, data, body)
        if kind in WEBP_KEPT or (kind == b"ANMF" and frames == 1) or (kind == b"EXIF" and length <= MAX_EXIF):
            kept.append(data[at : body + length + length % 2])
        if kind == b"ICCP" and length <= colours.MAX_PROFILE:
            profile = colours.checked(data[body : body + length])
        at = body + length + length % 2
    least = b"".join(kept)
    whole = b"RIFF" + struct.pack("<I", 4 + len(least)) + b"WEBP" + least
    return PictureFile(form="WEBP", size=size, data=whole, more="frame" if frames > 1 else "", profile=profile)


def _webp_size(kind: bytes, data: bytes, at: int) -> tuple[int, int]:
    if kind == b"VP8X":
        wide, high = (int.from_bytes(data[at + n : at + n + 3], "little") for n in (4, 7))
        return wide + 1, high + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, at + 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        wide, high = struct.unpack_from("<HH", data, at + 6)
        return wide & 0x3FFF, high & 0x3FFF
    return 0, 0


# ---------------------------------------------------------------- GIF
def _gif(data: bytes) -> PictureFile:
    """GIF89a, 17 to 26: the screen, then blocks; each image's data is a row of small blocks."""
    screen = struct.unpack_from("<HH", data, 6)
    at = 13 + _table(data[10])
    kept, parts = [data[:at]], iter(_few())
    at, control = _to_image(data, at, parts)
    if at < 0:
        raise BadInput(DAMAGED)
    left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, at + 1)
    end = _blocks(data, at + 11 + _table(flags), parts)
    kept += [control, data[at:end], b";"]
    more = "frame" if _to_image(data, end, parts)[0] >= 0 else ""
    size = max(screen[0], left + wide), max(screen[1], top + high)
    return PictureFile(form="GIF", size=size, data=b"".join(kept), more=more)


def _to_image(data: bytes, at: int, parts: Iterator[int]) -> tuple[int, bytes]:
    """Where the next image begins (-1 = there is none), and the control block before it, which says what is clear."""
    control = b""
    while at < len(data) and data[at] == 0x21:
        end = _blocks(data, at + 2, parts)
        control = data[at:end] if data[at + 1] == 0xF9 else control
        at = end
    return (at if at < len(data) and data[at] == 0x2C else -1), control


def _blocks(data: bytes, at: int, parts: Iterator[int]) -> int:
    """Where a row of small blocks ends, which a block of no size does."""
    while at < len(data) and data[at]:
        next(parts)
        at += 1 + data[at]
    return at + 1


def _table(flags: int) -> int:
    """Bytes of the colour table that these flags tell of."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


# ---------------------------------------------------------------- BMP, TIFF, AVIF
def _bmp(data: bytes) -> PictureFile:
    """Windows' BITMAPINFOHEADER and OS/2's BITMAPCOREHEADER; packed ones are rare, and slow to read."""
    (header,) = struct.unpack_from("<I", data, 14)
    if header < 40:
        size = struct.unpack_from("<HH", data, 18)
        return PictureFile(form="BMP", size=size, data=data)
    wide, high, _, _, packed = struct.unpack_from("<iiHHI", data, 18)
    if packed not in (0, 3, 6):
        raise BadInput(UNUSUAL)
    return PictureFile(form="BMP", size=(abs(wide), abs(high)), data=data)


def _tiff(data: bytes) -> PictureFile:
    """TIFF 6.0, section 2: the first directory alone is looked at."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    said = {}
    for entry in range(at + 2, at + 2 + 12 * min(count, 512), 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, entry)
        if values * TIFF_TYPES.get(kind, 1) > MAX_TAG_BYTES:
            raise BadInput(UNUSUAL)
        (said[tag],) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, entry + 8)
    tile = said.get(322, 1), said.get(323, 1)
    if count > 512 or said.get(259, 1) not in TIFF_COMPRESSIONS or max(tile) > 8192:
        raise BadInput(UNUSUAL)
    (following,) = struct.unpack_from(f"{order}I", data, at + 2 + 12 * count)
    size = said.get(256, 0), said.get(257, 0)
    return PictureFile(form="TIFF", size=size, data=data, more="page" if following else "")


def _avif(data: bytes) -> PictureFile:
    """Its size lies deep, and its decoder tells it without decoding."""
    return PictureFile(form="AVIF", size=(0, 0), data=data, more="frame" if b"avis" in _brands(data) else "")


def _brands(data: bytes) -> set[bytes]:
    """What an ISO media file (ISO/IEC 14496-12, 4.3) says that it is."""
    end = min(int.from_bytes(data[:4], "big"), 256, len(data))
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


# ---------------------------------------------------------------- what can't be read
def _few() -> Iterator[int]:
    """So many parts as any sound file has. Raises: BadInput after them."""
    yield from range(MAX_PARTS)
    raise BadInput(UNUSUAL)


def _unknown(data: bytes) -> BadInput:
    """A refusal that names the format where it can be told."""
    if data[4:8] == b"ftyp":
        if _brands(data) & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return BadInput(HEIC)
        return BadInput("This is a video. Use a still picture, such as a screenshot of it.")
    name = next((name for start, name in _NAMED.items() if data.startswith(start)), "")
    if not name and b"<svg" in data[:1024]:
        name = "SVG"
    if name:
        return BadInput("I can't read {name} files. Save the picture as PNG or JPEG and try again.", name=name)
    return BadInput("This file isn't a picture that I can read. Use {readable}.", readable=later(_, READABLE))


_READERS: dict[bytes, Callable[[bytes], PictureFile]] = {
    b"\x89PNG\r\n\x1a\n": _png,
    b"\xff\xd8": _jpeg,
    b"GIF87a": _gif,
    b"GIF89a": _gif,
    b"BM": _bmp,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
}
_NAMED = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"\0\0\1\0": "icon",
    b"PK\x03\x04": "ZIP",
    b"v/1\x01": "OpenEXR",
    b"gimp xcf": "GIMP",
    b"\x1aE\xdf\xa3": "video",
}
