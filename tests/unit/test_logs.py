"""No secret is ever logged."""

from __future__ import annotations

import logging

import pytest

from bot.logging_setup import SecretFilter


@pytest.mark.parametrize(
    "secret",
    [
        "aW50ZXJhY3Rpb246MTIzNDU2Nzg5MDEyMzQ1Njc4OTpTZWNyZXQ",
        "MTA1NjU0MzIxMDk4NzY1NDMy.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789ab",
    ],
)
def test_tokens_are_taken_out_of_messages_and_tracebacks(secret: str) -> None:
    text = f"PATCH /webhooks/123/{secret}/messages/@original" if "." not in secret else f"token {secret}"
    try:
        raise ValueError(text)
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("discord", logging.ERROR, __file__, 1, "failed: %s", (text,), info)
    shown = SecretFilter("%(message)s").format(record)
    assert "failed" in shown
    assert secret not in shown
    assert secret[-20:] not in shown
