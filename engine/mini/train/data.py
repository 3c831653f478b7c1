"""Training pairs on disk: scenes with their latents, in shards. Knows the renderer and the VAE, no other network.

Latent diffusion (Rombach et al. 2022, arXiv:2112.10752) trains on latents of a frozen autoencoder, so they are computed
once. Captions are not stored: a scene is described anew each time it is drawn.
"""

import dataclasses
import json
import multiprocessing
import os
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from engine.mini.train.config import PICTURE_PX, DataConfig
from engine.mini.train.precision import mixed
from engine.mini.train.render import render
from engine.mini.train.scenes import Scene, training_scene

ENCODE_BATCH = 4  # the activations of more do not fit a cache: 31 pictures a second and core instead of 13


def to_tensor(pictures: Iterable[Image.Image]) -> Tensor:
    """Stack RGB pictures: (B, 3, H, W) in -1..1."""
    pixels = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def sample_scenes(config: DataConfig, shard: int) -> list[Scene]:
    """Sample the scenes of a shard, seeded by its number."""
    rng = random.Random(f"shard {shard}")
    diet = config.basic if shard < config.basic_shards else config.full
    return [training_scene(rng, diet) for _ in range(config.shard_size)]


@torch.inference_mode()
def encode(vae: AutoencoderKL, pictures: Sequence[Image.Image]) -> Tensor:
    """Encode pictures of the autoencoder's size as latent means: (B, 4, 16, 16) float32."""
    pixels = to_tensor(pictures).to(vae.device, memory_format=torch.channels_last)
    with mixed(vae.device.type):
        means: Tensor = vae.encode(pixels).latent_dist.mean
    return means.float().cpu()


def write_shard(folder: Path, config: DataConfig, shard: int, vae: AutoencoderKL) -> None:
    """Render, encode and store one shard; the rename at the end makes it whole or absent."""
    scenes = sample_scenes(config, shard)
    latents = []
    for start in range(0, len(scenes), ENCODE_BATCH):
        chunk = scenes[start : start + ENCODE_BATCH]
        seeds = range(shard * config.shard_size + start, (shard + 1) * config.shard_size)
        size_px = vae.config.sample_size
        pictures = [render(scene, seed, size_px) for scene, seed in zip(chunk, seeds, strict=False)]
        latents.append(encode(vae, pictures).half().numpy())
    text = json.dumps([dataclasses.asdict(scene) for scene in scenes])
    part = folder / f"shard_{shard:03d}.part"
    with part.open("wb") as file:
        np.savez(file, latents=np.concatenate(latents), scenes=np.frombuffer(text.encode(), np.uint8))
    part.rename(part.with_suffix(".npz"))


Writer = Callable[[Path, Any, int, AutoencoderKL], None]


def write_shards(
    folder: Path, config: Any, vae_folder: Path, device: str, workers: int, write: Writer = write_shard
) -> None:
    """Write those of `config.shards` that are missing, in parallel processes if there are several workers."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [i for i in range(config.shards) if not (folder / f"shard_{i:03d}.npz").exists()]
    jobs = [(folder, config, missing[i::workers], vae_folder, device, write) for i in range(workers)]
    if workers == 1:
        _write_some(*jobs[0])
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        pool.starmap(_write_some, jobs)


def _write_some(folder: Path, config: Any, shards: list[int], vae_folder: Path, device: str, write: Writer) -> None:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2) if device != "cpu" else 1)
    vae = AutoencoderKL.from_pretrained(vae_folder, dtype=torch.float32).to(device).eval()
    vae.to(memory_format=torch.channels_last)
    for shard in shards:
        write(folder, config, shard, vae)


class LatentDataset:
    """Every shard of a folder, in memory.

    Attributes:
        latents: (N, 4, H/8, W/8) float16.
        scenes: what each latent shows.
    """

    def __init__(self, folder: Path) -> None:
        shards = [np.load(path) for path in sorted(folder.glob("shard_*.npz"))]
        self.latents: NDArray[np.float16] = np.concatenate([shard["latents"] for shard in shards])
        texts = [bytes(shard["scenes"]).decode() for shard in shards]
        self.scenes = [Scene.from_dict(data) for text in texts for data in json.loads(text)]

    def __len__(self) -> int:
        return len(self.scenes)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, list[Scene]]:
        """Return latents (B, 4, H/8, W/8) float32 and their scenes."""
        return torch.from_numpy(self.latents[list(indices)]).float(), [self.scenes[i] for i in indices]


def foreground(scenes: Sequence[Scene], size: int = PICTURE_PX // 8) -> Tensor:
    """Return where the things are: (B, 1, size, size) bool."""
    centres = (np.arange(size) + 0.5) / size
    masks = np.zeros((len(scenes), 1, size, size), bool)
    for mask, scene in zip(masks[:, 0], scenes, strict=True):
        for thing in scene.things:
            reach = 1.15 * thing.radius + 0.5 / size
            mask |= np.outer(abs(centres - thing.y) < reach, abs(centres - thing.x) < reach)
    return torch.from_numpy(masks)
