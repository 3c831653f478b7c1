"""Throw-away teachers: small heads that must say which thing and which colour is where. None of them ships.

The loss of a picture's pixels says little about words: that "a cat left of a car" puts the cat on the left is worth a
sliver of the squared error. The renderer knows the layout, so heads on inner features predict it as well. Supervising
the features of a diffusion network speeds up its training (REPA, Yu et al. 2024, arXiv:2410.06940); here the teacher is
the truth instead of a pretrained network. At high noise the only source of the answer is the prompt.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from engine.mini.train.networks.checker import CELLS, NOTHING, label
from engine.mini.train.networks.clip import PATCHES, patch_labels
from engine.mini.train.scenes import Scene
from engine.mini.words import COLOURS

LOGITS = NOTHING + 1 + len(COLOURS)
EMPTY_WEIGHT = 0.2  # most cells are empty and need little thought
COLOUR_WEIGHT = 0.6


class LayoutHeads(nn.Module):
    """Reads a layout from the features of the UNet's first two up blocks: (B, C, 8, 8) and (B, C, 16, 16)."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        widths = list(reversed(unet.config.block_out_channels))[:2]
        self.heads = nn.ModuleList(nn.Sequential(nn.GroupNorm(8, w), nn.Conv2d(w, LOGITS, 1)) for w in widths)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return logits (B, 41, 8, 8) and (B, 41, 16, 16)."""
        return [head(feature) for head, feature in zip(self.heads, features, strict=True)]


class Taps:
    """Keeps what the first two up blocks of a UNet put out, for the heads."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self.features: dict[int, Tensor] = {}
        for number in range(2):
            unet.up_blocks[number].register_forward_hook(self._keeper(number))

    def _keeper(self, number: int) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            self.features[number] = output

        return keep


def targets(scenes: Sequence[Scene], device: str) -> dict[int, tuple[Tensor, Tensor]]:
    """Return the kinds and the colours of every cell, (B, n, n) int64 each, for both sizes n of feature maps."""
    fine = [label(scene)[:2] for scene in scenes]
    coarse = [patch_labels(scene)[:2] for scene in scenes]
    return {
        CELLS: _stacked(fine, CELLS, device),
        PATCHES: _stacked(coarse, PATCHES, device),
    }


def _stacked(labels: Sequence[tuple[Tensor, Tensor]], size: int, device: str) -> tuple[Tensor, Tensor]:
    kinds, colours = (torch.stack(part).view(-1, size, size).to(device) for part in zip(*labels, strict=True))
    return kinds, colours


def layout_loss(logits: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
    """Return the cross-entropy of kinds and colours, a scalar."""
    kind_logits, colour_logits = torch.split(logits.float(), [NOTHING + 1, len(COLOURS)], 1)
    weights = torch.ones(NOTHING + 1, device=logits.device)
    weights[NOTHING] = EMPTY_WEIGHT
    kinds = F.cross_entropy(kind_logits, target[0], weight=weights)
    return kinds + COLOUR_WEIGHT * F.cross_entropy(colour_logits, target[1])
