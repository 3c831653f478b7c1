"""LoRAs of every joined family that diffusers has a loader for, and what only looks like one."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine import Engine, Txt2Img
from engine.tasks import guidance, resolve
from tests.engine import zoo
from tests.engine.test_joining import ask, own
from tests.engine.test_parity import _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
FAMILIES = ("flux2-klein", "qwen-image", "z-image", "lumina2", "auraflow", "chroma", "sana")
ATTENTION = ("to_q.weight", "to_k.weight", "to_v.weight")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return zoo.build(tmp_path_factory.mktemp("zoo"), FAMILIES)


@functools.cache
def layers(folder: Path) -> dict[str, tuple[int, ...]]:
    """The attention layers of a model's transformer, with their shapes."""
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    weights = pipe.transformer.state_dict()
    return {name.removesuffix(".weight"): tuple(w.shape) for name, w in weights.items() if name.endswith(ATTENTION)}


def lora(folder: Path, out: Path, *, kohya: bool = False, foreign: int = 0) -> Path:
    torch.manual_seed(5)
    weights: dict[str, torch.Tensor] = {}
    down, up = ("lora_down", "lora_up") if kohya else ("lora_A", "lora_B")
    known = layers(folder)
    strange = {f"transformer_blocks.{90 + number}.attn.to_q": (32, 32) for number in range(foreign * len(known))}
    for name, (high, wide) in {**known, **strange}.items():
        stem = f"lora_unet_{name.replace('.', '_')}" if kohya else f"transformer.{name}"
        weights[f"{stem}.{down}.weight"] = torch.randn(2, wide)
        weights[f"{stem}.{up}.weight"] = torch.randn(high, 2)
    save_file(weights, out)
    return out


def own_with(folder: Path, path: Path, request: Txt2Img) -> Image.Image:
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="x")
    pipe.set_adapters(["x"], [0.8])
    named: dict[str, Any] = {"guidance_scale": request.guidance_scale}
    if type(pipe).__name__ == "QwenImagePipeline":
        named = {"true_cfg_scale": request.guidance_scale, "negative_prompt": " "}
    size = {"width": request.width, "height": request.height, "num_inference_steps": request.num_inference_steps}
    generator = torch.Generator().manual_seed(request.seed or 0)
    return pipe(prompt="a red boat", generator=generator, **size, **named).images[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_lora_paints_what_diffusers_own_paints(models: dict[str, Path], family: str, tmp_path: Path) -> None:
    file = lora(models[family], tmp_path / "x.safetensors")
    others = {name: str(folder) for name, folder in models.items() if name != family}
    async with Engine(str(models[family]), models=others, loras={"x": str(file)}) as engine:
        fits = [info.key for info in engine.models() if info.loras]
        image = (await engine.submit(ask(prompt="a red boat <lora:x:0.8>")).result())[0]
        plain = (await engine.submit(ask()).result())[0]
    assert family in fits
    assert family == "qwen-image" or "qwen-image" not in fits
    assert difference(image, own_with(models[family], file, ask())) == 0.0
    assert difference(plain, own(models[family], ask())) == 0.0
    assert image.tobytes() != plain.tobytes()


@pytest.mark.parametrize("kind", ["lora", "lokr"])
async def test_flux2_knows_its_makers_names(models: dict[str, Path], kind: str, tmp_path: Path) -> None:
    """As ai-toolkit writes them, with an attention's three layers in one; a LoKr of those only diffusers can read."""
    torch.manual_seed(5)
    wide, weights = 32, dict[str, torch.Tensor]()
    for layer, high in (("img_attn.qkv", 3 * wide), ("img_attn.proj", wide), ("txt_attn.qkv", 3 * wide)):
        name = f"diffusion_model.double_blocks.0.{layer}"
        if kind == "lora":
            weights |= {f"{name}.lora_A.weight": torch.randn(2, wide), f"{name}.lora_B.weight": torch.randn(high, 2)}
        else:
            weights |= {
                f"{name}.lokr_w1": torch.randn(4, 4) * 0.3,
                f"{name}.lokr_w2": torch.randn(high // 4, wide // 4),
            }
    file, folder = tmp_path / "x.safetensors", models["flux2-klein"]
    save_file(weights, file)
    async with Engine(str(folder), models={"sana": str(models["sana"])}, loras={"x": str(file)}) as engine:
        assert [info.loras for info in engine.models()] == [("x",), ()]
        image = (await engine.submit(ask(prompt="a red boat <lora:x:0.8>")).result())[0]
        plain = (await engine.submit(ask()).result())[0]
    assert difference(image, own_with(folder, file, ask())) == 0.0
    assert image.tobytes() != plain.tobytes()


def of_makers(out: Path, blocks: tuple[int, int], wide: int, one: int, other: int) -> str:
    """A LoRA of FLUX in its makers' names, which are the same for FLUX.1 and FLUX.2; `one`, `other`: how many times
    wider linear1 and the first layer of an MLP are than what they read."""
    inner = one - 3 if one == 7 else 3  # FLUX.2's MLP is gated: twice as wide before the gate
    double = {"img_attn.qkv": (1, 3), "img_attn.proj": (1, 1), "img_mlp.0": (1, other), "img_mlp.2": (inner, 1)}
    single = {"linear1": (1, one), "linear2": (1 + inner, 1)}
    weights = {}
    for kind, number, found in (("double", blocks[0], double), ("single", blocks[1], single)):
        for layer in [f"{kind}_blocks.{block}.{each}" for block in range(number) for each in found]:
            reads, writes = found[layer.split(".", 2)[2]]
            weights[f"diffusion_model.{layer}.lora_A.weight"] = torch.zeros(1, reads * wide, dtype=torch.half)
            weights[f"diffusion_model.{layer}.lora_B.weight"] = torch.zeros(writes * wide, 1, dtype=torch.half)
    save_file(weights, out)
    return str(out)


def test_loras_of_flux_are_told_apart_by_their_shapes(
    models: dict[str, Path], folders: dict[str, Path], tmp_path: Path
) -> None:
    """klein's 4 billion weights are as wide as FLUX.1's 12, and both have double and single blocks."""
    for name, wide, one, two in (("small", 32, (1, 1), (1, 1)), ("published", 3072, (19, 38), (5, 20))):
        files = {
            f"{name}-1": of_makers(tmp_path / f"{name}-1.safetensors", one, wide, 7, 4),
            f"{name}-2": of_makers(tmp_path / f"{name}-2.safetensors", two, wide, 9, 6),
        }
        flux = str(folders["flux"]) if name == "small" else "black-forest-labs/FLUX.1-dev"
        engine = Engine("mini", models={"one": flux, "two": str(models["flux2-klein"])}, loras=files)
        fits = {info.key: set(info.loras) & files.keys() for info in engine.models()}
        assert fits["one"] == {f"{name}-1"}
        assert fits["two"] == ({f"{name}-2"} if name == "small" else set())


def test_a_lora_of_which_only_a_part_fits_is_told(
    models: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    some = lora(models["chroma"], tmp_path / "some.safetensors", foreign=1)
    none = lora(models["chroma"], tmp_path / "none.safetensors", foreign=9)
    engine = Engine(str(models["chroma"]), loras={"some": str(some), "none": str(none)})
    assert engine.models()[0].loras == ("some",)
    assert "of the LoRA 'some' only 50 % fits chroma" in caplog.text
    info = engine.models()[0]
    assert info.lora_shares == (("some", 50),)
    for prompt, says in (("a <lora:Some:1>", "Only 50 % of the LoRA some fits chroma"), ("a", "")):
        told = guidance.unheard(Txt2Img(prompt=prompt), info, guided=False, strong=False)
        assert told.startswith(says)
        assert bool(told) == bool(says)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("lora_unet_x_attn1_to_q.oft_blocks", "an OFT"),
        ("diffusion_model.x.diff", "a full difference"),
    ],
)
def test_what_only_looks_like_a_lora_is_left_out_by_name(
    models: dict[str, Path], tmp_path: Path, key: str, says: str
) -> None:
    file = tmp_path / "x.safetensors"
    save_file({key: torch.zeros(4, 4)}, file)
    engine = Engine(str(models["chroma"]), loras={"x": str(file)})
    assert engine.models()[0].loras == ()
    assert [says in each.reason for each in engine.left_out()] == [True]


async def test_a_fast_lora_brings_its_steps_guidance_and_scheduler(folders: dict[str, Path], tmp_path: Path) -> None:
    """By a JSON file beside it, or by its published name; what somebody says comes first, and weight 0 is none."""
    weights = {"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": torch.zeros(2, 32)}
    weights["unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora_B.weight"] = torch.zeros(32, 2)
    (tmp_path / "Hyper-SD15-1step-lora").mkdir()
    for name in (
        "quick",
        "lcm-lora-sdv1-5",
        "Hyper-SD15-1step-lora/diffusion_pytorch_model",
        "Hyper-SD15-8steps-CFG-lora",
    ):
        save_file(weights, tmp_path / f"{name}.safetensors")
    (tmp_path / "quick.json").write_text('{"num_inference_steps": 3, "scheduler": "euler_trailing"}')
    files = {"quick": str(tmp_path / "quick.safetensors"), "lcm": str(tmp_path / "lcm-lora-sdv1-5.safetensors")}
    files |= {
        "one": str(tmp_path / "Hyper-SD15-1step-lora"),
        "eight": str(tmp_path / "Hyper-SD15-8steps-CFG-lora.safetensors"),
    }
    engine = Engine(str(folders["sd1"]), loras=files)
    (info,) = engine.models()

    def sampled(prompt: str, **said: Any) -> tuple[Any, ...]:
        done = resolve.complete(Txt2Img(prompt=prompt, **said), info)
        return done.num_inference_steps, done.guidance_scale, done.scheduler

    assert sampled("a boat") == sampled("a boat <lora:quick:0>") == (25, 7.5, "euler")
    assert sampled("a boat <lora:Quick>") == (3, 7.5, "euler_trailing")
    assert sampled("a boat <lora:lcm:0.9>") == (4, 1.0, "lcm")
    assert sampled("a boat <lora:one>") == (1, 0.0, "tcd")
    assert sampled("a boat <lora:eight>") == (8, 5.0, "euler_trailing")
    assert sampled("a boat <lora:lcm>", num_inference_steps=9, guidance_scale=2.0, scheduler="ddim") == (9, 2.0, "ddim")
