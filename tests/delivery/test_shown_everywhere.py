"""Whatever people write, the messages built of it hold no markup but our own."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.delivery import layouts
from bot.features.audit.store import AuditEntry
from bot.features.audit.views import audit_line
from bot.features.moderation import service as rules
from bot.features.moderation import views
from bot.features.moderation.store import Appeal, Ban, BlockedWord, Pause, Rules
from bot.prompt.text import quoted

WRITTEN = st.text(alphabet="@<>*_`[]()#:/.|~\\- \n\u202e\u200b\ufeffeveryonhttps17", max_size=80)
MARKUP = re.compile(r"@everyone|@here|<@&|https?://|\]\(|`|~~|\|\||__|\u202e|\ufeff")


def texts(view: Any) -> str:
    """Every text of a message."""
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(text for key, text in value.items() if key == "content")
            for inside in value.values():
                look(inside)
        elif isinstance(value, list):
            for inside in value:
                look(inside)

    look(json.loads(json.dumps(view.to_components())))
    return "\n".join(found)


def check(text: str) -> None:
    plain = re.sub(r"\\[!-/:-@\[-`{-~]", "·", text)
    assert not MARKUP.search(plain), text
    assert plain.count("**") % 2 == 0, text


@given(WRITTEN)
def test_moderations_messages(written: str) -> None:
    ban = Ban(guild_id=0, user_id=1, reason=written, until_ms=1000, actor_id=2)
    word = BlockedWord(id=1, guild_id=0, word=written, action="block")
    pause = Pause(guild_id=0, mode="drain", sentence=written)
    entry = AuditEntry(id=1, at_ms=0, guild_id=1, actor_id=2, action="a.b", target=written, details={written: written})
    asked = {"guild_id": 1, "user_id": 2, "prompt": written, "rule": written}
    appeal = Appeal(id=1, state="open", actor_id=None, decided_ms=None, **asked)
    for text in (
        views.ban_line(ban),
        views.word_line(word),
        views.pause_line(pause),
        audit_line(entry),
        views.rules_text(Rules(), [pause]),
        texts(views.appeal(appeal)),
        texts(layouts.notice(audit_line(entry))),
        rules.ban_sentence(ban, 1),
        rules.pause_sentence(pause),
        rules.word_sentence(word, tell=True),
    ):
        check(text)


@given(WRITTEN)
def test_a_quoted_word_is_no_link(written: str) -> None:
    check(quoted(written))
    check(quoted(f"https://{written}"))
    check(f"{quoted(written)}{quoted('//' + written)}")
