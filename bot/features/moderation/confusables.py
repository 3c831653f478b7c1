"""Letters as the eye reads them: one plain letter for each of its look-alikes, and what digits and signs stand for.

A table of our own, much smaller than Unicode's (UTS 39): what people use to write round a filter. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_TWINS = {  # after casefolding; other letters that look like the key in one of their cases
    "a": "аαɑᴀæ", "b": "вьβʙƅƀ", "c": "сϲᴄⅽƈ", "d": "ԁɗđðᴅ", "e": "еєεɛэᴇə", "f": "ƒғꜰ", "g": "ɡցɢǥ",
    "h": "нһհʜħ", "i": "іιıɩɪї", "j": "јʝϳᴊ", "k": "кκқᴋ", "l": "ӏʟłⅼ", "m": "мᴍⅿ", "n": "пηոɴи",
    "o": "оοσөօᴏøθ", "p": "рρᴘþ", "q": "ԛɋգ", "r": "гʀᴦя", "s": "ѕꜱʂ", "t": "тτᴛŧ", "u": "υսцᴜʋ",
    "v": "ѵνᴠ", "w": "ԝωшᴡщ", "x": "хχ×ⅹ", "y": "уүγʏ", "z": "ᴢʐƶ",
}  # fmt: skip
TWIN = {ord(twin): letter for letter, twins in _TWINS.items() for twin in twins}
_ALPHABETS = (0x1F150, 0x1F170, 0x1F1E6)  # circled and squared letters, regional indicators: NFKC leaves them

STANDS_FOR = {
    "0": "o", "1": "il", "2": "z", "3": "e", "4": "a", "5": "s", "6": "gb", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "€": "e", "£": "l", "¡": "i", "!": "il", "|": "il", "+": "t",
}  # fmt: skip
"""Besides itself. The signs are letters only inside a word; see `bot.features.moderation.word_filter`."""


def plain(text: str) -> str:
    """Case, width, marks, invisible characters and look-alikes taken away. Linear time."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(_letters(folded))


def _letters(folded: str) -> Iterator[str]:
    for char in folded:
        code = ord(char)
        if code in TWIN:
            yield TWIN[code]
        elif code >= _ALPHABETS[0] and (letter := _enclosed(code)):
            yield letter
        elif unicodedata.category(char) not in ("Mn", "Me", "Cf"):
            yield char


def _enclosed(code: int) -> str:
    start = next((start for start in _ALPHABETS if start <= code < start + 26), None)
    return chr(ord("a") + code - start) if start is not None else ""
