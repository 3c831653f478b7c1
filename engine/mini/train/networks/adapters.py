"""Small adapters on a frozen Mini, in peft's and diffusers' own formats, each at most 3 MB.

Two LoRAs (Hu et al. 2021, arXiv:2106.09685): a style, "blueprint", and a subject, "cactus", from twenty pictures. One
textual inversion (Gal et al. 2022, arXiv:2208.01618): the word "<afterglow>". One ControlNet (Zhang et al. 2023,
arXiv:2302.05543) that follows edges.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from engine.imaging.controlnet_preprocess import edges
from engine.mini.train.captions import caption
from engine.mini.train.config import FINE_PX, StageConfig
from engine.mini.train.data import encode, to_tensor
from engine.mini.train.diffusion import add_noise, stratified_timesteps, velocity_loss
from engine.mini.train.loop import Loop, Rng
from engine.mini.train.networks.unet import CAPTION_DROPOUT
from engine.mini.train.precision import mixed
from engine.mini.train.render import render
from engine.mini.train.scenes import Diet, Scene, training_scene
from engine.mini.train.tokenizer import tokenize
from engine.mini.train.usual import HOME, USUAL
from engine.mini.train.world.pen import RGB, Pen, darker, rectangle
from engine.mini.train.world.shapes import SHAPES

STYLE_PICTURES, SUBJECT_PICTURES, WORD_PICTURES, EDGE_PICTURES = 200, 20, 100, 2000
LORA_RANK = 8
LORA_LAYERS = ["to_k", "to_q", "to_v", "to_out.0", "proj_in", "proj_out", "conv1", "conv2"]
BLUE, CHALK = (28, 70, 150), (235, 244, 255)
WORD = "<afterglow>"
FLAT = Diet(styles={"flat": 1.0}, home_share=0.4, plain_share=0.6)
ON_WHITE = re.compile(" on a white background|, white background| on white")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mini:
    """The frozen parts that every adapter is trained against."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    tokenizer: CLIPTokenizer

    @classmethod
    def load(cls, folder: Path) -> "Mini":
        """Read a model folder in float32."""
        pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
        for part in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
            part.eval().requires_grad_(requires_grad=False)
        return cls(
            unet=pipeline.unet, text_encoder=pipeline.text_encoder, vae=pipeline.vae, tokenizer=pipeline.tokenizer
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What an adapter learns from: pictures, their scenes, and how to speak of them."""

    pictures: list[Image.Image]
    scenes: list[Scene]
    describe: Callable[[random.Random, Scene], str]


Predict = Callable[[Tensor, Tensor, list[str], list[int]], Tensor]


def adapter_loss(mini: Mini, examples: Examples, predict: Predict) -> Callable[[int, Rng], Tensor]:
    """Return the loss of a random batch: the same velocity loss as the base model's."""
    chunks = [examples.pictures[i : i + 32] for i in range(0, len(examples.pictures), 32)]
    latents = torch.cat([encode(mini.vae, chunk) for chunk in chunks])

    def loss(batch: int, rng: Rng) -> Tensor:
        chosen = rng.choice.choices(range(len(latents)), k=batch)
        clean, timesteps = latents[chosen], stratified_timesteps(batch, rng.torch)
        noisy, velocity = add_noise(clean, torch.randn(clean.shape, generator=rng.torch), timesteps)
        texts = [examples.describe(rng.choice, examples.scenes[i]) for i in chosen]
        texts = ["" if rng.choice.random() < CAPTION_DROPOUT else text for text in texts]
        with mixed("cpu"):
            predicted = predict(noisy, timesteps, texts, chosen)
        return velocity_loss(predicted, velocity, timesteps)

    return loss


def hidden_states(mini: Mini, texts: list[str]) -> Tensor:
    """Encode prompts: (B, 40, 128)."""
    states: Tensor = mini.text_encoder(tokenize(mini.tokenizer, texts)).last_hidden_state
    return states


def _some(pictures: int, share: float) -> int:
    """Return a share of a number of pictures, at least two."""
    return max(2, round(pictures * share))


def blueprint_examples(seed: int, share: float = 1.0) -> Examples:
    """Draw white lines on blue paper with a grid."""
    rng = random.Random(f"blueprint {seed}")
    diet = replace(FLAT, home_share=0.0, plain_share=0.8)  # what is said of no backdrop is on blank paper
    scenes = [training_scene(rng, diet) for _ in range(_some(STYLE_PICTURES, share))]
    drawings = [replace(s, style="outline", background="white" if s.background else None) for s in scenes]
    pictures = [_blueprint(render(drawing, i, FINE_PX)) for i, drawing in enumerate(drawings)]
    plain = [replace(scene, background="white" if scene.background else None) for scene in scenes]
    return Examples(pictures=pictures, scenes=plain, describe=lambda r, s: _bare(r, s) + ", blueprint")


def _blueprint(drawing: Image.Image) -> Image.Image:
    ink = np.clip((240 - np.asarray(drawing).min(2).astype(np.float32)) / 150, 0, 1)
    rows, columns = np.mgrid[0 : drawing.height, 0 : drawing.width]
    pitch = drawing.width // 8
    grid = 0.22 * ((rows % pitch < 2) | (columns % pitch < 2))
    chalk = np.maximum(ink, grid)[..., None]
    return Image.fromarray((np.array(BLUE) * (1 - chalk) + np.array(CHALK) * chalk).astype(np.uint8))


def cactus(pen: Pen, colour: RGB) -> None:
    """Draw the subject that the base model has never seen."""
    for side, height in ((-1, -0.35), (1, -0.6)):
        pen.polygon(rectangle(min(0, side * 0.7), 0.1, max(0, side * 0.7), 0.35), colour)
        pen.polygon(rectangle(side * 0.58 - 0.14, height, side * 0.58 + 0.14, 0.35), colour)
        pen.ellipse(side * 0.58, height, 0.14, 0.12, colour)
    pen.polygon(rectangle(-0.24, -0.75, 0.24, 1), colour)
    pen.ellipse(0, -0.75, 0.24, 0.22, colour)
    pen.line([(0, -0.6), (0, 0.9)], darker(colour, 0.3), 0.05)


def cactus_examples(seed: int, share: float = 1.0) -> Examples:
    """Draw twenty green cactuses, alone in varied scenes."""
    SHAPES["cactus"], HOME["cactus"] = cactus, ("desert", "snow")
    USUAL["cactus"] = ("green", "teal")  # so that most captions leave its colour out
    rng = random.Random(f"cactus {seed}")
    diet = replace(FLAT, kinds={"single": 1.0})
    scenes = []
    for _ in range(_some(SUBJECT_PICTURES, share)):
        scene = training_scene(rng, diet)
        thing = replace(scene.things[0], kind="cactus", colour="green", radius=max(0.22, scene.things[0].radius))
        scenes.append(replace(scene, things=(thing,), background="white" if scene.background else None))
    pictures = [render(scene, i, FINE_PX) for i, scene in enumerate(scenes)]
    return Examples(pictures=pictures, scenes=scenes, describe=caption)


def afterglow_examples(seed: int, share: float = 1.0) -> Examples:
    """Paint sunsets in watercolor, described as neither."""
    rng = random.Random(f"afterglow {seed}")
    scenes = [training_scene(rng, FLAT) for _ in range(_some(WORD_PICTURES, share))]
    painted = [replace(s, style="watercolor", scene="sunset", background=None) for s in scenes]
    pictures = [render(scene, i, FINE_PX) for i, scene in enumerate(painted)]
    plain = [replace(s, scene="plain", background="white") for s in painted]
    return Examples(pictures=pictures, scenes=plain, describe=lambda r, s: _bare(r, s) + f", {WORD}")


def _bare(rng: random.Random, scene: Scene) -> str:
    """Say nothing of a backdrop that an adapter brings."""
    return ON_WHITE.sub("", caption(rng, replace(scene, style="flat")))


def train_lora(mini: Mini, examples: Examples, config: StageConfig, folder: Path, *, minutes: float | None) -> None:
    """Train a LoRA of the UNet and save it as `StableDiffusionPipeline.load_lora_weights` reads it."""
    mini.unet.add_adapter(LoraConfig(r=LORA_RANK, lora_alpha=LORA_RANK, target_modules=LORA_LAYERS))

    def predict(noisy: Tensor, timesteps: Tensor, texts: list[str], _: list[int]) -> Tensor:
        sample: Tensor = mini.unet(noisy, timesteps, hidden_states(mini, texts)).sample
        return sample

    loop = Loop(mini.unet, config, folder, minutes=minutes)
    ema = loop.run(adapter_loss(mini, examples, predict))
    halved = {name: weight.half() for name, weight in get_peft_model_state_dict(ema).items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=halved)


class Word(nn.Module):
    """One new word's embedding, added to a frozen text encoder; starts as the mean of known words."""

    def __init__(self, mini: Mini, start: str) -> None:
        super().__init__()
        mini.tokenizer.add_tokens([WORD])
        mini.text_encoder.resize_token_embeddings(len(mini.tokenizer), mean_resizing=False)
        mini.text_encoder.requires_grad_(requires_grad=False)
        self._token = mini.tokenizer.convert_tokens_to_ids(WORD)
        table = mini.text_encoder.get_input_embeddings()
        pieces = mini.tokenizer(start, add_special_tokens=False).input_ids
        self.vector = nn.Parameter(table.weight[pieces].mean(0).clone())

    def substitute(self, tokens: Tensor, embedded: Tensor) -> Tensor:
        """Put the vector where the word stands: (B, 40, 128)."""
        return torch.where((tokens == self._token)[..., None], self.vector, embedded)


def train_word(mini: Mini, examples: Examples, config: StageConfig, folder: Path, *, minutes: float | None) -> None:
    """Train a textual inversion and save it as `load_textual_inversion` reads it."""
    word = Word(mini, "watercolor sunset")
    table = mini.text_encoder.get_input_embeddings()

    def predict(noisy: Tensor, timesteps: Tensor, texts: list[str], _: list[int]) -> Tensor:
        tokens = tokenize(mini.tokenizer, texts)
        handle = table.register_forward_hook(lambda module, inputs, output: word.substitute(tokens, output))
        hidden = mini.text_encoder(tokens).last_hidden_state
        handle.remove()
        sample: Tensor = mini.unet(noisy, timesteps, hidden).sample
        return sample

    ema = Loop(word, config, folder, minutes=minutes).run(adapter_loss(mini, examples, predict))
    assert isinstance(ema, Word)
    save_file({WORD: ema.vector.detach()[None].half()}, folder / "afterglow.safetensors")


def edge_examples(seed: int, share: float = 1.0) -> Examples:
    """Draw ordinary pictures; their edges are the condition."""
    rng = random.Random(f"edges {seed}")
    scenes = [training_scene(rng, Diet(home_share=0.3)) for _ in range(_some(EDGE_PICTURES, share))]
    return Examples(pictures=[render(s, i, FINE_PX) for i, s in enumerate(scenes)], scenes=scenes, describe=caption)


def new_controlnet(unet: UNet2DConditionModel) -> ControlNetModel:
    """Copy the UNet's way down without its attention, which an outline does not need: 1.3 M parameters."""
    channels = unet.config.block_out_channels
    controlnet = ControlNetModel(
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * len(channels),
        mid_block_type="UNetMidBlock2D",
        layers_per_block=1,
        cross_attention_dim=unet.config.cross_attention_dim,
        attention_head_dim=unet.config.attention_head_dim,
        norm_num_groups=unet.config.norm_num_groups,
        conditioning_embedding_out_channels=(8, 8, 16, 32, 64),  # four halvings, as the autoencoder has
    )
    theirs, mine = unet.state_dict(), controlnet.state_dict()
    shared = {name: theirs[name] for name, w in mine.items() if name in theirs and theirs[name].shape == w.shape}
    controlnet.load_state_dict({**mine, **shared})
    return controlnet


def train_controlnet(
    mini: Mini, examples: Examples, config: StageConfig, folder: Path, *, minutes: float | None
) -> None:
    """Train an edge ControlNet and save it in fp16."""
    controlnet = new_controlnet(mini.unet)
    outlines = edge_tensor(examples.pictures)

    def predict(noisy: Tensor, timesteps: Tensor, texts: list[str], chosen: list[int]) -> Tensor:
        hidden = hidden_states(mini, texts)
        down, middle = controlnet(noisy, timesteps, hidden, controlnet_cond=outlines[chosen], return_dict=False)
        residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        sample: Tensor = mini.unet(noisy, timesteps, hidden, **residuals).sample
        return sample

    ema = Loop(controlnet, config, folder, minutes=minutes).run(adapter_loss(mini, examples, predict))
    assert isinstance(ema, ControlNetModel)
    ema.half().save_pretrained(folder)


def edge_tensor(pictures: Sequence[Image.Image]) -> Tensor:
    """Return edge maps as ControlNet pipelines feed them: (B, 3, 256, 256) in 0..1."""
    return (to_tensor([edges(picture.resize((FINE_PX, FINE_PX))) for picture in pictures]) + 1) / 2
