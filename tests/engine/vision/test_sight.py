"""The models that look at pictures, as tiny ones with random weights; the built-in model's CLIP is tried for real."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from transformers import (
    BlipConfig,
    BlipForConditionalGeneration,
    CLIPImageProcessor,
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    ViTConfig,
    ViTForImageClassification,
)

from engine import Engine, ImageReady, InvalidRequest, ModelUnloadable, Preview, Txt2Img, Verdict, mini
from engine.api.safety import UNCHECKED
from engine.vision.options import VisionOptions
from tests.engine.conftest import clip_tokenizer

SIDE = 32
VISION = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
SEEN = {**VISION, "image_size": SIDE, "patch_size": 8}
READ = {**VISION, "vocab_size": 190, "bos_token_id": 188, "eos_token_id": 189, "pad_token_id": 189}


def picture(colour: str = "red", size: tuple[int, int] = (50, 40)) -> Image.Image:
    return Image.new("RGB", size, colour)


def keep(folder: Path, model: Any, *, words: bool = True) -> str:
    """A model with the processors that a published one has."""
    model.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    if words:
        clip_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def segmenter(tmp_path: Path) -> str:
    torch.manual_seed(0)
    config = CLIPSegConfig(text_config=READ, vision_config=SEEN, projection_dim=32, extract_layers=[0, 1])
    return keep(tmp_path / "seg", CLIPSegForImageSegmentation(config))


@pytest.fixture
def captioner(tmp_path: Path) -> str:
    torch.manual_seed(0)
    text = {**READ, "encoder_hidden_size": 32, "sep_token_id": 189, "max_position_embeddings": 64}
    return keep(tmp_path / "blip", BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=SEEN)))


def classifier(folder: Path, labels: tuple[str, ...], answer: int) -> str:
    """A classifier that always gives the same answer."""
    names = dict(enumerate(labels))
    config = ViTConfig(**SEEN, id2label=names, label2id={name: number for number, name in names.items()})
    model = ViTForImageClassification(config)
    torch.nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data = torch.nn.functional.one_hot(torch.tensor(answer), len(labels)).float() * 9
    return keep(folder, model, words=False)


def checker(folder: Path, threshold: float) -> str:
    """diffusers' checker; every cosine is above -2 and below 2."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    config = transformers.CLIPConfig(text_config=READ, vision_config=SEEN, projection_dim=16)
    model = StableDiffusionSafetyChecker(config)
    model.concept_embeds_weights.data.fill_(threshold)
    model.special_care_embeds_weights.data.fill_(2.0)
    return keep(folder, model, words=False)


async def test_a_thing_named_in_words_becomes_a_mask(segmenter: str) -> None:
    async with Engine(sight=VisionOptions(segmenter=segmenter)) as engine:
        assert "segment" in engine.abilities()
        mask = await engine.segment(picture(), "the hat")
    assert (mask.mode, mask.size) == ("L", (50, 40))
    assert {value for _, value in mask.getcolors()} <= {0, 255}


async def test_what_is_nowhere_is_told(segmenter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.vision.segmenter.THERE", 1.0)
    async with Engine(sight=VisionOptions(segmenter=segmenter)) as engine:
        with pytest.raises(InvalidRequest, match="looks like that"):
            await engine.segment(picture(), "the hat")


async def test_a_captioner_says_up_to_four_different_things_always_the_same(captioner: str) -> None:
    async with Engine(sight=VisionOptions(captioner=captioner)) as engine:
        said = await engine.describe(picture())
        assert 0 < len(said) == len(set(said)) <= 4
        assert await engine.describe(picture()) == said


async def test_the_built_in_model_describes_in_words_it_knows() -> None:
    async with Engine() as engine:
        assert {"describe", "rank"} <= engine.abilities()
        said = await engine.describe(Image.new("RGB", (128, 128), "blue"))
        with pytest.raises(InvalidRequest, match="by their name"):
            await engine.segment(picture(), "the hat")
    assert len(said) == len(set(said)) == 4
    assert [mini.unknown_words(prompt) for prompt in said] == [()] * 4


async def test_the_best_pictures_come_first_and_can_be_made_again() -> None:
    async with Engine() as engine:
        ask = Txt2Img(prompt="a red circle", seed=3, num_images=2, best_of=4, num_inference_steps=2)
        events = [event async for event in engine.submit(ask)]
        first, second = (event for event in events if isinstance(event, ImageReady))
        (again,) = await engine.submit(Txt2Img(prompt="a red circle", seed=first.seed, num_inference_steps=2)).result()
    assert (first.index, second.index) == (0, 1)
    assert first.seed != second.seed
    assert first.recipe.seed == first.seed == 3 + first.recipe.index
    assert again.tobytes() == first.image.tobytes()


Make = Callable[[Path], str]


@pytest.mark.parametrize(
    ("make", "flagged"),
    [
        (lambda path: classifier(path, ("normal", "NSFW"), 1), True),
        (lambda path: classifier(path, ("normal", "nsfw"), 0), False),
        (lambda path: checker(path, -2.0), True),
        (lambda path: checker(path, 2.0), False),
    ],
)
async def test_finals_previews_and_uploads_are_judged(tmp_path: Path, make: Make, flagged: bool) -> None:
    async with Engine(sight=VisionOptions(safety=make(tmp_path / "judge"))) as engine:
        assert (await engine.check(picture())).flagged is flagged
        events = [event async for event in engine.submit(Txt2Img(prompt="a boat", seed=1, num_inference_steps=4))]
    seen = [event for event in events if isinstance(event, Preview | ImageReady)]
    assert {event.flagged for event in seen} == {flagged}
    assert len(seen) > 1
    assert bool(next(event.reason for event in seen if isinstance(event, ImageReady))) is flagged


async def test_a_pipelines_folder_gives_its_checker(tmp_path: Path) -> None:
    checker(tmp_path / "pipeline" / "safety_checker", -2.0)
    (tmp_path / "pipeline" / "safety_checker" / "preprocessor_config.json").rename(tmp_path / "pre.json")
    (tmp_path / "pipeline" / "feature_extractor").mkdir()
    (tmp_path / "pre.json").rename(tmp_path / "pipeline" / "feature_extractor" / "preprocessor_config.json")
    async with Engine(sight=VisionOptions(safety=str(tmp_path / "pipeline"))) as engine:
        assert (await engine.check(picture())).flagged


@pytest.mark.parametrize("there", [True, False], ids=["in its folder", "not fetched"])
async def test_a_models_own_checker_is_left_alone(tmp_path: Path, there: bool) -> None:
    """It would blacken pictures without a word; whether one is withheld is for the judge that is configured."""
    folder = shutil.copytree(mini.MODEL_DIR, tmp_path / "boats")
    if there:
        checker(folder / "safety_checker", -2.0)
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "requires_safety_checker": True}
    (folder / "model_index.json").write_text(json.dumps(index))
    async with Engine("mini", models={"boats": str(folder)}) as engine:
        ask = Txt2Img(prompt="a red boat", seed=1, num_inference_steps=1)
        plain, checked = [(await engine.submit(replace(ask, model=key)).result())[0] for key in ("mini", "boats")]
        sizes = {model.weights_bytes for model in (await engine.inspect()).models}
    assert checked.tobytes() == plain.tobytes()
    assert len(sizes) == 1


async def test_the_gate_is_asked_first_and_lets_nothing_through_when_it_fails(tmp_path: Path) -> None:
    def gate(image: Image.Image) -> Verdict:
        assert image.width != 51, "broken"
        return Verdict(flagged=image.width == 50, reason="on the list")

    async with Engine(sight=VisionOptions(gate=gate)) as engine:
        assert "safety" in engine.abilities()
        assert (await engine.check(picture())).reason == "on the list"
        assert (await engine.check(picture(size=(51, 40)))).reason == UNCHECKED
        assert not (await engine.check(picture(size=(52, 40)))).flagged


async def test_without_its_judge_nothing_is_painted(tmp_path: Path) -> None:
    broken = tmp_path / "judge"
    broken.mkdir()
    (broken / "config.json").write_text(json.dumps({"model_type": "vit", "architectures": ["ViTForX"]}))
    async with Engine(sight=VisionOptions(safety=str(broken))) as engine:
        with pytest.raises(ModelUnloadable, match="safety"):
            await engine.submit(Txt2Img(prompt="a boat")).result()
        with pytest.raises(ModelUnloadable, match="safety"):
            await engine.check(picture())


async def test_a_classifier_without_one_of_the_labels_is_refused(tmp_path: Path) -> None:
    location = classifier(tmp_path / "judge", ("cat", "dog"), 0)
    async with Engine(sight=VisionOptions(safety=location)) as engine:
        with pytest.raises(ModelUnloadable, match="cat, dog"):
            await engine.check(picture())


def test_without_a_model_that_is_not_there_its_questions_are_refused_and_without_a_judge_everything() -> None:
    engine = Engine(sight=VisionOptions(segmenter="/nowhere/at/all"))
    assert [str(each) for each in engine.left_out()] == [
        "the setting 'segmenter' is left out: there is no file, folder or hub id '/nowhere/at/all'"
    ]
    assert "segment" not in engine.abilities()
    with pytest.raises(ModelUnloadable, match="safety"):
        Engine(sight=VisionOptions(safety="/nowhere/at/all"))


async def test_questions_to_a_closed_engine_are_refused() -> None:
    engine = Engine()
    await engine.start()
    await engine.close()
    with pytest.raises(Exception, match="restarting"):
        await engine.describe(picture())


async def test_mini_tells_which_words_of_a_prompt_matter() -> None:
    async with Engine(model="mini", threads=1) as engine:
        weighed = dict(await engine.weigh("a very (red:1.2) castle in the snow", "mini"))
    assert list(weighed) == ["a", "very", "red", "castle", "in", "the", "snow"]
    assert max(weighed.values()) == 1.0
    assert min(weighed["castle"], weighed["snow"], weighed["red"]) > max(weighed["very"], weighed["a"])
