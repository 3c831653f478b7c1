"""The text encoder reads before it paints: from captions alone it learns which thing stands where.

Binding ("red" to "car") and order ("left of") are matters of grammar. Without pictures an example costs a tenth, and
scenes never run out, so the noise predictor later finds the layout spelled out in the words it attends to.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer

from engine.mini.train.captions import caption
from engine.mini.train.config import DataConfig, StageConfig
from engine.mini.train.layout import LayoutReader, layout_loss, targets
from engine.mini.train.loop import Loop, Rng
from engine.mini.train.scenes import training_scene
from engine.mini.train.tokenizer import tokenize


class ReaderLoss:
    """The loss of a random batch of scenes that are described but not drawn."""

    def __init__(self, network: nn.ModuleDict, tokenizer: CLIPTokenizer, data: DataConfig, device: str) -> None:
        self._network, self._tokenizer, self._data, self._device = network, tokenizer, data, device

    def __call__(self, batch: int, rng: Rng) -> Tensor:
        """Return the reader's cross-entropy."""
        diets = rng.choice.choices((self._data.basic, self._data.full), k=batch)
        scenes = [training_scene(rng.choice, diet) for diet in diets]
        tokens = tokenize(self._tokenizer, [caption(rng.choice, scene) for scene in scenes]).to(self._device)
        with torch.autocast(self._device, torch.bfloat16):
            logits = self._network["reader"](self._network["text_encoder"](tokens).last_hidden_state)
        return layout_loss(logits, targets(scenes, self._device)[logits.shape[-1]])


def train_text(
    text_encoder: nn.Module,
    tokenizer: CLIPTokenizer,
    data: DataConfig,
    config: StageConfig,
    folder: Path,
    device: str,
    *,
    seed: int,
    minutes: float | None,
) -> None:
    """Train a text encoder to be readable and save its averaged weights in `folder`."""
    torch.manual_seed(seed)
    network = nn.ModuleDict({"text_encoder": text_encoder, "reader": LayoutReader()}).to(device)
    loss = ReaderLoss(network, tokenizer, data, device)
    ema = Loop(network, config, folder, seed=seed, minutes=minutes).run(loss)
    assert isinstance(ema, nn.ModuleDict)
    ema["text_encoder"].save_pretrained(folder)  # type: ignore[operator]
