"""What members prefer, what servers set, styles, and what the operator says of models. Knows no Discord."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bot.store import users


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """A member's settings, in every server; None = as the server or the model has it.

    Attributes:
        shape: `3:2` or `768x512`. suffix: words behind every prompt of /imagine.
        remix: V opens the form first. subtle, strong: per cent that a variation goes towards new noise.
        private: answers are for their person only, unless asked otherwise. previews: pictures while painting.
        mention_minutes: a job that took longer mentions its person when it ends; None = never.
        file_words: whether the files of their pictures tell the prompt and the recipe.
    """

    model: str | None = None
    shape: str | None = None
    suffix: str = ""
    remix: bool = False
    subtle: int = 15
    strong: int = 50
    private: bool = False
    previews: bool = True
    mention_minutes: int | None = None
    file_words: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDefaults:
    """What a server's /imagine uses for what was not said; None or empty = the model's own."""

    model: str | None = None
    shape: str | None = None
    steps: int | None = None
    guidance: float | None = None
    scheduler: str | None = None
    negative: str = ""
    styles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A named way to paint: `template` holds `{prompt}` once. `example_job`: whose first picture shows it."""

    name: str
    template: str
    negative: str = ""
    example_job: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNote:
    """What the operator says of a model."""

    licence: str = ""
    about: str = ""


# ---------------------------------------------------------------- members
PLAIN = ("model", "shape", "suffix", "subtle", "strong", "mention_minutes")  # kept as they are


def preferences(db: sqlite3.Connection, user_id: int) -> Preferences:
    row = db.execute(
        "SELECT p.* FROM preference p JOIN user u ON u.id = p.user_id WHERE u.discord_id = ?", (user_id,)
    ).fetchone()
    if row is None:
        return Preferences()
    flags: dict[str, Any] = {name: bool(row[name]) for name in ("remix", "private", "previews", "file_words")}
    plain: dict[str, Any] = {name: row[name] for name in PLAIN}
    return Preferences(**plain, **flags)


def prefer(db: sqlite3.Connection, user_id: int, guild_id: int, wanted: Preferences, now_ms: int) -> None:
    """Keep a member's settings."""
    person = users.get_or_create(db, user_id, guild_id, now_ms)
    values = {name: int(value) if isinstance(value, bool) else value for name, value in asdict(wanted).items()}
    _replace(db, "preference", {"user_id": person, **values})


def without(db: sqlite3.Connection, flag: Literal["previews", "file_words"]) -> frozenset[int]:
    """Discord ids of those who switched something off that is looked at often."""
    rows = db.execute(
        "SELECT u.discord_id FROM preference p JOIN user u ON u.id = p.user_id"
        f" WHERE p.{flag} = 0 AND u.discord_id IS NOT NULL"
    )
    return frozenset(int(row[0]) for row in rows)


# ---------------------------------------------------------------- servers
def defaults(db: sqlite3.Connection, guild_id: int) -> ServerDefaults:
    row = db.execute("SELECT * FROM guild_default WHERE guild_id = ?", (guild_id,)).fetchone()
    if row is None:
        return ServerDefaults()
    values = {name: row[name] for name in ("model", "shape", "steps", "guidance", "scheduler", "negative")}
    return ServerDefaults(**values, styles=tuple(name for name in row["styles"].split(",") if name))


def set_defaults(db: sqlite3.Connection, guild_id: int, wanted: ServerDefaults, now_ms: int) -> None:
    _ensure_guild(db, guild_id, now_ms)
    _replace(db, "guild_default", {"guild_id": guild_id, **asdict(wanted), "styles": ",".join(wanted.styles)})


def styles(db: sqlite3.Connection, guild_id: int) -> list[Style]:
    rows = db.execute("SELECT * FROM style WHERE guild_id = ? ORDER BY name", (guild_id,))
    return [
        Style(name=row["name"], template=row["template"], negative=row["negative"], example_job=row["example_job"])
        for row in rows
    ]


def save_style(db: sqlite3.Connection, guild_id: int, style: Style, now_ms: int) -> bool:
    """Keep a style under its name; True when it is new."""
    _ensure_guild(db, guild_id, now_ms)
    known = db.execute("SELECT 1 FROM style WHERE guild_id = ? AND name = ?", (guild_id, style.name)).fetchone()
    _replace(db, "style", {"guild_id": guild_id, **asdict(style), "created_at": now_ms})
    return known is None


def drop_style(db: sqlite3.Connection, guild_id: int, name: str) -> bool:
    """Forget a style, also as a default of the server; False when there was none."""
    gone = db.execute("DELETE FROM style WHERE guild_id = ? AND name = ?", (guild_id, name)).rowcount > 0
    kept = [each for each in defaults(db, guild_id).styles if each != name]
    db.execute("UPDATE guild_default SET styles = ? WHERE guild_id = ?", (",".join(kept), guild_id))
    return gone


# ---------------------------------------------------------------- models
def model_notes(db: sqlite3.Connection) -> dict[str, ModelNote]:
    rows = db.execute("SELECT * FROM model_note")
    return {row["model"]: ModelNote(licence=row["licence"], about=row["about"]) for row in rows}


def note_model(db: sqlite3.Connection, model: str, note: ModelNote) -> None:
    _replace(db, "model_note", {"model": model, **asdict(note)})


def _ensure_guild(db: sqlite3.Connection, guild_id: int, now_ms: int) -> None:
    db.execute("INSERT INTO guild VALUES (?, ?) ON CONFLICT DO NOTHING", (guild_id, now_ms))


def _replace(db: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    db.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", values)
