"""What happens to a job, from queued to its end, each time with its credits and its delivery. Knows no Discord.

Every function runs inside the caller's transaction: a job's state, its money and what is owed change together.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from fractions import Fraction

from bot.errors import Busy, NotEnoughCredits, NotFound, TooManyJobs
from bot.jobs import deliveries, queue
from bot.jobs import images as image_rows
from bot.jobs.records import REPLY_TOKEN_MS, SELECT_JOB, DeliveryKind, Job, NewImage, NewJob, Recovered
from bot.languages.speech import N_
from bot.ledger import allowance, transfers
from bot.ledger.records import Limits
from bot.prompt.spec import SPEC_VERSION
from bot.store import users
from bot.store.clock import DAY_MS
from bot.store.errors import NotRunning

UNPAINTED = Fraction(0)
NEWEST = 2**63 - 1  # above every id
MAX_ATTEMPTS = 3  # a job that kills the process is given up after three starts
UNUSED_MS = 3_600_000  # an upload that no job used for so long is forgotten
RUNNING = "SELECT id, attempts FROM job WHERE state = 'running' AND"
GIVEN_UP = N_("Easel stopped three times while painting this, so it was given up.")


def enqueue_all(
    db: sqlite3.Connection, new: tuple[NewJob, ...], allowance_mc: int, limits: Limits, now_ms: int
) -> list[Job]:
    """Queue jobs with their price reserved; a job that is known already is returned as it is.

    Raises: NotEnoughCredits, TooManyJobs, Busy, NotFound.
    """
    return [_known(db, job) or _enqueue(db, job, allowance_mc, limits, now_ms) for job in new]


def check_room(db: sqlite3.Connection, user_id: int, server_id: int, limits: Limits) -> None:
    """Whether one more job of somebody's would be queued, whatever it costs. Raises: TooManyJobs, Busy."""
    _check_limits(db, users.find(db, user_id), server_id, limits)


def _known(db: sqlite3.Connection, new: NewJob) -> Job | None:
    key = (new.interaction_id, new.part)
    row = db.execute(f"{SELECT_JOB} WHERE j.interaction_id = ? AND j.part = ? AND j.deleted_at IS NULL", key).fetchone()
    return None if row is None else Job.from_row(row)


def _enqueue(db: sqlite3.Connection, new: NewJob, allowance_mc: int, limits: Limits, now_ms: int) -> Job:
    person = users.get_or_create(db, new.user_id, new.guild_id, now_ms)
    server_id = new.guild_id if limits.purse is None else limits.purse
    users.ensure_guild(db, server_id, now_ms)
    _check_limits(db, person, server_id, limits)
    _check_sources(db, new)
    if new.price_mc:
        allowance.renew(db, new.user_id, server_id, allowance_mc, limits.period, now_ms)
        new = _in_lane(db, person, new, server_id, limits, now_ms)
    job_id = _insert(db, new, person, server_id, limits, now_ms)
    if new.price_mc:
        transfers.reserve(db, person, server_id, job_id, new.price_mc, now_ms)
    return get(db, job_id)


def _in_lane(db: sqlite3.Connection, person: int, new: NewJob, server_id: int, limits: Limits, now_ms: int) -> NewJob:
    """The job as it is if it can be paid, else free and slower if that is allowed. Raises: NotEnoughCredits."""
    left = transfers.available(db, person, server_id)
    cap = limits.server_cap_mc
    capped = cap is not None and _spent_today(db, server_id, now_ms) + new.price_mc > cap
    if left >= new.price_mc and not capped:
        return new
    if limits.relax:
        return replace(new, lane="relax", price_mc=0)
    if left < new.price_mc:
        raise transfers.too_dear(new.price_mc, left, limits.period)
    raise NotEnoughCredits("This server has used up its credits for today. They come back at midnight UTC.")


def _spent_today(db: sqlite3.Connection, server_id: int, now_ms: int) -> int:
    """What this server's jobs of today (UTC) hold or have cost, in millicredits."""
    row = db.execute(
        "SELECT ifnull(sum(iif(state IN ('queued', 'running'), quote, charged)), 0) AS spent FROM job"
        " WHERE server_id = ? AND created_at >= ?",
        (server_id, now_ms - now_ms % DAY_MS),
    ).fetchone()
    return int(row["spent"])


def _check_limits(db: sqlite3.Connection, person: int | None, server_id: int, limits: Limits) -> None:
    own = "SELECT count(*) AS n FROM job WHERE user_id = ? AND state IN ('queued', 'running')"
    if db.execute(own, (person,)).fetchone()["n"] >= limits.max_queued:
        raise TooManyJobs(
            "You have {max_queued} jobs waiting or running, which is the limit. Wait for one to finish, or "
            "cancel one in /queue.",
            max_queued=limits.max_queued,
        )
    waiting = queue.length(db)
    if waiting >= limits.max_server_queue and queue.length(db, server_id) >= limits.max_server_queue:
        raise Busy(
            "This server has {max_server_queue} jobs waiting, which is the limit. Try again in a few minutes; "
            "nothing was charged.",
            max_server_queue=limits.max_server_queue,
        )
    if waiting >= limits.max_queue:
        raise Busy("The queue is full. Try again in a few minutes; nothing was charged.")


def _check_sources(db: sqlite3.Connection, new: NewJob) -> None:
    if new.parent_image_id is not None and not new.spec.inputs:  # else it is made from inputs alone
        image_rows.with_job(db, new.parent_image_id)
    for sha256 in new.spec.inputs:
        image_rows.input_image(db, sha256)


def _insert(db: sqlite3.Connection, new: NewJob, person: int, server_id: int, limits: Limits, now_ms: int) -> int:
    vtime, cost = queue.tag(db, person, server_id, new.spec, new.lane, limits.weight)
    values = {
        "interaction_id": new.interaction_id,
        "part": new.part,
        "guild_id": new.guild_id,
        "purse_guild_id": None if server_id == new.guild_id else server_id,
        "channel_id": new.channel_id,
        "user_id": person,
        "kind": new.kind,
        "lane": new.lane,
        "max_running": limits.max_running,
        "weight": limits.weight,
        "vtime": vtime,
        "cost": cost,
        "spec": json.dumps(new.spec.to_json(), separators=(",", ":")),
        "spec_version": SPEC_VERSION,
        "parent_image_id": new.parent_image_id,
        "private": int(new.private),
        "aged": int(new.aged),
        "language": new.language,
        "quote": new.price_mc,
        "application_id": new.application_id,
        "reply_token": new.reply_token or None,
        "reply_until": now_ms + REPLY_TOKEN_MS,
        "created_at": now_ms,
        "message_id": new.message_id,
    }
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    row = db.execute(f"INSERT INTO job ({names}) VALUES ({marks}) RETURNING id", values).fetchone()
    image_rows.use_inputs(db, int(row["id"]), new.spec)
    return int(row["id"])


def get(db: sqlite3.Connection, job_id: int) -> Job:
    """Raises: NotFound."""
    row = db.execute(f"{SELECT_JOB} WHERE j.id = ? AND j.deleted_at IS NULL", (job_id,)).fetchone()
    if row is None:
        raise NotFound("I can't find that job; it may have been deleted. Your jobs are in /history.")
    return Job.from_row(row)


def bind_message(db: sqlite3.Connection, job_id: int, message_id: int) -> None:
    db.execute("UPDATE job SET message_id = ? WHERE id = ?", (message_id, job_id))


def _held(db: sqlite3.Connection, job_id: int, boot_id: str) -> Job:
    """The job, if this process runs it: the fence before every finishing change. Raises: NotRunning."""
    row = db.execute(f"{SELECT_JOB} WHERE j.id = ? AND j.state = 'running' AND j.lease_owner = ?", (job_id, boot_id))
    if (found := row.fetchone()) is None:
        raise NotRunning(f"job {job_id} is not run by this process (any more)")
    return Job.from_row(found)


def requeue(db: sqlite3.Connection, job_id: int, boot_id: str, count_attempt: bool, not_before_ms: int) -> Job:
    """Put a running job back in its place. Raises: NotRunning."""
    job = _held(db, job_id, boot_id)
    assert job.attempts < MAX_ATTEMPTS or not count_attempt, "the last attempt ends with `fail`"
    _put_back(db, job_id, count_attempt, not_before_ms)
    return get(db, job_id)


def _put_back(db: sqlite3.Connection, job_id: int, count_attempt: bool, not_before_ms: int) -> None:
    db.execute(
        "UPDATE job SET state = 'queued', lease_owner = NULL, attempts = attempts - ?, not_before = ? WHERE id = ?",
        (int(not count_attempt), not_before_ms, job_id),
    )


def rendered(
    db: sqlite3.Connection,
    job_id: int,
    boot_id: str,
    new: tuple[NewImage, ...],
    now_ms: int,
    withheld: tuple[NewImage, ...] = (),
) -> Job:
    """Store the pictures, take their share of the price, owe the result. Raises: NotRunning.

    `withheld`: pictures of it that nobody may see: their files go.
    """
    job = _held(db, job_id, boot_id)
    outputs = sum(image.role == "output" for image in new)
    assert 0 < outputs <= job.spec.num_images
    charge_mc = job.price_mc * outputs // job.spec.num_images  # rounded in the person's favour
    for image in new:
        image_rows.add(db, job_id, image, now_ms)
    _end(db, job_id, "rendered", now_ms)
    transfers.resolve(db, job_id, charge_mc, now_ms)
    db.execute("UPDATE job SET charged = ?, withheld = ? WHERE id = ?", (charge_mc, len(withheld), job_id))
    image_rows.end_files(db, [image.file.path for image in withheld])
    deliveries.enqueue_delivery(db, job_id, "result", now_ms)
    return get(db, job_id)


def fail(db: sqlite3.Connection, job_id: int, boot_id: str, code: str, text: str, now_ms: int) -> Job:
    """Raises: NotRunning."""
    _held(db, job_id, boot_id)
    _fail(db, job_id, code, text, now_ms)
    return get(db, job_id)


def _fail(db: sqlite3.Connection, job_id: int, code: str, text: str, now_ms: int) -> None:
    shown = text[:2000].encode(errors="replace").decode()  # SQLite takes no lone surrogates, and this must not fail
    db.execute("UPDATE job SET error_code = ?, error_text = ? WHERE id = ?", (code, shown, job_id))
    _end_early(db, job_id, "failed", "error", now_ms)


def cancel(db: sqlite3.Connection, job_id: int, now_ms: int, painted: Fraction = UNPAINTED) -> Job:
    """End an active job for the share of its price that was `painted`; one that ended stays as it is.

    Raises: NotFound.
    """
    job = get(db, job_id)
    if job.active:
        charge_mc = int(job.price_mc * painted)  # rounded in the person's favour
        _end_early(db, job_id, "cancelled", "cancelled", now_ms, charge_mc)
    return get(db, job_id)


def _end(db: sqlite3.Connection, job_id: int, state: str, now_ms: int) -> None:
    db.execute("UPDATE job SET state = ?, lease_owner = NULL, finished_at = ? WHERE id = ?", (state, now_ms, job_id))


def _end_early(
    db: sqlite3.Connection, job_id: int, state: str, notice: DeliveryKind, now_ms: int, charge_mc: int = 0
) -> None:
    _end(db, job_id, state, now_ms)
    image_rows.end_files_of_job(db, job_id)  # whatever was painted already
    transfers.resolve(db, job_id, charge_mc, now_ms)
    db.execute("UPDATE job SET charged = ? WHERE id = ?", (charge_mc, job_id))
    deliveries.enqueue_delivery(db, job_id, notice, now_ms)


def recover(db: sqlite3.Connection, boot_id: str, now_ms: int) -> Recovered:
    """Queue again what dead processes were running, or give it up after three starts."""
    return _take_up(db, db.execute(f"{RUNNING} lease_owner <> ? ORDER BY vtime, id", (boot_id,)).fetchall(), now_ms)


def running_of(db: sqlite3.Connection, boot_id: str) -> list[int]:
    return [int(row["id"]) for row in db.execute(f"{RUNNING} lease_owner = ?", (boot_id,))]


def take_up_again(db: sqlite3.Connection, boot_id: str, job_ids: frozenset[int], now_ms: int) -> Recovered:
    """As `recover`, for jobs that a living process holds and doesn't carry."""
    rows = db.execute(f"{RUNNING} lease_owner = ? ORDER BY vtime, id", (boot_id,)).fetchall()
    return _take_up(db, [row for row in rows if row["id"] in job_ids], now_ms)


def _take_up(db: sqlite3.Connection, rows: list[sqlite3.Row], now_ms: int) -> Recovered:
    requeued = tuple(row["id"] for row in rows if row["attempts"] < MAX_ATTEMPTS)
    failed = tuple(row["id"] for row in rows if row["attempts"] >= MAX_ATTEMPTS)
    for job_id in requeued:
        _put_back(db, job_id, count_attempt=True, not_before_ms=0)
    for job_id in failed:
        _fail(db, job_id, "given_up", GIVEN_UP, now_ms)
    return Recovered(requeued=requeued, failed=failed)


def forget_expired(db: sqlite3.Connection, now_ms: int) -> None:
    """Forget reply tokens and hashes of allowances whose time is over, and uploads that nobody used for an hour."""
    db.execute("UPDATE job SET reply_token = NULL WHERE reply_token IS NOT NULL AND reply_until < ?", (now_ms,))
    image_rows.drop_unused_inputs(db, now_ms - UNUSED_MS, now_ms - 2 * DAY_MS)
    allowance.forget_expired(db, now_ms)


def delete(db: sqlite3.Connection, job_id: int, now_ms: int, painted: Fraction = UNPAINTED) -> int:
    """Forget a job for its person, cancelled as in `cancel`; how many files nothing refers to any more.

    One that is hidden, because its deletion can still be undone, goes for good. Raises: NotFound.
    """
    if not db.execute("DELETE FROM deletion WHERE job_id = ?", (job_id,)).rowcount:
        cancel(db, job_id, now_ms, painted)
        deliveries.give_up(db, job_id, now_ms)  # nothing is owed any more; what was not delivered yet is refunded
    db.execute("UPDATE job SET deleted_at = ?, spec = '{}', error_text = NULL WHERE id = ?", (now_ms, job_id))
    image_rows.end_files_of_job(db, job_id)
    return image_rows.forget(db, job_id) + image_rows.forget_inputs(db, job_id)


def collect(db: sqlite3.Connection, job_id: int, now_ms: int) -> Job:
    """Take the price of a result that could not be delivered, and owe it again; any other job stays as it is.

    Raises: NotFound, NotEnoughCredits.
    """
    job = get(db, job_id)
    if not job.unpaid:
        return job
    person = users.get(db, job.user_id)
    price_mc = job.price_mc * len(image_rows.of_job(db, job_id)) // job.spec.num_images
    if price_mc:
        transfers.reserve(db, person, _server_of(db, job_id), job_id, price_mc, now_ms, again=f":{now_ms}")
        transfers.resolve(db, job_id, price_mc, now_ms)
    db.execute(
        "UPDATE job SET state = 'rendered', charged = ?, error_code = NULL, error_text = NULL WHERE id = ?",
        (price_mc, job_id),
    )
    deliveries.begin_again(db, job_id)
    return get(db, job_id)


def _server_of(db: sqlite3.Connection, job_id: int) -> int:
    """Whose credits pay for it."""
    return int(db.execute("SELECT server_id FROM job WHERE id = ?", (job_id,)).fetchone()["server_id"])


def hand_over(db: sqlite3.Connection, job_id: int, allowance_mc: int, limits: Limits, now_ms: int) -> Job:
    """Let a member have a result that could not be delivered, now and for its price. Raises: as `collect`."""
    job = get(db, job_id)
    if not job.unpaid:
        return job
    if job.price_mc:
        allowance.renew(db, job.user_id, _server_of(db, job_id), allowance_mc, limits.period, now_ms)
    collect(db, job_id, now_ms)
    deliveries.handed_over(db, job_id, now_ms)
    return get(db, job_id)


def history(db: sqlite3.Connection, user_id: int, guild_id: int, before_id: int | None, limit: int) -> list[Job]:
    rows = db.execute(
        f"{SELECT_JOB} WHERE u.discord_id = ? AND j.guild_id = ? AND j.deleted_at IS NULL AND j.id < ?"
        " ORDER BY j.id DESC LIMIT ?",
        (user_id, guild_id, NEWEST if before_id is None else before_id, limit),
    )
    return [Job.from_row(row) for row in rows]


def active_in(db: sqlite3.Connection, guild_id: int | None) -> list[Job]:
    """Everybody's active jobs in a server (None = in all), in the order they will be served."""
    rows = db.execute(
        f"{SELECT_JOB} WHERE (? IS NULL OR j.guild_id = ?) AND j.state IN ('queued', 'running')"
        " ORDER BY j.state = 'queued', j.vtime, j.id",
        (guild_id, guild_id),
    )
    return [Job.from_row(row) for row in rows]


def active(db: sqlite3.Connection, user_id: int, guild_id: int) -> list[Job]:
    rows = db.execute(
        f"{SELECT_JOB} WHERE u.discord_id = ? AND j.guild_id = ? AND j.state IN ('queued', 'running')"
        " ORDER BY j.state = 'queued', j.vtime, j.id",
        (user_id, guild_id),
    )
    return [Job.from_row(row) for row in rows]
