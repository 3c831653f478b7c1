"""Logging for the command line: one line a record, without secrets and without prompts. Knows no Discord.

discord.py, aiosqlite and aiohttp log whole payloads at DEBUG: prompts, reply tokens, SQL with its values. So only
Easel's own loggers go below INFO, and they name jobs by number.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, TextIO

SECRETS = re.compile(
    r"(?P<path>/(?:webhooks|interactions)/\d+/)[\w\-.]{20,}"  # reply tokens, which discord.py logs inside addresses
    r"|(?P<link>/mask/)[\w\-]{20,}"  # whoever has such an address may use it
    r"|aW50ZXJhY3Rpb246[\w\-=+/]+"  # a reply token wherever it stands: "interaction:" in base64
    r"|\b[\w-]{24,28}\.[\w-]{6}\.[\w-]{27,}"  # bot tokens
    r"|\bhf_\w{20,}"  # Hugging Face's
)
HIDDEN = "…"
Form = Literal["text", "json"]
OWN = ("bot", "engine")
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class SecretFilter(logging.Formatter):
    """Formats a record and its traceback without secrets; `known` are secrets to be hidden wherever they stand."""

    def __init__(self, line: str = LINE, known: Sequence[str] = ()) -> None:
        super().__init__(line)
        self._known = [secret for secret in known if secret]

    def format(self, record: logging.LogRecord) -> str:
        return self.hide(super().format(record))

    def hide(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        return SECRETS.sub(lambda match: f"{match['path'] or match['link'] or ''}{HIDDEN}", text)


class JsonFormatter(SecretFilter):
    """A record as one JSON object: time (ISO 8601, UTC), level, logger, message, and exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.hide(record.getMessage()),
        }
        if record.exc_info:
            said["exception"] = self.hide(self.formatException(record.exc_info))
        return json.dumps(said, ensure_ascii=False)


def start(level: str, form: Form = "text", secrets: Sequence[str] = ()) -> None:
    """Log to standard error: Easel from `level` on, its libraries from there too, but never below INFO."""
    logging.basicConfig(level=max(logging.INFO, getattr(logging, level)), handlers=[handler(form, secrets)])
    for name in OWN:
        logging.getLogger(name).setLevel(level)


def handler(form: Form = "text", secrets: Sequence[str] = ()) -> logging.StreamHandler[TextIO]:
    """What writes the log: safe to show whatever the loggers' levels are, for libraries may set levels of their own."""
    writing = logging.StreamHandler()
    writing.setFormatter((JsonFormatter if form == "json" else SecretFilter)(known=secrets))
    writing.addFilter(_is_harmless)
    return writing


def _is_harmless(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.INFO or record.name.split(".")[0] in OWN
