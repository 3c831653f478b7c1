"""Which table holds what of a person, and which holds nothing: what export and erasure go by. Knows no Discord.

A test compares it with the schema, so a new table cannot be left out.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from bot.store.key_values import ASKED, OFFERED

JOBS = "SELECT id FROM job WHERE user_id = :person"
SECRET = frozenset({"reply_token"})  # Discord's, not theirs; it is gone after 15 minutes anyway


@dataclass(frozen=True, slots=True)
class Holding:
    """Rows of `table` that are somebody's: `mine` is a condition on `:person` (surrogate id) and `:discord`."""

    table: str
    mine: str


PERSONAL = (
    Holding("user", "id = :person"),
    Holding("preference", "user_id = :person"),
    Holding("job", "user_id = :person"),
    Holding("image", f"job_id IN ({JOBS})"),
    Holding("delivery", f"job_id IN ({JOBS})"),
    Holding("deletion", f"job_id IN ({JOBS})"),
    Holding("upload", "user_id = :person"),
    Holding(
        "input_image",
        "sha256 IN (SELECT sha256 FROM upload WHERE user_id = :person)"
        f" OR CAST(lower(hex(sha256)) AS TEXT) IN (SELECT sha256 FROM job_input WHERE job_id IN ({JOBS}))",
    ),
    Holding("job_input", f"job_id IN ({JOBS})"),
    Holding("look", "maker_id = :discord"),
    Holding("look_picture", "sha256 IN (SELECT sha256 FROM upload WHERE user_id = :person)"),
    Holding("region", "user_id = :person"),
    Holding("mask_token", "region_id IN (SELECT id FROM region WHERE user_id = :person)"),
    Holding("account", "user_id = :person"),
    Holding("allowance", "account_id IN (SELECT id FROM account WHERE user_id = :person)"),
    Holding("quota", "user_id = :person"),
    Holding("subscription", "user_id = :discord"),
    Holding(
        "transfer",
        "debit_id IN (SELECT id FROM account WHERE user_id = :person)"
        " OR credit_id IN (SELECT id FROM account WHERE user_id = :person)",
    ),
    Holding("ban", "user_id = :discord OR actor_id = :discord"),
    Holding("blocked_word", "actor_id = :discord"),
    Holding("attached_list", "actor_id = :discord"),
    Holding("pause", "actor_id = :discord"),
    Holding("audit", "actor_id = :discord OR target = 'user:' || :discord"),
    Holding("appeal", "user_id = :discord OR actor_id = :discord"),
    Holding("report", "reporter_id = :discord"),  # those about one's images are what others said
    Holding("macro", "user_id = :discord"),
    Holding("api_key", "user_id = :discord"),
    Holding("word_list", "owner_id = :discord"),
    Holding("star", f"user_id = :discord OR job_id IN ({JOBS})"),
    Holding("erasure", "discord_id = :discord"),
    Holding("gallery", f"job_id IN ({JOBS})"),
    Holding("note", f"CASE WHEN {ASKED} OR {OFFERED} THEN json_extract(value, '$[0]') = :discord END"),
)
"""Everything the database knows of a person, in the order it is exported."""

IMPERSONAL = frozenset(
    {
        *("migration", "job_edge", "queue_clock", "queue_server"),  # the program's own
        *(
            "guild",
            "guild_default",
            "style",
            "moderation",
            "allowed_channel",
            "departure",
            "open_gallery",
            "guild_budget",
        ),  # a server's
        *("model_note", "refusal"),  # the operator's; counts without names
        "unlink",  # files of deleted jobs, for a moment
        "tombstone",  # a keyed hash of somebody who is gone
    }
)


def export(db: sqlite3.Connection, person: int, discord_id: int) -> dict[str, list[dict[str, Any]]]:
    """All rows of a person by table, as JSON values: JSON columns are parsed, bytes are hex."""
    values = {"person": person, "discord": discord_id}
    return {
        holding.table: [
            _plain(row) for row in db.execute(f"SELECT * FROM {holding.table} WHERE {holding.mine}", values)
        ]
        for holding in PERSONAL
    }


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    return {name: _value(name, row[name]) for name in row.keys() if name not in SECRET}  # noqa: SIM118


def _value(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if name in ("spec", "recipe", "details") and isinstance(value, str):
        return json.loads(value)
    return value
