"""Pictures before and after changes, on disk: a scene, a few changes of it, and the latents of all. Knows no network
but the autoencoder. Instructions aren't stored: a change is told anew each time it is drawn.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from engine.mini.train.config import FINE_PX, PairConfig
from engine.mini.train.data import ENCODE_BATCH, encode
from engine.mini.train.editing.changes import KINDS, TRAINED, Change, View, base_view, made, undone, unseen
from engine.mini.train.render import render_kept
from engine.mini.train.scenes import Scene

TRIES = 6  # at each kind of change of a scene
RARE = frozenset({"swap", "count", "place", "add"})  # few scenes allow them, so they are tried before the others
RARE_FIRST = 0.4
HARD = {"add": 1.8, "kind": 1.5, "swap": 1.5, "count": 1.4, "colour": 1.3}  # how often they are drawn, others once
EASY = {"style": 0.8, "size": 0.7, "remove": 0.6, "backdrop": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change from one view of a family to another; both are indices."""

    change: Change
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Views of one scene, the first of which was changed into the others, and the steps there and back."""

    views: tuple[View, ...]
    steps: tuple[Step, ...]


def family(rng: random.Random, changes: int) -> Family:
    """Sample a scene that training may show, and some changes of it of different kinds."""
    while unseen(base := base_view(rng, TRAINED), base):
        pass
    views, steps = [base], list[Step]()
    for kind in sorted(KINDS, key=lambda kind: rng.random() * (RARE_FIRST if kind in RARE else 1)):
        found = next((made_ for _ in range(TRIES) if (made_ := made(rng, kind, base))), None)
        if found is None or unseen(base, found[1]) or len(views) > changes:
            continue
        change, after = found
        back = undone(change, base.scene)
        steps.append(Step(change=change, before=0, after=len(views)))
        if back is not None:
            steps.append(Step(change=back, before=len(views), after=0))
        views.append(after)
    return Family(views=tuple(views), steps=tuple(steps))


def write_shard(folder: Path, config: PairConfig, shard: int, vae: AutoencoderKL) -> None:
    """Render, encode and store one shard; the rename at the end makes it whole or absent."""
    rng = random.Random(f"pairs {shard}")
    families = [family(rng, config.changes) for _ in range(config.families)]
    drawn = [
        render_kept(view.scene, view.numbers, shard * config.families + seed, FINE_PX)
        for seed, each in enumerate(families)
        for view in each.views
    ]
    latents = [encode(vae, drawn[i : i + ENCODE_BATCH]).half().numpy() for i in range(0, len(drawn), ENCODE_BATCH)]
    text = json.dumps([asdict(each) for each in families])
    part = folder / f"shard_{shard:03d}.part"
    with part.open("wb") as file:
        np.savez(file, latents=np.concatenate(latents), families=np.frombuffer(text.encode(), np.uint8))
    part.rename(part.with_suffix(".npz"))


class PairDataset:
    """Every shard of a folder, in memory.

    Attributes:
        latents: (N, 4, H/16, W/16) float16 of `FINE_PX` pictures.
        scenes: what each latent shows.
        steps: changes between them, by kind.
    """

    def __init__(self, folder: Path) -> None:
        shards = [np.load(path) for path in sorted(folder.glob("shard_*.npz"))]
        self.latents: NDArray[np.float16] = np.concatenate([shard["latents"] for shard in shards])
        self.scenes: list[Scene] = []
        self.steps: dict[str, list[Step]] = {kind: [] for kind in KINDS}
        for shard in shards:
            for data in json.loads(bytes(shard["families"]).decode()):
                self._add(data["views"], data["steps"])
        self._kinds = [kind for kind, steps in self.steps.items() if steps]

    def _add(self, views: Sequence[dict[str, object]], steps: Sequence[dict[str, object]]) -> None:
        start = len(self.scenes)
        self.scenes += [View.from_dict(view).scene for view in views]
        for step in steps:
            change, before, after = Change(**step["change"]), step["before"], step["after"]  # type: ignore[arg-type]
            self.steps[change.kind].append(Step(change=change, before=start + before, after=start + after))  # type: ignore[operator]

    def draw(self, rng: random.Random, count: int) -> list[Step]:
        """Choose steps, hard kinds more often than easy ones."""
        kinds = rng.choices(self._kinds, [(HARD | EASY).get(kind, 1.0) for kind in self._kinds], k=count)
        return [rng.choice(self.steps[kind]) for kind in kinds]

    def pictures(self, indices: Sequence[int]) -> Tensor:
        """Return latents: (B, 4, H/16, W/16) float32."""
        return torch.from_numpy(self.latents[list(indices)]).float()
