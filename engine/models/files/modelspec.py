"""What a file's makers say of it in its header, by ModelSpec (Stability AI's, "modelspec.*"). Knows no torch.

All of it was written by strangers: texts are cut short, and a picture is opened with care and saved anew.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping

from PIL import Image

from engine.api.model_info import About

MOST_CHARS, MOST_WORDS = 300, 12
MOST_THUMBNAIL_CHARS = 2 << 20
THUMBNAIL_PX = 256
MOST_PIXELS = 1 << 24
_PREFIX = "modelspec."


def about(name: str, metadata: Mapping[str, str]) -> About | None:
    """Title, author, licence, trigger words and thumbnail; None where a file says none of it."""
    said = {each: _text(metadata.get(_PREFIX + each)) for each in ("title", "author", "license")}
    words = _words(metadata.get(f"{_PREFIX}trigger_phrase"))
    found = About(
        name=name,
        title=said["title"],
        author=said["author"],
        licence=said["license"],
        trigger_words=words,
        thumbnail=_thumbnail(metadata.get(f"{_PREFIX}thumbnail")),
    )
    return None if found == About(name=name) else found


def _text(value: object) -> str:
    return " ".join(value.split())[:MOST_CHARS] if isinstance(value, str) else ""


def _words(value: object) -> tuple[str, ...]:
    named = (part.strip() for part in _text(value).replace(";", ",").split(","))
    return tuple(part for part in named if part)[:MOST_WORDS]


def _thumbnail(value: object) -> bytes:
    """A JPEG of at most 256 pixels a side, made anew; nothing where it's none."""
    if not isinstance(value, str) or not value.startswith("data:image/") or len(value) > MOST_THUMBNAIL_CHARS:
        return b""
    try:
        data = base64.b64decode(value.partition(";base64,")[2], validate=True)
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
            if image.width * image.height > MOST_PIXELS:
                return b""
            small = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        return b""
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return out.getvalue()
