"""How a member's words are shown: nothing pings, links, formats, hides or overflows. Knows no Discord library."""

from __future__ import annotations

import unicodedata

INVISIBLE = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u2800\u3164\uffa0")
_JOINERS = frozenset("\u200c\u200d")  # emoji sequences and several scripts need them
_MARKS_IN_A_ROW = 4  # enough for Vietnamese and Hebrew; more only paints over the neighbouring lines


def visible(text: str) -> str:
    """Drop what cannot be seen: controls, lone surrogates, bidirectional overrides, zero-width characters, tags.

    White space becomes single spaces. Idempotent, linear time.
    """
    kept: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        if _hidden(char, category) and not char.isspace():
            continue
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(char)
    return " ".join("".join(kept).split())


def _hidden(char: str, category: str) -> bool:
    return (category in ("Cc", "Cf", "Cs") and char not in _JOINERS) or char in INVISIBLE


def is_blank(text: str) -> bool:
    """Whether nothing of the text leaves ink: only spaces, joiners and combining marks."""
    return all(unicodedata.category(char)[0] in "CZM" for char in text)


def shown(text: str, limit: int = 1000) -> str:
    """Escape for a text display: at most `limit` characters of Discord markdown, one line.

    Discord takes a backslash before any ASCII punctuation as "this character, plainly", which switches off emphasis,
    links, mentions, emoji, time stamps, headings and lists alike. `@` gets a zero-width space too, for the
    server looks for `@everyone` in the raw text; `bot.prompt.parser` drops it again when the line is pasted back.
    """
    pieces: list[str] = []
    room = limit - 1  # for the ellipsis
    for char in visible(text):
        piece = _escaped(char)
        if len(piece) > room:
            return "".join(pieces) + "…"
        pieces.append(piece)
        room -= len(piece)
    return "".join(pieces)


def _escaped(char: str) -> str:
    if char == "@":
        return "\\@\u200b"
    plain = char.isalnum() or char.isspace() or not char.isascii() or char in ",;!?'\"%&=+$^"
    return char if plain else f"\\{char}"


def block(text: str, limit: int = 1900) -> str:
    """A code block, ready to be copied: at most `limit` characters in all, one line, impossible to leave.

    A run of backticks is broken up by a zero-width space, which `bot.prompt.parser` drops again.
    """
    frame = len("```\n\n```")
    body = visible(text).replace("``", "`\u200b`\u200b")
    if len(body) > limit - frame:
        body = body[: limit - frame - 1] + "…"
    return f"```\n{body}\n```"


def quoted(text: str, limit: int = 40) -> str:
    """A member's word inside one of our sentences: only letters, digits and harmless signs, no link, cut short."""
    plain = "".join(char if char.isalnum() or char in " .,:;+-=%/" else "·" for char in visible(text))
    plain = plain.replace("://", ":··")
    return f"'{plain if len(plain) <= limit else plain[: limit - 1] + '…'}'"
