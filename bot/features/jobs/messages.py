"""Taking a deleted job's message away from Discord."""

from __future__ import annotations

import logging

import discord

from bot.jobs.records import Job

log = logging.getLogger(__name__)


async def take_down(client: discord.Client, job: Job) -> None:
    """Delete the message that shows a public job, if Discord lets us; copies of it are other messages."""
    if job.message_id is None or job.private:
        return
    message = client.get_partial_messageable(job.channel_id).get_partial_message(job.message_id)
    try:
        await message.delete()
    except discord.HTTPException as error:
        log.info("the message of job %d could not be deleted: %s", job.id, error)
