"""/compare: one prompt over one or two parameters, as one labelled grid."""

from __future__ import annotations

from typing import Literal, Protocol

import discord
from discord import app_commands

from bot.errors import BadInput
from bot.features.compare import service as comparing
from bot.features.generate import edits, image_lookup
from bot.features.generate.edit_commands import SOURCE
from bot.features.generate.image_lookup import FoundImage
from bot.features.generate.submission import Submission
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit.client import Client, Interaction
from bot.kit.error_messages import shows_errors
from bot.kit.interactions import actor_of
from bot.orders.drafts import WORDS
from bot.orders.service import Order
from bot.prompt.parser import Draft, parse
from engine.backend import Backend
from engine.tasks.img2img import Img2Img

Parameter = Literal["steps", "guidance", "scheduler", "seed", "model", "strength"]


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    jobs: Jobs
    preferences: PreferenceService
    submission: Submission


def install(client: Client, app: Services) -> None:
    """Add the command to the client's tree."""

    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(
        prompt="What to paint; flags such as --ar 3:2 --seed 7 --no clouds work too",
        x="What differs from left to right",
        x_values="Its values, 2 to 5, such as: 4, 8, 16",
        y="What differs from top to bottom, if anything",
        y_values="Its values, 2 to 5, such as: 2, 5",
        image="A picture to start from",
        source=SOURCE,
        private="Only you see it",
    )
    @shows_errors
    async def compare(
        interaction: discord.Interaction[Client],
        prompt: str,
        x: Parameter,
        x_values: str,
        y: Parameter | None = None,
        y_values: str | None = None,
        image: discord.Attachment | None = None,
        source: str | None = None,
        private: bool | None = None,
    ) -> None:
        """Paint one prompt with different steps, guidance, schedulers, seeds or models, side by side."""
        if (y is None) != (y_values is None):
            raise BadInput("For a second parameter give both y and y_values, or neither.")
        xs, ys = comparing.values(x, x_values), comparing.values(y, y_values or "") if y else []
        drafts = comparing.spread(_one(prompt), x, xs, y, ys)
        secret = await app.submission.wants_private(interaction, private)
        found = await image_lookup.from_options(app, interaction, image, source) if image or source else None
        await _place(app, interaction, drafts, found, x, y, len(xs), secret)

    compare.autocomplete("source")(image_lookup.own_pictures(app))


def _one(line: str) -> Draft:
    """The draft of a line that asks for one job. Raises: BadInput."""
    drafts = parse(line)
    if len(drafts) > 1:
        raise BadInput("A comparison has one prompt. Leave out { } and --repeat.")
    return drafts[0]


async def _place(
    app: Services,
    interaction: Interaction,
    asked: list[Draft],
    found: FoundImage | None,
    x: str,
    y: str | None,
    columns: int,
    private: bool,
) -> None:
    """Make the drafts whole, all with one seed, and place them as one job."""
    asked = await app.submission.with_defaults(interaction, asked, from_picture=found is not None)
    actor, what = actor_of(interaction), WORDS
    if found is not None:
        found.check_single()
        private = private or (found.job is not None and found.job.private)
        source = await edits.of_found(app, interaction, found, private=private)
        asked = [edits.with_notes(draft, *source.notes) for draft in asked]
        what = Img2Img(prompt="", init_image=source.picture)
    specs = await app.submission.orders.resolve_all(actor, asked, what)
    if asked[0].seed is None:
        specs = tuple(spec.evolve(seed=specs[0].seed) for spec in specs)
    job = comparing.joined(specs, x, y, columns)
    await app.submission.submit_or_confirm(interaction, Order(specs=(job,), private=private))
