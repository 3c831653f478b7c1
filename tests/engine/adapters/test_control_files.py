"""ControlNets of SD3 and FLUX.1 in one file, whoever named their tensors: the same picture as from their folders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file

from engine import Control, Engine, ModelUnloadable, Txt2Img
from engine.models import controlnets
from tests.engine import conftest, zoo
from tests.engine.adapters.test_controlnets import FACTS, drawing
from tests.engine.adapters.test_guides import mean_without_generator, of_transformer
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

WEIGHTS = "diffusion_pytorch_model.safetensors"
Tensors = Mapping[str, torch.Tensor]


XLABS = {"num_layers": 2, "num_single_layers": 0, "patch_size": 2, "conditioning_embedding_channels": 4}
STABILITYS = {
    **{"num_layers": 2, "joint_attention_dim": None, "pos_embed_max_size": None, "pos_embed_type": None},
    **{"use_pos_embed": False, "force_zeros_for_pooled_projection": False, "qk_norm": None},
    "dual_attention_layers": (),
}


# ---------------------------------------------------------------- as their makers have them
def as_xlabs(tensors: Tensors) -> Iterator[tuple[str, torch.Tensor]]:
    """The names of x-flux' `ControlNetFlux`, whose queries, keys and values are one matrix."""
    top = {"x_embedder": "img_in", "context_embedder": "txt_in", "controlnet_x_embedder": "pos_embed_input"}
    times = {"timestep_embedder": "time_in", "text_embedder": "vector_in", "guidance_embedder": "guidance_in"}
    layers = {
        "norm1.linear": "img_mod.lin",
        "norm1_context.linear": "txt_mod.lin",
        "attn.to_out.0": "img_attn.proj",
        "attn.to_add_out": "txt_attn.proj",
        "ff.net.0.proj": "img_mlp.0",
        "ff.net.2": "img_mlp.2",
        "ff_context.net.0.proj": "txt_mlp.0",
        "ff_context.net.2": "txt_mlp.2",
    }
    norms = {"norm_q": "img", "norm_k": "img", "norm_added_q": "txt", "norm_added_k": "txt"}
    for name, tensor in tensors.items():
        layer, _, end = name.rpartition(".")
        parts = layer.split(".")
        if layer in top:
            yield f"{top[layer]}.{end}", tensor
        elif parts[0] == "time_text_embed":
            yield f"{times[parts[1]]}.{'in' if parts[2] == 'linear_1' else 'out'}_layer.{end}", tensor
        elif parts[0] == "input_hint_block":
            number = {"conv_in": 0, "conv_out": 7}.get(parts[1])
            yield f"input_hint_block.{2 * (int(parts[2]) + 1 if number is None else number)}.{end}", tensor
        elif parts[0] == "transformer_blocks":
            block, rest = f"double_blocks.{parts[1]}", ".".join(parts[2:])
            if rest in layers:
                yield f"{block}.{layers[rest]}.{end}", tensor
            elif parts[-1] in norms:
                which = "query" if parts[-1].endswith("q") else "key"
                yield f"{block}.{norms[parts[-1]]}_attn.norm.{which}_norm.scale", tensor
            elif rest in ("attn.to_q", "attn.add_q_proj"):
                three = [tensors[f"{layer.replace('_q', f'_{each}')}.{end}"] for each in "qkv"]
                yield f"{block}.{'img' if rest == 'attn.to_q' else 'txt'}_attn.qkv.{end}", torch.cat(three)
        else:
            yield name, tensor


def as_stability(tensors: Tensors, kind: int) -> Iterator[tuple[str, torch.Tensor]]:
    """The names of Stability's `sd3.5_large_controlnet_*.safetensors`, and the number of what they follow."""
    layers = {
        "norm1.linear": "adaLN_modulation.1",
        "attn.to_out.0": "attn.proj",
        "ff.net.0.proj": "mlp.fc1",
        "ff.net.2": "mlp.fc2",
    }
    yield "control_type", torch.tensor(float(kind))
    for name, tensor in tensors.items():
        ours = next((each for each in layers if each in name), "")
        theirs = name.replace(f".{ours}.", f".{layers[ours]}.") if ours else name
        if "attn.to_q" in name:
            yield name.replace("to_q", "qkv"), torch.cat([tensors[name.replace("to_q", f"to_{e}")] for e in "qkv"])
        elif "attn.to_k" not in name and "attn.to_v" not in name:
            yield theirs, tensor


def write(tensors: Iterator[tuple[str, torch.Tensor]], file: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors}, file)
    return file


@pytest.fixture(scope="module")
def models(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """XLabs' ControlNets read eight pixels a latent, as FLUX.1's VAE does."""
    return {
        "flux": folders["flux"],
        "sd3": folders["sd3"],
        "deep": deep_flux(tmp_path_factory.mktemp("models") / "deep"),
    }


def deep_flux(out: Path) -> Path:
    torch.manual_seed(0)
    pipe = conftest.flux()
    vae = diffusers.AutoencoderKL.from_config(zoo.deep_vae().config, shift_factor=0.1)
    pipe.register_modules(vae=vae.eval())
    pipe.save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def made(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Path, Path]]:
    """By name: the model, the ControlNet's folder, and its file."""
    root = tmp_path_factory.mktemp("files")
    small: dict[str, Any] = {"num_layers": 2, "num_single_layers": 1}
    flux, sd3 = diffusers.FluxControlNetModel, diffusers.SD3ControlNetModel
    nets = {
        "flux": of_transformer(flux, folders["flux"], root / "flux", 4, **small),
        "union": of_transformer(flux, folders["flux"], root / "union", 6, **small, num_mode=3),
        "xlabs": of_transformer(flux, folders["flux"], root / "xlabs", 8, **XLABS),
        "sd3": of_transformer(sd3, folders["sd3"], root / "sd3", 3, num_layers=2),
        **{
            each: of_transformer(sd3, folders["sd3"], root / each, 5, **STABILITYS)
            for each in ("blur", "canny", "depth")
        },
    }
    found = {}
    for name, folder in nets.items():
        tensors, file = load_file(folder / WEIGHTS), root / f"{name}.safetensors"
        if name == "xlabs":
            write(as_xlabs(tensors), file)
        elif name in (kinds := ("blur", "canny", "depth")):
            write(as_stability(tensors, kinds.index(name)), file)
        else:
            shutil.copy(folder / WEIGHTS, file)
        found[name] = ({"xlabs": "deep", "flux": "flux", "union": "flux"}.get(name, "sd3"), folder, file)
    return found


class _Edges(VaeImageProcessor):  # type: ignore[misc]
    """As the card of Stability's for edges has it."""

    def preprocess(self, image: Any, *args: Any, **kwargs: Any) -> Any:
        return (super().preprocess(image, *args, **kwargs) / 2 + 0.5) * 255 * 0.5 + 0.5


def own(folder: Path, kind: str, net: Path, name: str, **more: Any) -> Image.Image:
    """The picture from diffusers, of the ControlNet's folder."""
    module = diffusers.AutoModel.from_pretrained(str(net))
    pipe = getattr(diffusers, kind).from_pretrained(folder, controlnet=module)
    pipe.set_progress_bar_config(disable=True)
    if name == "canny":
        pipe.image_processor = _Edges(vae_scale_factor=pipe.vae_scale_factor)
    picture = ImageOps.invert(drawing()) if name == "depth" else drawing()
    named = {each: FACTS[each] for each in ("prompt", "num_inference_steps", "guidance_scale", "width", "height")}
    named |= {"generator": torch.Generator().manual_seed(7), "controlnet_conditioning_scale": 1.0}
    return pipe(**named, control_image=picture, **more).images[0]  # type: ignore[no-any-return]


async def test_a_file_paints_what_its_folder_does(
    models: dict[str, Path], made: dict[str, tuple[str, Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: str(file) for name, (_, _, file) in made.items()}
    settings = {name: str(path) for name, path in models.items()}
    async with Engine(settings["flux"], models=settings, controlnets=files) as engine:
        assert engine.left_out() == ()
        names = {info.key: info.controlnets for info in engine.models()}
        assert names["flux"] == names["deep"] == ("flux", "edges-union", "tile-union", "depth-union", "xlabs")
        assert names["sd3"] == ("sd3", "blur", "canny", "depth")
        plain = {name: (await engine.submit(Txt2Img(**FACTS, model=name)).result())[0] for name in models}
        for name, (model, net, _) in made.items():
            called = "depth-union" if name == "union" else name
            request = Control(**FACTS, model=model, control_image=drawing(), controlnet=called, prepared=True)
            image = (await engine.submit(request).result())[0]
            kind = "StableDiffusion3ControlNetPipeline" if model == "sd3" else "FluxControlNetPipeline"
            with monkeypatch.context() as patched:
                mean_without_generator(patched)
                mode = {"control_mode": 2} if name == "union" else {}
                expected = own(models[model], kind, net, name, **mode)
            renamed = name not in ("flux", "union", "sd3")  # so its numbers lie elsewhere in a file
            assert difference(image, expected) <= (ROUNDING if renamed else 0.0), name
            assert difference(image, plain[model]) > 0.01, f"{name} must have done something"


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        (("controlnet_blocks.0.linear.weight",), "it is a MistoLine of FLUX.1, which diffusers can't read"),
        (("transformer_blocks.0.img_mod.1.weight", "controlnet_blocks.0.weight"), "a ControlNet of Qwen-Image"),
        (("control_layers.0.before_proj.weight",), "a ControlNet of Z-Image"),
    ],
)
def test_what_none_can_use_is_told_by_name(tmp_path: Path, tensors: tuple[str, ...], says: str) -> None:
    save_file({name: torch.zeros(4, 4) for name in tensors}, tmp_path / "x.safetensors")
    with pytest.raises(ModelUnloadable, match=says):
        controlnets.read("x", str(tmp_path / "x.safetensors"))


async def test_one_that_inpaints_or_is_in_part_is_told(
    models: dict[str, Path], made: dict[str, tuple[str, Path, Path]], tmp_path: Path
) -> None:
    masked, part = tmp_path / "masked.safetensors", tmp_path / "part.safetensors"
    tensors = load_file(made["sd3"][2])
    entry = tensors["pos_embed_input.proj.weight"]
    more = torch.zeros(entry.shape[0], entry.shape[1] + 1, *entry.shape[2:])
    save_file({**tensors, "pos_embed_input.proj.weight": more}, masked)
    with pytest.raises(ModelUnloadable, match="a ControlNet of SD3 for inpainting, which reads a mask"):
        controlnets.read("masked", str(masked))
    save_file({name: each for name, each in tensors.items() if "ff.net" not in name}, part)
    request = Control(**FACTS, control_image=drawing(), controlnet="part", prepared=True)
    async with Engine(str(models["sd3"]), controlnets={"part": str(part)}) as engine:
        with pytest.raises(ModelUnloadable, match=r"of part only [\d,]+ of [\d,]+ tensors are there"):
            await engine.submit(request).result()
