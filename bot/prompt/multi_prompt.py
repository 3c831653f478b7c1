"""Midjourney's `hot:: dog::2`: parts of a prompt with weights, as words with the weights that models know. Pure."""

from __future__ import annotations

import re

from bot.prompt.flags import decimal

LOW, HIGH = 0.2, 2.0  # beyond, a text encoder's words fall apart
_WEIGHT = re.compile(r"::(-?\d{1,4}(?:\.\d{1,4})?|-?\.\d{1,4})?(?=\s|,|$)")


def read(prompt: str) -> tuple[str, str] | None:
    """The words with weights around one, and what has a weight below zero; None where there are no such parts.

    A part's weight stands behind it, and is 1 if it says none. A1111's `[sea::0.5]` and `std::vector` are left alone.
    """
    if "::" not in prompt:
        return None
    parts = _parts(prompt)
    if len(parts) == 1 and parts[0][1] is None:
        return None
    weighed = [(text, 1.0 if weight is None else weight) for text, weight in parts if text]
    against = ", ".join(text for text, weight in weighed if weight < 0)
    wanted = [(text, weight) for text, weight in weighed if weight > 0]
    if not wanted:
        return "", against
    usual = sum(weight for _, weight in wanted) / len(wanted)
    return ", ".join(_with_weight(text, weight / usual) for text, weight in wanted), against


def _parts(prompt: str) -> list[tuple[str, float | None]]:
    """Texts with the weights behind them; the last one may have none."""
    found: list[tuple[str, float | None]] = []
    depth = begin = at = 0
    while at < len(prompt):
        char = prompt[at]
        depth = depth + 1 if char == "[" else max(0, depth - 1) if char == "]" else depth
        weight = _WEIGHT.match(prompt, at) if char == ":" and depth == 0 else None
        if weight:
            found.append((prompt[begin:at].strip(" ,"), float(weight[1]) if weight[1] else 1.0))
            begin = at = weight.end()
        else:
            at += 1
    rest = prompt[begin:].strip(" ,")
    return [*found, (rest, None)] if rest or not found else found


def _with_weight(text: str, weight: float) -> str:
    weight = round(min(HIGH, max(LOW, weight)), 2)
    return text if weight == 1 else f"({text}:{decimal(weight)})"
