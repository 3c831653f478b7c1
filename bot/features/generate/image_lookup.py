"""Which picture somebody means: in a message, behind a link, of one of their own jobs, or an attachment.

Our own pictures are found by the ids in their message's buttons and read from our own files; of other messages only
what lies at Discord is taken, never an address. Nothing is found that its person could not see themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import discord
from discord.app_commands import Choice
from PIL import Image

from bot.delivery import image_tools, pickers
from bot.errors import BadInput, NotFound, Refused
from bot.features.generate import discord_files
from bot.features.generate.discord_files import CDN_LINK, DiscordFile
from bot.features.generate.submission import Submission
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.kit.client import Interaction
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.interactions import can_read, check_visible, is_age_restricted, viewer_of
from bot.languages.speech import N_
from bot.orders.uploads import read_layers, read_upload
from bot.orders.visibility import may_see
from bot.prompt.text import visible
from bot.threads.pools import PICTURES

LINK = re.compile(r"https://(?:\w{1,12}\.)?discord(?:app)?\.com/channels/(@me|\d{1,20})/(\d{1,20})/(\d{1,20})")
OWN_JOB = re.compile(r"#?(\d{1,15})(?:[.\-/ ]u?(\d{1,2}))?", re.IGNORECASE)
UNDER_EVERY_PICTURE = frozenset({Action.REMIX, Action.SEED, Action.DELETE, Action.REMOVE})  # they number an image
JOBS_OFFERED, CHOICES = 12, 25  # the latter is Discord's
UNREADABLE = N_(
    "I can't see an image in that message. Use **Apps** in its own menu instead (right-click it, or press and hold), "
    "or attach the picture."
)


class Services(Protocol):
    """What this module works with."""

    files: ImageFiles
    submission: Submission
    jobs: Jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImage:
    """What was pointed at: pictures of one of our jobs, or a picture that lies at Discord.

    Attributes:
        images: of `job`, the ones the message shows: one, or those of a grid; empty for a `file`.
    """

    job: Job | None = None
    images: tuple[StoredImage, ...] = ()
    file: DiscordFile | None = None

    def check_single(self) -> None:
        """Raises: BadInput when a whole grid was meant."""
        if len(self.images) > 1:
            raise BadInput(
                "That message shows {count_images} pictures. Press U1 to U{count_images} under it first, and use "
                "this on the one you get.",
                count_images=len(self.images),
            )

    @property
    def image(self) -> StoredImage | None:
        """The one picture of ours; None for a file. Raises: BadInput when a whole grid was meant."""
        self.check_single()
        return self.images[0] if self.images else None


async def in_message(app: Services, interaction: Interaction, message: discord.Message) -> FoundImage:
    """The picture that a message shows. Raises: NotFound, BadInput."""
    me = interaction.client.user
    ours = me is not None and message.author.id == me.id
    if ours and (ids := list(image_ids(message.components))):
        return await _stored(app, interaction, ids)
    if files := discord_files.pictures_of(message):
        return FoundImage(file=files[0])
    answered = await replied_to(interaction, message)
    if answered is not None and answered.reference is None:
        return await in_message(app, interaction, answered)
    raise NotFound("I can't find a picture in that message.")


async def in_text(app: Services, interaction: Interaction, text: str) -> FoundImage:
    """The picture that a text names: the link of a message here or of an attachment, or a job (`12`, or `12.3`).

    Raises: NotFound, BadInput.
    """
    text = text.strip()
    if link := LINK.fullmatch(text):
        return await in_message(app, interaction, await _linked(interaction, *link.groups()))
    if own := OWN_JOB.fullmatch(text):
        return await _of_job(app, interaction, int(own[1]), int(own[2]) if own[2] else None)
    if CDN_LINK.fullmatch(text):
        return FoundImage(file=DiscordFile.linked(text))
    raise BadInput(
        "I couldn't find an image in that. Use a message's link (its menu has **Copy Message Link**), or a job's "
        "number as **/history** shows it: 12, or 12.3 for its third picture."
    )


async def from_options(
    app: Services, interaction: Interaction, image: discord.Attachment | None, source: str | None
) -> FoundImage:
    """The picture of a command that takes an attachment or a text that names one. Raises: NotFound, BadInput."""
    if image is not None:
        return FoundImage(file=DiscordFile.attached(image))
    if source:
        return await in_text(app, interaction, source)
    raise BadInput("Attach a picture, or name one: a message's link, or a job's number such as 12.3.")


def own_pictures(app: Services) -> Callable[[Interaction, str], Coroutine[Any, Any, list[Choice[str]]]]:
    """Return the autocomplete of the option `source`: a member's newest images here, with their colours."""
    swatches = pickers.Swatches()

    async def complete(interaction: Interaction, typed: str) -> list[Choice[str]]:
        jobs = await app.jobs.history(interaction.user.id, interaction.guild_id or 0, limit=JOBS_OFFERED)
        viewer = viewer_of(interaction)
        wanted = typed.strip().lstrip("#").casefold()
        found: list[Choice[str]] = []
        for job in (job for job in jobs if job.state == "done" and may_see(viewer, job)):
            what = visible(job.spec.prompt) or job.kind
            for image in await app.jobs.images(job.id):
                number = f"{job.id}.{image.ordinal + 1}" if job.spec.num_images > 1 else f"{job.id}"
                if len(found) < CHOICES and (number.startswith(wanted) or wanted in what.casefold()):
                    colours = await swatches.of(app.files, image)
                    found.append(Choice(name=f"{colours} #{number} · {what}".strip()[:100], value=number))
        return found

    return complete


async def data(app: Services, interaction: Interaction, found: FoundImage) -> bytes:
    """The file as it is, metadata and all. Raises: NotFound, BadInput."""
    if found.file is not None:
        return (await discord_files.read(interaction, found.file, read_upload)).data
    image = found.image
    assert image is not None
    return await app.files.read(image.path, image.sha256)


async def file_and_layers(
    app: Services, interaction: Interaction, found: FoundImage
) -> tuple[bytes, Image.Image | None]:
    """The file as it is, and a stranger's picture with its transparency. Raises: NotFound, BadInput."""
    if found.file is None:
        return await data(app, interaction, found), None
    read = await discord_files.read(interaction, found.file, read_layers)
    return read.data, read.upload.image


async def picture(app: Services, interaction: Interaction, found: FoundImage) -> Image.Image:
    """The picture as RGB, checked like every upload. Raises: NotFound, BadInput, Refused."""
    if found.file is None:
        return await PICTURES.run(image_tools.opened, await data(app, interaction, found))
    image = (await discord_files.read(interaction, found.file, read_upload)).upload.image
    await app.submission.check_upload(interaction, image)
    return image


# ---------------------------------------------------------------- our own messages
def image_ids(components: Iterable[Any]) -> Iterator[int]:
    """The image numbers in a message's buttons: those of U1 to U4, or else the first one."""
    shown = presses(components)
    picks = [press.number for press in shown if press.action in (Action.PICK, Action.FINISH)]
    others = [press.number for press in shown if press.action in UNDER_EVERY_PICTURE]
    yield from picks or others[:1]


def presses(components: Iterable[Any]) -> list[ButtonId]:
    """What a message's buttons mean, in their order."""
    return [press for item in _flat(components) if (press := ButtonId.parse(getattr(item, "custom_id", "") or ""))]


def _flat(components: Iterable[Any]) -> Iterator[Any]:
    for component in components:
        yield component
        yield from _flat(getattr(component, "children", ()))
        if (accessory := getattr(component, "accessory", None)) is not None:
            yield accessory


async def _stored(app: Services, interaction: Interaction, ids: list[int]) -> FoundImage:
    found = [await app.jobs.image(image_id) for image_id in ids]
    job = found[0][0]
    images = tuple(image for owner, image in found if owner.id == job.id)
    check_visible(interaction, job)
    return FoundImage(job=job, images=images)


async def _of_job(app: Services, interaction: Interaction, job_id: int, number: int | None) -> FoundImage:
    """A job's pictures; number 1.. picks one. Raises: NotFound, BadInput."""
    job = await app.jobs.get(job_id)
    check_visible(interaction, job)
    images = await app.jobs.images(job_id)
    if not images or (number is not None and not 0 < number <= len(images)):
        raise NotFound(
            "Job {job_id} has {count_images} pictures. Look at **/history**.", job_id=job_id, count_images=len(images)
        )
    return FoundImage(job=job, images=tuple(images if number is None else images[number - 1 : number]))


async def replied_to(interaction: Interaction, message: discord.Message) -> discord.Message | None:
    """What a message replies to, which is shown above it; None when that is elsewhere or gone."""
    reference = message.reference
    if reference is None or reference.message_id is None or reference.channel_id != interaction.channel_id:
        return None
    if isinstance(known := reference.resolved or reference.cached_message, discord.Message):
        return known
    if isinstance(interaction.channel, discord.abc.Messageable):
        with suppress(discord.NotFound, discord.Forbidden):
            return await interaction.channel.fetch_message(reference.message_id)
    return None


# ---------------------------------------------------------------- links
async def _linked(interaction: Interaction, guild: str, channel_id: str, message_id: str) -> discord.Message:
    """The message of a link, if this person can read it too. Raises: NotFound, Refused."""
    if guild != str(interaction.guild_id or "@me"):
        raise NotFound("That link is from another server. Use a link to a message here.")
    channel: Any = interaction.channel if int(channel_id) == interaction.channel_id else None
    if channel is None and interaction.guild is not None:
        channel = interaction.guild.get_channel_or_thread(int(channel_id))
    if not isinstance(channel, discord.abc.Messageable) or not _readable(interaction, channel):
        raise NotFound("I can't find a message there that we can both read.")
    if is_age_restricted(channel) and not is_age_restricted(interaction.channel):
        raise Refused("That message is in an age-restricted channel. It can only be used in one.")
    try:
        message = await channel.fetch_message(int(message_id))
    except (discord.NotFound, discord.Forbidden):
        raise NotFound("I can't find a message there that we can both read.") from None
    # without the message content intent Discord shows us nothing of other people's messages
    if not message.components and not discord_files.pictures_of(message) and message.reference is None:
        raise NotFound(UNREADABLE)
    return message


def _readable(interaction: Interaction, channel: Any) -> bool:
    """Whether the person who asks may read a channel."""
    if channel.id == interaction.channel_id:
        return True
    return isinstance(interaction.user, discord.Member) and can_read(interaction.user, channel)
