"""A separate network that reads pictures for the evaluation: what is where, in which colour, scene and style.

It never sees the generator: it learns from renderings with other seeds, blurred and noised so that it forgives texture.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.mini.train.config import StageConfig
from engine.mini.train.data import to_tensor
from engine.mini.train.loop import Loop, Rng
from engine.mini.train.precision import mixed
from engine.mini.train.render import render
from engine.mini.train.scenes import Diet, Scene, sample_scene
from engine.mini.words import COLOURS, SCENES, STYLES, THINGS

CELLS = 16
NOTHING = len(THINGS)
DIET = Diet(  # no style is a safer guess than another, and small things count as well
    kinds={"single": 0.35, "pair": 0.3, "counting": 0.35}, styles={"flat": 0.4} | dict.fromkeys(STYLES[1:], 0.15)
)
UNSURE = -100  # the border of a thing: `cross_entropy` ignores it
PEAK = -3.5  # logit halfway between the peaks of true renderings (above -2) and of nothing (below -5)
DOT = 0.025  # of the picture: the reach of a centre's dot
CORE, RIM = 0.55, 0.85  # of the radius: inside the first is the thing, up to the second is unsure


def _layer(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Checker(nn.Module):
    """Reads 128-px pictures (B, 3, 128, 128) in -1..1.

    Returns kind logits (B, 29, 16, 16), colour logits (B, 12, 16, 16), logits of scene, style and backdrop (B, 27), and
    logits of the things' centres (B, 32, 32), by which equal things are counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.texture = nn.Sequential(nn.PixelUnshuffle(4), _layer(48, 48), _layer(48, 48))
        self.body = nn.Sequential(
            *(_layer(48, 96, stride=2), _layer(96, 96), _layer(96, 128)),
            *(_layer(128, 128, dilation=2), _layer(128, 128, dilation=3), _layer(128, 128)),
        )
        self.cells = nn.Conv2d(128, len(THINGS) + 1 + len(COLOURS), 1)
        self.centres = nn.Sequential(nn.Conv2d(128, 4, 1), nn.PixelShuffle(2), nn.Flatten(1, 2))
        self.whole = nn.Linear(2 * (48 + 128), len(SCENES) + len(STYLES) + len(COLOURS))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Classify every cell and the whole."""
        texture = self.texture(pictures)  # styles are told by their grain, which the body forgets
        features = self.body(texture)
        kinds, colours = self.cells(features).split([len(THINGS) + 1, len(COLOURS)], 1)
        pooled = [pool for part in (texture, features) for pool in (part.mean((2, 3)), part.amax((2, 3)))]
        return kinds, colours, self.whole(torch.cat(pooled, 1)), self.centres(features)


def label(scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """Return kinds (16, 16), colours (16, 16) and (scene, style, backdrop), all int64."""
    kinds = np.full((CELLS, CELLS), NOTHING, np.int64)
    colours = np.full((CELLS, CELLS), UNSURE, np.int64)
    centres = (np.arange(CELLS) + 0.5) / CELLS
    for thing in sorted(scene.things, key=lambda t: t.y + t.radius):
        distance = np.hypot(centres[None] - thing.x, centres[:, None] - thing.y) / thing.radius
        kinds[(distance < RIM) & (kinds == NOTHING)] = UNSURE
        kinds[distance < CORE] = THINGS.index(thing.kind)
        colours[distance < CORE] = list(COLOURS).index(thing.colour)
    backdrop = list(COLOURS).index(scene.background) if scene.background else UNSURE
    whole = [SCENES.index(scene.scene), STYLES.index(scene.style), backdrop]
    return torch.from_numpy(kinds), torch.from_numpy(colours), torch.tensor(whole)


def centre_map(scene: Scene) -> Tensor:
    """Return a soft dot for every thing: (32, 32), 1 at its centre."""
    centres = (np.arange(2 * CELLS) + 0.5) / (2 * CELLS)
    dots = np.zeros((2 * CELLS, 2 * CELLS), np.float32)
    for thing in scene.things:
        squared = (centres[None] - thing.x) ** 2 + (centres[:, None] - thing.y) ** 2
        dots = np.maximum(dots, np.exp(-squared / (2 * DOT**2)))
    return torch.from_numpy(dots)


def _worn(pictures: Tensor, rng: Rng) -> Tensor:
    """Change brightness and tint, blur some, add noise."""
    count, chance = len(pictures), rng.choice.random()
    gain = 1 + 0.1 * torch.randn(count, 1, 1, 1, generator=rng.torch)
    pictures = pictures * gain + 0.05 * torch.randn(count, 3, 1, 1, generator=rng.torch)
    if chance < 0.25:
        pictures = F.avg_pool2d(pictures, 3, 1, 1)
    elif chance < 0.4:
        pictures = F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2, mode="bilinear")
    noise = torch.randn(pictures.shape, generator=rng.torch)
    return (pictures + 0.05 * rng.choice.random() * noise).clamp(-1.2, 1.2)


def checker_loss(checker: Checker, device: str, batch: int, rng: Rng) -> Tensor:
    """Return the summed cross-entropies of a batch of fresh pictures."""
    scenes = [sample_scene(rng.choice, DIET) for _ in range(batch)]
    pictures = _worn(to_tensor([render(scene, rng.choice.getrandbits(32)) for scene in scenes]), rng)
    kinds, colours, whole = (torch.stack(part).to(device) for part in zip(*map(label, scenes), strict=True))
    with mixed(device):
        kind_logits, colour_logits, whole_logits, centre_logits = checker(pictures.to(device))
    dots = torch.stack([centre_map(scene) for scene in scenes]).to(device)
    parts = whole_logits.float().split([len(SCENES), len(STYLES), len(COLOURS)], 1)
    backdrop = F.cross_entropy(parts[2], whole[:, 2]).nan_to_num()
    return (
        F.cross_entropy(kind_logits.float(), kinds, weight=_kind_weights(device))
        + 0.6 * F.cross_entropy(colour_logits.float(), colours)
        + 0.3 * (F.cross_entropy(parts[0], whole[:, 0]) + 3 * F.cross_entropy(parts[1], whole[:, 1]) + backdrop)
        + 10 * F.binary_cross_entropy_with_logits(centre_logits.float(), dots)
    )


def _kind_weights(device: str) -> Tensor:
    """Return class weights: most cells are empty."""
    weights = torch.ones(NOTHING + 1, device=device)
    weights[NOTHING] = 0.5
    return weights


def train_checker(
    config: StageConfig,
    folder: Path,
    device: str,
    *,
    seed: int,
    minutes: float | None = None,
    start: Path | None = None,
) -> Checker:
    """Train a checker, the one in the folder `start` or a new one, and write `folder/model.safetensors`."""
    torch.manual_seed(seed)
    checker = (load_checker(start) if start else Checker()).to(device)
    loop = Loop(checker, config, folder, seed=seed + 1_000_003, minutes=minutes)  # far from the generator's seeds
    ema = loop.run(lambda batch, rng: checker_loss(checker, device, batch, rng))
    assert isinstance(ema, Checker)
    save_file({name: _halved(weight) for name, weight in ema.state_dict().items()}, folder / "model.safetensors")
    return ema


def _halved(weight: Tensor) -> Tensor:
    return weight.half().contiguous() if weight.is_floating_point() else weight


def load_checker(folder: Path) -> Checker:
    """Read a trained checker, on the CPU in float32."""
    checker = Checker()
    state = load_file(folder / "model.safetensors")
    checker.load_state_dict({name: w.float() if w.is_floating_point() else w for name, w in state.items()})
    return checker.eval()


def cells_of(checker: Checker, pictures: Tensor) -> Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Read pictures one by one.

    Returns kind probabilities (29, 16, 16), colour probabilities (12, 16, 16), logits of the whole (27,) and peaks
    (32, 32) bool.
    """
    with torch.inference_mode():
        kinds, colours, whole, centres = checker(pictures)
    highest = F.max_pool2d(centres[:, None], 5, 1, 2)[:, 0]
    return list(zip(kinds.softmax(1), colours.softmax(1), whole, (centres == highest) & (centres > PEAK), strict=True))
