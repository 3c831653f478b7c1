"""The one file here that knows how Easel is built: stored data in, plain facts out, and a way to open a data directory.

The data beside it was written by version 0.1.0 and stays as it is. When the program's parts are renamed or moved, this
file follows; what its functions answer for the same data may not change.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import simcord
from PIL import Image
from simcord.results import InteractionResult, ResponseMessage

import engine as engine_api
from bot.config import Settings
from bot.demo import simulated_discord, simulation
from bot.demo.simulated_discord import SimulatedDiscord
from bot.demo.simulation import GUILD_ID, Stage
from bot.features.audit import audit_channel
from bot.jobs.records import Job, StoredImage
from bot.kit.custom_ids import CHOICE_TEMPLATE, ButtonId, SelectId
from bot.prompt.spec import Spec
from bot.store.clock import SystemClock
from bot.store.migrations import migrate, shipped
from engine import Engine
from engine.api import metadata
from engine.fake import MINI, FakeEngine
from engine.mini import MODEL_DIR
from engine.tasks import resolve
from engine.tasks.txt2img import BESIDE

Pictures = Mapping[str, Image.Image]  # by the sha256 of the stored file
Facts = dict[str, Any]  # plain JSON

PEOPLE, ADMINS = ("Ann", "Ben", "Cat", "Dan", "Eve"), ("Ada",)
CHANNELS = ("easel", "audit", "gallery")
PACK, PATRON = 700_001, 700_002
SKUS = {PACK: {"credits": 50}, PATRON: {"credits_a_day": 300, "weight": 2, "relax": True}}
MODELS = (
    replace(
        MINI,
        tasks=MINI.tasks | {"control"},
        controlnets=("edges", "depth"),
        loras=("waves", "ink"),
        embeddings=("dawn",),
    ),
    replace(MINI, key="other", width=192, num_inference_steps=2, scheduler="ddim"),
)
SCHEMA_1 = 1  # the first version of the database
LONG_S = 60.0  # what a few jobs never take
BUTTON_PRESS = 3  # Discord's kind of interaction


# ---------------------------------------------------------------- stored jobs
def request_from_spec(spec: Mapping[str, Any], pictures: Pictures) -> Facts:
    """What a stored job asks of the engine, picture by picture where they differ, and what else it says."""
    return _reading(Spec.from_json(spec), pictures)


LATER = {
    "weird": 0.0,
    "stop_at": 1.0,
    "together": False,
}  # fields that requests have got since, with what asks for nothing new


def spec_of_one(spec: Mapping[str, Any], ordinal: int, seed: int, pictures: Pictures) -> Facts:
    """What one picture of a stored job asks of the engine, alone."""
    read = Spec.from_json(spec)
    return _reading((read.cells[ordinal] if read.compare else read).with_seed(seed), pictures)


def inputs_of(spec: Mapping[str, Any]) -> list[str]:
    """The sha256 of each stored picture that a job needs."""
    return list(Spec.from_json(spec).inputs)


def _reading(spec: Spec, pictures: Pictures) -> Facts:
    compare = spec.compare and {
        "x": spec.compare.x,
        "columns": list(spec.compare.columns),
        "y": spec.compare.y,
        "rows": list(spec.compare.rows),
    }
    return {
        "requests": [neutral(cell.request.loaded(pictures)) for cell in spec.cells],
        "inputs": list(spec.inputs),
        "pictures": spec.num_images,
        "note": spec.note,
        "comparison": compare,
    }


def neutral(request: engine_api.Txt2Img) -> Facts:
    """A request in plain words: its task and its fields, a picture by its pixels."""
    said = {field.name: getattr(request, field.name) for field in fields(request)}
    said = {name: value for name, value in said.items() if name not in LATER or value != LATER[name]}
    values = {name: _plain(value) for name, value in said.items() if value or name not in BESIDE}
    return {"task": request.task, **values}


def _plain(value: Any) -> Any:
    if isinstance(value, Image.Image):
        return {"mode": value.mode, "size": list(value.size), "sha256": pixels_sha256(value)}
    if isinstance(value, engine_api.Variation):
        return {"seed": value.seed, "strength": value.strength}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def pixels_sha256(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def request_from(plain: Mapping[str, Any], pictures: Sequence[Image.Image]) -> engine_api.Txt2Img:
    """The engine's request that `neutral` made plain; `pictures` may be given in any order and mode."""
    found = {pixels_sha256(form): form for image in pictures for form in (image.convert("RGB"), image.convert("L"))}
    values = {name: _rich(name, value, found) for name, value in plain.items() if name != "task"}
    return KINDS[plain["task"]](**values)


def _rich(name: str, value: Any, found: Mapping[str, Image.Image]) -> Any:
    if isinstance(value, dict):
        return found[value["sha256"]]
    if name == "variations":
        return tuple(engine_api.Variation(**each) for each in value)
    return tuple(_rich("", each, found) for each in value) if isinstance(value, list) else value


KINDS: Mapping[str, type[engine_api.Txt2Img]] = {
    "txt2img": engine_api.Txt2Img,
    "img2img": engine_api.Img2Img,
    "inpaint": engine_api.Inpaint,
    "outpaint": engine_api.Outpaint,
    "upscale": engine_api.Upscale,
    "blend": engine_api.Blend,
    "control": engine_api.Control,
}


# ---------------------------------------------------------------- ids and files
def meaning(custom_id: str) -> Facts | None:
    """What a button, list or form does, by its id; None for an id that is not Easel's."""
    if (press := ButtonId.parse(custom_id)) is not None:
        return {"kind": "press", "does": press.action.name.lower(), "number": press.number}
    match = CHOICE_TEMPLATE.fullmatch(custom_id)
    choice = SelectId.read(match) if match else None
    if choice is None or choice.action is None:
        return None
    return {"kind": "choice", "does": choice.action.name.lower(), "number": choice.number}


def recipe_in(png: bytes) -> Facts | None:
    """What a picture's file says of how it was made."""
    recipe = metadata.decode(png)
    return None if recipe is None else json.loads(json.dumps(asdict(recipe)))


def make_first_database(path: Path) -> None:
    """An empty database as the first version made it."""
    migrate(path, 0, shipped()[:SCHEMA_1])


# ---------------------------------------------------------------- painting
def tiny_model(folder: Path) -> tuple[Path, Path]:
    """A random Stable Diffusion of a few kilobytes and a ControlNet for it, the same in every run."""
    from tests.engine.adapters.test_controlnets import controlnet
    from tests.engine.conftest import sd1

    sd1().save_pretrained(folder / "tiny")
    return folder / "tiny", controlnet(folder / "tiny", folder / "edges", seed=5)


def painter(tiny: tuple[Path, Path]) -> Engine:
    """The engine with the tiny model and the embedded one, on one thread of the CPU."""
    model, guide = tiny
    models = {"mini": str(MODEL_DIR)}
    return Engine(str(model), models=models, controlnets={"edges-tiny": str(guide)}, device="cpu", threads=1)


async def painted(engine: Engine, request: engine_api.Txt2Img) -> list[str]:
    """Paint a request alone; the sha256 of each picture's RGB bytes."""
    images = await engine.submit(request, user="corpus").result()
    return [pixels_sha256(image.convert("RGB")) for image in images]


def weights_sha256(folder: Path) -> str:
    """One number for all weights of a model."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")):
        digest.update(file.relative_to(folder).as_posix().encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def weights(tiny: tuple[Path, Path]) -> dict[str, str]:
    """By model name, what its pictures are made of."""
    theirs = weights_sha256(MODEL_DIR) + weights_sha256(MODEL_DIR.parent / "adapters")
    return {
        "tiny": hashlib.sha256((weights_sha256(tiny[0]) + weights_sha256(tiny[1])).encode()).hexdigest(),
        "mini": hashlib.sha256(theirs.encode()).hexdigest(),
    }


def machine() -> dict[str, str]:
    """What a picture's bits depend on besides its request and weights."""
    import torch

    mode = os.environ.get("MKL_CBWR")
    return {
        "cpu": torch.backends.cpu.get_cpu_capability(),
        **({"mkl": mode} if mode else {}),  # the first version had none
        **resolve.versions(),
    }


# ---------------------------------------------------------------- a whole data directory
@dataclass(slots=True)
class Place:
    """Easel running on a data directory in the simulated Discord."""

    stage: Stage
    channels: dict[str, Any]

    @property
    def env(self) -> simcord.Env:
        return self.stage.env

    @property
    def editor_address(self) -> str:
        """Where links to the mask editor lead."""
        return str(self.stage.app.region_selection.address)

    def actor(self, user_id: int) -> Any:
        return next(member for member in self.stage.members.values() if member.id == user_id)

    def put_back(self, message: Mapping[str, Any]) -> ResponseMessage:
        """A message as it was recorded, whatever became of it since."""
        return ResponseMessage(self.env, _post(self.env, self.channels[message["channel"]].id, message))

    def has(self, channel: str, message_id: int) -> bool:
        """Whether a message is there, with a file."""
        message = self.env.backend.messages[self.channels[channel].id].get(message_id)
        return message is not None and bool(message.attachments)

    def show_again(self, form: Mapping[str, Any]) -> InteractionResult:
        """A form that was open when the process ended."""
        backend = self.env.backend
        channel = self.channels[form["channel"]].id
        record = backend.new_interaction(BUTTON_PRESS, channel, form["by"], self.stage.guild.id)
        record.source_message_id = form["under"]
        record.show_modal(form["modal"])
        return InteractionResult(self.env, record)

    async def idle(self) -> None:
        """Return once every job has ended and is delivered."""
        async with asyncio.timeout(LONG_S):
            await self.stage.idle()

    async def problems(self) -> list[str]:
        """What the database's own checks find."""
        return await self.stage.app.store.problems()

    def numbers(self, above: int = 0) -> list[int]:
        """Every job that was not deleted, with a number above that."""
        with closing(_connect(self.stage.settings.data_dir)) as db:
            rows = db.execute("SELECT id FROM job WHERE deleted_at IS NULL AND id > ? ORDER BY id", (above,))
            return [row[0] for row in rows]

    async def jobs(self, above: int = 0) -> dict[int, Facts]:
        """What those jobs are, by number."""
        return {number: await self.job(number) for number in self.numbers(above)}

    async def job(self, number: int) -> Facts:
        store = self.stage.app.jobs
        job, images = await store.get(number), await store.images(number)
        pictures = {sha256: await self._picture(sha256) for sha256 in job.spec.inputs}
        return _job_facts(job, images, pictures)

    async def message_id(self, number: int) -> int:
        """Of the message that shows a job."""
        return (await self.stage.app.jobs.get(number)).message_id or 0

    async def _picture(self, sha256: str) -> Image.Image:
        stored = await self.stage.app.jobs.input_image(sha256)
        return opened(await self.stage.app.files.read(stored.file.path))

    def state(self) -> Facts:
        """How many rows each table has, and the jobs by state."""
        with closing(_connect(self.stage.settings.data_dir)) as db:
            names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            names.remove("unlink")  # files on their way off the disk: there for a moment
            counts = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in sorted(names)}
            states = dict(db.execute("SELECT state, count(*) FROM job WHERE deleted_at IS NULL GROUP BY state"))
            counts["cells"] = db.execute("SELECT ifnull(sum(cells), 0) FROM region").fetchone()[0]
        return {**counts, **{f"jobs {state}": count for state, count in states.items()}}

    async def balances(self) -> Facts:
        """Everybody's credits."""
        credits, quotas = self.stage.app.credits, self.stage.app.quotas
        found = {}
        for name, member in self.stage.members.items():
            actor = _asker(member.id, self.channels["easel"].id)
            balance = await credits.balance(member.id, GUILD_ID, await quotas.terms(actor))
            found[name] = {"free": balance.free_mc, "paid": balance.paid_mc, "reserved": balance.reserved_mc}
        return found


def _asker(user_id: int, channel_id: int) -> Any:
    from bot.orders.actor import Actor

    return Actor(user_id=user_id, guild_id=GUILD_ID, channel_id=channel_id, role_ids=frozenset({GUILD_ID}))


def _job_facts(job: Job, images: Sequence[StoredImage], pictures: Pictures) -> Facts:
    return {
        "state": job.state,
        "kind": "imagine" if job.kind == "control" else job.kind,  # as version 0.1.0 called it
        "lane": job.lane,
        "private": job.private,
        "parent": job.parent_image_id,
        "price": job.price_mc,
        "charged": job.charged_mc,
        "asks": _reading(job.spec, pictures),
        "images": [
            {"id": image.id, "seed": image.seed, "asks": _reading(job.spec_of(image), pictures)["requests"]}
            for image in images
        ],
    }


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _connect(data_dir: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{(data_dir / 'easel.db').absolute().as_uri()}?mode=ro", uri=True)


def settings_of(folder: Path) -> Settings:
    ada = simulation.FIRST_USER_ID + len(PEOPLE)
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        data_dir=folder,
        min_free_mib=0,
        credits_a_day=2000,
        operators=(ada,),
        skus=SKUS,  # type: ignore[arg-type]
        web_address="auto",
        web_port=0,
    )


@asynccontextmanager
async def open_data_dir(folder: Path, world: Facts, step_s: float = 0.0) -> AsyncIterator[Place]:
    """Start Easel on a data directory, at the time and with the channels and messages of `world`.

    `step_s`: seconds that a painting step takes.
    """

    def make() -> FakeEngine:
        return FakeEngine(MODELS, step_s=step_s)

    settings = settings_of(folder)
    settings.shutdown_grace_s = 0.0
    with _clock_at(world["now_ms"]):
        app = simulation._app(settings, make())
        await app.__aenter__()
        try:
            async with simulated_discord.simulated(app.client) as env:
                guild = env.create_guild("Easel's studio", id=GUILD_ID)
                people = simulation._people(env, guild, PEOPLE, ADMINS, ())
                channels = {name: _channel(env, guild, name, world.get("channels", {})) for name in CHANNELS}
                for message in world.get("messages", ()):
                    _post(env, channels[message["channel"]].id, message)
                running = Stage(settings, env, guild, channels["easel"], people, make, app)
                await app.start()
                yield Place(running, channels)
                await app.stop()
        finally:
            await app.__aexit__(None, None, None)


@contextmanager
def _clock_at(now_ms: int) -> Iterator[None]:
    """Let the clock run from a moment in the past, and post what is noted for admins at once."""
    real, pace, began = SystemClock.now_ms, audit_channel.PACE_S, time.time()
    SystemClock.now_ms = lambda self: now_ms + int((time.time() - began) * 1000)  # type: ignore[method-assign]
    audit_channel.PACE_S = 0.0
    try:
        yield
    finally:
        SystemClock.now_ms, audit_channel.PACE_S = real, pace  # type: ignore[method-assign]


def _channel(env: SimulatedDiscord, guild: Any, name: str, known: Mapping[str, int]) -> Any:
    """A channel with the number that it had."""
    return env.text_channel(guild, known[name], name) if name in known else guild.create_text_channel(name)


def _post(env: simcord.Env, channel_id: int, message: Mapping[str, Any]) -> Any:
    """A message as it was, its files aside."""
    backend = env.backend
    made = backend.create_message(
        channel_id,
        message["author"] or backend.bot_user.id,
        message["content"],
        components=deepcopy(message["components"]),
        flags=message["flags"],
        interaction_metadata=message["asked"] and _asked_by(message["asked"]),
        broadcast=False,
    )
    del backend.messages[channel_id][made.id]
    made.id = message["id"]
    backend.messages[channel_id][made.id] = made
    return made


def _asked_by(user_id: int) -> Facts:
    user = {"id": str(user_id), "username": "somebody", "discriminator": "0", "avatar": None, "global_name": None}
    return {"id": "1", "type": 2, "user": user, "authorizing_integration_owners": {}}


def messages_of(place: Place) -> list[Facts]:
    """Every message in the channels, as `open_data_dir` puts it there again."""
    backend, found = place.env.backend, []
    for name, channel in place.channels.items():
        for message in backend.messages[channel.id].values():
            asked = (message.interaction_metadata or {}).get("user", {}).get("id")
            ours = message.author_id == backend.bot_user.id
            found.append(
                {
                    "id": message.id,
                    "channel": name,
                    "author": None if ours else message.author_id,
                    "content": message.content,
                    "components": message.components,
                    "flags": message.flags,
                    "asked": int(asked) if asked else None,
                }
            )
    return found


def forms_of(place: Place) -> list[Facts]:
    """The newest form of each kind that was shown."""
    names = {channel.id: name for name, channel in place.channels.items()}
    shown = [each for each in place.env.backend.interactions.values() if each.modal and each.channel_id in names]
    found = {meaning(each.modal["custom_id"])["does"]: each for each in shown}  # type: ignore[index]
    return [
        {
            "does": does,
            "by": each.user_id,
            "channel": names[each.channel_id],
            "under": each.source_message_id,
            "modal": each.modal,
        }
        for does, each in found.items()
    ]
