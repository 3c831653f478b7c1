"""With an IP-Adapter a blend is diffusers' own call with the mean of its pictures' embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from engine import Blend, Engine, Img2Img, Recipe, Txt2Img
from tests.engine.adapters.test_adapters import ask as ask_for_words
from tests.engine.adapters.test_adapters import lora
from tests.engine.editing.test_blending import ask
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

SEES = 24  # numbers of the CLIP's embedding


def ip_adapter(folder: Path, out: Path, seed: int = 9) -> Path:
    """A random IP-Adapter of a tiny model, laid out as published ones are: its CLIP's folder beside it."""
    torch.manual_seed(seed)
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet")
    reads = unet.config.cross_attention_dim
    tensors = {
        "image_proj.proj.weight": torch.randn(4 * reads, SEES),
        "image_proj.proj.bias": torch.randn(4 * reads),
        "image_proj.norm.weight": torch.ones(reads),
        "image_proj.norm.bias": torch.zeros(reads),
    }
    for number, name in enumerate(unet.attn_processors):
        if "attn2" in name:
            layer = unet.get_submodule(name.removesuffix(".processor"))
            for part in ("k", "v"):
                tensors[f"ip_adapter.{number}.to_{part}_ip.weight"] = torch.randn(layer.to_k.out_features, reads)
    out.mkdir()
    save_file(tensors, out / "ip-adapter.safetensors")
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=37,
        projection_dim=SEES,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    )
    CLIPVisionModelWithProjection(vision).save_pretrained(out / "image_encoder")
    return out


@pytest.fixture(scope="module")
def adapter(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ip_adapter(folders["sd1"], tmp_path_factory.mktemp("ip") / "sd1")


def engine_with(folder: Path, adapter: Path, **settings: Any) -> Engine:
    return Engine(str(folder), ip_adapters={folder.name: str(adapter)}, **settings)


def own(folder: Path, adapter: Path, request: Blend, lora_file: Path | None = None) -> Image.Image:
    """The same picture from diffusers, with nothing of Easel's."""
    pipe: Any = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    pipe.load_ip_adapter(str(adapter), subfolder="", weight_name="ip-adapter.safetensors")
    pipe.set_ip_adapter_scale(1 - request.strength / 2)
    if lora_file:
        pipe.load_lora_weights(str(lora_file), adapter_name="ink")
        pipe.set_adapters(["ink"], [0.8])
    weights = torch.tensor(request.weights or [1.0] * len(request.images), dtype=torch.float64)
    shares = (weights / weights.sum()).tolist()
    guided = (request.guidance_scale or 0) > 1
    with torch.no_grad():
        each = [
            pipe.prepare_ip_adapter_image_embeds([image], None, torch.device("cpu"), 1, guided)[0]
            for image in request.images
        ]
    image: Image.Image = pipe(
        prompt="a boat",
        ip_adapter_image_embeds=[sum(e * share for e, share in zip(each, shares, strict=True))],
        generator=torch.Generator().manual_seed(3),
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        width=request.width,
        height=request.height,
    ).images[0]
    return image


@pytest.mark.parametrize(
    "changes",
    [{}, {"weights": [3, 1]}, {"strength": 1.0}, {"guidance_scale": 1.0}, {"count": 3, "weights": [1, 2, 1]}],
)
async def test_alone_it_is_diffusers_own(folders: dict[str, Path], adapter: Path, changes: dict[str, Any]) -> None:
    request = ask(**changes)
    async with engine_with(folders["sd1"], adapter) as engine:
        assert engine.models()[0].image_prompts
        (image,) = await engine.submit(request).result()
    assert difference(image, own(folders["sd1"], adapter, request)) == 0.0


async def test_sdxl_too(folders: dict[str, Path], tmp_path: Path) -> None:
    adapter = ip_adapter(folders["sdxl"], tmp_path / "ip")
    async with engine_with(folders["sdxl"], adapter / "ip-adapter.safetensors") as engine:
        (image,) = await engine.submit(ask()).result()
    assert difference(image, own(folders["sdxl"], adapter, ask())) == 0.0


async def test_weights_and_strength_count(folders: dict[str, Path], adapter: Path) -> None:
    async with engine_with(folders["sd1"], adapter) as engine:
        (even,) = await engine.submit(ask()).result()
        (heavy,) = await engine.submit(ask(weights=[4, 1])).result()
        (only,) = await engine.submit(ask(weights=[0, 2])).result()
        (other,) = await engine.submit(ask(weights=[1, 0])).result()
        (free,) = await engine.submit(ask(strength=1.0)).result()
        twice = ask(images=[ask().images[1]] * 2, weights=[1, 0])
        (one,) = await engine.submit(twice).result()
    assert difference(only, one) == 0.0
    assert len({image.tobytes() for image in (even, heavy, only, other, free)}) == 5


async def test_a_lora_in_its_prompt(folders: dict[str, Path], adapter: Path, tmp_path: Path) -> None:
    file = lora(folders["sd1"], "sd1", tmp_path / "ink", 2)
    async with engine_with(folders["sd1"], adapter, loras={"ink": str(file)}) as engine:
        (image,) = await engine.submit(ask(prompt="a boat <lora:ink:0.8>")).result()
    assert difference(image, own(folders["sd1"], adapter, ask(), file)) == 0.0


async def test_everything_else_stays_what_it_is(folders: dict[str, Path], adapter: Path) -> None:
    red = Image.new("RGB", (64, 64), "red")
    others = [
        ask_for_words("a boat"),
        Img2Img(prompt="a boat", init_image=red, strength=0.5, seed=7, num_inference_steps=4, width=64, height=64),
    ]
    async with Engine(str(folders["sd1"])) as engine:
        plain = [(await engine.submit(request).result())[0] for request in others]
    async with engine_with(folders["sd1"], adapter) as engine:
        before = [(await engine.submit(request).result())[0] for request in others]
        await engine.submit(ask()).result()
        after = [(await engine.submit(request).result())[0] for request in others]
    for one, two, three in zip(plain, before, after, strict=True):
        assert difference(one, two) == difference(one, three) == 0.0


async def test_in_company_it_differs_by_rounding_only(folders: dict[str, Path], adapter: Path) -> None:
    requests: list[Txt2Img] = [
        ask(),
        ask(seed=4, weights=[3, 1], num_inference_steps=7),
        ask(3, seed=5),
        ask(strength=0.2),
        ask_for_words("a boat"),
    ]
    async with engine_with(folders["sd1"], adapter) as engine:
        alone = [(await engine.submit(request).result())[0] for request in requests]
    async with engine_with(folders["sd1"], adapter, mode="fast") as engine:
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(requests)]
        events = [[event async for event in ticket] for ticket in tickets]
    ready = [next(e for e in told if hasattr(e, "recipe")) for told in events]
    assert max(e.recipe.rows for e in ready[:3]) > 2
    for one, event in zip(alone, ready, strict=True):
        assert difference(one, event.image) <= ROUNDING


async def test_the_recipe_tells_the_files(folders: dict[str, Path], adapter: Path) -> None:
    async with engine_with(folders["sd1"], adapter) as engine:
        events = [event async for event in engine.submit(ask())]
        words = [event async for event in engine.submit(ask_for_words("a boat"))]
    recipe, plain = (next(e.recipe for e in told if hasattr(e, "recipe")) for told in (events, words))
    assert isinstance(recipe, Recipe)
    assert recipe.task == "blend"
    assert {name: len(sha) for name, sha in recipe.adapters.items()} == {"ip-adapter": 64, "image_encoder": 64}
    assert plain.adapters == {}


async def test_the_files_are_loaded_once_and_go_with_the_model(folders: dict[str, Path], adapter: Path) -> None:
    async with engine_with(folders["sd1"], adapter) as engine:
        for strength in range(1, 11):
            await engine.submit(ask(strength=strength / 10)).result()
        (model,) = (await engine.inspect()).models
    (loaded,) = model.variants
    assert 1 < len(loaded.variants) <= 9
    assert {each.images for each in model.tree()} == {0}
    assert set(loaded.adapters) == {"ip-adapter", "image_encoder"}
    assert loaded.weights_bytes > 0
    assert {each.weights_bytes for each in loaded.variants} == {0}, "all scales share one set of weights"


def test_what_can_be_no_ip_adapter(folders: dict[str, Path], adapter: Path, tmp_path: Path) -> None:
    save_file({"whatever": torch.zeros(3, 3)}, tmp_path / "x.safetensors")
    (tmp_path / "x.bin").touch()
    lonely = tmp_path / "lonely.safetensors"
    lonely.write_bytes((adapter / "ip-adapter.safetensors").read_bytes())
    for key, setting, why in (
        ("nobody", adapter, "one of the models"),
        ("sd1", tmp_path / "x.safetensors", "not an IP-Adapter"),
        ("sd1", tmp_path / "x.bin", "pickle"),
        ("sd1", tmp_path / "none.safetensors", "no file"),
        ("sd1", lonely, "image_encoder"),
        ("sdxl", adapter, "not made for"),
        ("flux", adapter, "not made for"),
    ):
        models = {name: str(folders[name]) for name in ("sdxl", "flux")}
        engine = Engine(str(folders["sd1"]), models=models, ip_adapters={key: str(setting)})
        (left_out,) = engine.left_out()
        assert why in left_out.reason
        assert not any(info.image_prompts for info in engine.models())
