"""From rows to records, and the one SELECT that reads a job. Knows no transactions."""

from __future__ import annotations

import json
import sqlite3

from bot.jobs.records import InputImage, Job, OutboxEntry, StoredFile, StoredImage
from bot.prompt.spec import Spec

JOB = (
    "SELECT j.*, ifnull(u.discord_id, 0) AS discord_user, p.job_id AS parent_job"
    " FROM job j JOIN user u ON u.id = j.user_id LEFT JOIN image p ON p.id = j.parent_image_id"
)


def job_of(row: sqlite3.Row) -> Job:
    return Job(
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
        spec=Spec.from_json(json.loads(row["spec"])),
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
        aged=bool(row["aged"]),
        withheld=row["withheld"],
    )


def image_of(row: sqlite3.Row) -> StoredImage:
    return StoredImage(
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


def input_of(row: sqlite3.Row) -> InputImage:
    file = StoredFile(path=row["rel_path"], sha256=row["sha256"].hex(), bytes=row["bytes"])
    return InputImage(file=file, width=row["width"], height=row["height"])


def delivery_of(row: sqlite3.Row) -> OutboxEntry:
    return OutboxEntry(
        id=row["id"],
        job_id=row["job_id"],
        kind=row["kind"],
        nonce=row["nonce"],
        attempts=row["attempts"],
        created_at=row["created_at"],
    )
