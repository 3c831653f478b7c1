"""What the store takes and gives: frozen records, and how rows become them. Knows no Discord.

Ids named so are Discord snowflakes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from bot.languages.speech import ENGLISH, N_, stored
from bot.prompt.spec import Spec, stand_in
from engine.api.errors import EngineError
from engine.api.metadata import recipe_from_json
from engine.api.recipe import Recipe

JobKind = str
"""What was asked for: `imagine`, `vary`, or the name of the engine's task: see `engine.tasks.TASKS`."""
JobState = Literal[
    "queued",  # waits for its turn, or for a retry
    "running",  # handed to the engine by the process that holds it
    "rendered",  # pictures are stored and paid for; their delivery is due
    "done",  # delivered
    "failed",  # nothing was delivered and nothing charged; `error_code` says why (`undeliverable`: see `Job.unpaid`)
    "cancelled",  # nothing was delivered; what was painted may have been charged
]
ImageRole = Literal["output", "grid"]
DeliveryKind = Literal["result", "error", "cancelled"]
Lane = Literal["fast", "relax"]
ACTIVE: frozenset[JobState] = frozenset({"queued", "running"})

SELECT_JOB = (
    "SELECT j.*, ifnull(u.discord_id, 0) AS discord_user, p.job_id AS parent_job, iif(q.outputs > 1, p.ordinal + 1, 0)"
    " AS parent_number FROM job j JOIN user u ON u.id = j.user_id LEFT JOIN image p ON p.id = j.parent_image_id"
    " LEFT JOIN job q ON q.id = p.job_id"
)
UNDELIVERABLE = "undeliverable"
CANCELLED = N_("The job was cancelled.")
FAILED = N_("Something went wrong inside Easel (reference {reference}).")
API = 0  # in the place of an application's id: asked for over the images API, where whoever asked waits for it
REPLY_TOKEN_MS = 880_000  # Discord's interaction token lives 15 min; 20 s are kept for the request itself


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as asked for. No user name: the id is enough to mention someone, and names would have to be erased.

    Attributes:
        interaction_id: makes asking twice the same as asking once, together with `part`.
        part: 0.. when one interaction asks for several jobs (permutations).
        price_mc: millicredits for all its images; 0 in the relax lane.
        parent_image_id: the image whose button was pressed.
        private: only its owner sees the message (an ephemeral one can be edited by token only).
        reply_token: of the interaction; a secret, wiped once delivered or expired.
        message_id: of the message that will show the job, if it is there already.
        aged: asked for in an age-restricted channel.
        language: what its message speaks.
    """

    interaction_id: int
    guild_id: int
    channel_id: int
    user_id: int
    kind: JobKind = "imagine"
    spec: Spec
    price_mc: int
    application_id: int
    reply_token: str = field(repr=False)
    parent_image_id: int | None = None
    private: bool = False
    lane: Lane = "fast"
    part: int = 0
    message_id: int | None = None
    aged: bool = False
    language: str = ENGLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as stored. Times are UTC epoch ms; `price_mc` was reserved, `charged_mc` is what was taken for good."""

    id: int
    interaction_id: int
    part: int
    guild_id: int
    channel_id: int
    user_id: int
    kind: JobKind
    state: JobState
    lane: Lane
    spec: Spec
    price_mc: int
    charged_mc: int
    attempts: int
    parent_image_id: int | None
    private: bool
    application_id: int
    reply_token: str | None = field(repr=False)
    reply_until_ms: int
    message_id: int | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    error_code: str | None
    error_text: str | None
    parent_job_id: int | None = None  # of the parent image, unless it was deleted
    parent_number: int = 0  # which of its job's pictures the parent is, from 1; 0 = it has but one
    aged: bool = False
    withheld: int = 0  # pictures that a safety check kept back
    weight: float = 1.0  # share of the device against others
    language: str | None = None  # what its message speaks; None = asked for before that was kept
    unreadable: bool = False  # `spec` is a stand-in: what is stored is none that this version knows

    @property
    def failure(self) -> str:
        """Why it ended without pictures, in the language that is spoken; it's kept in English."""
        return stored(self.error_text or CANCELLED, FAILED)

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def unpaid(self) -> bool:
        """Whether its pictures are there but could not be delivered: nobody sees them before they are paid for."""
        return self.state == "failed" and self.error_code == UNDELIVERABLE

    def spec_of(self, image: StoredImage) -> Spec:
        """The spec that gives one of its pictures alone."""
        own = self.spec.cells[image.ordinal] if self.spec.compare else self.spec
        return own.with_seed(image.seed)

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Self:
        """Never refuses a row: one job that can't be read must not hide its person's others, or stop the queue."""
        spec = _spec_of(row)
        return cls(
            id=row["id"],
            interaction_id=row["interaction_id"],
            part=row["part"],
            guild_id=row["guild_id"],
            channel_id=row["channel_id"],
            user_id=row["discord_user"],
            kind=row["kind"],
            state=row["state"],
            lane=row["lane"],
            weight=row["weight"],
            spec=spec or stand_in(max(1, row["outputs"])),
            unreadable=spec is None,
            price_mc=row["quote"],
            charged_mc=row["charged"],
            attempts=row["attempts"],
            parent_image_id=row["parent_image_id"],
            private=bool(row["private"]),
            application_id=row["application_id"],
            reply_token=row["reply_token"],
            reply_until_ms=row["reply_until"],
            message_id=row["message_id"],
            created_at=row["created_at"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            error_code=row["error_code"],
            error_text=row["error_text"],
            parent_job_id=row["parent_job"],
            parent_number=row["parent_number"] or 0,
            aged=bool(row["aged"]),
            withheld=row["withheld"],
            language=row["language"],
        )


def _spec_of(row: sqlite3.Row) -> Spec | None:
    try:
        return Spec.from_text(row["spec"])
    except (TypeError, ValueError, LookupError, AttributeError, EngineError):  # a later version's, or a damaged one
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that is safely on disk: `path` is relative to the images directory, `sha256` in hex."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """A finished picture, its file already on disk."""

    ordinal: int
    seed: int
    file: StoredFile
    width: int
    height: int
    mime: str = "image/png"
    role: ImageRole = "output"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    flagged: bool = False  # a safety check objects, for `reason`
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """A picture of a job. `path` is relative to the images directory."""

    id: int
    job_id: int
    ordinal: int
    seed: int
    role: ImageRole
    path: str
    width: int
    height: int
    bytes: int
    sha256: str
    mime: str
    recipe: Mapping[str, Any]
    flagged: bool = False

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Self:
        return cls(
            id=row["id"],
            job_id=row["job_id"],
            ordinal=row["ordinal"],
            seed=row["seed"],
            role=row["role"],
            path=row["rel_path"],
            width=row["width"],
            height=row["height"],
            bytes=row["bytes"],
            sha256=row["sha256"].hex(),
            mime=row["mime"],
            recipe=json.loads(row["recipe"]),
            flagged=bool(row["flagged"]),
        )

    @property
    def made_with(self) -> Recipe | None:
        """The recipe, unless it is one that this version can't read."""
        try:
            return recipe_from_json(dict(self.recipe))
        except TypeError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputImage:
    """A picture somebody uploaded for img2img; named in a spec by its sha256."""

    file: StoredFile
    width: int
    height: int

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Self:
        file = StoredFile(path=row["rel_path"], sha256=row["sha256"].hex(), bytes=row["bytes"])
        return cls(file=file, width=row["width"], height=row["height"])


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """A message that is owed. `nonce` (<= 25 characters) stays the same over all tries; times are UTC epoch ms."""

    id: int
    job_id: int
    kind: DeliveryKind
    nonce: str
    attempts: int
    created_at: int

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Self:
        return cls(
            id=row["id"],
            job_id=row["job_id"],
            kind=row["kind"],
            nonce=row["nonce"],
            attempts=row["attempts"],
            created_at=row["created_at"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Jobs that another (dead) process was running: queued again, or given up after too many starts."""

    requeued: tuple[int, ...]
    failed: tuple[int, ...]
