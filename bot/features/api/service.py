"""From a request of the API to a member's job and its pictures: the same path as a command's. Knows no Discord."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from PIL import Image

from bot.errors import BadInput, Refused, UserError
from bot.features.api import store as rows
from bot.features.api.store import KeyHolder
from bot.features.region import masks
from bot.jobs.files import ImageFiles
from bot.jobs.outbox import Courier, Receipt
from bot.jobs.records import API, Job, OutboxEntry, StoredImage
from bot.jobs.service import Jobs
from bot.orders import drafts
from bot.orders.actor import Actor
from bot.orders.service import Order, Orders, Reply
from bot.orders.uploads import STRANGERS, read_layers, read_upload
from bot.prompt.parser import MAX_NEGATIVE_CHARS, MAX_PROMPT_CHARS, Draft
from bot.store.store import Store
from bot.threads.pools import UPLOADS
from engine.api.model_info import ModelInfo
from engine.tasks.edit import Edit
from engine.tasks.img2img import Img2Img
from engine.tasks.inpaint import Inpaint
from engine.tasks.pictures import StoredPicture
from engine.tasks.txt2img import Txt2Img

LOOK_S = 0.2  # the database has nobody to tell us when a job has ended
OTHERS_NAMES = ("dall-e-2", "dall-e-3", "gpt-image-1", "gpt-image-1-mini")  # what clients ask for: the default model
WITHHELD = "The safety check withheld every image of this request. Try other words."


class Rules(Protocol):
    """What decides who may ask, and whether an uploaded picture may be used (`bot.features.moderation`)."""

    async def check_person(self, actor: Actor, /) -> None:
        """Raises: Banned."""
        ...

    async def check_upload(self, actor: Actor, /, image: Image.Image) -> None:
        """Raises: Refused, EngineError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a request asks for, as plain values. `images`, `mask`: files as they were sent; () = from words alone."""

    draft: Draft
    images: tuple[bytes, ...] = ()
    mask: bytes | None = None


class Painter:
    """Orders for holders of keys, and waits for the pictures.

    Args:
        actor_of: who a key's holder is in their server now. Raises: Refused once they are no member of it.
    """

    def __init__(
        self,
        store: Store,
        orders: Orders,
        jobs: Jobs,
        files: ImageFiles,
        rules: Rules,
        models: Callable[[], Sequence[ModelInfo]],
        actor_of: Callable[[KeyHolder], Awaitable[Actor]],
    ) -> None:
        self._store, self._orders, self._jobs, self._files = store, orders, jobs, files
        self._rules, self.models, self._actor_of = rules, models, actor_of

    async def holder_of(self, key: str) -> KeyHolder | None:
        """Whose key that is."""
        return await self._store.read(rows.holder_of, key)

    async def member(self, holder: KeyHolder) -> Actor:
        """A key's holder as they are now. Raises: Banned; Refused once they have left; Busy while nobody can tell."""
        actor = await self._actor_of(holder)
        await self._rules.check_person(actor)
        return actor

    async def check_welcome(self, actor: Actor) -> None:
        """Whether anything of this member's is taken now, before it's read what. Raises: UserError."""
        await self._orders.check_welcome(actor)

    async def order(self, actor: Actor, wish: Wish) -> Job:
        """Check and queue a wish as if its member had asked for it. Raises: UserError, EngineError."""
        for name, text, most in (
            ("prompt", wish.draft.prompt, MAX_PROMPT_CHARS),
            ("negative_prompt", wish.draft.negative_prompt or "", MAX_NEGATIVE_CHARS),
        ):
            if len(text) > most:
                raise BadInput(f"The field '{name}' is longer than {most} characters.")
        what = await self._task(actor, wish) if wish.images else drafts.WORDS
        specs = await self._orders.resolve_all(actor, [replace(wish.draft, model=self._model(wish.draft.model))], what)
        order = Order(specs=specs, kind=what.task if wish.images else "imagine")
        await self._orders.check_allowed(actor, order)
        reply = Reply(interaction_id=secrets.randbits(62) | 1, application_id=API, token="")
        return (await self._orders.submit(actor, order, reply))[0]

    async def pictures(self, job: Job, is_wanted: Callable[[], bool]) -> list[tuple[StoredImage, bytes]]:
        """Wait for a job's end; its files. Cancels it once nobody wants it. Raises: UserError when it has none."""
        while job.active:
            if not is_wanted():
                await self._jobs.cancel(job.id, job.user_id)
            await asyncio.sleep(LOOK_S)
            job = await self._jobs.get(job.id)
        images = await self._jobs.images(job.id)
        if not images:
            raise Refused(job.error_text or WITHHELD) if job.error_code == "unsafe" else UserError(_why(job))
        return [(image, await self._files.read(image.path, image.sha256)) for image in images]

    def _model(self, name: str | None) -> str | None:
        return None if name in OTHERS_NAMES else name

    # ------------------------------------------------------------ pictures to start from
    async def _task(self, actor: Actor, wish: Wish) -> Txt2Img:
        """The task that suits what was sent: a mask is redrawn, an instruction followed where a model can."""
        found = [await self._kept(actor, data) for data in wish.images]
        first = found[0]
        if wish.mask is not None:
            return await self._inpaint(actor, first, wish.mask)
        info = drafts.find_model(self.models(), self._model(wish.draft.model))
        if Edit.suits(info) or (self._model(wish.draft.model) is None and await self._edits(actor)):
            return Edit(prompt="", images=found)
        if len(found) > 1:
            raise BadInput(f"The model {info.key} edits one image at a time. Send a single one.")
        return Img2Img(prompt="", init_image=first)

    async def _edits(self, actor: Actor) -> bool:
        """Whether a model that this member may use changes whatever picture as words say."""
        terms = await self._orders.terms(actor)
        mine = (info for info in self.models() if terms.models is None or info.key in terms.models)
        return any(Edit.suits(info) and not info.small_world for info in mine)

    async def _kept(self, actor: Actor, data: bytes) -> StoredPicture:
        image = (await UPLOADS.run(read_upload, data, STRANGERS)).image
        await self._rules.check_upload(actor, image)
        return StoredPicture(sha256=await self._jobs.store_input(image, actor.user_id), size=image.size)

    async def _inpaint(self, actor: Actor, picture: StoredPicture, data: bytes) -> Inpaint:
        mask = await UPLOADS.run(_mask, data, picture.size)
        box = mask.getbbox()
        if box is None:
            raise BadInput("The mask has no transparent part, so there is nothing to redraw.")
        manner = masks.manner(mask, picture.size[0] * picture.size[1])
        stored = StoredPicture(sha256=await self._jobs.store_input(mask, actor.user_id), size=picture.size, box=box)
        return Inpaint(
            prompt="",
            init_image=picture,
            mask=stored,
            fill=manner.fill,
            only_masked=manner.only_masked,
            feather_px=manner.feather_px,
            padding_px=manner.padding_px,
        )


def _why(job: Job) -> str:
    return job.error_text or ("The request was cancelled." if job.state == "cancelled" else "No image could be made.")


def _mask(data: bytes, size: tuple[int, int]) -> Image.Image:
    """White where the mask's file is transparent, which is what is to be redrawn. Raises: BadInput."""
    try:
        image = read_layers(data, STRANGERS).image  # as the image was read: of the same size it stays that
    except BadInput:
        raise BadInput("The mask must be a PNG with transparent parts.") from None
    if image.size != size:
        raise BadInput("The mask must be of the same size as the image.")
    alpha = image.convert("RGBA").getchannel("A")
    return alpha.point(lambda value: 255 if value < 128 else 0)


class ApiCourier:
    """Delivers what was asked for over the API, by leaving it to whoever waits for it; the rest as ever."""

    def __init__(self, inner: Courier) -> None:
        self._inner = inner

    async def deliver(self, owed: OutboxEntry, job: Job, images: Sequence[StoredImage]) -> Receipt:
        if job.application_id == API:
            return Receipt(message_id=None)
        return await self._inner.deliver(owed, job, images)
