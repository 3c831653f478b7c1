"""What changes credits and quotas, each with its row in the audit log. Knows no Discord.

Every function runs inside the caller's transaction, so an act that can't be noted doesn't happen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.features.audit import store as audit_store
from bot.features.audit.store import AuditEntry
from bot.features.credits import store as quota_store
from bot.features.credits.records import QuotaChange
from bot.ledger import accounts, transfers
from bot.ledger.limits import SERVER_LIMITS, Budget
from bot.ledger.records import CreditChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who acts, where and when; ids are Discord's, actor 0 is Easel itself, server 0 is everywhere."""

    actor_id: int
    guild_id: int
    now_ms: int


# ---------------------------------------------------------------- credits
def grant(db: sqlite3.Connection, actor_id: int, change: CreditChange, details: Mapping[str, Any]) -> AuditEntry | None:
    """Give credits that don't expire. None when the change's key was used already."""
    return _noted(db, actor_id, "credits.grant", change, details) if transfers.give(db, change) else None


def take(db: sqlite3.Connection, actor_id: int, change: CreditChange, details: Mapping[str, Any]) -> AuditEntry | None:
    """Take such credits back. None when the change's key was used already. Raises: BadInput."""
    return _noted(db, actor_id, "credits.take", change, details) if accounts.take(db, change) else None


def gift(db: sqlite3.Connection, giver_id: int, change: CreditChange, cap_mc: int) -> AuditEntry | None:
    """Move such credits between members. None when the key was used already. Raises: BadInput, NotEnoughCredits."""
    if not accounts.gift(db, giver_id, change, cap_mc):
        return None
    return _noted(db, giver_id, "member.gift", change, {"amount_mc": change.amount_mc})


def _noted(
    db: sqlite3.Connection, actor_id: int, action: str, change: CreditChange, details: Mapping[str, Any]
) -> AuditEntry:
    target = f"user:{change.user_id}"
    return audit_store.add(db, change.guild_id, actor_id, action, target, details, change.now_ms)


# ---------------------------------------------------------------- quotas
def set_quota(db: sqlite3.Connection, by: Author, change: QuotaChange) -> AuditEntry:
    """Set or forget what a role or member is allowed."""
    quota_store.set_quota(db, by.guild_id, change, by.now_ms)
    action = "quota.set" if change.quota else "quota.clear"
    target = f"role:{change.role_id}" if change.role_id else f"user:{change.user_id}"
    details = change.said.to_json() | {"until_ms": change.until_ms}
    return audit_store.add(db, by.guild_id, by.actor_id, action, target, details, by.now_ms)


def set_budget(db: sqlite3.Connection, by: Author, budget: Budget) -> AuditEntry:
    """Set what the whole server can spend a day, and what a member can give away a day."""
    quota_store.set_budget(db, by.guild_id, budget, by.now_ms)
    details = {key: None for row in SERVER_LIMITS.values() for key in row.to_json(0)} | budget.to_json()
    return audit_store.add(db, by.guild_id, by.actor_id, "quota.server", "", details, by.now_ms)
