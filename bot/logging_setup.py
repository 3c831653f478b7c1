"""Logging for the command line: one line a record, with every secret taken out. Knows no Discord."""

from __future__ import annotations

import logging
import re

SECRETS = re.compile(
    r"(?P<path>/(?:webhooks|interactions)/\d+/)[\w\-.]{20,}"  # reply tokens, which discord.py logs inside addresses
    r"|(?P<bot>\b[\w-]{24,28}\.[\w-]{6}\.)[\w-]{27,}"  # bot tokens
)
HIDDEN = "…"


class SecretFilter(logging.Formatter):
    """Formats a record and its traceback without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return SECRETS.sub(lambda match: f"{match['path'] or ''}{HIDDEN}", super().format(record))


def start(level: str) -> None:
    """Log to standard error from `level` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(SecretFilter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
