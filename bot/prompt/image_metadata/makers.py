"""Who made a file that doesn't say how: Content Credentials (C2PA), IPTC's mark, and the names that programs leave."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bot.languages.speech import N_, _

C2PA = (b"caBX", b"C2PA", b"jumbc2pa", b"urn:c2pa:", b"urn:uuid:")  # chunks of PNG and WebP; a box in the others
LOOKED_AT = 1 << 20  # bytes at the beginning and at the end of a file
KNOWN = {  # what stands in their claims or names
    b"OpenAI": "OpenAI (ChatGPT or DALL-E)",
    b"DALL": "OpenAI (ChatGPT or DALL-E)",
    b"Firefly": "Adobe Firefly",
    b"Microsoft": "Microsoft (Bing or Designer)",
    b"Google": "Google",
    b"Midjourney": "Midjourney",
    b"Stability AI": "Stability AI",
    b"Leonardo": "Leonardo",
    b"Ideogram": "Ideogram",
    b"Recraft": "Recraft",
    b"Black Forest Labs": "Black Forest Labs",
    b"Photoshop": "Adobe Photoshop",
    b"Easel": "Easel",
}
_SOURCE = re.compile(rb"digitalsourcetype/(\w{4,60})")
_CREATOR = re.compile(r"CreatorTool(?:>|=\")([^<\"]{1,60})")


def maker(data: bytes, texts: Mapping[str, str]) -> str:
    """Who made a file and who says so, as the end of "This file was made by ..."; "" when it can't be told."""
    seen = data[:LOOKED_AT] + data[-LOOKED_AT:]
    credentials = any(mark in seen for mark in C2PA) and b"c2pa" in seen
    kind = _SOURCE.search(seen)
    made = kind is not None and b"lgorithmicMedia" in kind[1]
    name = next((known for word, known in KNOWN.items() if word in seen), "") if credentials else ""
    creator = _CREATOR.search(seen.decode("latin-1"))
    name = name or (creator[1] if creator else "") or texts.get("Software", "")[:60]
    if not made and not name:
        return ""
    how = N_("{name}, as its Content Credentials say") if credentials else N_("{name}, as its file says")
    return _(how, name=name or _("an image model"))
