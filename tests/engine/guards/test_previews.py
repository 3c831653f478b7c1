"""Previews of VAEs too large to decode with on the way: a linear map from latents to colours, fitted at first use."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import AutoencoderKL

from engine.diffusion import preview
from engine.diffusion.preview import Previewer

SIDE = 32


def smooth(channels: int, seed: int) -> torch.Tensor:
    noise = torch.randn(1, channels, SIDE // 4, SIDE // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, size=(SIDE, SIDE), mode="bicubic")


@pytest.mark.parametrize("channels", [4, 16, 32])
def test_a_preview_tells_more_than_one_colour_would(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of latents that it wasn't fitted on, however many channels they have."""
    monkeypatch.setattr(preview, "TINY_VAE", 0)
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    vae = AutoencoderKL(block_out_channels=(16, 32, 32), latent_channels=channels, norm_num_groups=8, **blocks)
    previewer = Previewer(SimpleNamespace(vae=vae.eval()))
    latents = smooth(channels, seed=99)
    with torch.no_grad():
        decoded = previewer._decode(latents)[None]
        painted = torch.nn.functional.interpolate(decoded, size=(SIDE, SIDE), mode="area")[0]
        shown = previewer._project(latents)
    spread = (painted - painted.mean((1, 2), keepdim=True)).pow(2).mean()
    assert (shown - painted).pow(2).mean() < spread
