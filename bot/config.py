"""Settings: read once from the environment and `.env` by whoever starts the program, then handed down."""

from __future__ import annotations

import difflib
import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.errors import BadInput
from engine import ImageGate
from engine.backend import Backend
from engine.fleet import building
from engine.fleet.machines.ray_address import RayAddress
from engine.fleet.members import Member
from engine.vision.options import UNSAFE_LABELS, VisionOptions

PREFIX, ENV_FILE, ENCODING = "EASEL_", ".env", "utf-8-sig"  # Windows' editors begin a file with a byte order mark
HUB_KEYS = ("HF_TOKEN", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE")
ADDRESS = re.compile(r"(auto|https?://[^\s/?#]+(/[^\s?#]*)?)?")
OLD_NAMES = ("MEMORY_MIB",)  # still read
WEBHOOK = re.compile(r"https?://[^\s/?#]+\S*")
MAX_ID = 2**63  # Discord's ids are positive and fit into a signed 64-bit number
# No number has no end: what is larger by far than anybody means is a slip of the keyboard, and breaks something later.
MAX_CREDITS, MAX_JOBS, MAX_DAYS, MAX_MIB = 10**9, 10**6, 36_500, 2**30


# ---------------------------------------------------------------- how values are written
def _list(value: object) -> object:
    """Words with commas between them, or a JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json(value, list, "with commas between")
    return [part.strip() for part in value.split(",") if part.strip()]


def _ids(value: object) -> object:
    """Discord ids, as `_list` reads them. Raises: ValueError."""
    found = _list(value)
    parts = re.split(r"[\s,]+", ",".join(map(str, found))) if isinstance(found, list | tuple) else [str(found)]
    for part in filter(None, parts):
        if not (part.isascii() and part.isdigit() and 0 < int(part) < MAX_ID):
            raise ValueError(f"'{part}' is no Discord id; write such as 123456789012345678, 234567890123456789")
    return tuple(int(part) for part in parts if part)


def _table(value: object) -> object:
    """A JSON object."""
    return _json(value, dict, 'as JSON, such as {"name": "value"}') if isinstance(value, str) else value


def _json(text: str, kind: type, how: str) -> object:
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"write it {how} ({error})") from None
    if not isinstance(value, kind):
        raise ValueError(f"write it {how}")
    return value


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _mebibytes(value: object) -> object:
    """MiB; 0 for `auto`."""
    return 0 if _lower(value) == "auto" else value


def _path(text: str) -> str:
    """A path with its `~` replaced. Raises: ValueError."""
    if "\0" in text:
        raise ValueError("a path has no null character in it")
    if (found := os.path.expanduser(text)).startswith("~"):
        raise ValueError(f"there is no user '{found[1:].partition('/')[0]}' here whose home it could be in")
    return found


def _webhook(address: SecretStr) -> SecretStr:
    """Raises: ValueError, which doesn't say the address: whoever has it can write there."""
    if (text := address.get_secret_value().strip()) and not WEBHOOK.fullmatch(text):
        raise ValueError("write it like https://discord.com/api/webhooks/..., or leave it empty")
    return address


def _address(text: str) -> str:
    """An address that a link button on Discord can have. Raises: ValueError."""
    if len(text) > 300 or not ADDRESS.fullmatch(text):
        raise ValueError("write it like https://easel.example.org, or auto, or leave it empty")
    return text


def _cluster(text: str) -> str:
    """Raises: ValueError for what names no cluster."""
    if text:
        RayAddress.parse(text)
    return text


Ids = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_ids)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list)]
Folder = Annotated[Path, AfterValidator(lambda path: Path(_path(str(path))))]
Source = Annotated[str, AfterValidator(_path)]  # a file, a folder, or a model's name
Sources = Annotated[dict[str, Source], NoDecode, BeforeValidator(_table)]
Table = Annotated[dict[int, dict[str, Any]], NoDecode, BeforeValidator(_table)]


# ---------------------------------------------------------------- the settings
class Settings(BaseSettings):
    """Every setting has a default that works; each can be set as `EASEL_<NAME>` or in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding=ENCODING,
        env_ignore_empty=True,
        extra="ignore",
        env_prefix_target="all",
    )

    token: SecretStr = Field(SecretStr(""), description="The bot's token, from Discord's developer portal.")
    data_dir: Folder = Field(Path("easel-data"), description="Folder of the database and the pictures.")
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        "INFO", description="How much is logged."
    )
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = Field(
        "text", description="`text`, or `json`: one object a line, for programs that collect logs."
    )

    model: Source = Field("mini", description="Default model: `mini`, a diffusers folder, hub id or .safetensors file.")
    models: Sources = Field({}, description='More models by name, as JSON: {"sdxl": "/models/sdxl"}.')
    loras: Sources = Field({}, description='LoRAs by name, as JSON: {"waves": "/models/waves.safetensors"}.')
    embeddings: Sources = Field(
        {}, description='Textual inversions by their word, as JSON: {"dawn": "/models/dawn.safetensors"}.'
    )
    ip_adapters: Sources = Field(
        {}, description='IP-Adapters by model, as JSON: {"sdxl": "/models/ip-adapter_sdxl.safetensors"}.'
    )
    controlnets: Sources = Field({}, description='ControlNets by name, as JSON: {"edges-sd15": "/models/canny"}.')
    engines: Annotated[dict[str, dict[str, str]], NoDecode, BeforeValidator(_table)] = Field(
        {}, description="Other engines by the name of the model they become, as JSON; empty = none."
    )
    device: Annotated[str, BeforeValidator(_lower)] = Field(
        "auto",
        description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`, `none`; a worker for each of several: `cuda:0,cuda:1`.",
    )
    dtype: Annotated[Literal["auto", "float32", "bfloat16", "float16"], BeforeValidator(_lower)] = Field(
        "auto", description="Precision of the denoiser."
    )
    mode: Annotated[Literal["exact", "fast"], BeforeValidator(_lower)] = Field(
        "exact", description="`exact`: the same request gives the same bytes, always."
    )
    threads: int = Field(0, ge=0, le=1024, description="CPU threads of the engine; 0 = chosen for the machine.")
    max_rows: int = Field(8, ge=1, le=64, description="Most rows of one batched denoiser call.")
    memory: Annotated[int, BeforeValidator(_mebibytes)] = Field(
        "auto",
        ge=0,
        le=MAX_MIB,
        validate_default=True,
        validation_alias=AliasChoices("memory", "memory_mib"),  # as it was called before
        description="Memory for models: `auto` = most of what is free on the device, or MiB.",
    )

    compile: bool = Field(False, description="Models are compiled for the device, which can make steps faster.")

    upscaler: Source = Field(
        "auto",
        description="What makes faithful upscales: `auto` = Real-ESRGAN where it's installed; or `off`, or a model.",
    )
    captioner: Source = Field("", description="Model that describes pictures: a folder or hub id, such as a BLIP.")
    prompt_helper: Source = Field(
        "", description="Small instruct model of transformers that writes prompts: a folder or hub id."
    )
    segmenter: Source = Field(
        "", description="Model that finds things in pictures by their name: a CLIPSeg's folder or hub id."
    )
    preprocessors: Sources = Field(
        {},
        description='What draws what ControlNets follow, as JSON: {"depth": "/models/depth", "soft": "gradient"}.',
    )
    ranker: Source = Field("", description="CLIP that chooses the best of many pictures: a folder or hub id.")
    safety: Source = Field(
        "auto", description="What judges pictures: `auto` = open_nsfw where it's installed; or `off`, or a model."
    )
    unsafe_labels: Words = Field(
        UNSAFE_LABELS, description="Labels of an image classifier that are not shown, with commas between them."
    )

    credits_a_day: int = Field(
        100, ge=0, le=MAX_CREDITS, description="Free credits a member gets a day (UTC) in each server."
    )
    max_credits_a_day: int = Field(
        10_000,
        ge=0,
        le=MAX_CREDITS,
        description="Most free credits a day that a server's admins may allow a member; 0 = no ceiling.",
    )
    server_credits_a_day: int = Field(
        0, ge=0, le=MAX_CREDITS, description="Most credits that one server may spend a day; 0 = no cap."
    )
    max_weight: float = Field(
        10.0, ge=0.1, le=100, description="Largest weight in the queue that a server's admins may give."
    )
    max_pixels: int = Field(
        1536 * 1536, ge=4096, le=2**28, description="Largest picture a member may ask for, in pixels."
    )
    max_steps: int = Field(60, ge=1, le=150, description="Most denoising steps a member may ask for.")
    max_queued: int = Field(10, ge=1, le=MAX_JOBS, description="Jobs one member may have waiting or running.")
    relax: bool = Field(
        False, description="Who is out of credits may still paint: free, and behind everybody who pays."
    )
    max_queue: int = Field(500, ge=1, le=MAX_JOBS, description="Jobs that may wait in all before new ones are refused.")
    max_server_queue: int = Field(
        250, ge=1, le=MAX_JOBS, description="Jobs of one server that may wait before new ones are refused."
    )
    max_running: int = Field(16, ge=1, le=64, description="Jobs handed to the engine at once.")

    web_address: Annotated[str, AfterValidator(_address)] = Field(
        "", description="Public address of the mask editor; empty = no editor in the browser."
    )
    web_host: str = Field("127.0.0.1", description="Network address the mask editor's server listens on.")
    web_port: int = Field(8642, ge=0, le=65535, description="Port the mask editor's server listens on; 0 = any.")

    api: bool = Field(
        False, description="Members with a key of `easel admin key` may paint over an API in the shape of OpenAI's."
    )
    workers: bool = Field(
        False, description="Workers on other machines may dial in, each with a token of `easel worker token`."
    )
    engine: Annotated[str, AfterValidator(_cluster)] = Field(
        "", description="Ray cluster that runs workers: `ray://head:8265?workers=0-4&gpus=1`; empty = none."
    )
    ray_token: SecretStr = Field(SecretStr(""), description="Of the Ray cluster, where it asks for one.")
    worker_token: SecretStr = Field(
        SecretStr(""), description="Of a worker: the token it dials in with, instead of the option `--token`."
    )

    metrics_token: SecretStr = Field(
        SecretStr(""), description="Turns on `/metrics` for Prometheus, for whoever knows this token; empty = off."
    )

    watermark: bool = Field(False, description="Pictures carry an invisible mark that says they were generated.")
    c2pa_certificate: Source = Field(
        "",
        description="PEM file of the certificate that pictures are signed with (C2PA), with its chain; empty = none.",
    )
    c2pa_key: Source = Field("", description="PEM file of that certificate's private key.")

    min_free_mib: int = Field(1024, ge=0, le=MAX_MIB, description="No new jobs when the disk has less than this left.")
    backup_every_hours: int = Field(
        0, ge=0, le=24 * 365, description="A backup so many hours after the last; 0 = never."
    )
    backup_keep: int = Field(7, ge=1, le=MAX_JOBS, description="Backups that are kept; older ones are deleted.")
    backup_dir: Source = Field("", description="Folder of the backups; empty = `backups` in the data folder.")
    retention_days: int = Field(
        0, ge=0, le=MAX_DAYS, description="Days after which pictures and prompts are deleted; 0 = never."
    )
    shutdown_grace_s: float = Field(
        20.0, ge=0, le=86_400, description="Seconds that running jobs get to finish on SIGTERM."
    )
    skus: Table = Field({}, description="What is sold on Discord, as JSON by SKU id; empty = nothing.")
    servers: Ids = Field(
        (), description="Discord ids of the servers Easel works in; empty = every server that adds it."
    )
    direct_messages: Annotated[Literal["off", "shared", "on"], BeforeValidator(_lower)] = Field(
        "shared", description="Direct messages: `off`; `shared`: by the rules of the servers shared with the bot; `on`."
    )
    user_installs: bool = Field(
        False, description="Let people bring Easel along as an app of their own, as in direct messages."
    )
    operators: Ids = Field((), description="Discord ids of those who run this bot, with commas between them.")
    alert_webhook: Annotated[SecretStr, AfterValidator(_webhook)] = Field(
        SecretStr(""),
        description="Webhook that is told when Easel needs a hand; empty = direct messages to the operators.",
    )
    sync_commands: bool = Field(True, description="Publish slash commands at start when they changed.")

    @property
    def database_path(self) -> Path:
        return self.data_dir / "easel.db"

    @property
    def backups_dir(self) -> Path:
        return Path(self.backup_dir) if self.backup_dir else self.data_dir / "backups"

    @property
    def images_dir(self) -> Path:
        return self.data_dir / "images"

    @property
    def has_web_server(self) -> bool:
        """Whether anything needs the web server."""
        measured = self.metrics_token.get_secret_value().strip()
        return bool(self.web_address or self.api or self.lets_workers_in or measured)

    @property
    def lets_workers_in(self) -> bool:
        """Whether workers on other machines may dial in."""
        return self.workers or bool(self.engine)

    @classmethod
    def load(cls, **given: object) -> Settings:
        """Read the environment and `.env`; `given` wins over both. Raises: BadInput, naming what can't be used."""
        try:
            return cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            raise BadInput("\n".join(_complaints(error))) from None
        except UnicodeDecodeError:
            raise BadInput(f"The file {ENV_FILE} is no UTF-8 text. Save it again as UTF-8.") from None


def export_hub_keys() -> None:
    """Let the Hugging Face hub's library see what `.env` says to it; it reads the environment only."""
    for key, value in dotenv_values(ENV_FILE, encoding=ENCODING).items():
        if key in HUB_KEYS and value:
            os.environ.setdefault(key, value)


def unknown_keys() -> dict[str, str]:
    """The `EASEL_` keys in the environment and `.env` that are no settings, each with the nearest one, or ""."""
    known = [*(name.upper() for name in Settings.model_fields), *OLD_NAMES]
    given = {*os.environ, *dotenv_values(ENV_FILE, encoding=ENCODING)}
    names = {key: key[len(PREFIX) :].upper() for key in sorted(given) if key.upper().startswith(PREFIX)}
    nearest = {key: difflib.get_close_matches(name, known, 1) for key, name in names.items() if name not in known}
    return {key: PREFIX + found[0] if found else "" for key, found in nearest.items()}


def _complaints(error: ValidationError) -> list[str]:
    """A sentence for each setting that can't be used; a secret's value is never in it."""
    said: dict[str, str] = {}
    for found in error.errors():
        key = f"{PREFIX}{str(found['loc'][0]).upper()}"
        what = found["msg"].removeprefix("Value error, ")
        said.setdefault(key, f"The setting {key} can't be used: {what}. See docs/configuration.md.")
    return list(said.values())


def engine_for(settings: Settings, gate: ImageGate | None = None) -> Backend:
    """The engine that the settings describe, or one for each of their devices; not started.

    It leaves out what can't be loaded.
    `gate` is your own rule for pictures. Raises: ModelUnloadable for what is vital.
    """
    options = {
        "model": settings.model,
        "models": settings.models,
        "loras": settings.loras,
        "embeddings": settings.embeddings,
        "ip_adapters": settings.ip_adapters,
        "controlnets": settings.controlnets,
        "dtype": settings.dtype,
        "mode": settings.mode,
        "threads": settings.threads,
        "max_rows": settings.max_rows,
        "memory_mib": settings.memory,
        "compiled": settings.compile,
        "upscaler": settings.upscaler,
        "data_dir": str(settings.data_dir),
    }
    foreign: list[Member] = []
    if settings.engines:
        from engine.foreign import building as foreign_engines  # aiohttp takes long to load

        foreign = foreign_engines.members(settings.engines)
    looking = vision_options(settings, gate)
    return building.build(settings.device, options, looking, others=settings.lets_workers_in, foreign=foreign)


def vision_options(settings: Settings, gate: ImageGate | None = None) -> VisionOptions:
    """The models that look at pictures, as the settings have them."""
    return VisionOptions(
        captioner=settings.captioner,
        helper=settings.prompt_helper,
        segmenter=settings.segmenter,
        preprocessors=settings.preprocessors,
        ranker=settings.ranker,
        safety=settings.safety,
        unsafe_labels=settings.unsafe_labels,
        gate=gate,
    )
