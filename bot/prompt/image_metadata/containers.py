"""The texts inside a PNG, JPEG or WebP file, by their names, without decoding the picture."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from bot.prompt.image_metadata.records import MAX_TEXT

PNG = b"\x89PNG\r\n\x1a\n"
MAX_TEXTS = 32  # that are read, packed or not; other tools write a handful
EXIF_POINTER, USER_COMMENT = 0x8769, 0x9286
PLAIN_TAGS = (
    0x010E,
    0x010F,
    0x0110,
)  # description, make, model: where ComfyUI puts `prompt:{...}` and `workflow:{...}`
SOFTWARE, XMP = 0x0131, "XML:com.adobe.xmp"  # as the text is called in a PNG
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError),
    *(struct.error, zlib.error, UnidentifiedImageError, Image.DecompressionBombError),
    Warning,  # Pillow warns of broken EXIF, and Python may be told to raise that
)


def texts(data: bytes) -> dict[str, str]:
    """Every text by its name; what EXIF holds without a name is called `parameters`, as A1111 calls it in a PNG."""
    found: dict[str, str] = {}
    for key, text in _png(data) if data.startswith(PNG) else _exif(data):
        if key not in found and len(found) < MAX_TEXTS:
            found[key] = text
    return found


# ---------------------------------------------------------------- PNG
def _png(data: bytes) -> Iterator[tuple[str, str]]:
    """tEXt, zTXt and iTXt chunks (PNG specification, 11.3.3)."""
    at, read = len(PNG), 0
    while at + 12 <= len(data) and read < MAX_TEXTS:
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size] if kind in _CHUNKS and size <= MAX_TEXT else b""
        at += 12 + size
        read += bool(body)
        if b"\0" in body:
            key, rest = body.split(b"\0", 1)
            text = _CHUNKS[kind](rest)
            if text is not None:
                yield key.decode("latin-1")[:80], text


def _text(rest: bytes) -> str | None:
    """Latin-1 by the standard; most tools write UTF-8 all the same."""
    return _decoded(rest)


def _ztxt(rest: bytes) -> str | None:
    inflated = _inflated(rest[1:])
    return None if inflated is None else _decoded(inflated)


def _itxt(rest: bytes) -> str | None:
    compressed, parts = rest[:1] == b"\x01", rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return None
    body = _inflated(parts[2]) if compressed else parts[2]
    return None if body is None else body.decode("utf-8", "replace")


_CHUNKS = {b"tEXt": _text, b"zTXt": _ztxt, b"iTXt": _itxt}


def _inflated(data: bytes) -> bytes | None:
    """At most MAX_TEXT bytes; a text that would be larger is no text of ours."""
    stream = zlib.decompressobj()
    try:
        body = stream.decompress(data, MAX_TEXT)
    except zlib.error:
        return None
    return body if stream.eof else None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


# ---------------------------------------------------------------- JPEG and WebP
def _exif(data: bytes) -> Iterator[tuple[str, str]]:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "WEBP")) as image:
            exif = image.getexif()
            comment = exif.get_ifd(EXIF_POINTER).get(USER_COMMENT)
            tags = [exif.get(tag) for tag in PLAIN_TAGS]
            xmp, software = image.info.get("xmp", b""), exif.get(SOFTWARE)
    except _BROKEN:
        return
    if isinstance(xmp, bytes) and len(xmp) <= MAX_TEXT:
        yield XMP, xmp.decode("utf-8", "replace")
    if isinstance(software, str):
        yield "Software", software[:80]
    if isinstance(tags[0], str) and not tags[0].lstrip().startswith("{"):
        yield "Description", tags[0][:MAX_TEXT]
    for tag in tags:
        key, _, text = tag.partition(":") if isinstance(tag, str) else ("", "", "")
        if text.lstrip().startswith("{"):
            yield key.strip().lower()[:80], text[:MAX_TEXT]
    if isinstance(comment, bytes | str):
        yield "parameters", _comment(comment)[:MAX_TEXT]


def _comment(comment: bytes | str) -> str:
    """EXIF's user comment: eight bytes name the encoding (EXIF 2.3, 4.6.5), which tools fill in as they like."""
    if isinstance(comment, str):
        return comment
    head, body = comment[:8], comment[8 : 8 + 2 * MAX_TEXT]
    if head.startswith(b"UNICODE"):
        little = body[1:200:2].count(0) > body[0:200:2].count(0)
        return body.decode("utf-16-le" if little else "utf-16-be", "replace").lstrip("\ufeff")
    return _decoded(body if head.startswith((b"ASCII", b"\0\0\0\0")) else comment[: 2 * MAX_TEXT]).strip("\0")
