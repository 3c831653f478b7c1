"""Numbers as people write them: `1,000`, `1 000`, `0,5`, full-width digits. Pure, linear time."""

from __future__ import annotations

import re
from unicodedata import normalize

MAX_CHARS = 24  # `float` would read a million digits
_GROUPS = re.compile(r"[0-9]{1,3}(?:([,' ’_])[0-9]{3})(?:\1[0-9]{3})*(?:\.[0-9]+)?", re.ASCII)
_GERMAN = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+", re.ASCII)


def read_number(text: str) -> float | None:
    """A plain number, 0 or above; None for all else, such as 'nan', '-1' and '1e9'.

    A comma before three digits separates thousands, else it is a decimal one; a point is a decimal one, except in
    `1.234,5`.
    """
    plain = normalize("NFKC", text).strip()
    if len(plain) > MAX_CHARS:
        return None
    if _GERMAN.fullmatch(plain):
        plain = plain.replace(".", "").replace(",", ".")
    elif groups := _GROUPS.fullmatch(plain):
        plain = plain.replace(groups[1], "")
    else:
        plain = plain.replace(",", ".", 1)
    return float(plain) if plain.isascii() and plain.replace(".", "", 1).isdigit() else None


def read_whole(text: str) -> int | None:
    """A whole number, 0 or above."""
    number = read_number(text)
    return int(number) if number is not None and number.is_integer() else None


def decimal(value: float) -> str:
    """A number as people write it: no exponent, no trailing zeros, four digits."""
    return f"{value:.4f}".rstrip("0").rstrip(".")
