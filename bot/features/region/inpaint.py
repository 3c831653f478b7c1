"""From a chosen region to the job that redraws it; what commands, forms and the browser's editor share."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Protocol

from PIL import Image

from bot.errors import NotFound
from bot.features.generate.submission import Submission
from bot.features.region import masks as region_masks
from bot.features.region.store import NewRegion
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit.client import Client
from bot.orders import drafts
from bot.orders.actor import Actor
from bot.orders.service import Order
from bot.orders.visibility import Viewer, check_may_see
from bot.prompt.parser import Draft, parse, plain
from bot.prompt.spec import Spec
from bot.threads.pools import PICTURES
from engine.backend import Backend
from engine.tasks.inpaint import Inpaint
from engine.tasks.pictures import StoredPicture

FEW_WORDS = 3  # such as: a red boat


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    jobs: Jobs
    preferences: PreferenceService
    submission: Submission


async def order(
    app: Services,
    client: Client,
    actor: Actor,
    region: NewRegion,
    mask: Image.Image,
    line: str,
    strength: float | None,
    notes: tuple[str, ...] = (),
) -> Order:
    """What is to be queued: the masked part of a stored picture, painted as a prompt line says. Raises: UserError."""
    parent = await _parent(app, region)
    options = replace(_kept(parent), strength=strength, notes=notes or None)
    asked = await app.preferences.style_only(parse(line, options), region.guild_id)
    info = drafts.find_model(app.backend.models(), asked[0].model)
    manner = await PICTURES.run(region_masks.manner, mask, info.width * info.height)
    box = mask.getbbox()
    assert box is not None, "a checked mask holds something"
    size = region.width, region.height
    what = Inpaint(
        prompt="",
        init_image=StoredPicture(sha256=region.source, size=size),
        mask=StoredPicture(sha256=await app.jobs.store_input(mask, region.user_id), size=size, box=box),
        fill=manner.fill,
        only_masked=manner.only_masked,
        feather_px=manner.feather_px,
        padding_px=manner.padding_px,
    )
    specs = await app.submission.orders.resolve_all(actor, asked, what)
    return Order(
        specs=specs,
        kind=what.task,
        parent=region.parent_image_id,
        private=region.private,
        squeezes=what.only_masked and parent is not None and any(tells_whole(s.prompt, parent.prompt) for s in specs),
    )


def tells_whole(prompt: str, picture: str) -> bool:
    """Whether a prompt says all that a picture's own says; of two or three words it may be the one thing in it."""
    whole = _words(picture)
    return len(whole) > FEW_WORDS and whole <= _words(prompt)


def _words(prompt: str) -> set[str]:
    return set(re.findall(r"\w+", plain(prompt).casefold()))


async def check_visible(app: Services, viewer: Viewer, region: NewRegion) -> None:
    """Whether its person may still see, here, the picture whose region is chosen. Raises: NotFound, Refused."""
    if region.guild_id != viewer.actor.guild_id:
        raise NotFound("This was opened in another server. Use **Edit region** on a picture here.")
    if region.parent_image_id is None:
        return
    try:
        job, _ = await app.jobs.image(region.parent_image_id)
    except NotFound:  # deleted in the meantime; its copy is its person's
        return
    check_may_see(viewer, job)


async def picture(app: Services, client: Client, region: NewRegion) -> Image.Image:
    """The picture whose region is chosen. Raises: NotFound."""
    data = await stored(app, region.source)
    return await PICTURES.run(_opened, data)


async def stored(app: Services, source: str) -> bytes:
    """A stored input picture's file, by its sha256. Raises: NotFound."""
    return await app.files.read((await app.jobs.input_image(source)).file.path, source)


async def _parent(app: Services, region: NewRegion) -> Spec | None:
    """What painted the picture, if it's one of ours."""
    if region.parent_image_id is None:
        return None
    try:
        job, _ = await app.jobs.image(region.parent_image_id)
    except NotFound:  # deleted in the meantime; its copy is still ours
        return None
    return job.spec


def _kept(parent: Spec | None) -> Draft:
    """What a picture of ours was made with stays, unless the line says otherwise."""
    if parent is None:
        return Draft()
    return Draft(model=parent.model, negative_prompt=parent.negative_prompt or None)


def _opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:  # we wrote it ourselves
        return image.convert("RGB")
