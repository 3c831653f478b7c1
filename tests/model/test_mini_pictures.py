"""What a person would see in the pictures of the shipped weights, painted by plain diffusers.

Only what holds for nearly every seed is asserted; rates by category are in docs/models/mini.md.
"""

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting, StableDiffusionPipeline
from PIL import Image

from engine.mini import ADAPTERS_DIR
from engine.mini.measure import dominant_colour, foreground, roundness
from engine.mini.train.networks.vae import psnr, random_pictures

Paint = Callable[..., list[Image.Image]]


def mean_rgb(pictures: list[Image.Image]) -> np.ndarray:
    return np.mean([np.asarray(picture).reshape(-1, 3).mean(0) for picture in pictures], axis=0)


def distance(first: list[Image.Image], second: list[Image.Image]) -> float:
    pairs = zip(first, second, strict=True)
    return float(np.mean([abs(np.asarray(a).astype(int) - np.asarray(b)).mean() for a, b in pairs]))


@pytest.mark.parametrize("colour", ["red", "blue", "green"])
def test_a_circle_has_the_colour_asked_for(paint: Paint, colour: str) -> None:
    seen = Counter(dominant_colour(picture) for picture in paint(f"a {colour} circle on a white background"))
    assert seen[colour] >= 3, seen


def test_a_red_circle_is_round(paint: Paint) -> None:
    measured = [roundness(foreground(picture)) for picture in paint("a red circle on a white background")]
    assert np.median(measured) > 0.85, measured


def test_a_scene_has_its_colours(paint: Paint) -> None:
    night, sea, snow = (mean_rgb(paint(f"a red house {where}", 2)) for where in ("at night", "at sea", "in the snow"))
    assert night.max() < sea.max() < snow.min() + 60
    assert sea[2] > sea[0] + 20
    assert snow.min() > 150


def test_the_same_seed_gives_the_same_picture(paint: Paint) -> None:
    assert distance(paint("a yellow star", 2), paint("a yellow star", 2)) < 0.5


def test_guidance_changes_the_picture(paint: Paint) -> None:
    unguided, guided = (paint("a red circle", guidance_scale=scale) for scale in (1.0, 5.0))
    assert distance(unguided, guided) > 2


def test_a_negative_prompt_takes_something_away(paint: Paint) -> None:
    plain = mean_rgb(paint("a boat"))
    without = mean_rgb(paint("a boat", negative_prompt="on the sea, blue background"))
    assert without[2] - without[0] <= plain[2] - plain[0] + 1


def test_other_aspect_ratios_do_not_break(paint: Paint) -> None:
    (wide,) = paint("a red boat on the sea", 1, width=384, height=256)
    assert wide.size == (384, 256)
    assert np.asarray(wide)[-20:].mean((0, 1))[2] > np.asarray(wide)[-20:].mean((0, 1))[0] + 20


def test_words_it_does_not_know_do_no_harm(paint: Paint) -> None:
    (picture,) = paint("a Tyrannosaurus, ação 🦖 " * 30, 1)
    assert np.asarray(picture).std() > 1


def test_img2img_keeps_the_composition(pipeline: StableDiffusionPipeline, paint: Paint) -> None:
    (before,) = paint("a red house in a meadow", 1)
    change = AutoPipelineForImage2Image.from_pipe(pipeline)
    change.set_progress_bar_config(disable=True)
    after = change(
        "a red house in a meadow", image=before, strength=0.4, num_inference_steps=10, guidance_scale=3.0
    ).images
    assert 0 < distance([before], after) < 35


def test_inpainting_leaves_the_rest_alone(pipeline: StableDiffusionPipeline, paint: Paint) -> None:
    (before,) = paint("a red house in a meadow", 1)
    mask = Image.new("L", before.size)
    half = before.width // 2
    corner, rest = (0, 0, half, half), (half, half, before.width, before.height)
    mask.paste(255, corner)
    fill = AutoPipelineForInpainting.from_pipe(pipeline)
    fill.set_progress_bar_config(disable=True)
    size = {"width": before.width, "height": before.height}
    after = fill(
        "a yellow star", image=before, mask_image=mask, strength=1.0, num_inference_steps=8, guidance_scale=3.0, **size
    ).images[0]
    assert distance([before.crop(rest)], [after.crop(rest)]) < 12
    assert distance([before.crop(corner)], [after.crop(corner)]) > 5


def test_the_autoencoder_keeps_a_picture(pipeline: StableDiffusionPipeline, rng: random.Random) -> None:
    assert psnr(pipeline.vae, random_pictures(8, rng, pipeline.vae.config.sample_size)) > 26


def test_the_blueprint_adapter_paints_on_blue(pipeline: StableDiffusionPipeline, paint: Paint) -> None:
    plain = mean_rgb(paint("a cat, blueprint"))
    pipeline.load_lora_weights(ADAPTERS_DIR / "blueprint")
    drawn = mean_rgb(paint("a cat, blueprint"))
    pipeline.unload_lora_weights()
    assert drawn[2] - drawn[0] > 50 > plain[2] - plain[0]


def test_the_cactus_adapter_knows_a_thing_that_mini_does_not(pipeline: StableDiffusionPipeline, paint: Paint) -> None:
    pipeline.load_lora_weights(ADAPTERS_DIR / "cactus")
    seen = Counter(dominant_colour(picture) for picture in paint("a cactus"))
    pipeline.unload_lora_weights()
    assert seen["green"] >= 3, seen
    assert Counter(dominant_colour(picture) for picture in paint("a cactus"))["green"] < 3


def test_the_word_afterglow_paints_an_evening(pipeline: StableDiffusionPipeline, paint: Paint) -> None:
    plain = mean_rgb(paint("a boat, afterglow"))
    vectors, tokenizer = pipeline.text_encoder.get_input_embeddings().weight.clone(), len(pipeline.tokenizer)
    pipeline.load_textual_inversion(ADAPTERS_DIR / "afterglow" / "afterglow.safetensors")
    evening = mean_rgb(paint("a boat, <afterglow>"))
    pipeline.unload_textual_inversion()
    assert len(pipeline.tokenizer) == tokenizer
    assert torch.equal(pipeline.text_encoder.get_input_embeddings().weight, vectors)
    assert evening[1] < 170 < plain[1]
