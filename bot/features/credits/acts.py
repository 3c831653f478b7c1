"""What changes credits and quotas, each with its row in the audit log. Knows no Discord."""

from __future__ import annotations

import sqlite3

from bot.features.audit.acts import Author, Note, act
from bot.features.credits import store as quota_store
from bot.features.credits.records import QuotaChange
from bot.ledger import accounts, transfers
from bot.ledger.limits import SERVER_LIMITS, Budget
from bot.ledger.records import CreditChange


# ---------------------------------------------------------------- credits
@act("credits.grant")
def grant(db: sqlite3.Connection, _by: Author, change: CreditChange, note: str) -> tuple[bool, list[Note]]:
    """Give credits that don't expire; `note` is for the log. False when the change's key was used already."""
    return _noted(transfers.give(db, change), change, amount_mc=change.amount_mc, reason=note)


@act("credits.take")
def take(db: sqlite3.Connection, _by: Author, change: CreditChange, note: str) -> tuple[bool, list[Note]]:
    """Take such credits back; as `grant`. Raises: BadInput."""
    return _noted(accounts.take(db, change), change, amount_mc=-change.amount_mc, reason=note)


@act("member.gift")
def gift(db: sqlite3.Connection, by: Author, change: CreditChange, cap_mc: int) -> tuple[bool, list[Note]]:
    """Move such credits between members, at most `cap_mc` a day; as `grant`. Raises: BadInput, NotEnoughCredits."""
    return _noted(accounts.gift(db, by.actor_id, change, cap_mc), change, amount_mc=change.amount_mc)


def _noted(moved: bool, change: CreditChange, **details: int | str) -> tuple[bool, list[Note]]:
    return moved, [Note(target=f"user:{change.user_id}", details=details)] if moved else []


# ---------------------------------------------------------------- quotas
@act("quota.set", "quota.clear")
def set_quota(db: sqlite3.Connection, by: Author, change: QuotaChange) -> tuple[None, list[Note]]:
    """Set or forget what a role or member is allowed."""
    quota_store.set_quota(db, by.guild_id, change, by.now_ms)
    target = f"role:{change.role_id}" if change.role_id else f"user:{change.user_id}"
    details = change.said.to_json() | {"until_ms": change.until_ms}
    return None, [Note(action="quota.set" if change.quota else "quota.clear", target=target, details=details)]


@act("quota.server")
def set_budget(db: sqlite3.Connection, by: Author, budget: Budget) -> tuple[None, list[Note]]:
    """Set what the whole server can spend a day, and what a member can give away a day."""
    quota_store.set_budget(db, by.guild_id, budget, by.now_ms)
    details = {key: None for row in SERVER_LIMITS.values() for key in row.to_json(0)} | budget.to_json()
    return None, [Note(details=details)]
