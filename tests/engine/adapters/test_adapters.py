"""LoRAs and textual inversions give what diffusers' own loaders give, and leave everything else alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file, save_file

from engine import Engine, Img2Img, InvalidRequest, Txt2Img, mini
from engine.models.derived.variants import shared_copy
from engine.runtime.policy import BatchCurve
from tests.engine.conftest import gain_from_rows, unet, weights_bytes
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

# peft says so of every second LoRA, in diffusers' own loader too
pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config`")

SIZE = {"width": 64, "height": 64}
PAINT = {"seed": 7, "num_inference_steps": 4, "guidance_scale": 5.0, **SIZE}
DENOISER = {"sd1": "unet", "sdxl": "unet", "sd3": "transformer", "flux": "transformer"}


def lora(folder: Path, family: str, out: Path, seed: int, *, text: bool = False) -> Path:
    """A random LoRA of a tiny model, saved as diffusers saves one."""
    torch.manual_seed(seed)
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    layers = {DENOISER[family]: _layers(getattr(pipe, DENOISER[family]), ["to_k", "to_q", "to_v", "to_out.0"])}
    if text:
        layers["text_encoder"] = _layers(pipe.text_encoder, ["q_proj", "v_proj"])
    type(pipe).save_lora_weights(out, **{f"{part}_lora_layers": weights for part, weights in layers.items()})
    return out


def _layers(module: Any, targets: list[str]) -> dict[str, torch.Tensor]:
    module.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=targets, init_lora_weights=False))
    return convert_state_dict_to_diffusers(get_peft_model_state_dict(module))  # type: ignore[no-any-return]


def inversion(out: Path, seed: int, vectors: int = 3) -> Path:
    torch.manual_seed(seed)
    save_file({"emb_params": torch.randn(vectors, 32)}, out)
    return out


@pytest.fixture(scope="session")
def files(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("adapters")
    made = {
        "waves": lora(folders["sd1"], "sd1", root / "waves", 1, text=True),
        "ink": lora(folders["sd1"], "sd1", root / "ink", 2),
        "large": lora(folders["sdxl"], "sdxl", root / "large", 3),
        "flow": lora(folders["flux"], "flux", root / "flow", 4),
    }
    weights = load_file(made["waves"] / "pytorch_lora_weights.safetensors")
    save_file({name: weight.half() for name, weight in weights.items()}, root / "half.safetensors")
    return {name: str(path) for name, path in {**made, "faint": root / "half.safetensors"}.items()}


def own(folder: Path, prompt: str, loras: dict[str, tuple[str, float]], **more: Any) -> Image.Image:
    """The same picture from diffusers, with nothing of Easel's."""
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    for name, (path, _) in loras.items():
        pipe.load_lora_weights(path, adapter_name=name)
    if loras:
        pipe.set_adapters(list(loras), [weight for _, weight in loras.values()])
    return painted(pipe, prompt, **more)


def painted(pipe: Any, prompt: str, **more: Any) -> Image.Image:
    facts = {k: v for k, v in {**PAINT, **more}.items() if k != "seed"}
    generator = torch.Generator().manual_seed(int(PAINT["seed"]))
    return pipe(prompt=prompt, generator=generator, **facts).images[0]  # type: ignore[no-any-return]


def same(one: Image.Image, other: Image.Image) -> bool:
    return difference(one, other) == 0.0


def ask(prompt: str, **changes: Any) -> Txt2Img:
    return Txt2Img(prompt=prompt, **{**PAINT, **changes})


async def test_alone_a_lora_paints_what_diffusers_own_paints(folders: dict[str, Path], files: dict[str, str]) -> None:
    async with Engine(str(folders["sd1"]), loras=files) as engine:
        assert engine.models()[0].loras == ("waves", "ink", "faint")
        before = (await engine.submit(ask("a red boat")).result())[0]
        waves = (await engine.submit(ask("a red boat <lora:waves:0.8>")).result())[0]
        between = (await engine.submit(ask("a red boat")).result())[0]
        both = (await engine.submit(ask("a red boat <lora:Waves:0.8> <lora:ink>")).result())[0]
        off = (await engine.submit(ask("a red boat <lora:waves:0>")).result())[0]
        half = (await engine.submit(ask("a red boat <lora:faint:0.8>")).result())[0]
        after = (await engine.submit(ask("a red boat")).result())[0]
    plain = own(folders["sd1"], "a red boat", {})
    assert all(same(image, plain) for image in (before, between, off, after))
    assert same(waves, own(folders["sd1"], "a red boat", {"waves": (files["waves"], 0.8)}))
    mine = own(folders["sd1"], "a red boat", {"waves": (files["waves"], 0.8), "ink": (files["ink"], 1.0)})
    assert same(both, mine)
    assert same(half, own(folders["sd1"], "a red boat", {"faint": (files["faint"], 0.8)}))
    assert not same(waves, plain)
    assert not same(both, waves)


async def test_the_alphas_of_its_metadata_are_heard(
    folders: dict[str, Path], files: dict[str, str], tmp_path: Path
) -> None:
    """As diffusers' own training scripts write them."""
    weights = load_file(Path(files["ink"]) / "pytorch_lora_weights.safetensors")
    facts = {"unet.r": 4, "unet.lora_alpha": 12, "unet.target_modules": ["to_k", "to_q", "to_v", "to_out.0"]}
    save_file(weights, tmp_path / "x.safetensors", metadata={"lora_adapter_metadata": json.dumps(facts)})
    async with Engine(str(folders["sd1"]), loras={"x": str(tmp_path / "x.safetensors"), "ink": files["ink"]}) as engine:
        image = (await engine.submit(ask("a red boat <lora:x>")).result())[0]
        thrice = (await engine.submit(ask("a red boat <lora:ink:3>")).result())[0]
    assert same(image, own(folders["sd1"], "a red boat", {"x": (str(tmp_path / "x.safetensors"), 1.0)}))
    assert difference(image, thrice) <= ROUNDING


@pytest.mark.parametrize(("family", "name"), [("sdxl", "large"), ("flux", "flow")])
async def test_other_families_too(folders: dict[str, Path], files: dict[str, str], family: str, name: str) -> None:
    async with Engine(str(folders[family]), loras=files) as engine:
        assert name in engine.models()[0].loras
        image = (await engine.submit(ask(f"a boat <lora:{name}:0.5>")).result())[0]
    assert same(image, own(folders[family], "a boat", {name: (files[name], 0.5)}))


async def test_together_they_differ_by_rounding_only(folders: dict[str, Path], files: dict[str, str]) -> None:
    red = Image.new("RGB", (64, 64), "red")
    requests = [
        ask("a red boat"),
        ask("a red boat <lora:waves:0.8>"),
        ask("a red boat <lora:waves:0.8>", seed=8),
        ask("a red boat <lora:ink:1.5>"),
        Img2Img(prompt="a red boat <lora:ink:1.5>", init_image=red, strength=0.5, **PAINT),
    ]
    async with Engine(str(folders["sd1"]), loras=files) as engine:
        alone = [(await engine.submit(request).result())[0] for request in requests]
    async with Engine(str(folders["sd1"]), loras=files, mode="fast") as engine:
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(requests)]
        crowd = [(await ticket.result())[0] for ticket in tickets]
    for one, other in zip(alone, crowd, strict=True):
        assert difference(one, other) <= ROUNDING


async def test_jobs_of_different_loras_share_a_step(
    folders: dict[str, Path], files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each other and with jobs of none; in `exact` mode without changing a bit."""
    tags = (" <lora:waves:0.8>", " <lora:ink>", " <lora:ink:0.5> <lora:waves>", "")
    asked = [ask(f"a red boat{tag}") for tag in tags]
    monkeypatch.setattr(BatchCurve, "cap", lambda curve, *_: curve.limit)  # whether joining pays is the clock's verdict
    async with Engine(str(folders["sd1"]), loras=files, mode="fast") as engine:
        one_by_one = [(await engine.submit(request).result())[0] for request in asked]
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(asked)]
        together = [(await ticket.result())[0] for ticket in tickets]
        assert (await engine.inspect()).forwards["denoise"].most_joined == len(asked)
    assert max(difference(*pair) for pair in zip(one_by_one, together, strict=True)) <= ROUNDING
    gain_from_rows(monkeypatch, 8)
    async with Engine(str(folders["sd1"]), loras=files, data_dir=tmp_path) as engine:
        alone = [(await engine.submit(request).result())[0].tobytes() for request in asked]
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(asked)]
        crowd = [(await ticket.result())[0].tobytes() for ticket in tickets]
        assert (await engine.inspect()).forwards["denoise"].most_joined > 1
    assert crowd == alone
    assert len(set(alone)) == len(asked)


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux"])
async def test_in_other_families_they_share_too(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    monkeypatch.setattr(BatchCurve, "cap", lambda curve, *_: curve.limit)
    file = lora(folders[family], family, tmp_path / "x", 3)
    asked = [ask("a boat <lora:x>"), ask("a boat", seed=8)]
    async with Engine(str(folders[family]), loras={"x": str(file)}, mode="fast") as engine:
        alone = [(await engine.submit(request).result())[0] for request in asked]
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(asked)]
        crowd = [(await ticket.result())[0] for ticket in tickets]
        assert (await engine.inspect()).forwards["denoise"].most_joined == 2
    assert max(difference(*pair) for pair in zip(alone, crowd, strict=True)) <= ROUNDING
    assert same(alone[0], own(folders[family], "a boat", {"x": (str(file), 1.0)}))


async def test_a_word_of_several_vectors_and_its_weight(folders: dict[str, Path], tmp_path: Path) -> None:
    file = inversion(tmp_path / "dawn.safetensors", 5)
    async with Engine(str(folders["sd1"]), embeddings={"dawn": str(file)}) as engine:
        assert engine.models()[0].embeddings == ("dawn",)
        before = (await engine.submit(ask("a red boat")).result())[0]
        image = (await engine.submit(ask("a boat, Dawn")).result())[0]
        negative = (await engine.submit(ask("a boat", negative_prompt="dawn")).result())[0]
        weighted = (await engine.submit(ask("a boat, (dawn:1.4)")).result())[0]
        after = (await engine.submit(ask("a red boat")).result())[0]
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(folders["sd1"])
    pipe.set_progress_bar_config(disable=True)
    plain = painted(pipe, "a red boat")
    pipe.load_textual_inversion(load_file(file), token="<dawn>")
    assert same(before, plain)
    assert same(after, plain)
    assert same(image, painted(pipe, "a boat, <dawn>"))
    assert same(negative, painted(pipe, "a boat", negative_prompt="<dawn>"))
    assert not same(weighted, image)


async def test_a_word_and_a_lora_in_a_long_prompt(
    folders: dict[str, Path], files: dict[str, str], tmp_path: Path
) -> None:
    """More tokens than the encoder reads at once go through embeddings of ours, with the word's vectors in them."""
    file = inversion(tmp_path / "dawn.safetensors", 5)
    async with Engine(str(folders["sd1"]), loras=files, embeddings={"dawn": str(file)}) as engine:
        with_word = (await engine.submit(ask("a boat " * 20 + "dawn <lora:ink:0.8>")).result())[0]
        again = (await engine.submit(ask("a boat " * 20 + "dawn <lora:ink:0.8>")).result())[0]
        without = (await engine.submit(ask("a boat " * 20 + "<lora:ink:0.8>")).result())[0]
    assert same(with_word, again)
    assert not same(with_word, without)


async def test_a_word_for_both_encoders_of_sdxl(folders: dict[str, Path], tmp_path: Path) -> None:
    torch.manual_seed(6)
    vectors = {"clip_l": torch.randn(2, 32), "clip_g": torch.randn(2, 32)}
    save_file(vectors, tmp_path / "dawn.safetensors")
    async with Engine(str(folders["sdxl"]), embeddings={"dawn": str(tmp_path)}) as engine:
        image = (await engine.submit(ask("a boat, dawn")).result())[0]
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(folders["sdxl"])
    pipe.set_progress_bar_config(disable=True)
    for part, encoder, tokenizer in (
        ("clip_l", pipe.text_encoder, pipe.tokenizer),
        ("clip_g", pipe.text_encoder_2, pipe.tokenizer_2),
    ):
        pipe.load_textual_inversion(vectors[part], token="<dawn>", text_encoder=encoder, tokenizer=tokenizer)
    assert same(image, painted(pipe, "a boat, <dawn>"))


async def test_mini_brings_a_style_of_its_own() -> None:
    async with Engine("mini") as engine:
        assert "blueprint" in engine.models()[0].loras
        request = Txt2Img(prompt="a cat, blueprint <lora:blueprint:1>", seed=7, num_inference_steps=6, guidance_scale=3)
        image = (await engine.submit(request).result())[0]
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(mini.MODEL_DIR, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    pipe.load_lora_weights(mini.ADAPTERS_DIR / "blueprint")
    size = {"width": image.width, "height": image.height}
    assert same(image, painted(pipe, "a cat, blueprint", num_inference_steps=6, guidance_scale=3.0, **size))


async def test_what_does_not_fit_is_refused_before_anything_runs(
    folders: dict[str, Path], files: dict[str, str]
) -> None:
    engine = Engine(str(folders["sd1"]), loras=files)
    with pytest.raises(InvalidRequest, match="has no LoRA 'large'"):
        engine.submit(ask("a boat <lora:large:1>"))
    with pytest.raises(InvalidRequest, match=r"Did you mean <lora:waves:1>\?"):
        engine.submit(ask("a boat <lora:wave:1>"))
    with pytest.raises(InvalidRequest, match="a number"):
        engine.submit(ask("a boat <lora:waves:much>"))
    with pytest.raises(InvalidRequest, match="negative"):
        engine.submit(ask("a boat", negative_prompt="<lora:waves:1>"))


async def test_the_recipe_tells_the_weights(folders: dict[str, Path], files: dict[str, str]) -> None:
    async with Engine(str(folders["sd1"]), loras=files) as engine:
        events = [event async for event in engine.submit(ask("a boat <lora:ink:0.8>"))]
    (recipe,) = [event.recipe for event in events if hasattr(event, "recipe")]
    assert recipe.request["prompt"] == "a boat <lora:ink:0.8>"
    assert list(recipe.adapters) == ["ink"]
    assert len(recipe.adapters["ink"]) == 64


def test_what_can_be_no_adapter(folders: dict[str, Path], tmp_path: Path) -> None:
    weights = tmp_path / "x.safetensors"
    save_file({"whatever": torch.zeros(3, 3, 3)}, weights)
    (tmp_path / "x.pt").touch()
    for setting in (
        {"loras": {"x": str(weights)}},
        {"embeddings": {"x": str(weights)}},
        {"loras": {"x": str(tmp_path / "x.pt")}},
        {"loras": {"x": str(tmp_path / "none.safetensors")}},
        {"loras": {"a>b": str(weights)}},
    ):
        engine = Engine(str(folders["sd1"]), **setting)
        assert len(engine.left_out()) == 1
        assert not engine.models()[0].loras + engine.models()[0].embeddings


async def test_variants_share_the_weights_and_go_when_idle(folders: dict[str, Path], files: dict[str, str]) -> None:
    async with Engine(str(folders["sd1"]), loras=files) as engine:
        for weight in range(1, 12):
            await engine.submit(ask(f"a boat <lora:ink:{weight / 10}>", num_inference_steps=1)).result()
        (model,) = (await engine.inspect()).models
    assert len(model.variants) <= 9
    assert model.images == 0
    assert {each.weights_bytes for each in model.variants} == {weights_bytes(files["ink"])}


def test_a_variants_module_is_made_of_the_models_own_tensors() -> None:
    original = unet()
    copied = shared_copy(original)
    assert copied is not original
    assert {p.data_ptr() for p in copied.parameters()} == {p.data_ptr() for p in original.parameters()}
    copied.requires_grad_(False)  # as peft does; some kernels round by it
    assert all(p.requires_grad for p in original.parameters())
