"""The editor: the noise predictor of Mini, which sees the picture that is to change as well.

InstructPix2Pix (Brooks et al. 2023, arXiv:2211.09800): the latents of the picture are four more channels of the UNet's
input, whose weights start at zero, and an instruction takes the caption's place. Instruction, picture or both are now
and then left out, so that the strength of each can be chosen when it paints.
"""

from collections.abc import Sequence

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from transformers import CLIPTokenizer

from engine.mini.train.data import foreground
from engine.mini.train.diffusion import add_noise, loss_weight, stratified_timesteps
from engine.mini.train.editing.instructions import instruction
from engine.mini.train.editing.pairs import PairDataset, Step
from engine.mini.train.loop import Rng
from engine.mini.train.networks.layout import Taps, layout_loss, targets
from engine.mini.train.networks.unet import FOREGROUND_WEIGHT, LAYOUT_WEIGHT
from engine.mini.train.precision import mixed
from engine.mini.train.scenes import Scene
from engine.mini.train.tokenizer import tokenize

CHANGED_WEIGHT, DIFFERS = 8.0, 0.3  # of latents that a change changes, by so much on average over their channels
LEFT_OUT = 0.05  # of the samples lack the instruction, as many the picture, as many both


def with_picture(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Widen a UNet's input by the latents of the picture that is to change; it starts as if it didn't see them."""
    if unet.config.in_channels != unet.config.out_channels:
        return unet
    old = unet.conv_in
    wider = nn.Conv2d(2 * old.in_channels, old.out_channels, old.kernel_size, padding=old.padding)
    with torch.no_grad():
        wider.weight.zero_()
        wider.weight[:, : old.in_channels] = old.weight
        wider.bias = old.bias
    unet.conv_in = wider
    unet.register_to_config(in_channels=wider.in_channels)
    return unet


def pixel_weights(before: list[Scene], after: list[Scene], given: Tensor, clean: Tensor) -> Tensor:
    """Return how much each latent pixel counts, one on average: (B, 1, H, W).

    More where things were or are, and most where something changes: that is a tenth of most pictures, and the rest is
    copied. `given`, `clean`: the latents before and after.
    """
    things = foreground(before) | foreground(after)
    changed = (clean - given).abs().mean(1, keepdim=True) > DIFFERS
    weights = torch.where(changed, CHANGED_WEIGHT, 1 + (FOREGROUND_WEIGHT - 1) * things.float())
    return weights / weights.mean((1, 2, 3), keepdim=True)


class EditLoss:
    """The loss of a random batch of changes, on the network's device."""

    def __init__(self, network: nn.ModuleDict, tokenizer: CLIPTokenizer, data: PairDataset, device: str) -> None:
        self._network, self._tokenizer, self._data, self._device = network, tokenizer, data, device
        unet: UNet2DConditionModel = network["unet"]
        unet.set_attn_processor(AttnProcessor())  # tokens are few: plain products beat fused attention
        self._taps = Taps(unet)

    def __call__(self, batch: int, rng: Rng) -> Tensor:
        """Return a weighted mean squared error of the velocity, and a little of the layout's cross-entropy."""
        steps = self._data.draw(rng.choice, batch)
        before, after = ([self._data.scenes[i] for i in side] for side in _sides(steps))
        given, clean = (self._data.pictures(side) for side in _sides(steps))
        weights = pixel_weights(before, after, given, clean)
        texts = [instruction(rng.choice, step.change, scene) for step, scene in zip(steps, before, strict=True)]
        chance = torch.rand(batch, generator=rng.torch)
        texts = ["" if lot < 2 * LEFT_OUT else text for lot, text in zip(chance, texts, strict=True)]
        given = given * ((chance < LEFT_OUT) | (chance > 3 * LEFT_OUT)).view(-1, 1, 1, 1)
        timesteps = stratified_timesteps(batch, rng.torch)
        noisy, velocity = add_noise(clean, torch.randn(clean.shape, generator=rng.torch), timesteps)
        tokens = tokenize(self._tokenizer, texts).to(self._device)
        with mixed(self._device):
            hidden = self._network["text_encoder"](tokens).last_hidden_state
            inputs = torch.cat([noisy, given], 1).to(self._device, memory_format=torch.channels_last)
            predicted = self._network["unet"](inputs, timesteps.to(self._device), hidden, return_dict=False)[0]
            layouts = self._network["heads"]([self._taps.features[number] for number in range(2)])
        error = (predicted.float() - velocity.to(self._device)).square()
        per_sample = (weights.to(self._device) * error).mean((1, 2, 3))
        answers = targets(after, self._device)
        layout = torch.stack([layout_loss(logits, answers[logits.shape[-1]]) for logits in layouts]).sum()
        loss: Tensor = (loss_weight(timesteps).to(self._device) * per_sample).mean() + LAYOUT_WEIGHT * layout
        return loss


def _sides(steps: Sequence[Step]) -> tuple[list[int], list[int]]:
    """Return the indices of the pictures before and after."""
    return [step.before for step in steps], [step.after for step in steps]
