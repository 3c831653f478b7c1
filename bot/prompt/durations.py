"""When something ends, as admins write it: "12h", "7d", "2027-01-31"."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from bot.errors import BadInput
from bot.languages.speech import N_, _, later
from bot.prompt.text import quoted

UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
DURATION = re.compile(r"([0-9]{1,6})\s*([mhdw])[a-z]{0,6}")
A_BAN = N_("A ban")
LONGEST_MS = 3650 * UNIT_MS["d"]


def ends_at_ms(text: str, now_ms: int, what: str = A_BAN) -> int | None:
    """The end in UTC epoch ms; None for "". `what` is what ends, for the refusal. Raises: BadInput."""
    text = text.strip().lower()
    if not text:
        return None
    if match := DURATION.fullmatch(text):
        end_ms = now_ms + int(match[1]) * UNIT_MS[match[2]]
    else:
        try:
            end_ms = int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000)
        except ValueError:
            raise BadInput(
                "{text} isn't a time. Use 30m, 12h, 7d, 2w or a day such as 2027-01-31.", text=quoted(text)
            ) from None
    if not now_ms < end_ms <= now_ms + LONGEST_MS:
        refused = N_("{what} must end in the future, within ten years. Without a time it's permanent.")
        raise BadInput(refused, what=later(_, what))
    return end_ms
