"""Soft edges by a network: HED (Xie and Tu 2015, arXiv:1504.06375), as ControlNets were trained on them.

Its weights are read under the names that ControlNet's own annotator gave them (`block1.convs.0.weight`,
`block1.projection.weight`, ..., `norm`), from safetensors.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from engine.api.errors import ModelUnloadable

LEVELS = 5


class Hed(nn.Module):
    """Five levels of a VGG; each tells where it sees edges."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.zeros_like(weights["norm"]))
        for level in range(1, LEVELS + 1):
            shapes = [t.shape for name, t in weights.items() if name.startswith(f"block{level}.convs.") and t.dim() > 1]
            block = nn.Module()
            block.convs = nn.ModuleList(nn.Conv2d(wide, high, 3, padding=1) for high, wide, *_ in shapes)
            block.projection = nn.Conv2d(shapes[-1][0], 1, 1)
            self.add_module(f"block{level}", block)
        self.load_state_dict(weights)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Where edges are, 0..1: (B, H, W); `pixels`: (B, 3, H, W), 0..255."""
        seen, told = pixels - self.norm, []
        for level in range(1, LEVELS + 1):
            block = self.get_submodule(f"block{level}")
            seen = functional.max_pool2d(seen, 2) if level > 1 else seen
            for convolution in block.get_submodule("convs").children():
                seen = functional.relu(convolution(seen))
            edges = block.get_submodule("projection")(seen)
            told.append(functional.interpolate(edges, size=pixels.shape[2:], mode="bilinear"))
        return torch.stack(told).mean(0).sigmoid()[:, 0]


def network(location: str, device: torch.device) -> Hed:
    """The network in a file, or in the one file of a folder. Raises: ModelUnloadable."""
    path = Path(location).expanduser()
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if len(files) != 1:
        raise ModelUnloadable(name="soft", reason=f"the folder has {len(files)} .safetensors files, not one")
    weights = load_file(files[0])
    if "norm" not in weights or f"block{LEVELS}.projection.weight" not in weights:
        raise ModelUnloadable(name="soft", reason="it is no HED as ControlNet's annotator names its weights")
    return Hed(weights).float().eval().to(device)


def edges(eyes: Hed, image: Image.Image) -> Image.Image:
    """White on black, as RGB of the picture's size."""
    pixels = torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32)).permute(2, 0, 1)[None]
    (told,) = eyes(pixels.to(eyes.norm.device))
    return Image.fromarray((told * 255).round().to("cpu", torch.uint8).numpy()).convert("RGB")
