"""Pictures that lie at Discord: attachments, previews of links, links to attachments. Read from nowhere else.

A picture is read as it is; one that is too large, or of a format that isn't read here, comes through Discord's media
proxy, which makes it smaller and another format.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import sqrt
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import discord

from bot.errors import BadInput, NotFound
from bot.kit.client import Interaction
from bot.languages.speech import N_, _
from bot.orders.uploads import STRANGERS, Upload, check_size
from bot.threads.pools import UPLOADS

CDN_LINK = re.compile(
    r"https://(?:cdn\.discordapp\.com|media\.discordapp\.net)/(?:ephemeral-)?attachments/\d{1,20}/\d{1,20}/[^\s?#]{1,300}"
    r"(?:\?[\w=&%.-]{0,400})?"
)
PROXY_HOSTS = re.compile(r"media\.discordapp\.net|images-ext-\d\.discordapp\.net")
NO_PICTURES = ("video/", "audio/", "text/", "application/pdf", "application/zip", "application/json")
FETCH_S = 30.0  # Discord's files come in a second or two
GONE = N_("Discord no longer has that picture. Attach it again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordFile:
    """A picture at Discord.

    Attributes:
        url: the file itself; "" = only the proxy has it. proxy_url: where the media proxy gives it; "" = nowhere.
        size_bytes: 0 = unknown. size: width and height in pixels; (0, 0) = unknown.
    """

    url: str
    proxy_url: str = ""
    size_bytes: int = 0
    size: tuple[int, int] = (0, 0)

    @classmethod
    def attached(cls, attachment: discord.Attachment) -> DiscordFile:
        proxied = attachment.proxy_url if _is_proxy(attachment.proxy_url) else ""
        size = attachment.width or 0, attachment.height or 0
        return cls(url=attachment.url, proxy_url=proxied, size_bytes=attachment.size, size=size)

    @classmethod
    def previewed(cls, embed: discord.Embed) -> DiscordFile | None:
        """The picture of a link's preview: Discord's copy of it, never the address itself."""
        for shown in (embed.image, embed.thumbnail):
            if shown.proxy_url and _is_proxy(shown.proxy_url):
                return cls(url="", proxy_url=shown.proxy_url, size=(shown.width or 0, shown.height or 0))
        return None

    @classmethod
    def linked(cls, link: str) -> DiscordFile:
        """What a link to an attachment leads to; it must match `CDN_LINK`. Its size isn't known before it's read."""
        parts = urlsplit(link)
        return cls(url="", proxy_url=urlunsplit(parts._replace(netloc="media.discordapp.net")))

    def through_proxy(self) -> str:
        """The address of a copy that is small enough and of a format that is read here; "" when there is none."""
        if not self.proxy_url:
            return ""
        parts = urlsplit(self.proxy_url)
        asked = {**dict(parse_qsl(parts.query)), "format": "webp", "quality": "lossless", "animated": "false"}
        if all(self.size):
            scale = min(1.0, sqrt(STRANGERS.read_px["WEBP"] / (self.size[0] * self.size[1])))
            asked |= {"width": str(int(self.size[0] * scale)), "height": str(int(self.size[1] * scale))}
        return urlunsplit(parts._replace(query=urlencode(asked)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """A picture that was read. `data`: the file as it came, with what it says about itself."""

    upload: Upload
    data: bytes


async def read(interaction: Interaction, file: DiscordFile, reader: Callable[[bytes], Upload]) -> ReadFile:
    """Fetch a picture and read it. Raises: BadInput, NotFound, Busy."""
    copy, data, refusal = file.through_proxy(), b"", None
    if file.url and (file.size_bytes <= STRANGERS.size_bytes or not copy):
        check_size(file.size_bytes)
        data = await fetch(interaction, file.url)
        try:
            return ReadFile(upload=await UPLOADS.run(reader, data), data=data)
        except BadInput as refused:
            if not copy:
                raise
            refusal = refused
    try:
        smaller = await fetch(interaction, copy)
        upload = await UPLOADS.run(reader, smaller)
    except (BadInput, NotFound) as failure:  # the proxy doesn't read everything either
        raise refusal or failure from None
    return ReadFile(upload=_noted(upload, file), data=data or smaller)


async def fetch(interaction: Interaction, url: str) -> bytes:
    """A file of Discord's. Raises: NotFound."""
    try:
        async with asyncio.timeout(FETCH_S):
            return await interaction.client.http.get_from_cdn(url)
    except (discord.NotFound, discord.Forbidden):
        raise NotFound(GONE) from None
    except (discord.HTTPException, TimeoutError, OSError):
        raise NotFound("Discord didn't send that picture. Try again, or attach it as PNG or JPEG.") from None


def pictures_of(message: discord.Message) -> list[DiscordFile]:
    """What a message shows, its own attachments first, then forwarded ones, then the previews of its links."""
    forwarded = [each for snapshot in message.message_snapshots for each in snapshot.attachments]
    attached = [DiscordFile.attached(each) for each in (*message.attachments, *forwarded) if may_be_picture(each)]
    embeds = [*message.embeds, *(each for snapshot in message.message_snapshots for each in snapshot.embeds)]
    return [*attached, *_previews(embeds)]


def may_be_picture(attachment: discord.Attachment) -> bool:
    """Whether to look inside: Discord's word for the content is a guess by the name, or missing."""
    kind = attachment.content_type or ""
    return not kind.startswith(NO_PICTURES)


def _previews(embeds: Iterable[discord.Embed]) -> list[DiscordFile]:
    return [found for embed in embeds if (found := DiscordFile.previewed(embed))]


def _is_proxy(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and PROXY_HOSTS.fullmatch(parts.netloc) is not None


def _noted(upload: Upload, file: DiscordFile) -> Upload:
    """With what the proxy did."""
    before, after = file.size, upload.image.size
    if not all(before) or before == after:
        return upload
    scaled = _(
        "The picture was scaled from {before} to {after}.",
        before=f"{before[0]}x{before[1]}",
        after=f"{after[0]}x{after[1]}",
    )
    return replace(upload, notes=(*(note for note in upload.notes if "scaled" not in note), scaled))
