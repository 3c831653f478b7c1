"""`easel admin`: grant, ban, audit, stats and export for whoever runs the bot, also while it runs.

Each is one short transaction on a connection of its own. What the running bot keeps in memory is not touched by any.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import zipfile

from bot.config import Settings
from bot.errors import BadInput, NotFound
from bot.features.api import acts as api_acts
from bot.features.api.store import KeyHolder
from bot.features.audit import store as audit_store
from bot.features.audit.acts import Author
from bot.features.audit.service import EASEL, EXPORT_MAX, to_csv
from bot.features.audit.store import AuditEntry, AuditQuery
from bot.features.credits import acts as credit_acts
from bot.features.jobs import acts as job_acts
from bot.features.moderation import acts as moderation_acts
from bot.features.moderation import store as moderation_store
from bot.features.moderation.store import Ban
from bot.features.privacy import personal_data
from bot.features.privacy.service import entries_of
from bot.features.stats import charts
from bot.features.stats import service as stats
from bot.features.stats import store as statistics
from bot.jobs import deliveries, lifecycle
from bot.ledger.records import CreditChange
from bot.prompt.durations import ends_at_ms
from bot.prompt.text import visible
from bot.store import users
from bot.store.clock import Clock, SystemClock
from bot.store.external_connection import reading, writing

BY = "the command line"
UNDELIVERED_MAX = 1000  # jobs listed


def run(args: argparse.Namespace, settings: Settings, clock: Clock | None = None) -> int:
    """Carry out one subcommand. Raises: UserError, StoreError."""
    topics = {
        **{"grant": _grant, "ban": _ban, "audit": _audit, "stats": _stats},
        **{"undelivered": _undelivered, "export": _export, "key": _key},
    }
    topics[args.topic](args, settings, clock or SystemClock())
    return 0


def _grant(args: argparse.Namespace, settings: Settings, clock: Clock) -> None:
    amount_mc, now_ms = round(args.credits * 1000), clock.now_ms()
    key = f"cli:{args.key or secrets.token_hex(8)}"
    reason = visible(args.reason)[:200] or "granted"
    change = CreditChange(
        user_id=args.user, guild_id=args.guild, amount_mc=amount_mc, reason=reason, key=key, now_ms=now_ms
    )
    with writing(settings.database_path) as db:
        granted, _ = credit_acts.grant(db, _author(args, now_ms), change, reason)
    if not granted:
        print(f"The key {args.key} was used already; nothing was granted again.")
        return
    print(f"Granted {args.credits:g} credits to {args.user} {_where(args.guild)}.")


def _ban(args: argparse.Namespace, settings: Settings, clock: Clock) -> None:
    now_ms = clock.now_ms()
    if args.user is None:
        with reading(settings.database_path) as db:
            found = moderation_store.bans(db, args.guild, now_ms)
        lines = [f"{ban.user_id}  {_until(ban)}  {visible(ban.reason)}" for ban in found]
        print("\n".join(lines) or f"No one is banned {_where(args.guild)}.")
        return
    until_ms, by = ends_at_ms(args.until, now_ms), _author(args, now_ms)
    with writing(settings.database_path) as db:
        if args.lift:
            moderation_acts.unban(db, by, args.user)
        else:
            moderation_acts.ban(db, by, args.user, args.reason, until_ms, settings.operators)
    print(f"{args.user} {'can use Easel again' if args.lift else 'is banned'} {_where(args.guild)}.")


def _audit(args: argparse.Namespace, settings: Settings, _clock: Clock) -> None:
    query = AuditQuery(guild_id=args.guild, actor_id=args.actor, action=args.action, target=args.target, text=args.text)
    with reading(settings.database_path) as db:
        found = audit_store.search(db, query, EXPORT_MAX if args.csv else args.limit)
    if args.csv:
        args.csv.write_bytes(to_csv(found))
        print(f"Wrote {len(found)} entries to {args.csv}.")
    else:
        print("\n".join(map(_entry_line, found)) or "No entries match.")


def _entry_line(entry: AuditEntry) -> str:
    rest = " ".join(f"{name}={visible(str(value))}" for name, value in entry.details.items())
    when = stats.moment(entry.at_ms)
    return f"#{entry.id}  {when}  {entry.guild_id}  {entry.actor_id}  {entry.action}  {visible(entry.target)}  {rest}"


def _stats(args: argparse.Namespace, settings: Settings, clock: Clock) -> None:
    if not 1 <= args.days <= 3650:
        raise BadInput("The days can be 1 to 3650.")
    with reading(settings.database_path) as db:
        found = statistics.figures(db, args.guild, args.days, clock.now_ms())
    for path, make in ((args.csv, stats.to_csv), (args.png, charts.stats)):
        if path is not None:
            path.write_bytes(make(found))
            print(f"Wrote {path}.")
    print("\n".join(stats.summary(found)))


def _undelivered(args: argparse.Namespace, settings: Settings, clock: Clock) -> None:
    if args.again is not None:
        author = Author(actor_id=EASEL, guild_id=args.guild or 0, now_ms=clock.now_ms(), through=BY)
        with writing(settings.database_path) as db:
            job, _ = job_acts.deliver_again(db, author, args.again)
        print(f"The images of job {job.id} are owed again. A running bot delivers them within half a minute.")
        return
    with reading(settings.database_path) as db:
        jobs = [lifecycle.get(db, job_id) for job_id in deliveries.undelivered(db, args.guild, UNDELIVERED_MAX)]
    lines = [f"#{job.id}  {stats.moment(job.created_at)}  {job.guild_id}  {job.user_id}" for job in jobs]
    print("\n".join(lines) or "Every image was delivered.")


def _key(args: argparse.Namespace, settings: Settings, clock: Clock) -> None:
    by = _author(args, clock.now_ms())
    with writing(settings.database_path) as db:
        if args.revoke:
            count, _ = api_acts.revoke_keys(db, by, args.user)
            print(f"{count} keys of {args.user} are good no more.")
            return
        key, _ = api_acts.make_key(db, by, KeyHolder(user_id=args.user, guild_id=args.guild, channel_id=args.channel))
    print(key)
    if not settings.api:
        print("Set EASEL_API=true and start Easel again, so that keys can be used.", file=sys.stderr)


def _export(args: argparse.Namespace, settings: Settings, clock: Clock) -> None:
    with reading(settings.database_path) as db:
        person = users.find(db, args.user)
        if person is None:
            raise NotFound(f"Easel has no data about {args.user}.")
        entries = entries_of(personal_data.export(db, person, args.user), clock.now_ms())
    missing = 0
    with zipfile.ZipFile(args.out, "w", zipfile.ZIP_DEFLATED) as file:
        for entry in entries:
            source = settings.images_dir / entry.path if entry.path else None
            if source is None:
                file.writestr(entry.name, entry.data)
            elif source.exists():
                file.write(source, entry.name, zipfile.ZIP_STORED)
            else:
                missing += 1
    gone = f"; {missing} images are missing from the disk" if missing else ""
    print(f"Wrote {len(entries) - missing} files to {args.out}{gone}.")


def _author(args: argparse.Namespace, now_ms: int) -> Author:
    return Author(actor_id=EASEL, guild_id=args.guild, now_ms=now_ms, through=BY)


def _where(guild_id: int) -> str:
    return f"in server {guild_id}" if guild_id else "everywhere"


def _until(ban: Ban) -> str:
    return "for good" if ban.until_ms is None else f"until {stats.moment(ban.until_ms)}"
