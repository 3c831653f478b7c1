"""What happens behind the mask editor's page: its picture, and the job that a mask becomes in Discord."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol

import discord

from bot.delivery import image_tools
from bot.delivery.job_messages import JobMessages
from bot.errors import BadInput, MissingPermission, NotFound
from bot.features.moderation.service import Moderation
from bot.features.region import inpaint as inpainting
from bot.features.region import masks as region_masks
from bot.features.region.editor_server import EditorPage, PriceChanged
from bot.features.region.selection import RegionSelection
from bot.features.region.store import EditorPass, Region
from bot.features.servers.direct_messages import DirectMessages
from bot.kit.client import Client
from bot.kit.components import NOBODY, notice
from bot.kit.interactions import can_read, is_age_restricted, reader
from bot.languages.speech import N_, _, later
from bot.ledger.amounts import credits_text
from bot.orders.actor import Actor
from bot.orders.service import UNASKED_MC, Order, Reply
from bot.orders.uploads import check_size, read_layers
from bot.orders.visibility import Viewer
from bot.store.clock import Clock
from bot.store.ttl_cache import TTLCache
from bot.threads.pools import EDITOR

SHOWN_PX = 1536  # of the picture on the page: sharp enough to mark, small enough for a phone's canvas
PICTURES_KEPT = 32  # of about 200 KiB
TURNS = 2  # pictures that are made at a time
SEEN_MS = 5_000  # that its person may see a picture is believed for so long, for looking at it
SQUEEZES = N_(
    "These words tell the whole picture, and what you marked is small: all of that would be squeezed into it. "
    "Say only what should appear there, or press Paint once more."
)
ONE_JOB = N_("The editor paints one job. Take out the choices in braces and --repeat.")


class Services(inpainting.Services, Protocol):
    """What the editor works with."""

    clock: Clock
    direct_messages: DirectMessages
    messages: JobMessages
    moderation: Moderation
    region_selection: RegionSelection


class DiscordEditorService:
    """What the editor's page asks of one bot; see `bot.features.region.editor_server.EditorService`."""

    def __init__(self, client: Client, app: Services) -> None:
        self._client, self._app = client, app
        self._viewers = TTLCache(app.clock, SEEN_MS)
        self._pictures: OrderedDict[str, asyncio.Task[bytes]] = OrderedDict()
        self._turns = asyncio.Semaphore(TURNS)

    async def open(self, token: str) -> EditorPage | None:
        found = await self._look(token)
        return EditorPage(prompt=found.region.prompt) if found else None

    async def picture(self, token: str) -> bytes | None:
        found = await self._look(token)
        if found is None:
            return None
        return await self._shown(found.region.source)

    async def welcomes(self, token: str) -> bool | None:
        found = await self._look(token)
        if found is None:
            return None
        await self._app.submission.orders.check_welcome((await self._seen(found.region)).actor)
        return True

    async def send(self, token: str, mask: bytes, prompt: str, *, agreed: bool) -> bool | None:
        choosing = self._app.region_selection
        found = await choosing.use(token)
        if found is None:
            return None
        try:
            await self._start(found, mask, prompt, agreed)
        except BaseException:  # also when the page is closed meanwhile: the link must stay good
            await choosing.give_back(token)
            raise
        await choosing.finish(token)
        return True

    async def _shown(self, source: str) -> bytes:
        """A stored picture as the page shows it; made once for all who ask for it. Raises: NotFound."""
        making = self._pictures.get(source)
        if making is None or (making.done() and (making.cancelled() or making.exception())):
            making = self._pictures[source] = asyncio.create_task(self._made(source))
        self._pictures.move_to_end(source)
        while len(self._pictures) > PICTURES_KEPT:
            self._pictures.popitem(last=False)
        return await asyncio.shield(making)

    async def _made(self, source: str) -> bytes:
        async with self._turns:  # a picture of 16 megapixels lies there twice
            data = await inpainting.stored(self._app, source)
            return await EDITOR.run_always(_webp, data)

    async def _look(self, token: str) -> EditorPass | None:
        """What a link is good for. Raises: UserError when its person may not see the picture any more."""
        found = await self._app.region_selection.look(token)
        if found is not None:
            await self._seen(found.region)
        return found

    async def _seen(self, region: Region) -> Viewer:
        """Who holds a link, as of some seconds ago: Discord isn't asked anew for every picture of a page."""
        return await self._viewers.get(region.id, lambda: self._viewer(region))

    async def _viewer(self, region: Region) -> Viewer:
        """Who holds a link, as they are now. Raises: Banned, NotFound, Refused, MissingPermission, Busy."""
        shared = () if region.guild_id else await self._app.direct_messages.shared(region.user_id)
        viewer = await viewer_of(self._client, region, shared)
        await self._app.moderation.check_person(viewer.actor)
        await inpainting.check_visible(self._app, viewer, region)
        return viewer

    async def _start(self, found: EditorPass, data: bytes, line: str, agreed: bool) -> None:
        """Queue the job and show it in its channel. Raises: UserError, EngineError; nothing was queued then."""
        region = found.region
        actor = (await self._viewer(region)).actor
        check_size(len(data))
        mask = await EDITOR.run(lambda: region_masks.from_editor(read_layers(data).image, region.size))
        order = await inpainting.order(self._app, self._client, actor, region, mask, line, None)
        if len(order.specs) > 1:
            raise BadInput(ONE_JOB)
        if order.squeezes and not agreed:
            raise PriceChanged(SQUEEZES)
        price = self._app.submission.orders.price_mc(*order.specs)
        if price > UNASKED_MC and not agreed:
            raise PriceChanged("This costs {price}. Press Paint once more to agree.", price=later(credits_text, price))
        await self._app.submission.orders.check_allowed(actor, order)
        message = None if region.private else await self._message(region)
        try:
            await self._submit(actor, found, order, message)
        except BaseException:  # also when it is called off: no message may stand for a job that is none
            if message is not None:
                await message.delete()
            raise

    async def _submit(self, actor: Actor, found: EditorPass, order: Order, message: discord.Message | None) -> None:
        reply = Reply(
            interaction_id=found.interaction_id,  # nothing else was queued by the message that held the link
            application_id=found.application_id,
            token=found.reply_token or "",
            message_id=message.id if message else found.message_id,
        )
        [job] = await self._app.submission.orders.submit(actor, order, reply)
        await self._app.messages.announce(job, await self._app.jobs.position(job.id) or 0)

    async def _message(self, region: Region) -> discord.Message:
        """The message that will show the job; there is no interaction to answer."""
        channel = self._client.get_partial_messageable(region.channel_id)
        try:
            return await channel.send(view=notice(_("In the queue …")), allowed_mentions=NOBODY)
        except (discord.Forbidden, discord.NotFound):
            raise MissingPermission(
                "I can't post in that channel anymore. Ask an admin, or use another channel."
            ) from None


async def viewer_of(client: Client, region: Region, shared: tuple[Actor, ...]) -> Viewer:
    """Who sends a mask, as they are now: the link may be an hour old. Raises: NotFound, MissingPermission."""
    operator = client.is_operator(region.user_id)
    if not region.guild_id:
        place = region.channel_id
        alone = Actor(user_id=region.user_id, guild_id=0, channel_id=place, is_operator=operator, shared=shared)
        return Viewer(actor=alone, reads=lambda _: False)
    guild = client.get_guild(region.guild_id)
    if guild is None:
        raise NotFound("Easel is no longer in that server.")
    try:
        member = await guild.fetch_member(region.user_id)
        channel = guild.get_channel_or_thread(region.channel_id) or await guild.fetch_channel(region.channel_id)
    except discord.NotFound:
        raise NotFound("You're no longer in that server, or the channel is gone.") from None
    except discord.Forbidden:
        raise MissingPermission("I can't see that channel anymore. Ask an admin, or use another channel.") from None
    if not (can_read(member, channel) or await _is_in_thread(member, channel)):
        raise NotFound("You can't see that channel anymore.")
    actor = Actor(
        user_id=region.user_id,
        guild_id=region.guild_id,
        channel_id=region.channel_id,
        role_ids=frozenset(role.id for role in member.roles),
        is_admin=channel.permissions_for(member).manage_guild,
        is_operator=operator,
        nsfw=is_age_restricted(channel),
        parent_id=channel.parent_id if isinstance(channel, discord.Thread) else 0,
    )
    return Viewer(actor=actor, reads=reader(guild, member))


async def _is_in_thread(member: discord.Member, channel: object) -> bool:
    """Whether somebody was let into a private thread, which Discord's cache doesn't tell."""
    if not (isinstance(channel, discord.Thread) and channel.is_private()):
        return False
    try:
        await channel.fetch_member(member.id)
    except discord.NotFound:
        return False
    return True


def _webp(data: bytes) -> bytes:
    return image_tools.webp(image_tools.within(image_tools.opened(data), SHOWN_PX))
