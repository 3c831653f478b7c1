"""Single files are known by their tensors; the common kinds need nothing beside them, the others say what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from accelerate import init_empty_weights
from safetensors.torch import load_file, save_file

from engine import Engine, ModelUnloadable, Txt2Img
from engine.api import clip_tokens
from engine.models import catalog, checkpoints, single_file
from engine.models.checkpoints import Checkpoint
from engine.models.whole import Header
from tests.engine import conftest, menagerie, zoo
from tests.engine.files.original_layout import save_original

U = checkpoints.FIRST_CONVOLUTION
SD = {U: (320, 4, 3, 3), "cond_stage_model.transformer.x": (1,)}
XL = {U: (320, 4, 3, 3), "conditioner.embedders.0.transformer.x": (1,), "conditioner.embedders.1.model.x": (1,)}
KINDS: dict[str, tuple[dict[str, tuple[int, ...]], str]] = {
    "sd1": (SD, "StableDiffusionPipeline"),
    "sd1 inpainting": ({**SD, U: (320, 9, 3, 3)}, "StableDiffusionInpaintPipeline"),
    "sd2": ({U: (320, 4, 3, 3), "cond_stage_model.model.x": (1,)}, "StableDiffusionPipeline"),
    "sdxl": (XL, "StableDiffusionXLPipeline"),
    "sdxl inpainting": ({**XL, U: (320, 9, 3, 3)}, "StableDiffusionXLInpaintPipeline"),
    "refiner": (
        {U: (384, 4, 3, 3), "conditioner.embedders.0.model.x": (1,)},
        "StableDiffusionXLImg2ImgPipeline",
    ),
    "sd3": ({"model.diffusion_model.joint_blocks.0.x": (1,), "text_encoders.x": (1,)}, "StableDiffusion3Pipeline"),
    "flux": ({"double_blocks.0.img_attn.qkv.weight": (1,)}, "FluxPipeline"),
    "flux2": ({"double_blocks.0.img_attn.x": (1,), "double_stream_modulation_img.x": (1,)}, "Flux2Pipeline"),
    "chroma": ({"double_blocks.0.img_attn.x": (1,), "distilled_guidance_layer.x": (1,)}, "ChromaPipeline"),
    "z-image": (
        {"model.diffusion_model.noise_refiner.0.x": (1,), "model.diffusion_model.x_pad_token": (1,)},
        "ZImagePipeline",
    ),
    "qwen": ({"transformer_blocks.0.img_mod.1.weight": (1,)}, "QwenImagePipeline"),
    "qwen 2.1": ({"model.diffusion_model.txt_in.text_norm.weight": (1,)}, "QwenImage21Pipeline"),
    "krea 2": ({"txtfusion.projector.weight": (1,)}, "Krea2Pipeline"),
    "sana": ({"blocks.0.cross_attn.q_linear.weight": (1,)}, "SanaPipeline"),
    "lumina 2": ({"noise_refiner.0.x": (1,), "norm_final.weight": (1,)}, "Lumina2Pipeline"),
    "auraflow": ({"double_layers.0.x": (1,), "register_tokens": (1,)}, "AuraFlowPipeline"),
}
OTHERS: dict[str, tuple[dict[str, tuple[int, ...]], str]] = {
    "lora": ({"lora_unet_x.lora_down.weight": (4, 8)}, "a LoRA; name it in EASEL_LORAS"),
    "loha": ({"lora_unet_x.hada_w1_a": (4, 8)}, "a LoRA; name it in EASEL_LORAS"),
    "controlnet": ({"control_model.input_hint_block.0.weight": (1,)}, "a ControlNet; name it in EASEL_CONTROLNETS"),
    "controlnet of FLUX.1": (
        {"double_blocks.0.img_attn.qkv.weight": (1,), "controlnet_blocks.0.weight": (1,)},
        "a ControlNet; name it in EASEL_CONTROLNETS",
    ),
    "lora of Qwen-Image": (
        {"transformer_blocks.0.img_mod.1.lora_down.weight": (4, 8)},
        "a LoRA; name it in EASEL_LORAS",
    ),
    "vae": ({"decoder.conv_in.weight": (1,), "encoder.conv_in.weight": (1,)}, "a VAE; put it beside"),
    "embedding": ({"emb_params": (2, 768)}, "a textual inversion"),
    "part": ({"down_blocks.0.x": (1,), "conv_in.weight": (1,)}, "one part of a diffusers model"),
    "pix2pix": ({**SD, U: (320, 8, 3, 3)}, "InstructPix2Pix"),
    "unet": ({U: (320, 4, 3, 3)}, "a UNet without its text encoder"),
    "strange": ({"nothing.known": (2,)}, "none of the kinds"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_are_told_by_their_tensors(name: str) -> None:
    shapes, pipeline = KINDS[name]
    found = checkpoints.recognise(Header(shapes=shapes))
    assert isinstance(found, Checkpoint)
    assert found.pipeline == pipeline
    assert hasattr(diffusers, found.pipeline)
    assert not found.transformer or hasattr(diffusers, found.transformer)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_model_is_told_as_what_it_is(tmp_path: Path, name: str) -> None:
    shapes, says = OTHERS[name]
    file = tmp_path / "x.safetensors"
    save_file({each: torch.zeros(shape) for each, shape in shapes.items()}, file)
    with pytest.raises(ModelUnloadable, match=says):
        catalog.describe(catalog.source("x", str(file)))


def test_a_gguf_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(64))
    with pytest.raises(ModelUnloadable, match="GGUF"):
        catalog.describe(catalog.source("x", str(tmp_path / "x.gguf")))


# Of the published models, as their cards and papers have them.
PARAMETERS = {
    ("sd1", "unet"): 859_520_964,
    ("sd1", "vae"): 83_653_863,
    ("sd1", "text_encoder"): 123_060_480,
    ("sd2", "unet"): 865_910_724,
    ("sd2", "text_encoder"): 340_387_840,
    ("sdxl", "unet"): 2_567_463_684,
    ("sdxl", "text_encoder_2"): 694_659_840,
    ("sdxl-refiner", "unet"): 2_259_526_660,
}


@pytest.mark.parametrize(("kind", "part"), PARAMETERS)
def test_shipped_configs_are_of_the_published_models(kind: str, part: str) -> None:
    config = checkpoints._shipped()[kind]["configs"][part]
    with init_empty_weights():
        if "architectures" in config:
            made: Any = getattr(transformers, config["architectures"][0])
            module = made(transformers.CLIPTextConfig(**{k: v for k, v in config.items() if k != "architectures"}))
        else:
            module = getattr(diffusers, config["_class_name"]).from_config(config)
    assert sum(each.numel() for each in module.parameters()) == PARAMETERS[kind, part]


def test_the_tokenizer_is_clips_own() -> None:
    """The ids are those of CLIP's published examples."""
    tokenizer = single_file.clip_tokenizer()
    ids = tokenizer("a photo of an astronaut riding a horse on mars").input_ids
    assert ids == [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 525, 7496, 49407]
    assert tokenizer.pad_token_id == 49407
    assert single_file.clip_tokenizer(pad="!").pad_token_id == 0


async def painted(model: Path, **more: Any) -> bytes:
    async with Engine(str(model)) as engine:
        request = Txt2Img(prompt="a red boat", width=64, height=64, num_inference_steps=3, seed=7, **more)
        return (await engine.submit(request).result())[0].tobytes()  # type: ignore[no-any-return]


def ship(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the small model's configs were those of every Stable Diffusion 1, its tokenizer CLIP's."""
    index = json.loads((folder / "model_index.json").read_text())
    configs = {}
    for name in ("unet", "vae", "text_encoder"):
        configs[name] = json.loads((folder / name / "config.json").read_text())
    configs["scheduler"] = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    monkeypatch.setattr(checkpoints, "_shipped", lambda: {"sd1": {"index": index, "configs": configs}})
    monkeypatch.setattr(single_file, "clip_tokenizer", lambda pad=clip_tokens.END: conftest.clip_tokenizer())


@pytest.fixture
def shipped(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ship(folders["sd1"], monkeypatch)


@pytest.mark.usefixtures("shipped")
async def test_a_common_file_needs_nothing_beside_it(tmp_path: Path, folders: dict[str, Path]) -> None:
    for name in ("boats.safetensors", "boats.sft", "BOATS.SAFETENSORS"):
        file = tmp_path / name
        save_original(conftest.sd1(), file)
        assert await painted(file) == await painted(folders["sd1"]), name
        file.unlink()


@pytest.mark.usefixtures("shipped")
async def test_what_its_tensors_say_of_the_noise_is_heard(tmp_path: Path, folders: dict[str, Path]) -> None:
    file, folder = tmp_path / "v.safetensors", tmp_path / "folder"
    save_original(conftest.sd1(), file)
    save_file({**load_file(file), "v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}, file)
    shutil.copytree(folders["sd1"], folder)
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **checkpoints.ZERO_SNR}))
    assert await painted(file) == await painted(folder) != await painted(folders["sd1"])


@pytest.mark.usefixtures("shipped")
async def test_a_vae_beside_a_file_is_its_vae(tmp_path: Path, folders: dict[str, Path]) -> None:
    other = conftest.sd1()
    torch.manual_seed(99)
    for weight in other.vae.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    save_original(other, tmp_path / "other.safetensors")
    save_original(conftest.sd1(), tmp_path / "boats.safetensors")
    weights = {k: v for k, v in load_file(tmp_path / "other.safetensors").items() if k.startswith("first_stage_model.")}
    save_file(
        {name.removeprefix("first_stage_model."): weight for name, weight in weights.items()},
        tmp_path / "boats.vae.safetensors",
    )
    with_vae = await painted(tmp_path / "boats.safetensors")
    assert with_vae == await painted(tmp_path / "other.safetensors") != await painted(folders["sd1"])
    shutil.copytree(folders["sd1"], tmp_path / "folder")
    shutil.copy(tmp_path / "boats.vae.safetensors", tmp_path / "folder.vae.safetensors")
    assert await painted(tmp_path / "folder") == with_vae


async def test_a_folder_with_half_precision_only_is_loaded(tmp_path: Path, folders: dict[str, Path]) -> None:
    folder = tmp_path / "half"
    shutil.copytree(folders["sd1"], folder)
    for file in list(folder.glob("*/*.safetensors")):
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    assert await painted(folder) == await painted(folders["sd1"])


async def test_a_transformer_alone_is_put_into_the_folder_beside_it(tmp_path: Path) -> None:
    """Without that folder the sentence says what the file is and what to put where."""
    folder = zoo.build(tmp_path, ["z-image"])["z-image"]
    whole = await painted(folder, guidance_scale=4.0)
    weights = load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    file = tmp_path / "tune.safetensors"
    save_file(weights, file)
    with pytest.raises(ModelUnloadable, match="Z-Image's transformer alone; put a diffusers folder of Z-Image beside"):
        await painted(file)
    shutil.copytree(folder, tmp_path / "tune", ignore=shutil.ignore_patterns("diffusion_pytorch_model.safetensors"))
    shutil.copytree(folder / "vae", tmp_path / "tune" / "vae", dirs_exist_ok=True)
    assert await painted(file, guidance_scale=4.0) == whole


KREA = (  # diffusers' beginnings and pieces of names, and those of its makers
    *(("img_in.", "first."), ("time_embed.linear_1.", "tmlp.0."), ("time_embed.linear_2.", "tmlp.2.")),
    *(("time_mod_proj.", "tproj.1."), ("txt_in.norm.weight", "txtmlp.0.scale"), ("txt_in.linear_1.", "txtmlp.1.")),
    *(("txt_in.linear_2.", "txtmlp.3."), ("final_layer.scale_shift_table", "last.modulation.lin")),
    *(("final_layer.norm.weight", "last.norm.scale"), ("final_layer.linear.", "last.linear.")),
    *(("text_fusion.", "txtfusion."), ("transformer_blocks.", "blocks."), (".attn.to_q.", ".attn.wq.")),
    *((".attn.to_k.", ".attn.wk."), (".attn.to_v.", ".attn.wv."), (".attn.to_out.0.", ".attn.wo.")),
    *((".attn.to_gate.", ".attn.gate."), (".attn.norm_q.weight", ".attn.qknorm.qnorm.scale")),
    *((".attn.norm_k.weight", ".attn.qknorm.knorm.scale"), (".ff.", ".mlp."), (".norm1.weight", ".prenorm.scale")),
    *((".norm2.weight", ".postnorm.scale"), (".scale_shift_table", ".mod.lin")),
)


async def test_a_transformer_in_its_makers_names(tmp_path: Path) -> None:
    """Krea 2, whose makers keep a block's six modulations in one row."""
    folder = menagerie.build(tmp_path, ["krea2"])["krea2"]
    weights = {}
    for name, weight in load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors").items():
        theirs = name
        for ours, other in KREA:
            begins = not ours.startswith(".")
            theirs = other + theirs.removeprefix(ours) if begins and theirs.startswith(ours) else theirs
            theirs = theirs if begins else theirs.replace(ours, other)
        weights[f"model.diffusion_model.{theirs}"] = weight.flatten() if theirs.endswith(".mod.lin") else weight
    save_file(weights, tmp_path / "tune.safetensors")
    whole = await painted(folder, guidance_scale=4.0)
    shutil.copytree(folder, tmp_path / "tune")
    (tmp_path / "tune" / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    assert await painted(tmp_path / "tune.safetensors", guidance_scale=4.0) == whole
