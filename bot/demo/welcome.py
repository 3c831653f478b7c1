"""What the demo's channel opens with: a welcome with examples to press, and the last pictures of earlier runs."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import discord
from discord.ui import LayoutView, TextDisplay
from PIL import Image

from bot.delivery.image_tools import grid
from bot.demo.simulation import Stage
from bot.errors import NotFound
from bot.features.describe import saved_drafts
from bot.features.describe.saved_drafts import Offer
from bot.jobs.records import Job
from bot.kit.button import Button
from bot.kit.components import ACCENT, gallery, row, view
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import N_, _
from bot.prompt.parser import Draft

PICTURE = "welcome.webp"
WORDS = N_(
    "### Welcome! I'm Easel.\n"
    "I paint what you describe. Press one of these, or type **/imagine** and say it in your own words."
)
NOTE = N_("-# Painted by Easel Mini, the small model that comes along. Under every picture are buttons to go on with.")


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt to press. `seed`: of its part of the picture; a press paints with new ones."""

    emoji: str
    prompt: str
    seed: int


EXAMPLES = (
    Example("🍄", "a red mushroom in a meadow", 2),
    Example("⛵", "a red boat on the sea", 2),
    Example("🐟", "an orange fish underwater", 2),
    Example("⭐", "a yellow star in the night sky", 5),
)
REPOSTED = 6  # jobs of the last run


async def post(running: Stage, since_ms: int) -> Callable[[], Coroutine[Any, Any, None]]:
    """Post the welcome, as of the first start of this data directory, then what was painted last.

    Returns what says the welcome anew, in the language that is spoken then.
    """
    numbers = await _offer(running)
    file = discord.File(io.BytesIO(picture()), filename=PICTURE)
    message = await _post(running, _layout(numbers), file, since_ms)
    for job in await _newest(running):
        await _repost(running, job)

    async def say_again() -> None:
        await message.edit(view=_layout(numbers))
        running.env.post_as_of(message.id, running.channel.id, since_ms)

    return say_again


def picture() -> bytes:
    """The welcome's picture: one of each example."""
    return _path().read_bytes()


def repaint() -> None:
    """Paint the picture anew into the source tree; needed after Easel Mini was trained anew."""
    with TemporaryDirectory() as folder:
        files = [Path(folder, f"{number}.png") for number in range(len(EXAMPLES))]
        for example, file in zip(EXAMPLES, files, strict=True):
            asked = [example.prompt, "--seed", str(example.seed), "--out", str(file)]
            subprocess.run([sys.executable, "-m", "bot", "imagine", *asked], check=True)
        grid([Image.open(file) for file in files]).save(_path(), quality=85)


def _path() -> Path:
    return Path(__file__).parent / "static" / PICTURE


def _layout(numbers: Sequence[int]) -> LayoutView:
    buttons = [
        Button(ButtonId(Action.RERUN, number), each.prompt, emoji=each.emoji, style=discord.ButtonStyle.primary)
        for number, each in zip(numbers, EXAMPLES, strict=True)
    ]
    shown = gallery(PICTURE, _("Four pictures: {prompts}", prompts="; ".join(each.prompt for each in EXAMPLES)))
    return view([TextDisplay(_(WORDS)), shown, row(*buttons[:2]), row(*buttons[2:]), TextDisplay(_(NOTE))], ACCENT)


async def _offer(running: Stage) -> list[int]:
    """Keep the examples, so that anybody can press them; the numbers of their buttons."""
    numbers = []
    for example in EXAMPLES:
        number = running.env.new_id()
        offer = Offer(
            user_id=running.env.bot_id,
            guild_id=running.guild.id,
            channel_id=running.channel.id,
            private=False,
            aged=False,
            drafts=(Draft(prompt=example.prompt),),
        )
        await saved_drafts.keep(running.app.key_values, number, offer)
        numbers.append(number)
    return numbers


async def _newest(running: Stage) -> list[Job]:
    """The newest delivered jobs of everybody here, oldest first: the simulated Discord forgets them, Easel doesn't."""
    jobs = [
        job
        for member in running.members.values()
        for job in await running.app.jobs.history(member.id, running.guild.id, limit=REPOSTED)
        if job.state == "done" and not job.private
    ]
    return sorted(jobs, key=lambda job: job.id)[-REPOSTED:]


async def _repost(running: Stage, job: Job) -> None:
    with suppress(NotFound):  # its files were removed
        layout, upload = await running.app.messages.result(job, await running.app.jobs.images(job.id))
        file = discord.File(io.BytesIO(upload.data), filename=upload.name)
        await _post(running, layout, file, job.finished_at or job.created_at)


async def _post(running: Stage, layout: LayoutView, file: discord.File, at_ms: int) -> discord.Message:
    channel = running.bot.get_partial_messageable(running.channel.id)
    message = await channel.send(view=layout, file=file)
    running.env.post_as_of(message.id, running.channel.id, at_ms)
    return message


if __name__ == "__main__":
    repaint()
