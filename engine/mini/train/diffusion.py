"""The forward process and the training target. Knows tensors, not networks or pictures.

DDPM (Ho et al. 2020, arXiv:2006.11239) mixes a clean latent z with noise e: z_t = sqrt(a_t) z + sqrt(1 - a_t) e, where
a_t falls from 1 to 0. The network predicts v = sqrt(a_t) e - sqrt(1 - a_t) z (Salimans & Ho 2022, arXiv:2202.00512),
which stays well conditioned at both ends. Losses are weighted by min(SNR + 1, 6) / (SNR + 1), the v form of min-SNR
(Hang et al. 2023, arXiv:2303.09556), so that easy timesteps do not drown the others.
"""

import numpy as np
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

TIMESTEPS = 1000
MIN_SNR_GAMMA = 5.0
TIMES = (0.0, 0.18, 0.64, 0.8, 1.0)  # of the timesteps
SHARES = (0.0, 0.085, 0.75, 0.795, 1.0)  # of the samples, up to there
NOISE = {
    "num_train_timesteps": TIMESTEPS,
    "beta_schedule": "linear",
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "prediction_type": "v_prediction",
}
_ALPHAS: Tensor = DDPMScheduler(**NOISE).alphas_cumprod


def sampler() -> DPMSolverMultistepScheduler:
    """Return the scheduler that ships: DPM-Solver++ 2M (Lu et al. 2022, arXiv:2211.01095)."""
    scheduler = DPMSolverMultistepScheduler(**NOISE, algorithm_type="dpmsolver++", timestep_spacing="trailing")
    scheduler.register_to_config(clip_sample=False)  # for DDIM and DDPM made from this config: latents exceed 1
    return scheduler


def stratified_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """Draw one timestep from each of `count` slices: (count,) int64. Less variance than independent draws.

    Most fall into the middle, where silhouettes are drawn. A fifth is all but noise: there the prompt alone decides
    what is where, and the sampler keeps to what it saw first.
    """
    slices = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    share = torch.from_numpy(np.interp(slices.numpy(), SHARES, TIMES))
    return (share * TIMESTEPS).long().clamp(0, TIMESTEPS - 1)


def add_noise(clean: Tensor, noise: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the noisy latents and the velocity to predict, both (B, 4, H/8, W/8)."""
    alpha = _ALPHAS.to(clean.device)[timesteps].view(-1, 1, 1, 1)
    signal, scale = alpha.sqrt(), (1 - alpha).sqrt()
    return signal * clean + scale * noise, signal * noise - scale * clean


def loss_weight(timesteps: Tensor) -> Tensor:
    """Return the min-SNR weight of each timestep for v-prediction: (B,)."""
    alpha = _ALPHAS.to(timesteps.device)[timesteps]
    snr_plus_one = 1 / (1 - alpha)
    return snr_plus_one.clamp(max=MIN_SNR_GAMMA + 1) / snr_plus_one


def velocity_loss(predicted: Tensor, velocity: Tensor, timesteps: Tensor) -> Tensor:
    """Return the weighted squared error, a scalar."""
    error = (predicted.float() - velocity).square().mean((1, 2, 3))
    return (loss_weight(timesteps) * error).mean()
