"""The database: jobs, pictures, credits and what is owed, in one SQLite file. Knows no Discord and no torch."""

from bot.store.clock import Clock, ManualClock, SystemClock
from bot.store.errors import AlreadyRunning, CorruptDatabase, NewerDatabase, NotRunning, StoreError
from bot.store.records import (
    Balance,
    DeliveryKind,
    Entry,
    InputImage,
    Job,
    JobKind,
    JobState,
    Limits,
    NewImage,
    NewJob,
    OutboxEntry,
    Recovered,
    StoredFile,
    StoredImage,
)
from bot.store.store import Store

__all__ = [
    "AlreadyRunning",
    "Balance",
    "Clock",
    "CorruptDatabase",
    "DeliveryKind",
    "Entry",
    "InputImage",
    "Job",
    "JobKind",
    "JobState",
    "Limits",
    "ManualClock",
    "NewImage",
    "NewJob",
    "NewerDatabase",
    "NotRunning",
    "OutboxEntry",
    "Recovered",
    "Store",
    "StoreError",
    "StoredFile",
    "StoredImage",
    "SystemClock",
]
