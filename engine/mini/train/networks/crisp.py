"""The decoder, trained further against a critic so that edges are crisp. Encoder and latents stay as they are.

An absolute error is smallest where a decoder that is not sure of an edge paints it soft. A patch critic (Isola et al.
2017, arXiv:1611.07004; in autoencoders for diffusion, arXiv:2112.10752) asks whether a picture looks drawn. Half of
every batch are latents that the noise predictor itself painted, which are never quite an encoder's: nobody knows their
true picture, so the critic judges them, and a coarse picture by the old decoder keeps their colours in place. Pictures
are whole: from crops alone a decoder never learns what the border of a picture looks like.

The critic sees style, and lets an edge be three pixels wide. So it is measured, too: within a few pixels of an edge,
what is neither the one colour nor the other may be no more than where the renderer drew it.
"""

import copy
import random
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from engine.mini.train.captions import caption
from engine.mini.train.config import StageConfig
from engine.mini.train.data import encode, to_tensor
from engine.mini.train.loop import Loop, Rng
from engine.mini.train.networks.vae import random_scenes, reconstruction_loss
from engine.mini.train.precision import mixed
from engine.mini.train.render import render

CRITIC_WEIGHT, CRITIC_RAMP_STEPS = 0.15, 100
CRITIC_RATE = 8e-4
COLOUR_WEIGHT, COLOUR_PX = 0.5, 8  # how coarse the old decoder's picture is when it keeps colours in place
PAINT_BATCH, PAINT_STEPS, GUIDANCE = 16, 12, 3.0
LATENT_NOISE = 0.2  # at most
SOFT_WEIGHT, SOFT_PX = 5.0, 9  # how far around a pixel the colours are that it may be between
SOFT_CELL_PX, SOFT_SPARE = 16, 0.002  # where exactly an edge is, codes don't tell: cells are compared


class Critic(nn.Sequential):
    """Judges patches of some forty pixels: (B, 3, H, W) to (B, 1, H/8, W/8), high where they look drawn."""

    def __init__(self, width: int = 32) -> None:
        widths = (3, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            size, stride = (4, 2) if number < 3 else (3, 1)
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, size, stride, 1)), nn.LeakyReLU(0.2)]
        super().__init__(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 3, 1, 1)))


def softness(pictures: Tensor) -> Tensor:
    """Return how far every channel of a pixel is from the nearer extreme around it: (B, 3, H, W), 0 beside sharp edges.

    A ramp is soft in the middle; a plain surface and a step aren't.
    """
    pictures = pictures.contiguous()  # pooling is twice as fast
    return torch.minimum(_highest(pictures) - pictures, pictures + _highest(-pictures))


def _highest(pictures: Tensor) -> Tensor:
    rows = F.max_pool2d(pictures, (SOFT_PX, 1), 1, (SOFT_PX // 2, 0))
    return F.max_pool2d(rows, (1, SOFT_PX), 1, (0, SOFT_PX // 2))


def softer(output: Tensor, truth: Tensor) -> Tensor:
    """Return by how much pictures are softer than they should be, a scalar; where one is sharper counts for nothing."""
    painted, drawn = (F.avg_pool2d(softness(each), SOFT_CELL_PX) for each in (output, truth))
    return F.relu(painted - drawn - SOFT_SPARE).mean()


def painted_latents(pipeline: StableDiffusionPipeline, count: int, seed: int) -> Tensor:
    """Paint latents after the captions of random scenes: (count, 4, 16, 16)."""
    pipeline.set_progress_bar_config(disable=True)
    dice, painted = random.Random(f"painted {seed}"), []
    for start in range(0, count, PAINT_BATCH):
        prompts = [caption(dice, scene) for scene in random_scenes(min(PAINT_BATCH, count - start), dice)]
        with mixed(pipeline.device.type):
            latents = pipeline(
                prompts,
                num_inference_steps=PAINT_STEPS,
                guidance_scale=GUIDANCE,
                generator=torch.Generator().manual_seed(seed + start),
                output_type="latent",
            ).images
        painted.append(latents.float().cpu())
    return torch.cat(painted)


class CrispLoss:
    """The decoder's loss on a random batch; with every call its critic takes a step, too."""

    def __init__(self, vae: AutoencoderKL, old: AutoencoderKL, painted: Tensor, device: str) -> None:
        self._vae, self._old, self._painted, self._device = vae, old, painted, device
        old.eval().requires_grad_(requires_grad=False)
        vae.encoder.requires_grad_(requires_grad=False)
        vae.quant_conv.requires_grad_(requires_grad=False)
        self.critic = Critic().to(device)
        self._optimizer = torch.optim.AdamW(self.critic.parameters(), CRITIC_RATE, betas=(0.5, 0.99))
        self._step = 0

    def __call__(self, batch: int, rng: Rng) -> Tensor:
        """Decode codes of pictures, and as many painted ones."""
        known = batch - batch // 2
        truth, codes = self._known(known, rng)
        chosen = torch.randint(len(self._painted), (batch // 2,), generator=rng.torch)
        painted = self._painted[chosen].to(self._device)
        with mixed(self._device):
            output = self._vae.decode(torch.cat([codes, painted])).sample.float()
            with torch.no_grad():
                guide = self._old.decode(painted).sample.float()
        self._teach(truth, output.detach())
        verdict = self._judged(output).mean()
        colours = F.avg_pool2d(output[known:] - guide, COLOUR_PX).abs().mean()
        critic_weight = CRITIC_WEIGHT * min(1.0, self._step / CRITIC_RAMP_STEPS)
        known_loss = reconstruction_loss(output[:known], truth) + SOFT_WEIGHT * softer(output[:known], truth)
        loss: Tensor = known_loss + COLOUR_WEIGHT * colours - critic_weight * verdict
        return loss

    def _known(self, count: int, rng: Rng) -> tuple[Tensor, Tensor]:
        """Render pictures and encode them, with a little noise."""
        size_px = self._vae.config.sample_size
        pictures = [render(scene, rng.choice.getrandbits(32), size_px) for scene in random_scenes(count, rng.choice)]
        codes = encode(self._old, pictures)
        noise = torch.randn(codes.shape, generator=rng.torch)
        noise *= LATENT_NOISE * torch.rand(count, 1, 1, 1, generator=rng.torch)
        truth = to_tensor(pictures).to(self._device, memory_format=torch.channels_last)
        return truth, (codes + noise).to(self._device)

    def _judged(self, pictures: Tensor) -> Tensor:
        with mixed(self._device):
            verdict: Tensor = self.critic(pictures)
        return verdict.float()

    def _teach(self, truth: Tensor, output: Tensor) -> None:
        """Let the critic tell drawn pictures from decoded ones (hinge loss)."""
        self._optimizer.zero_grad()
        loss = F.relu(1 - self._judged(truth)).mean() + F.relu(1 + self._judged(output)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._step += 1


def train_crisp(
    vae: AutoencoderKL,
    painted: Tensor,
    config: StageConfig,
    folder: Path,
    device: str,
    *,
    seed: int,
    minutes: float | None = None,
) -> None:
    """Train an autoencoder's decoder for crisp edges; its averaged weights go to `folder`.

    A resumed run begins with a new critic, which needs some hundred steps to judge well.
    """
    old = copy.deepcopy(vae).to(device, memory_format=torch.channels_last)
    vae.to(device, memory_format=torch.channels_last)
    loss = CrispLoss(vae, old, painted, device)
    ema = Loop(vae, config, folder, seed=seed, minutes=minutes).run(loss)
    ema.save_pretrained(folder)  # type: ignore[operator]
