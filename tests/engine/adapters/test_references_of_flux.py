"""FLUX.1 reads pictures by an IP-Adapter as SD does: diffusers' own call with the same embeddings, in any company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from engine import Blend, Engine, Guide, Img2Img, InvalidRequest, Reference, Txt2Img
from tests.engine.adapters.test_guides import of_transformer
from tests.engine.adapters.test_image_prompts import SEES, engine_with
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

SIZE = {"width": 64, "height": 64}
FACTS: dict[str, Any] = {"prompt": "a red boat", "seed": 3, "num_inference_steps": 3, "guidance_scale": 3.5, **SIZE}
RED, NOISE = Image.new("RGB", (64, 64), "red"), Image.effect_noise((80, 40), 90).convert("RGB")
XLABS = {"k": "ip_adapter_double_stream_k_proj", "v": "ip_adapter_double_stream_v_proj"}


@pytest.fixture(scope="module")
def adapter(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random, and named as XLabs' published ones are."""
    torch.manual_seed(9)
    out = tmp_path_factory.mktemp("ip") / "flux"
    config = diffusers.FluxTransformer2DModel.load_config(folders["flux"] / "transformer")
    reads, wide = config["joint_attention_dim"], config["num_attention_heads"] * config["attention_head_dim"]
    tensors = {
        "ip_adapter_proj_model.proj.weight": torch.randn(4 * reads, SEES),
        "ip_adapter_proj_model.proj.bias": torch.randn(4 * reads),
        "ip_adapter_proj_model.norm.weight": torch.ones(reads),
        "ip_adapter_proj_model.norm.bias": torch.zeros(reads),
    }
    for number in range(config["num_layers"]):
        for name in XLABS.values():
            tensors[f"double_blocks.{number}.processor.{name}.weight"] = torch.randn(wide, reads)
            tensors[f"double_blocks.{number}.processor.{name}.bias"] = torch.randn(wide)
    out.mkdir()
    save_file(tensors, out / "ip_adapter.safetensors")
    small = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = CLIPVisionConfig(**small, projection_dim=SEES, image_size=32, patch_size=8)
    CLIPVisionModelWithProjection(vision).save_pretrained(out / "image_encoder")
    return out


def of(image: Image.Image, weight: float = 1.0) -> Reference:
    return Reference(image=image, weight=weight)


def own(folder: Path, adapter: Path, scale: float, shares: dict[str, float], **more: Any) -> Image.Image:
    """The same picture from diffusers, with nothing of Easel's."""
    kind = diffusers.AutoPipelineForImage2Image if "image" in more else diffusers.AutoPipelineForText2Image
    pipe: Any = kind.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    place = {"weight_name": "ip_adapter.safetensors", "image_encoder_dtype": torch.float32}
    place |= {"low_cpu_mem_usage": False}  # as it's loaded here: a processor rounds by where in memory weights lie
    pipe.load_ip_adapter(
        str(adapter), image_encoder_pretrained_model_name_or_path=str(adapter / "image_encoder"), **place
    )
    pipe.set_ip_adapter_scale(scale)
    pictures = {"red": RED, "noise": NOISE}
    with torch.no_grad():
        seen = {
            name: pipe.prepare_ip_adapter_image_embeds(pictures[name], None, torch.device("cpu"), 1) for name in shares
        }
    embeds = [sum(seen[name][0] * part for name, part in shares.items())]
    named = {**{k: FACTS[k] for k in FACTS if k != "seed"}, **more}
    generator = torch.Generator().manual_seed(3)
    return pipe(ip_adapter_image_embeds=embeds, generator=generator, **named).images[0]  # type: ignore[no-any-return]


async def test_alone_it_is_diffusers_own(folders: dict[str, Path], adapter: Path) -> None:
    flux = folders["flux"]
    async with engine_with(flux, adapter) as engine:
        assert engine.models()[0].image_prompts
        plain = (await engine.submit(Txt2Img(**FACTS)).result())[0]
        one = (await engine.submit(Txt2Img(**FACTS, references=(of(RED, 0.7),))).result())[0]
        two = (await engine.submit(Txt2Img(**FACTS, references=(of(RED, 0.5), of(NOISE, 1.5)))).result())[0]
        unwanted = (await engine.submit(Txt2Img(**FACTS, negative_prompt="the moon", references=(of(RED),))).result())[
            0
        ]
        over = Img2Img(**FACTS, init_image=RED, strength=0.8, references=(of(NOISE, 0.6),))
        repainted = (await engine.submit(over).result())[0]
        (mixed,) = await engine.submit(Blend(**FACTS, images=(RED, NOISE), strength=1.0)).result()
        after = (await engine.submit(Txt2Img(**FACTS)).result())[0]
    assert difference(one, own(flux, adapter, 0.7, {"red": 1.0})) == 0.0
    assert difference(two, own(flux, adapter, 1.5, {"red": 0.25, "noise": 0.75})) == 0.0
    true = {"negative_prompt": "the moon", "true_cfg_scale": 2.0}
    assert difference(unwanted, own(flux, adapter, 1.0, {"red": 1.0}, **true)) == 0.0
    assert difference(repainted, own(flux, adapter, 0.6, {"noise": 1.0}, image=RED, strength=0.8)) == 0.0
    assert difference(mixed, own(flux, adapter, 0.5, {"red": 0.5, "noise": 0.5})) == 0.0
    assert difference(after, plain) == 0.0
    assert min(difference(image, plain) for image in (one, two, unwanted)) > 0.001


async def test_in_company_it_differs_by_rounding_only(folders: dict[str, Path], adapter: Path, tmp_path: Path) -> None:
    kind = diffusers.FluxControlNetModel
    net = of_transformer(kind, folders["flux"], tmp_path / "net", 4, num_layers=1, num_single_layers=1)
    asked = [Txt2Img(**{**FACTS, "seed": seed}, references=(of(NOISE),)) for seed in (3, 4)]
    asked += [Txt2Img(**FACTS, references=(of(NOISE, 0.4),)), Txt2Img(**FACTS)]
    asked += [Txt2Img(**FACTS, references=(of(RED),), controls=(Guide(image=RED, controlnet="net"),))]
    nets = {"controlnets": {"net": str(net)}}
    async with engine_with(folders["flux"], adapter, **nets) as engine:
        alone = [(await engine.submit(request).result())[0] for request in asked]
    async with engine_with(folders["flux"], adapter, mode="fast", **nets) as engine:
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(asked)]
        crowd = [(await ticket.result())[0] for ticket in tickets]
        assert (await engine.inspect()).forwards["denoise"].most_joined > 1
        led = (Guide(image=RED, controlnet="net"),)
        with pytest.raises(InvalidRequest, match="can't read reference pictures along a ControlNet"):
            engine.submit(Img2Img(**FACTS, init_image=RED, strength=0.5, controls=led, references=(of(RED),)))
    assert max(difference(*pair) for pair in zip(alone, crowd, strict=True)) <= ROUNDING
    assert len({image.tobytes() for image in alone}) == 5


async def test_one_for_other_models_is_left_out(folders: dict[str, Path], adapter: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide.safetensors"
    weights = load_file(adapter / "ip_adapter.safetensors")
    save_file({name: torch.cat([t, t], -1) if t.dim() == 2 else t for name, t in weights.items()}, wide)
    for model, path, why in (("sd1", adapter, "is not an IP-Adapter"), ("flux", wide, "was not made for models like")):
        engine = Engine(str(folders[model]), ip_adapters={model: str(path)})
        (left_out,) = engine.left_out()
        assert why in left_out.reason
        assert not engine.models()[0].image_prompts
