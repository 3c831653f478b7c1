"""From a question to jobs in the queue: the one path that commands, buttons and forms all take."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import discord
from PIL import Image

from bot.delivery import image_tools, layouts, titles
from bot.errors import BadInput, MissingPermission, NotEnoughCredits, NotFound, NotYours, Refused, UserError
from bot.jobs.records import Job, JobKind, NewJob, StoredImage
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action
from bot.ledger.terms import Terms
from bot.ledger.transfers import too_dear
from bot.orders import drafts
from bot.orders.actor import Actor
from bot.orders.uploads import check_size, read_upload
from bot.prompt.parser import GRID, Draft, parse
from bot.prompt.spec import Spec
from engine.tasks.pictures import StoredPicture
from engine.tasks.txt2img import MAX_SEED, Txt2Img

NEEDED = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "attach_files": "Attach Files",
}
UNASKED_MC = GRID * drafts.PICTURE_MC * 5 // 4  # a grid; other ratios round to a few pixels more
AGE_RESTRICTED = (discord.TextChannel, discord.VoiceChannel, discord.StageChannel, discord.Thread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Jobs somebody is about to ask for."""

    specs: tuple[Spec, ...]
    kind: JobKind = "imagine"
    parent: int | None = None
    private: bool = False


async def imagine(interaction: Interaction, line: str, options: Draft, *, private: bool | None) -> None:
    """Read a prompt line and queue what it asks for; several jobs only after a yes."""
    asked = await with_defaults(interaction, parse(line, options))
    specs = await resolve_all(interaction.client, actor_of(interaction), asked)
    await submit_or_confirm(interaction, Order(specs=specs, private=await wants_private(interaction, private)))


async def terms_of(interaction: Interaction) -> Terms:
    """What the person may do here and now."""
    return await interaction.client.studio.quotas.terms(actor_of(interaction))


async def with_defaults(interaction: Interaction, asked: Sequence[Draft], *, from_picture: bool = False) -> list[Draft]:
    """Drafts with one's settings, the server's defaults and the styles they name. Raises: BadInput."""
    wishes = interaction.client.studio.wishes
    return await wishes.dress(asked, interaction.user.id, interaction.guild_id or 0, from_picture=from_picture)


async def wants_private(interaction: Interaction, said: bool | None) -> bool:
    """Whether only this person sees the answer: as they said, else as they set."""
    if said is not None:
        return said
    return (await interaction.client.studio.wishes.preferences(interaction.user.id)).private


async def resolve_all(
    client: Client,
    asker: Actor,
    asked: Sequence[Draft],
    what: Txt2Img = drafts.WORDS,
) -> tuple[Spec, ...]:
    """Drafts of one task made whole, on their person's terms. Raises: BadInput."""
    models, terms = client.studio.backend.models(), await client.studio.quotas.terms(asker)
    return tuple(drafts.resolve(draft, models, terms, new_seed(), what) for draft in asked)


async def resubmit(interaction: Interaction, spec: Spec, kind: JobKind, parent: int | None, *, private: bool) -> None:
    """Queue a stored spec, changed or not, as if it were asked for now: limits and models may have changed."""
    asked = [_draft(cell) for cell in spec.cells]
    specs = await resolve_all(interaction.client, actor_of(interaction), asked, spec.request)
    if spec.compare is not None:
        specs = (specs[0].evolve(compare=spec.compare),)
    told = tuple(each.evolve(note=each.note or spec.note) for each in specs)
    private = private or await wants_private(interaction, None)
    await submit_or_confirm(interaction, Order(specs=told, kind=kind, parent=parent, private=private))


def _draft(spec: Spec) -> Draft:
    """What a person would ask for to get one spec."""
    return Draft(
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        width=spec.width,
        height=spec.height,
        num_inference_steps=spec.num_inference_steps,
        guidance_scale=spec.guidance_scale,
        scheduler=spec.scheduler,
        seed=spec.seed,
        model=spec.model,
        strength=spec.strength,
        tiling=spec.tiling,
        num_images=spec.num_images,
        best_of=spec.best_of,
        variations=spec.variations,
    )


async def submit_or_confirm(interaction: Interaction, order: Order) -> None:
    """Acknowledge, then queue the order, or ask first when it is more than one job or dearer than a grid."""
    check_permissions(interaction, order.private)
    await acknowledge(interaction, private=order.private or len(order.specs) > 1)
    if len(order.specs) == 1 and _price_mc(interaction, order) <= UNASKED_MC:
        await enqueue(interaction, order)
        return
    await check_allowed(interaction, order.specs, final=False)
    await _check_means(interaction, order)
    await interaction.client.studio.store.remember(f"batch:{interaction.id}", _kept(interaction.user.id, order))
    await _ask(interaction, order, interaction.id)


def _price_mc(interaction: Interaction, order: Order) -> int:
    return sum(price_mc(interaction.client, spec) for spec in order.specs)


async def _check_means(interaction: Interaction, order: Order) -> None:
    """No question about what cannot be paid anyway. Raises: NotEnoughCredits."""
    terms, left, price = await terms_of(interaction), await _left_mc(interaction), _price_mc(interaction, order)
    if price > left and not terms.relax:
        raise NotEnoughCredits(too_dear(price, left, terms.period))


async def _left_mc(interaction: Interaction) -> int:
    jobs, terms = interaction.client.studio.jobs, await terms_of(interaction)
    balance = await jobs.balance(interaction.user.id, interaction.guild_id or 0, terms)
    return balance.free_mc + balance.paid_mc


async def _ask(interaction: Interaction, order: Order, number: int) -> None:
    """Show what an order costs, with a button for yes and one for no."""
    quote = layouts.Quote(
        jobs=len(order.specs),
        images=sum(spec.num_images for spec in order.specs),
        price_mc=_price_mc(interaction, order),
        left_mc=await _left_mc(interaction),
        relax=(await terms_of(interaction)).relax,
        title=titles.job_title(order.kind, order.specs[0]),
        note=order.specs[0].note,
    )
    await interaction.edit_original_response(view=layouts.batch(number, quote))


async def confirm(interaction: Interaction, number: int) -> None:
    """Queue what was asked about; a second press finds nothing. A refusal leaves the question open."""
    order, kept = await _taken(interaction, number)
    single = len(order.specs) == 1
    text = "Painting …" if single else f"Painting {len(order.specs)} jobs …"
    try:
        check_permissions(interaction, order.private)
        await interaction.response.edit_message(view=layouts.notice(text))
        if single and interaction.message is not None:  # the question becomes the job's message
            interaction.extras["message_id"] = interaction.message.id
        await enqueue(interaction, order)
    except UserError:
        await interaction.client.studio.store.remember(f"batch:{number}", kept)
        if interaction.response.is_done():
            await _ask(interaction, order, number)
        raise


async def _taken(interaction: Interaction, number: int) -> tuple[Order, str]:
    """The order that was asked about, and its note, which is gone now. Raises: NotFound, NotYours."""
    store = interaction.client.studio.store
    kept = await store.take(f"batch:{number}")
    if kept is None:
        raise NotFound("This was started or dismissed already, or is older than a day.")
    order, owner = _restored(kept)
    if owner != interaction.user.id:
        await store.remember(f"batch:{number}", kept)
        raise NotYours("Only the person who asked may answer this.")
    return order, kept


async def enqueue(interaction: Interaction, order: Order) -> list[Job]:
    """Reserve the price and queue the jobs, all or none; each gets its own message. Raises: UserError."""
    client = interaction.client
    await check_allowed(interaction, order.specs)
    new = [_new_job(interaction, spec, order, part) for part, spec in enumerate(order.specs)]
    jobs = await client.studio.jobs.submit_all(new, await terms_of(interaction))
    for job in jobs:
        if job.message_id is None:
            job = await _open_message(interaction, job)
        await client.delivery.announce(job, await client.studio.store.position(job.id) or 0)
    await client.notices.tell(interaction)
    return jobs


async def stored_input(interaction: Interaction, picture: int | discord.Attachment) -> StoredPicture:
    """Keep a picture to edit: of a job (by its image's id) or an attachment. Acknowledge first.

    Raises: NotFound, BadInput, Refused.
    """
    studio = interaction.client.studio
    if isinstance(picture, discord.Attachment):
        check_size(picture.size)
        return await stored_file(interaction, await picture.read())
    job, row = await studio.store.job_of_image(picture)
    check_visible(interaction, job)
    check_shown(interaction, [row])
    image = await asyncio.to_thread(image_tools.opened, await studio.files.read(row.path))
    # a copy of somebody's picture is forgotten with them, whoever edits it
    return StoredPicture(sha256=await studio.jobs.store_input(image, job.user_id), size=image.size)


async def stored_file(interaction: Interaction, data: bytes) -> StoredPicture:
    """Keep an upload. Raises: BadInput, Refused."""
    image = await asyncio.to_thread(read_upload, data)
    await check_upload(interaction, image)
    sha256 = await interaction.client.studio.jobs.store_input(image, interaction.user.id)
    return StoredPicture(sha256=sha256, size=image.size)


async def check_upload(interaction: Interaction, image: Image.Image) -> None:
    """Whether a safety check lets us work with a picture. Raises: Refused, EngineError."""
    await interaction.client.studio.moderation.check_upload(actor_of(interaction), image)


async def acknowledge(interaction: Interaction, *, private: bool) -> None:
    """Answer within Discord's 3 seconds, whatever comes."""
    if not interaction.response.is_done():
        response = await interaction.response.defer(thinking=True, ephemeral=private)
        if response is not None:
            interaction.extras["message_id"] = response.message_id
    if interaction.guild_id:
        interaction.client.delivery.remember_limit(interaction.guild_id, interaction.filesize_limit)


def check_permissions(interaction: Interaction, private: bool) -> None:
    """Find out now what would fail after painting. Raises: MissingPermission."""
    if interaction.guild_id is None or private:
        return
    may = interaction.app_permissions
    missing = [label for name, label in NEEDED.items() if not getattr(may, name)]
    if isinstance(interaction.channel, discord.Thread) and may.send_messages_in_threads:
        missing = [label for label in missing if label != "Send Messages"]
    if missing:
        wanted = " and ".join(f"**{label}**" for label in missing)
        raise MissingPermission(f"I cannot post pictures here. Ask an admin to give Easel {wanted} in this channel.")


async def check_here(interaction: Interaction) -> None:
    """Whether the server lets Easel work in this channel. Raises: Refused."""
    await interaction.client.studio.moderation.check_channel(actor_of(interaction))


async def check_allowed(interaction: Interaction, specs: Sequence[Spec], *, final: bool = True) -> None:
    """Whether this person may have this painted here. Raises: Banned, Busy, Refused."""
    texts, without = [spec.prompt for spec in specs], [spec.negative_prompt for spec in specs]
    await interaction.client.studio.moderation.check(actor_of(interaction), texts, without, final=final)


def price_mc(client: Client, spec: Spec) -> int:
    models = client.studio.backend.models()
    return sum(drafts.price_mc(cell, drafts.find_model(models, cell.model)) for cell in spec.cells)


def new_seed() -> int:
    return secrets.randbits(MAX_SEED.bit_length())  # every one of them is a seed


def _new_job(interaction: Interaction, spec: Spec, order: Order, part: int) -> NewJob:
    if interaction.channel_id is None:
        raise BadInput("Discord did not say which channel this is. Try again.")
    return NewJob(
        interaction_id=interaction.id,
        part=part,
        guild_id=interaction.guild_id or 0,
        channel_id=interaction.channel_id,
        user_id=interaction.user.id,
        kind=order.kind,
        spec=spec,
        price_mc=price_mc(interaction.client, spec),
        application_id=interaction.application_id,
        reply_token=interaction.token,
        parent_image_id=order.parent,
        private=order.private,
        message_id=interaction.extras.get("message_id") if len(order.specs) == 1 else None,
        aged=actor_of(interaction).nsfw,
    )


async def _open_message(interaction: Interaction, job: Job) -> Job:
    """A message of its own for one job of several."""
    view = layouts.notice("In the queue …")
    message = await interaction.followup.send(view=view, ephemeral=job.private, wait=True)
    await interaction.client.studio.store.bind_message(job.id, message.id)
    return replace(job, message_id=message.id)


def _kept(user_id: int, order: Order) -> str:
    specs = [spec.to_json() for spec in order.specs]
    return json.dumps([user_id, specs, order.kind, order.parent, order.private])


def _restored(kept: str) -> tuple[Order, int]:
    user_id, specs, kind, parent, private = json.loads(kept)
    order = Order(
        specs=tuple(Spec.from_json(spec) for spec in specs),
        kind=kind,
        parent=parent,
        private=private,
    )
    return order, user_id


def actor_of(interaction: Interaction) -> Actor:
    """Who asks, and where, as services know it."""
    user, channel = interaction.user, interaction.channel
    roles = user.roles if isinstance(user, discord.Member) else []
    inside = interaction.guild_id is not None
    return Actor(
        user_id=user.id,
        guild_id=interaction.guild_id or 0,
        channel_id=interaction.channel_id or 0,
        role_ids=frozenset(role.id for role in roles),
        is_admin=inside and interaction.permissions.manage_guild,
        is_operator=user.id in interaction.client.studio.settings.operators,
        nsfw=isinstance(channel, AGE_RESTRICTED) and channel.is_nsfw(),
        parent_id=channel.parent_id if isinstance(channel, discord.Thread) else 0,
    )


def is_admin(interaction: Interaction) -> bool:
    """Whether this person moderates the server."""
    return interaction.guild_id is not None and interaction.permissions.manage_messages


async def load_image(interaction: Interaction, image_id: int) -> tuple[Job, StoredImage]:
    """The image behind a button, if this person may see it here. Raises: NotFound."""
    job, image = await interaction.client.studio.store.job_of_image(image_id)
    check_visible(interaction, job)
    check_shown(interaction, [image])
    return job, image


def check_shown(interaction: Interaction, images: Sequence[StoredImage]) -> None:
    """What a safety check objected to stays in age-restricted channels. Raises: Refused."""
    if any(image.flagged for image in images) and not actor_of(interaction).nsfw:
        raise Refused("The safety check flagged this picture. It can be shown in age-restricted channels only.")


def reject_double_click(interaction: Interaction, action: Action, number: int) -> None:
    """A double click is two interactions: the second within 2 s is dropped. Raises: BadInput."""
    key = f"{action}:{number}:{interaction.user.id}"
    if not interaction.client.studio.jobs.first_press(key):
        raise BadInput("That was pressed twice; one job was started.")


def check_visible(interaction: Interaction, job: Job) -> None:
    """A picture belongs to its server, and one that is private or in direct messages to its owner. Raises: NotFound."""
    here = (interaction.guild_id or 0) == job.guild_id
    mine = interaction.user.id == job.user_id
    secret = job.private or not job.guild_id
    if not here or (secret and not mine):
        raise NotFound("There is no such picture here.")


async def dismiss(interaction: Interaction, number: int) -> None:
    """Forget what was asked about."""
    await _taken(interaction, number)
    await interaction.response.edit_message(view=layouts.notice("Not started; nothing was charged."))
