"""Settings: read once from the environment and `.env` by whoever starts the program, then handed down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.vision.options import UNSAFE_LABELS

ADDRESS = re.compile(r"(auto|https?://[^\s/?#]+(/[^\s?#]*)?)?")


def _address(text: str) -> str:
    """An address that a link button on Discord can have. Raises: ValueError."""
    if len(text) > 300 or not ADDRESS.fullmatch(text):
        raise ValueError("write it like https://easel.example.org, or auto, or leave it empty")
    return text


class Settings(BaseSettings):
    """Every setting has a default that works; each can be set as `EASEL_<NAME>` or in `.env`."""

    model_config = SettingsConfigDict(env_prefix="EASEL_", env_file=".env", env_file_encoding="utf-8", extra="ignore")

    token: SecretStr = Field(SecretStr(""), description="The bot's token, from Discord's developer portal.")
    data_dir: Path = Field(Path("easel-data"), description="Folder of the database and the pictures.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged.")

    model: str = Field("mini", description="Default model: `mini`, a diffusers folder, hub id or .safetensors file.")
    models: dict[str, str] = Field({}, description='More models by name, as JSON: {"sdxl": "/models/sdxl"}.')
    loras: dict[str, str] = Field({}, description='LoRAs by name, as JSON: {"waves": "/models/waves.safetensors"}.')
    embeddings: dict[str, str] = Field(
        {}, description='Textual inversions by their word, as JSON: {"dawn": "/models/dawn.safetensors"}.'
    )
    ip_adapters: dict[str, str] = Field(
        {}, description='IP-Adapters by model, as JSON: {"sdxl": "/models/ip-adapter_sdxl.safetensors"}.'
    )
    controlnets: dict[str, str] = Field(
        {}, description='ControlNets by name, as JSON: {"edges-sd15": "/models/canny"}.'
    )
    device: str = Field("auto", description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="Precision of the denoiser.")
    mode: Literal["exact", "fast"] = Field("exact", description="`exact`: the same seed gives the same bytes, always.")
    threads: int = Field(0, ge=0, description="CPU threads of the engine; 0 = chosen for the machine.")
    max_rows: int = Field(8, ge=1, le=64, description="Most rows of one batched denoiser call.")
    memory_mib: int = Field(0, ge=0, description="Memory for models, in MiB; 0 = chosen for the device.")

    upscaler: str = Field(
        "", description="Model for faithful upscales: a Swin2SR, latent or x4 upscaler, as a folder or hub id."
    )
    captioner: str = Field("", description="Model that describes pictures: a folder or hub id, such as a BLIP.")
    segmenter: str = Field(
        "", description="Model that finds things in pictures by their name: a CLIPSeg's folder or hub id."
    )
    ranker: str = Field("", description="CLIP that chooses the best of many pictures: a folder or hub id.")
    safety: str = Field("off", description="`off`, or the folder or hub id of the model that judges pictures.")
    unsafe_labels: tuple[str, ...] = Field(
        UNSAFE_LABELS, description="Labels of an image classifier that are not shown, as JSON."
    )

    credits_a_day: int = Field(100, ge=0, description="Free credits a member gets a day (UTC) in each server.")
    max_pixels: int = Field(1536 * 1536, ge=4096, description="Largest picture a member may ask for, in pixels.")
    max_steps: int = Field(60, ge=1, le=150, description="Most denoising steps a member may ask for.")
    max_queued: int = Field(10, ge=1, description="Jobs one member may have waiting or running.")
    relax: bool = Field(
        False, description="Who is out of credits may still paint: free, and behind everybody who pays."
    )
    max_queue: int = Field(500, ge=1, description="Jobs that may wait in all before new ones are refused.")
    max_running: int = Field(16, ge=1, le=64, description="Jobs handed to the engine at once.")

    web_address: Annotated[str, AfterValidator(_address)] = Field(
        "", description="Public address of the mask editor; empty = no editor in the browser."
    )
    web_host: str = Field("127.0.0.1", description="Network address the mask editor's server listens on.")
    web_port: int = Field(8642, ge=0, le=65535, description="Port the mask editor's server listens on; 0 = any.")

    min_free_mib: int = Field(1024, ge=0, description="No new jobs when the disk has less than this left.")
    retention_days: int = Field(0, ge=0, description="Days after which pictures and prompts are deleted; 0 = never.")
    shutdown_grace_s: float = Field(20.0, ge=0, description="Seconds that running jobs get to finish on SIGTERM.")
    skus: dict[int, dict[str, Any]] = Field(
        {}, description="What is sold on Discord, as JSON by SKU id; empty = nothing."
    )
    operators: tuple[int, ...] = Field((), description="Discord ids of those who run this bot, as JSON: [123, 456].")
    sync_commands: bool = Field(True, description="Publish slash commands at start when they changed.")

    @property
    def database_path(self) -> Path:
        return self.data_dir / "easel.db"

    @property
    def images_dir(self) -> Path:
        return self.data_dir / "images"
