"""The autoencoder: pictures to latents an eighth the size and back (latent diffusion, arXiv:2112.10752).

Everything is trained at 128 pixels, where rendering and encoding are cheap. What ships is a finer autoencoder for
pictures twice as large in the same latents: one level more, the rest copied, then trained to put out the codes of the
coarse one and to draw its pictures sharper. The noise predictor notices nothing.

Here no loss is adversarial or perceptual: `crisp` sharpens the decoder that ships. Afterwards the latents are whitened
inside the quantization layers, so that `scaling_factor` is 1 and every channel is unit noise.
"""

import copy
import math
import random
import re
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from engine.mini.train.config import PICTURE_PX, StageConfig
from engine.mini.train.data import encode, to_tensor
from engine.mini.train.loop import Loop, Rng
from engine.mini.train.precision import mixed
from engine.mini.train.render import render
from engine.mini.train.scenes import Diet, Scene, training_scene

CHANNELS = (16, 32, 64, 64)
FINE_CHANNELS = (16, *CHANNELS)
GRADIENT_WEIGHT, SQUARE_WEIGHT, KL_WEIGHT = 0.5, 0.3, 1.5e-4
LATENT_NOISE = 0.35  # at most: painted latents are not quite an encoder's, and flat areas should stay flat
CODE_WEIGHT = 1.0
SMALLEST_VARIANCE = 0.02  # of the largest: whitening must not blow up a channel that carries nothing


def new_vae(channels: tuple[int, ...] = CHANNELS) -> AutoencoderKL:
    """Build an untrained autoencoder with 4 latent channels, f = 8; each level more doubles f and the picture."""
    levels = len(channels)
    return AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        norm_num_groups=1,
        latent_channels=4,
        mid_block_add_attention=False,
        sample_size=PICTURE_PX // 8 << levels - 1,
        scaling_factor=1.0,
    )


def refined(coarse: AutoencoderKL) -> AutoencoderKL:
    """Copy an autoencoder for pictures of twice the size; it starts as the coarse one between two resizings."""
    fine = new_vae(FINE_CHANNELS)
    old, last = coarse.state_dict(), len(CHANNELS)
    renamed = {re.sub(r"down_blocks\.(\d)", _one_on, name): weight for name, weight in old.items()}
    fine.load_state_dict(renamed, strict=False)
    finest_down, finest_up = fine.encoder.down_blocks[0], fine.decoder.up_blocks[last]
    for resnet in (*finest_down.resnets, *finest_up.resnets):
        nn.init.zeros_(resnet.conv2.weight)
        nn.init.zeros_(resnet.conv2.bias)
    halve, double = finest_down.downsamplers[0].conv, fine.decoder.up_blocks[last - 1].upsamplers[0].conv
    for convolution in (halve, double):
        nn.init.dirac_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    return fine


def _one_on(found: re.Match[str]) -> str:
    return f"down_blocks.{int(found[1]) + 1}"


def random_scenes(count: int, rng: random.Random) -> list[Scene]:
    """Sample what training may show."""
    return [training_scene(rng, Diet()) for _ in range(count)]


def random_pictures(count: int, rng: random.Random, size_px: int) -> Tensor:
    """Render pictures: (B, 3, H, W) in -1..1."""
    return to_tensor([render(scene, rng.getrandbits(32), size_px) for scene in random_scenes(count, rng)])


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return absolute error of pixels and of their differences, plus a little squared error."""
    error = output - target
    gradients = error.diff(dim=3).abs().mean() + error.diff(dim=2).abs().mean()
    return error.abs().mean() + GRADIENT_WEIGHT * gradients + SQUARE_WEIGHT * error.square().mean()


class VaeLoss:
    """The loss of a random batch of fresh pictures."""

    def __init__(self, vae: AutoencoderKL, device: str) -> None:
        self._vae, self._device = vae, device

    def __call__(self, batch: int, rng: Rng) -> Tensor:
        """Encode, decode, compare."""
        pictures = random_pictures(batch, rng.choice, PICTURE_PX)
        pictures = pictures.to(self._device, memory_format=torch.channels_last)
        with mixed(self._device):
            posterior = self._vae.encode(pictures).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=rng.torch).to(self._device)
            output = self._vae.decode(posterior.mean + noise * posterior.std).sample.float()
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        loss: Tensor = reconstruction_loss(output, pictures) + KL_WEIGHT * kl
        return loss


class FinerLoss:
    """How far a fine autoencoder is from the coarse one's latents and from the fine pictures that they stand for."""

    def __init__(self, fine: AutoencoderKL, coarse: AutoencoderKL, device: str) -> None:
        self.fine, self._coarse, self._device = fine, coarse, device
        coarse.eval().requires_grad_(requires_grad=False)

    def __call__(self, batch: int, rng: Rng) -> Tensor:
        """Compare the codes, and decode the coarse one's code."""
        pictures = random_pictures(batch, rng.choice, self.fine.config.sample_size)
        pictures = pictures.to(self._device, memory_format=torch.channels_last)
        coarse = F.adaptive_avg_pool2d(pictures, self._coarse.config.sample_size)
        with mixed(self._device):
            wanted = self._coarse.encode(coarse).latent_dist
            found = self.fine.encode(pictures).latent_dist
            noise = torch.randn(wanted.mean.shape, generator=rng.torch)
            noise *= LATENT_NOISE * torch.rand(batch, 1, 1, 1, generator=rng.torch)
            output = self.fine.decode(wanted.mean + noise.to(self._device)).sample.float()
        pairs = ((found.mean, wanted.mean), (found.std, wanted.std))
        astray = torch.stack([(mine - theirs).float().square().mean() for mine, theirs in pairs]).sum()
        return reconstruction_loss(output, pictures) + CODE_WEIGHT * astray


def train_vae(
    vae: AutoencoderKL, config: StageConfig, folder: Path, device: str, *, seed: int, minutes: float | None = None
) -> AutoencoderKL:
    """Train an autoencoder and return its averaged weights."""
    vae.to(device, memory_format=torch.channels_last)
    ema = Loop(vae, config, folder, seed=seed, minutes=minutes).run(VaeLoss(vae, device))
    assert isinstance(ema, AutoencoderKL)
    return ema


def train_finer(
    coarse: AutoencoderKL, config: StageConfig, folder: Path, device: str, *, seed: int, minutes: float | None = None
) -> None:
    """Train an autoencoder for pictures of twice the size in the latents of a coarse one.

    One that is fine already is trained further in its own latents.
    """
    is_fine = len(coarse.config.block_out_channels) == len(FINE_CHANNELS)
    fine = copy.deepcopy(coarse) if is_fine else refined(coarse)
    fine.to(device, memory_format=torch.channels_last)
    loss = FinerLoss(fine, coarse.to(device), device)
    ema = Loop(fine, config, folder, seed=seed, minutes=minutes).run(loss)
    ema.save_pretrained(folder)  # type: ignore[operator]


@torch.no_grad()
def whiten(vae: AutoencoderKL, seed: int, pictures: int) -> None:
    """Fold a linear map into the 1 x 1 convolutions around the latents that makes their covariance the identity."""
    rng = random.Random(f"whiten {seed}")
    scenes = random_scenes(pictures, rng)
    latents = [encode(vae, [render(scene, i, PICTURE_PX)]) for i, scene in enumerate(scenes)]
    vectors = torch.cat(latents).permute(0, 2, 3, 1).reshape(-1, 4).double()
    mean, covariance = vectors.mean(0), torch.cov(vectors.T)
    variances, axes = torch.linalg.eigh(covariance)
    variances = variances.clamp(min=variances.max() * SMALLEST_VARIANCE)
    whitener = axes @ torch.diag(variances.rsqrt()) @ axes.T
    both = torch.block_diag(whitener, torch.eye(4).double())  # type: ignore[no-untyped-call]
    _compose(vae.quant_conv, both, _log_scale(whitener, mean))
    unwhitener = torch.linalg.inv(whitener)
    weight = vae.post_quant_conv.weight[:, :, 0, 0].double()
    vae.post_quant_conv.bias += (weight @ mean).to(vae.dtype)
    vae.post_quant_conv.weight.copy_((weight @ unwhitener)[:, :, None, None])


def _log_scale(whitener: Tensor, mean: Tensor) -> Tensor:
    """Return the shift of the moments: means are centred, log-variances follow the scale."""
    return torch.cat([-whitener @ mean, 2 * torch.log(whitener.diag())])


def _compose(convolution: nn.Conv2d, matrix: Tensor, shift: Tensor) -> None:
    """Apply a linear map after a 1 x 1 convolution, inside its weights."""
    assert convolution.bias is not None
    weight, bias = convolution.weight[:, :, 0, 0].double(), convolution.bias.double()
    convolution.weight.copy_((matrix @ weight)[:, :, None, None])
    convolution.bias.copy_(matrix @ bias + shift)


@torch.inference_mode()
def psnr(vae: AutoencoderKL, pictures: Tensor) -> float:
    """Return the mean peak signal-to-noise ratio of reconstructions in dB."""
    latents = vae.encode(pictures.to(vae.device, vae.dtype)).latent_dist.mean
    output = vae.decode(latents).sample.clamp(-1, 1).float().cpu()
    errors = ((output - pictures) / 2).square().mean((1, 2, 3))
    return float(torch.mean(-10 * torch.log(errors) / math.log(10)))
