"""/vary, /upscale, /outpaint and /blend, and the menus "Vary" and "Upscale" of any message with a picture."""

from __future__ import annotations

import json
from typing import Literal, Protocol

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.errors import BadInput, NotFound, UserError
from bot.features.generate import edits, image_lookup
from bot.features.generate.discord_files import DiscordFile
from bot.features.generate.edits import Source
from bot.features.generate.image_lookup import FoundImage
from bot.features.generate.submission import Submission
from bot.features.settings.service import PreferenceService
from bot.jobs.files import ImageFiles
from bot.jobs.records import Job, StoredImage
from bot.jobs.service import Jobs
from bot.kit import modals
from bot.kit.client import Client, Interaction
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.error_messages import answer, shows_errors
from bot.kit.interactions import acknowledge, check_permissions
from bot.orders.geometry import MAX_ZOOM, Direction
from bot.prompt.flags import read_ratio, read_strength
from bot.prompt.numbers import read_number
from bot.prompt.parser import plain
from bot.store.key_value_store import KeyValues
from engine.api.errors import EngineError
from engine.backend import Backend
from engine.tasks.blend import MAX_BLENDED
from engine.tasks.pictures import StoredPicture
from engine.tasks.upscale import Mode

NAMED = {"subtle": Action.VARY, "strong": Action.VARY_STRONG}
DEFAULT_ZOOM = 1.5
PICTURE = "The picture"
SOURCE = "Instead of an image: a message's or attachment's link, or a job's number such as 12.3"
PRIVATE = "Only you see it"


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    preferences: PreferenceService
    submission: Submission
    key_values: KeyValues
    jobs: Jobs


def install(client: Client, app: Services) -> None:
    """Add the commands, the menus and their forms to the client."""
    _install_vary(app, client)
    _install_upscale(app, client)
    _install_outpaint(app, client)
    _install_blend(app, client)
    _install_menus(app, client)
    _install_forms(app, client)


def _install_vary(app: Services, client: Client) -> None:
    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(
        image=PICTURE,
        source=SOURCE,
        strength="How far from it: subtle, strong, or a number above 0 up to 1",
        prompt="What the new pictures show; flags such as --seed 7 work too",
        private=PRIVATE,
    )
    @shows_errors
    async def vary(
        interaction: discord.Interaction[Client],
        image: discord.Attachment | None = None,
        source: str | None = None,
        strength: str = "strong",
        prompt: str | None = None,
        private: bool | None = None,
    ) -> None:
        """Four pictures like a picture."""
        said, share = edits.read(prompt), _strength(strength)
        found = await image_lookup.from_options(app, interaction, image, source)
        if await _varied(app, interaction, found, strength, prompt, private):
            return
        await edits.vary(app, interaction, await edits.of_found(app, interaction, found, private=private), share, said)

    vary.autocomplete("source")(image_lookup.own_pictures(app))

    @vary.autocomplete("strength")
    async def strengths(interaction: Interaction, typed: str) -> list[Choice[str]]:
        return [Choice(name=name.capitalize(), value=name) for name in NAMED if name.startswith(typed.casefold())]


def _install_upscale(app: Services, client: Client) -> None:
    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(
        image=PICTURE,
        source=SOURCE,
        scale="How many times as wide and high",
        mode="Faithful adds nothing; creative paints new detail",
        prompt="What the picture shows, for creative",
        private=PRIVATE,
    )
    @shows_errors
    async def upscale(
        interaction: discord.Interaction[Client],
        image: discord.Attachment | None = None,
        source: str | None = None,
        scale: Literal[2, 4] = 2,
        mode: Mode = "faithful",
        prompt: str | None = None,
        private: bool | None = None,
    ) -> None:
        """Make a picture larger."""
        said = edits.read(prompt)
        picture = await edits.given(app, interaction, image, source, private=private)
        await edits.upscale(app, interaction, picture, scale, mode, said)

    upscale.autocomplete("source")(image_lookup.own_pictures(app))


def _install_outpaint(app: Services, client: Client) -> None:
    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(
        image=PICTURE,
        source=SOURCE,
        direction="Go on at one side, by half of the picture",
        zoom="Or zoom out, so many times (normally 1.5)",
        ratio="Or another ratio, such as 16:9; together with a zoom if you like",
        prompt="What is to be seen there; flags such as --seed 7 work too",
        private=PRIVATE,
    )
    @shows_errors
    async def outpaint(
        interaction: discord.Interaction[Client],
        image: discord.Attachment | None = None,
        source: str | None = None,
        direction: Direction | None = None,
        zoom: Range[float, 1.0, MAX_ZOOM] | None = None,
        ratio: str | None = None,
        prompt: str | None = None,
        private: bool | None = None,
    ) -> None:
        """Paint what lies around a picture."""
        said = edits.read(prompt, ar=read_ratio(ratio) if ratio else None)
        if direction and (zoom or said.aspect_ratio):
            raise BadInput("Give a direction, or a zoom and a ratio; not both.")
        picture = await edits.given(app, interaction, image, source, private=private)
        if direction:
            await edits.pan(app, interaction, picture, direction, said)
        else:
            await edits.zoom(app, interaction, picture, zoom or (1.0 if said.aspect_ratio else DEFAULT_ZOOM), said)

    outpaint.autocomplete("source")(image_lookup.own_pictures(app))


def _install_blend(app: Services, client: Client) -> None:
    @client.tree.command()
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @app_commands.describe(
        image1="The first picture; it gives the proportions",
        image2="Another one",
        image3="Another one",
        image4="Another one",
        image5="Another one",
        sources="Pictures by message links or job numbers such as 12.3, with spaces between; they come after images",
        weights="How much of each, such as 2, 1 (normally all alike)",
        prompt="What the new pictures show; flags such as --ar 3:2 work too",
        private=PRIVATE,
    )
    @shows_errors
    async def blend(
        interaction: discord.Interaction[Client],
        image1: discord.Attachment | None = None,
        image2: discord.Attachment | None = None,
        image3: discord.Attachment | None = None,
        image4: discord.Attachment | None = None,
        image5: discord.Attachment | None = None,
        sources: str | None = None,
        weights: str | None = None,
        prompt: str | None = None,
        private: bool | None = None,
    ) -> None:
        """Mix two to five pictures into new ones."""
        files = [file for file in (image1, image2, image3, image4, image5) if file is not None]
        named = (sources or "").split()
        if not 2 <= len(files) + len(named) <= MAX_BLENDED:
            raise BadInput(
                "A blend takes 2 to {max_blended} pictures: attach them, or name them in `sources`.",
                max_blended=MAX_BLENDED,
            )
        shares, said = _weights(weights, len(files) + len(named)), edits.read(prompt)
        pictures = [FoundImage(file=DiscordFile.attached(file)) for file in files]
        pictures += [await image_lookup.in_text(app, interaction, text) for text in named]
        for picture in pictures:
            picture.check_single()
        await edits.blend(app, interaction, pictures, shares, said, private)


# ---------------------------------------------------------------- menus
def _install_menus(app: Services, client: Client) -> None:
    @client.tree.context_menu(name="Vary")
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def vary(interaction: discord.Interaction[Client], message: discord.Message) -> None:
        found = await image_lookup.in_message(app, interaction, message)
        press = press_of(interaction, found, Action.MENU_VARY, Action.MENU_VARY_FILE)
        await interaction.client.forms.send(interaction, modals.vary(press, _prompt(found)))
        await keep(app, interaction, found)

    @client.tree.context_menu(name="Upscale")
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
    @shows_errors
    async def upscale(interaction: discord.Interaction[Client], message: discord.Message) -> None:
        found = await image_lookup.in_message(app, interaction, message)
        press = press_of(interaction, found, Action.MENU_UPSCALE, Action.MENU_UPSCALE_FILE)
        await interaction.client.forms.send(interaction, modals.upscale(press, _prompt(found)))
        await keep(app, interaction, found)


def _install_forms(app: Services, client: Client) -> None:
    @client.on_modal(Action.MENU_VARY, image=True, once=True)
    async def vary(interaction: Interaction, job: Job, image: StoredImage) -> None:
        said = modals.answers(interaction)
        words = None if said.get("prompt") == plain(job.spec.prompt) else said.get("prompt")
        if not await _varied(
            app, interaction, FoundImage(job=job, images=(image,)), said.get("strength", ""), words, None
        ):
            await _vary(app, interaction, await edits.of_image(app, interaction, job, image))

    @client.on_modal(Action.MENU_VARY_FILE, once=True)
    async def vary_file(interaction: Interaction, number: int) -> None:
        await _vary(app, interaction, await kept(app, interaction, number))

    @client.on_modal(Action.MENU_UPSCALE, image=True, once=True)
    async def upscale(interaction: Interaction, job: Job, image: StoredImage) -> None:
        await _upscale(app, interaction, await edits.of_image(app, interaction, job, image))

    @client.on_modal(Action.MENU_UPSCALE_FILE, once=True)
    async def upscale_file(interaction: Interaction, number: int) -> None:
        await _upscale(app, interaction, await kept(app, interaction, number))


async def _varied(
    app: Services, interaction: Interaction, found: FoundImage, strength: str, words: str | None, private: bool | None
) -> bool:
    """Whether it was one of ours with nothing new said, varied as its own buttons do."""
    action, image = NAMED.get(strength), found.image
    if words or action is None or image is None or found.job is None:
        return False
    await edits.vary_own(app, interaction, found.job, image, action, private=private)
    return True


async def _vary(app: Services, interaction: Interaction, source: Source) -> None:
    said = modals.answers(interaction)
    strength = _strength(said.get("strength") or "subtle")
    await edits.vary(app, interaction, source, strength, edits.read(said.get("prompt")))


async def _upscale(app: Services, interaction: Interaction, source: Source) -> None:
    said = modals.answers(interaction)
    mode: Mode = "creative" if said.get("mode") == "creative" else "faithful"
    scale = 4 if said.get("scale") == "4" else 2
    await edits.upscale(app, interaction, source, scale, mode, edits.read(said.get("prompt")))


def press_of(interaction: Interaction, found: FoundImage, own: Action, file: Action) -> ButtonId:
    """The form's id: our picture's number, or that of the note which will name the upload."""
    image = found.image
    return ButtonId(own, image.id) if image is not None else ButtonId(file, interaction.id)


def _prompt(found: FoundImage) -> str:
    return found.job.spec.prompt if found.job else ""


async def keep(app: Services, interaction: Interaction, found: FoundImage) -> None:
    """Fetch an upload while its person fills in the form: later the message may be out of our sight."""
    if found.file is None:
        return
    try:
        source = await edits.of_upload(app, interaction, found.file)
    except (UserError, EngineError) as refusal:
        await answer(interaction, refusal)
        return
    picture, words = source.picture, {"words": source.words, "without": source.without}
    facts = {"sha256": picture.sha256, "size": picture.size, "notes": source.notes, **words}
    note = json.dumps([interaction.user.id, facts])
    await app.key_values.remember(f"menu:{interaction.id}", note)


async def kept(app: Services, interaction: Interaction, number: int) -> Source:
    """The upload that a form is about. Raises: NotFound, MissingPermission."""
    note = await app.key_values.recall(f"menu:{number}")
    owner, kept = json.loads(note) if note else (0, {})
    if owner != interaction.user.id:
        raise NotFound("I no longer have that picture. Use the message's menu again.")
    private = await app.submission.wants_private(interaction, None)
    check_permissions(interaction, private)
    await acknowledge(interaction, private=private)
    picture = StoredPicture(sha256=kept["sha256"], size=tuple(kept["size"]))
    notes = tuple(kept.get("notes", ()))
    return Source(picture=picture, words=kept["words"], without=kept["without"], private=private, notes=notes)


# ---------------------------------------------------------------- values
def _strength(text: str) -> float:
    """A strength by name or number. Raises: BadInput."""
    action = NAMED.get(text.strip().casefold())
    return edits.STRENGTHS[action] if action else read_strength(text.strip())


def _weights(text: str | None, count: int) -> tuple[float, ...]:
    """One weight a picture; all alike when nothing was said. Raises: BadInput."""
    if not text:
        return (1.0,) * count
    found = [read_number(part) for part in text.replace(",", " ").replace(":", " ").split()]
    if len(found) != count or not any(found) or any(weight is None or weight > 100 for weight in found):
        raise BadInput(
            "The weights are {count} numbers, one a picture, 0 to 100 and not all 0, such as 2, 1.", count=count
        )
    return tuple(weight or 0.0 for weight in found)
