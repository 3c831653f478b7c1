"""The noise predictor, trained together with its text encoder on latents of the toy world.

Conditioning is by cross-attention to a CLIP text encoder (latent diffusion, arXiv:2112.10752). A tenth of the captions
is dropped, so that one network predicts with and without a prompt: classifier-free guidance (Ho & Salimans 2022,
arXiv:2207.12598).
"""

from dataclasses import replace
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTokenizer

from engine.mini.train.captions import caption
from engine.mini.train.config import PICTURE_PX, StageConfig
from engine.mini.train.data import LatentDataset, foreground
from engine.mini.train.diffusion import add_noise, loss_weight, stratified_timesteps
from engine.mini.train.loop import Loop, Loss, Rng
from engine.mini.train.networks.layout import Taps, layout_loss, targets
from engine.mini.train.precision import mixed
from engine.mini.train.scenes import Scene
from engine.mini.train.tokenizer import tokenize

CAPTION_DROPOUT = 0.1
PARTIAL_SHARE = 0.5  # of the captions name one thing of several where the noise shows the others,
PLACELESS_SHARE = 0.35  # or do not say where in the picture a thing is
SHOWN, HIDDEN = 450, 650  # timesteps up to which the noise shows that, and from which it hides it
LAYOUT_WEIGHT = 0.15
FOREGROUND_WEIGHT = 4.0  # things cover a fifth of a picture and carry most of its caption


def new_unet(channels: tuple[int, ...]) -> UNet2DConditionModel:
    """Build an untrained UNet; attention everywhere but at full resolution."""
    levels = len(channels) - 1
    return UNet2DConditionModel(
        sample_size=PICTURE_PX // 8,
        block_out_channels=channels,
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * levels),
        up_block_types=(*["CrossAttnUpBlock2D"] * levels, "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def describe(rng: Rng, scene: Scene, timestep: int) -> str:
    """Caption a scene anew, now and then with less than it shows, or nothing.

    What a caption leaves out must be there to be seen: a network that reads "a cat" over nothing but noise, and must
    guess at a cat in company, learns to add company.
    """
    if rng.choice.random() < CAPTION_DROPOUT:
        return ""
    seen = min(1.0, max(0.0, (HIDDEN - timestep) / (HIDDEN - SHOWN)))
    if len({thing.kind for thing in scene.things}) > 1 and rng.choice.random() < PARTIAL_SHARE * seen:
        named = scene.things[0] if scene.place else rng.choice.choice(scene.things)
        scene = replace(scene, things=(named,), relation=None)
    if scene.place and len(scene.things) == 1 and rng.choice.random() < PLACELESS_SHARE * seen:
        scene = replace(scene, place=None)
    return caption(rng.choice, scene)


def pixel_weights(scenes: list[Scene]) -> Tensor:
    """Return how much each latent pixel counts, one on average: (B, 1, H/8, W/8)."""
    weights: Tensor = 1 + (FOREGROUND_WEIGHT - 1) * foreground(scenes).float()
    return weights / weights.mean((1, 2, 3), keepdim=True)


class UnetLoss:
    """The loss of a random batch, on the network's device."""

    def __init__(self, network: nn.ModuleDict, tokenizer: CLIPTokenizer, data: LatentDataset, device: str) -> None:
        self._network, self._tokenizer, self._data, self._device = network, tokenizer, data, device
        unet: UNet2DConditionModel = network["unet"]
        unet.set_attn_processor(AttnProcessor())  # tokens are few: plain products beat fused attention
        self._taps = Taps(unet)

    def __call__(self, batch: int, rng: Rng) -> Tensor:
        """Return a weighted mean squared error of the velocity, and a little of the layout's cross-entropy."""
        clean, scenes = self._data.batch(rng.choice.choices(range(len(self._data)), k=batch))
        timesteps = stratified_timesteps(batch, rng.torch)
        captions = [describe(rng, scene, int(timestep)) for scene, timestep in zip(scenes, timesteps, strict=True)]
        tokens = tokenize(self._tokenizer, captions).to(self._device)
        noisy, velocity = add_noise(clean, torch.randn(clean.shape, generator=rng.torch), timesteps)
        with mixed(self._device):
            hidden = self._network["text_encoder"](tokens).last_hidden_state
            inputs = noisy.to(self._device, memory_format=torch.channels_last)
            predicted = self._network["unet"](inputs, timesteps.to(self._device), hidden, return_dict=False)[0]
            layouts = self._network["heads"]([self._taps.features[number] for number in range(2)])
        error = (predicted.float() - velocity.to(self._device)).square()
        per_sample = (pixel_weights(scenes).to(self._device) * error).mean((1, 2, 3))
        answers = targets(scenes, self._device)
        layout = torch.stack([layout_loss(logits, answers[logits.shape[-1]]) for logits in layouts]).sum()
        loss: Tensor = (loss_weight(timesteps).to(self._device) * per_sample).mean() + LAYOUT_WEIGHT * layout
        return loss


def train_unet(
    network: nn.ModuleDict, config: StageConfig, folder: Path, loss: Loss, *, seed: int, minutes: float | None
) -> None:
    """Train a UNet and its text encoder; the averaged weights go to `folder` and its sibling `text_encoder`."""

    def save(ema: nn.Module) -> None:
        assert isinstance(ema, nn.ModuleDict)
        save_parts(ema, folder.parent)

    Loop(network, config, folder, seed=seed, minutes=minutes).run(loss, save)


def save_parts(network: nn.ModuleDict, folder: Path) -> None:
    """Write each part but the heads where `from_pretrained` finds it."""
    for name in ("unet", "text_encoder"):
        network[name].save_pretrained(folder / name)  # type: ignore[operator]
