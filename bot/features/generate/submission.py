"""From a command, button or modal to jobs in the queue, with their messages: asks first where it is dear."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import discord
from PIL import Image

from bot.delivery import image_tools, layouts, titles
from bot.delivery.job_messages import JobMessages
from bot.errors import BadInput, NotFound, NotYours, UserError
from bot.features.generate import discord_files
from bot.features.generate.discord_files import DiscordFile
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, JobKind
from bot.jobs.service import Jobs
from bot.kit.client import Interaction
from bot.kit.components import notice
from bot.kit.interactions import PUBLIC, acknowledge, actor_of, check_permissions, load_image
from bot.languages.speech import _
from bot.ledger.limits import Terms
from bot.orders.actor import Actor
from bot.orders.service import UNASKED_MC, Order, Orders, Reply, Rules
from bot.orders.uploads import read_upload
from bot.prompt.parser import Draft
from bot.prompt.spec import Spec
from bot.store.key_value_store import KeyValues
from bot.threads.pools import PICTURES
from engine.tasks.pictures import StoredPicture


class Moderation(Rules, Protocol):
    """What may be painted, where, and from which uploads."""

    async def check_upload(self, actor: Actor, /, image: Image.Image) -> None:
        """Raises: Refused, EngineError."""
        ...


class Announcements(Protocol):
    """What admins have to say to everyone who paints."""

    async def tell(self, interaction: discord.Interaction[discord.Client]) -> None:
        """Show it after the answer itself; must not raise."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """An upload that is kept. `notes`: what was done to it. `data`: its file as it came."""

    picture: StoredPicture
    notes: tuple[str, ...] = ()
    data: bytes = b""


class Submission:
    """The Discord half of `Orders`: acknowledges, asks, announces."""

    def __init__(
        self,
        orders: Orders,
        jobs: Jobs,
        files: ImageFiles,
        preferences: PreferenceService,
        moderation: Moderation,
        messages: JobMessages,
        announcements: Announcements,
        key_values: KeyValues,
    ) -> None:
        self.orders = orders
        self._jobs, self._files, self._preferences, self._moderation = jobs, files, preferences, moderation
        self._messages, self._announcements, self._key_values = messages, announcements, key_values

    # ------------------------------------------------------------ before an order
    async def imagine(
        self,
        interaction: Interaction,
        drafts: Sequence[Draft],
        *,
        private: bool | None,
        ask: bool = False,
        sure: bool = False,
    ) -> None:
        """Queue what was read in a prompt line; several jobs only after a yes, as with `ask`.

        `sure`: whatever its words are, also where the model knows none of them. Raises: UserError.
        """
        asked = await self.with_defaults(interaction, without_private(drafts))
        specs = await self.orders.resolve_all(actor_of(interaction), asked)
        if not sure:
            self.orders.check_known(specs)
        order = Order(specs=specs, private=await self.wants_private(interaction, private, drafts))
        await self.submit_or_confirm(interaction, order, ask=ask)

    async def terms(self, interaction: Interaction) -> Terms:
        """Return what the member may do here and now."""
        return await self.orders.terms(actor_of(interaction))

    async def with_defaults(
        self, interaction: Interaction, asked: Sequence[Draft], *, from_picture: bool = False
    ) -> list[Draft]:
        """Apply the member's settings, the server's defaults and the styles that drafts name. Raises: BadInput."""
        return await self._preferences.dress(
            asked, interaction.user.id, interaction.guild_id or 0, from_picture=from_picture
        )

    async def wants_private(self, interaction: Interaction, option: bool | None, drafts: Sequence[Draft] = ()) -> bool:
        """Whether only this member sees the answer: what the line says, else the option, else their setting."""
        said = [draft.private for draft in drafts if draft.private is not None]
        if said or option is not None:
            return any(said) or bool(option and not said)
        return (await self._preferences.preferences(interaction.user.id)).private

    async def check_here(self, interaction: Interaction) -> None:
        """Whether the server lets Easel work in this channel. Raises: Refused."""
        await self._moderation.check_channel(actor_of(interaction))

    # ------------------------------------------------------------ pictures to start from
    async def stored_input(self, interaction: Interaction, image_id: int) -> StoredPicture:
        """Keep an image of a job to edit it. Raises: NotFound."""
        job, row = await load_image(interaction, image_id)
        image = await PICTURES.run(image_tools.opened, await self._files.read(row.path))
        # a copy of a member's image is forgotten with them, whoever edits it
        return StoredPicture(sha256=await self._jobs.store_input(image, job.user_id), size=image.size)

    async def stored_file(self, interaction: Interaction, file: DiscordFile) -> KeptFile:
        """Keep a picture that lies at Discord. Acknowledge first. Raises: NotFound, BadInput, Busy, Refused."""
        found = await discord_files.read(interaction, file, read_upload)
        image = found.upload.image
        await self.check_upload(interaction, image)
        sha256 = await self._jobs.store_input(image, interaction.user.id)
        stored = StoredPicture(sha256=sha256, size=image.size)
        return KeptFile(picture=stored, notes=found.upload.notes, data=found.data)

    async def check_upload(self, interaction: Interaction, image: Image.Image) -> None:
        """Whether a safety check lets us work with an image. Raises: Refused, EngineError."""
        await self._moderation.check_upload(actor_of(interaction), image)

    # ------------------------------------------------------------ submitting
    async def resubmit(
        self, interaction: Interaction, spec: Spec, kind: JobKind, parent: int | None, *, private: bool
    ) -> None:
        """Queue a stored spec, changed or not, as if it were asked for now. Raises: UserError."""
        specs = await self.orders.resolve_again(actor_of(interaction), spec)
        private = private or await self.wants_private(interaction, None)
        await self.submit_or_confirm(interaction, Order(specs=specs, kind=kind, parent=parent, private=private))

    async def submit_or_confirm(self, interaction: Interaction, order: Order, *, ask: bool = False) -> None:
        """Acknowledge, then queue the order, or ask first when it is more than one job or dearer than a grid.

        `ask`: in any case, for what is painted isn't quite what was meant, as where an order squeezes.
        """
        check_permissions(interaction, order.private)
        dear = self.orders.price_mc(*order.specs) > UNASKED_MC
        asks = ask or dear or order.squeezes or len(order.specs) > 1
        await acknowledge(interaction, private=order.private or asks)
        if not asks:
            await self._enqueue(interaction, order)
            return
        actor = actor_of(interaction)
        await self.orders.check_allowed(actor, order, final=False)
        await self.orders.check_payable(actor, order)
        await self._key_values.remember(f"batch:{interaction.id}", _dump(interaction.user.id, order))
        await self._ask(interaction, order, interaction.id)

    async def confirm(self, interaction: Interaction, number: int, *, whole: bool = False) -> None:
        """Queue what was asked about; a second press finds nothing. A refusal leaves the question open.

        `whole`: with the whole picture in view, where a part of one would be painted close up.
        """
        order, kept = await self._take(interaction, number)
        if whole:
            order = replace(order, specs=tuple(spec.evolve(only_masked=False) for spec in order.specs))
        single, asked = len(order.specs) == 1, interaction.message
        text = _("Painting …") if single else _("Painting {jobs} jobs …", jobs=len(order.specs))
        try:
            check_permissions(interaction, order.private)
            await interaction.response.edit_message(view=notice(text))
            if single and asked is not None and asked.flags.ephemeral == order.private:
                interaction.extras["message_id"] = asked.id  # the question becomes the job's message
            await self._enqueue(interaction, order)
        except UserError:
            await self._key_values.remember(f"batch:{number}", kept)
            if interaction.response.is_done():
                await self._ask(interaction, order, number)
            raise

    async def dismiss(self, interaction: Interaction, number: int) -> None:
        """Forget what was asked about."""
        await self._take(interaction, number)
        await interaction.response.edit_message(view=notice(_("Not started; nothing was charged.")))

    async def keep(self, interaction: Interaction, order: Order, offers: Sequence[str]) -> None:
        """Keep an order that was refused for a day, and the words that would do instead of its own."""
        kept = [interaction.user.id, _dump(interaction.user.id, order), offers]
        await self._key_values.remember(f"edit:{interaction.id}", json.dumps(kept))

    async def kept(self, interaction: Interaction, number: int) -> tuple[Order, list[str]]:
        """Return such an order, and those words. Raises: NotFound, NotYours."""
        found = await self._key_values.recall(f"edit:{number}")
        if found is None:
            raise NotFound("This is older than a day. Ask for the change again.")
        owner, order, offers = json.loads(found)
        if owner != interaction.user.id:
            raise NotYours("Only the person who asked can answer this.")
        return _load(order)[0], offers

    async def _enqueue(self, interaction: Interaction, order: Order) -> None:
        """Reserve the price and queue the jobs, all or none; each gets its own message. Raises: UserError."""
        actor = actor_of(interaction)
        await self.orders.check_allowed(actor, order)
        if interaction.channel_id is None:
            raise BadInput("Discord didn't say which channel this is. Try again.")
        reply = Reply(
            interaction_id=interaction.id,
            application_id=interaction.application_id,
            token=interaction.token,
            message_id=interaction.extras.get("message_id"),
        )
        for job in await self.orders.submit(actor, order, reply):
            if job.message_id is None:
                job = await self._open_message(interaction, job)
            await self._messages.announce(job, await self._jobs.position(job.id) or 0)
        await self._announcements.tell(interaction)

    async def _open_message(self, interaction: Interaction, job: Job) -> Job:
        """Post a message of its own for one job of several."""
        message = await interaction.followup.send(view=notice(_("In the queue …")), ephemeral=job.private, wait=True)
        await self._jobs.bind_message(job.id, message.id)
        return replace(job, message_id=message.id)

    async def _ask(self, interaction: Interaction, order: Order, number: int) -> None:
        """Show only to its member what an order costs, with a button for yes and one for no."""
        quote = await self.orders.quote(actor_of(interaction), order)
        shown = layouts.Quote(
            jobs=len(order.specs),
            images=sum(spec.num_images for spec in order.specs),
            price_mc=quote.price_mc,
            left_mc=quote.left_mc,
            relax=quote.terms.relax,
            title=titles.job_title(order.kind, order.specs[0]),
            note=order.specs[0].note,
            prompts=[spec.prompt for spec in order.specs],
            squeezes=order.squeezes,
        )
        view = layouts.batch(number, shown)
        if not interaction.extras.get(PUBLIC):
            await interaction.edit_original_response(view=view)
            return
        await interaction.edit_original_response(content="…")  # or the follow-up would become the public answer
        await interaction.followup.send(view=view, ephemeral=True)
        await interaction.delete_original_response()

    async def _take(self, interaction: Interaction, number: int) -> tuple[Order, str]:
        """Return the order that was asked about, and its record, which is gone now. Raises: NotFound, NotYours."""
        kept = await self._key_values.take(f"batch:{number}")
        if kept is None:
            raise NotFound("This was already started or dismissed, or it's older than a day.")
        order, owner = _load(kept)
        if owner != interaction.user.id:
            await self._key_values.remember(f"batch:{number}", kept)
            raise NotYours("Only the person who asked can answer this.")
        return order, kept


def without_private(drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts as they are resolved: who sees the result is no part of a picture."""
    return [replace(draft, private=None) for draft in drafts]


def _dump(user_id: int, order: Order) -> str:
    specs = [spec.to_json() for spec in order.specs]
    return json.dumps([user_id, specs, order.kind, order.parent, order.private, order.squeezes])


def _load(kept: str) -> tuple[Order, int]:
    user_id, specs, kind, parent, private, *squeezes = json.loads(kept)  # asked by an earlier version: without the last
    order = Order(
        specs=tuple(Spec.from_json(spec) for spec in specs),
        kind=kind,
        parent=parent,
        private=private,
        squeezes=any(squeezes),
    )
    return order, user_id
