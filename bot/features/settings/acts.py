"""What people in charge set for everyone: defaults, styles, what is said of a model, each with its audit row.

Knows no Discord.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.errors import BadInput
from bot.features.audit.acts import Author, Note, act
from bot.features.settings import store as rows
from bot.features.settings.shapes import check_shape
from bot.features.settings.store import ModelNote, ServerDefaults, Style
from bot.features.settings.styles import MAX_STYLES, check_words, find_styles, read_names
from bot.orders import drafts
from engine.api.model_info import ModelInfo


@act("defaults.set")
def set_defaults(
    db: sqlite3.Connection, by: Author, changes: Mapping[str, Any], models: Sequence[ModelInfo]
) -> tuple[ServerDefaults, list[Note]]:
    """Change some of a server's defaults; those that hold now. `models`: those one may name. Raises: BadInput."""
    new = replace(rows.defaults(db, by.guild_id), **changes)
    find_styles(rows.styles(db, by.guild_id), new.styles)
    check_shape(new.shape)
    check_words(new.negative)
    drafts.check_defaults(new.model, new.steps, new.guidance, new.scheduler, models)
    rows.set_defaults(db, by.guild_id, new, by.now_ms)
    details = {name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()}
    return new, [Note(details=details)]


@act("style.add")
def save_style(db: sqlite3.Connection, by: Author, style: Style) -> tuple[bool, list[Note]]:
    """Keep a style under its name; whether it is new. Raises: BadInput."""
    known = {each.name for each in rows.styles(db, by.guild_id)}
    if len(known) >= MAX_STYLES and style.name not in known:
        raise BadInput(
            "This server already has {max_styles} styles, which is the limit. Remove one first.", max_styles=MAX_STYLES
        )
    new = rows.save_style(db, by.guild_id, style, by.now_ms)
    details = {"template": style.template, "negative": style.negative}
    return new, [Note(target=f"style:{style.name}", details=details)]


@act("style.remove")
def remove_style(db: sqlite3.Connection, by: Author, name: str) -> tuple[str, list[Note]]:
    """Forget a style; its name. Raises: BadInput."""
    found = find_styles(rows.styles(db, by.guild_id), read_names(name))
    if len(found) != 1:
        raise BadInput("Styles are removed one at a time. Give the name of one.")
    rows.drop_style(db, by.guild_id, found[0].name)
    return found[0].name, [Note(target=f"style:{found[0].name}")]


@act("model.describe")
def describe_model(
    db: sqlite3.Connection, _by: Author, model: str, licence: str | None, about: str | None
) -> tuple[ModelNote, list[Note]]:
    """Say what a model is for and under which licence, None = as before; what is said now."""
    old = rows.model_notes(db).get(model, ModelNote())
    new = ModelNote(licence=old.licence if licence is None else licence, about=old.about if about is None else about)
    rows.note_model(db, model, new)
    return new, [Note(target=f"model:{model}", details={"licence": new.licence, "about": new.about})]
