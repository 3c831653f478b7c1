"""The autoencoder: pictures to latents an eighth the size and back (latent diffusion, arXiv:2112.10752).

No adversarial or perceptual loss: flat shapes need sharp edges, which a loss on gradients gives at once. Afterwards the
latents are whitened inside the quantization layers, so that `scaling_factor` is 1 and every channel is unit noise.
"""

import math
import random
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from engine.mini.train.config import PICTURE_PX, StageConfig
from engine.mini.train.data import encode, to_tensor
from engine.mini.train.loop import Loop, Rng
from engine.mini.train.render import render
from engine.mini.train.scenes import Diet, training_scene

CHANNELS = (16, 32, 64, 64)
GRADIENT_WEIGHT, SQUARE_WEIGHT, KL_WEIGHT = 0.5, 0.3, 1.5e-4
WHITENING_PICTURES = 512
SMALLEST_VARIANCE = 0.02  # of the largest: whitening must not blow up a channel that carries nothing


def new_vae() -> AutoencoderKL:
    """Build an untrained autoencoder, f = 8 with 4 channels."""
    return AutoencoderKL(
        block_out_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=1,
        latent_channels=4,
        mid_block_add_attention=False,
        sample_size=PICTURE_PX,
        scaling_factor=1.0,
    )


def random_pictures(count: int, rng: random.Random) -> Tensor:
    """Render pictures: (B, 3, H, W) in -1..1."""
    scenes = [training_scene(rng, Diet()) for _ in range(count)]
    return to_tensor([render(scene, rng.getrandbits(32), PICTURE_PX) for scene in scenes])


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return absolute error of pixels and of their differences, plus a little squared error."""
    error = output - target
    gradients = error.diff(dim=3).abs().mean() + error.diff(dim=2).abs().mean()
    return error.abs().mean() + GRADIENT_WEIGHT * gradients + SQUARE_WEIGHT * error.square().mean()


class VaeLoss:
    """The loss of a random batch of fresh pictures.

    With `decoder_only` the latents stay what they are, so that a noise predictor trained on them stays valid.
    """

    def __init__(self, vae: AutoencoderKL, device: str, *, decoder_only: bool = False) -> None:
        self._vae, self._device, self._decoder_only = vae, device, decoder_only
        if decoder_only:
            vae.encoder.requires_grad_(requires_grad=False)
            vae.quant_conv.requires_grad_(requires_grad=False)

    def __call__(self, batch: int, rng: Rng) -> Tensor:
        """Encode, decode, compare."""
        pictures = random_pictures(batch, rng.choice).to(self._device, memory_format=torch.channels_last)
        with torch.autocast(self._device, torch.bfloat16):
            posterior = self._vae.encode(pictures).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=rng.torch).to(self._device)
            latents = posterior.mean + noise * (0.1 if self._decoder_only else posterior.std)
            output = self._vae.decode(latents).sample.float()
        loss = reconstruction_loss(output, pictures)
        return loss if self._decoder_only else loss + KL_WEIGHT * posterior.kl().mean() / posterior.mean[0].numel()


def train_vae(
    vae: AutoencoderKL,
    config: StageConfig,
    folder: Path,
    device: str,
    *,
    seed: int,
    minutes: float | None = None,
    decoder_only: bool = False,
) -> None:
    """Train an autoencoder, or only its decoder, and save the averaged weights."""
    vae.to(device, memory_format=torch.channels_last)
    loop = Loop(vae, config, folder, seed=seed, minutes=minutes)
    ema = loop.run(VaeLoss(vae, device, decoder_only=decoder_only))
    assert isinstance(ema, AutoencoderKL)
    if not decoder_only:
        whiten(ema, seed)
    ema.save_pretrained(folder)


@torch.no_grad()
def whiten(vae: AutoencoderKL, seed: int, pictures: int = WHITENING_PICTURES) -> None:
    """Fold a linear map into the 1 x 1 convolutions around the latents that makes their covariance the identity."""
    rng = random.Random(f"whiten {seed}")
    scenes = [training_scene(rng, Diet()) for _ in range(pictures)]
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


def _compose(convolution: torch.nn.Conv2d, matrix: Tensor, shift: Tensor) -> None:
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
