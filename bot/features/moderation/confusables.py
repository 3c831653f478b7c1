"""Characters as the eye reads them: Unicode's look-alikes (UTS 39, `confusables.txt`), and what that table leaves out.

A character may be read in several ways ("Η" is h in Greek capitals, its small letter looks like n), so a text is read
as `Glyph`s; `plain` takes the first reading of each. Pure; linear time.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from bot.prompt.text import INVISIBLE

_TWINS = {  # looks that people use and Unicode doesn't list: other scripts, turned letters
    "a": "æɐɒ", "c": "ƈ", "e": "єɛэəǝ", "f": "ғ", "h": "ɥ", "i": "ї", "k": "ʞ", "m": "ɯ", "n": "пи", "q": "ɋ",
    "r": "яɹ", "t": "ʇ", "u": "ц", "w": "ωщʍ", "y": "ʎ",
}  # fmt: skip
_SMALL_CAPITALS = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnopqrstuvwyz", strict=True))
_ALPHABETS = (0x1F150, 0x1F170, 0x1F1E6)  # circled and squared letters, regional indicators: NFKC leaves them

_FANCY = (  # alphabets that "fancy text" pages write with, a to z; a dot where theirs is a plain letter or two signs
    "ᗩᗷᑕᗪᗴᖴᘜᕼᓰᒍ.ᒪᗰᑎᓍᑭᑫᖇᔕᖶᑌᐯᗯ᙭ᖻᘔ",
    "卂乃匚ᗪ乇千Ꮆ卄丨ﾌҜㄥ爪几ㄖ卩Ɋ尺丂ㄒㄩᐺ山乂ㄚ乙",
    "ąცƈɖɛʄɠɧıʝƙƖɱŋơ℘զཞʂɬų۷ῳҳყʑ",
    "ค๒ς๔єŦﻮђเןкɭ๓ภ๏קợгรՇยשฬאץչ",
    "ǟɮƈɖɛʄɢɦɨʝӄʟʍռօքզʀֆȶʊʋաӼʏʐ",
    "ДБ..Ξ....JҜ..ИФ.ǪЯ.ΓЦ.ЩЖУ.",
    "ɐ.ɔ.ǝɟƃɥᴉɾʞ.ɯ....ɹ.ʇ.ʌʍ.ʎ.",
    "ȺɃȻĐɆ.ǤĦƗɈꝀŁ..ØⱣꝖɌ.ŦɄ...ɎƵ",
    "ɑƅ.ԃ.ƒ...ʝ.ℓ.ησρφɾ.ƚυν...ɀ",
    "Λ.ƈđ∃..........þ.ʁ.......ʒ",
    "Δƀ..ɇ..ħɨɉ.ł..øᵽɋɍ.ŧʉ...ɏⱬ",
)
_COMBINING = dict(zip(range(0x363, 0x370), "aeioucdhmrtvx", strict=True))  # small letters above others
_TAGS = range(0xE0041, 0xE007B)  # ASCII letters that nobody sees

STANDS_FOR = {
    "0": "o", "1": "il", "2": "z", "3": "e", "4": "a", "5": "s", "6": "gb", "7": "t", "8": "b", "9": "g",
    "@": "a", "$": "s", "€": "e", "£": "le", "¡": "i", "!": "il", "|": "il", "+": "t",
    "®": "r", "©": "c", "¢": "c", "¥": "y", "§": "s", "∂": "d", "∃": "e", "∆": "a", "∇": "v", "♭": "b",
    "∩": "n", "∪": "u", "₳": "a", "฿": "b", "₵": "c", "₣": "f", "₲": "g", "₭": "k", "₥": "m", "₦": "n", "₱": "p",
    "₴": "s", "₮": "t", "₩": "w",
}  # fmt: skip
"""Besides itself. When a digit or sign is a letter at all: see `bot.features.moderation.word_filter`."""


class Glyph(NamedTuple):
    """One character of a text: all single characters it may be read as, or nothing if it is `optional`."""

    letters: str
    optional: bool = False


def glyphs(text: str) -> list[Glyph]:
    """Read a text without case, width, marks and invisible characters."""
    return [glyph for char in unicodedata.normalize("NFKC", text) for glyph in _read(char)]


def plain(text: str) -> str:
    """The likeliest reading of a text."""
    return "".join(glyph.letters[0] for glyph in glyphs(text) if not glyph.optional)


@lru_cache(maxsize=8192)
def _read(char: str) -> tuple[Glyph, ...]:
    if char in INVISIBLE:
        return ()
    code = ord(char)
    if code in _COMBINING or (code in _TAGS and chr(code - 0xE0000).isalpha()):
        return (Glyph(_COMBINING.get(code) or chr(code - 0xE0000).lower(), optional=True),)
    if code >= _ALPHABETS[0] and (letter := _enclosed(code)):
        return (Glyph(letter),)
    folded = "".join(_without_marks(unicodedata.normalize("NFKD", char.casefold())))
    if len(folded) != 1:
        return tuple(Glyph(_twin(each)) for each in folded)
    looks = [_UNICODE[each] for each in (folded, char, folded.upper()) if each in _UNICODE]
    first = "".join(look[0] for look in looks)
    letters = dict.fromkeys(
        _twin(folded) + first + ("i" if "l" in first else "") + _also(char, folded)
    )  # I and l are one shape in the table
    more = looks[0][1:] if looks else ""
    return (Glyph("".join(letters)), *(Glyph(letter, optional=True) for letter in more))


def _also(*chars: str) -> str:
    return "".join(_ALSO.get(char, "") for char in chars)


def _without_marks(text: str) -> Iterator[str]:
    for char in text:
        if char.isdecimal():
            yield str(unicodedata.decimal(char))
        elif unicodedata.category(char) not in ("Mn", "Me", "Cf"):
            yield char


def _twin(folded: str) -> str:
    """The plain letter that stands for a character in words and texts alike; the character itself if it has none.

    Letters of scripts written from right to left stay: each of their words would look like a few l and o.
    """
    if folded.isascii():
        return folded
    if folded in _OWN:
        return _OWN[folded]
    look = _UNICODE.get(folded) or _UNICODE.get(folded.upper(), "")
    return look if len(look) == 1 and unicodedata.bidirectional(folded) not in ("R", "AL", "AN") else folded


def _enclosed(code: int) -> str:
    start = next((start for start in _ALPHABETS if start <= code < start + 26), None)
    return chr(ord("a") + code - start) if start is not None else ""


def _unicodes() -> dict[str, str]:
    """Character to the small ASCII letters that it looks like, from Unicode's table."""
    table = resources.files(__package__).joinpath("confusables.txt").read_text("utf-8")
    lines = [line.split(";") for line in table.splitlines() if line and not line.startswith("#")]
    found = {}
    for source, target, _ in lines:
        shape = "".join(chr(int(code, 16)) for code in target.split())
        letters = "".join(_without_marks(unicodedata.normalize("NFKD", shape.casefold())))
        found[chr(int(source, 16))] = "m" if letters == "rn" else letters  # Unicode takes m itself for rn
    return found


_OWN = {twin: letter for letter, twins in _TWINS.items() for twin in twins} | _SMALL_CAPITALS
_UNICODE = _unicodes()
_ALSO: dict[str, str] = {}
"""What texts may mean by a character besides. Words are kept without it: in their own languages these are letters."""
for _alphabet in _FANCY:
    for _letter, _char in zip("abcdefghijklmnopqrstuvwxyz", _alphabet, strict=True):
        if _char != "." and _letter not in _ALSO.get(_char, ""):
            _ALSO[_char] = _ALSO.get(_char, "") + _letter
