"""What the engine does with each format that files come in, tried: the rows of docs/models.md's second table.

A small model is written in each format, and has to paint what the plain folder of the same numbers paints.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from engine import Control, Engine, Reference, Txt2Img
from engine.models import checkpoints
from engine.models.whole import Header
from tests.engine import conftest, zoo
from tests.engine.adapters import (
    test_adapters,
    test_control_files,
    test_guides,
    test_products,
    test_t2i_adapters,
)
from tests.engine.adapters.test_controlnets import controlnet
from tests.engine.adapters.test_image_prompts import ip_adapter
from tests.engine.files import test_checkpoints, test_sdxl_file
from tests.engine.files.original_layout import save_original
from tests.engine.files.test_quantised import WEIGHTS, from_fp8, save_gguf, save_scaled, through_q8, with_weights
from tests.engine.table.proof import DOCS

BEGIN, END = "<!-- what the tests proved: tests/engine/table/formats.py -->\n", "<!-- that was it, too -->"
HEAD = "| file or folder | with a small one |\n|---|---|\n"
ROUNDING = 2  # levels: a block's scale is kept in half precision
SIZE: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 2, "seed": 7, "guidance_scale": 4.0}
PICTURE = Image.effect_noise((64, 64), 80).convert("RGB")
PAINTS, LIKE = "paints", "paints what the plain folder of its numbers does"
ALMOST, USED = f"{LIKE}, within rounding", "used"


@dataclass(slots=True)
class Files:
    """One of each format.

    Attributes:
        models: by what they are called in the table. like: the folder whose picture each has to be.
        beside: settings of adapters by kind, then by what they are called. base: the model that such a kind goes with.
        bases: models for some of them, beside those that others have.
    """

    models: dict[str, Path] = field(default_factory=dict)
    like: dict[str, Path] = field(default_factory=dict)
    beside: dict[str, dict[str, Path]] = field(default_factory=dict)
    base: dict[str, str] = field(default_factory=dict)
    bases: dict[str, Path] = field(default_factory=dict)

    def add(self, what: str, path: Path, like: Path | None = None) -> None:
        self.models[what] = path
        if like is not None:
            self.like[what] = like

    def adapter(self, kind: str, what: str, path: Path, base: str = "sd1") -> None:
        self.beside.setdefault(kind, {})[what] = path
        self.base[what] = base


def build(root: Path, folders: Mapping[str, Path]) -> Files:
    """All of them below `root`."""
    made = Files()
    _folders(made, root, folders)
    _checkpoints(made, root, folders)
    _transformers(made, root)
    _refused(made, root, folders)
    _loras(made, root, folders["sd1"])
    _networks(made, root, folders)
    return made


# ---------------------------------------------------------------- models
def _folders(made: Files, root: Path, folders: Mapping[str, Path]) -> None:
    plain = folders["sd1"]
    half, shards = root / "half", root / "shards"
    shutil.copytree(plain, half)
    for file in list(half.glob("*/*.safetensors")):
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    conftest.sd1().save_pretrained(shards, max_shard_size="100KB")
    assert len(list((shards / "unet").glob("*.safetensors"))) > 1
    made.add("a diffusers folder with weights in parts", shards, plain)
    made.add("a diffusers folder with the fp16 variant only", half, plain)
    pipe = diffusers.ZImageAutoBlocks().init_pipeline()
    torch.manual_seed(0)
    pipe.update_components(**zoo.z_image().components)
    pipe.save_pretrained(str(root / "modular"), overwrite_modular_index=True)
    zoo.build(root, ["z-image"])
    made.add("a modular diffusers folder", root / "modular")


def _checkpoints(made: Files, root: Path, folders: Mapping[str, Path]) -> None:
    """Single files whose configs come with Easel; here those of the small models stand in their place."""
    plain = folders["sd1"]
    for what, name in (
        ("one file of Stable Diffusion, nothing beside it", "boats.safetensors"),
        ("the same called .sft", "waves.sft"),
    ):
        save_original(conftest.sd1(), root / name)
        made.add(what, root / name, plain)
    noisy, folder = root / "noisy.safetensors", root / "noisy-folder"
    marks = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    save_file({**load_file(root / "boats.safetensors"), **marks}, noisy)
    shutil.copytree(plain, folder)
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **checkpoints.ZERO_SNR}))
    made.add("the same with the keys v_pred and ztsnr", noisy, folder)
    large, whole = root / "large.safetensors", root / "large-folder"
    test_sdxl_file.sdxl().save_pretrained(whole)
    save_original(test_sdxl_file.sdxl(), large)
    shutil.copytree(whole, large.with_suffix(""), ignore=shutil.ignore_patterns("*.safetensors"))
    made.add("one file of SDXL, its small files beside it", large, whole)
    _with_vae(made, root, plain)


def _with_vae(made: Files, root: Path, plain: Path) -> None:
    with_vae, expected = root / "with-vae", root / "expected-vae"
    for folder in (with_vae, expected):
        shutil.copytree(plain, folder)
    weights = {name: 1.1 * each for name, each in load_file(plain / "vae" / WEIGHTS).items()}
    save_file(weights, expected / "vae" / WEIGHTS)
    save_file(weights, root / "with-vae.vae.safetensors")
    made.add("a VAE beside a folder", with_vae, expected)


def _transformers(made: Files, root: Path) -> None:
    """A transformer alone, with the folder of its family beside it."""
    plain = root / "z-image"
    tensors = load_file(plain / "transformer" / WEIGHTS)
    matrices = {name for name, each in tensors.items() if name.endswith(".weight") and each.dim() == 2}
    fp8 = {name: each.to(torch.float8_e4m3fn) if name in matrices else each for name, each in tensors.items()}
    in_fp8 = with_weights(plain, root / "in-fp8", lambda each: each.to(torch.float8_e4m3fn).float())
    save_file({name: each.float() for name, each in fp8.items()}, in_fp8 / "transformer" / WEIGHTS)
    scaled = with_weights(plain, root / "in-scaled-fp8", from_fp8)
    in_q8 = with_weights(plain, root / "in-q8", through_q8)
    writers: dict[str, tuple[str, Callable[[Path], None], Path]] = {
        "a transformer alone": ("alone.safetensors", lambda file: save_file(tensors, file), plain),
        "a transformer alone in fp8": ("fp8.safetensors", lambda file: save_file(fp8, file), in_fp8),
        "a transformer alone in fp8, scaled by scale_weight": (
            "one.safetensors",
            lambda file: save_scaled(tensors, file, ".scale_weight"),
            scaled,
        ),
        "a transformer alone in fp8, scaled by weight_scale": (
            "other.safetensors",
            lambda file: save_scaled(tensors, file, ".weight_scale"),
            scaled,
        ),
        "a transformer alone as GGUF, Q8_0": ("q8.gguf", lambda file: save_gguf(tensors, file), in_q8),
    }
    for what, (name, write, like) in writers.items():
        write(root / name)
        shutil.copytree(plain, (root / name).with_suffix(""))
        made.add(what, root / name, like)


def _refused(made: Files, root: Path, folders: Mapping[str, Path]) -> None:
    packed = {"a file packed by bitsandbytes": "x.weight.absmax", "a file packed by Nunchaku": "x.wscales"}
    for what, tensor in {**packed, "a file in NVFP4": "x.weight_scale_2"}.items():
        file = root / f"{what.replace(' ', '-')}.safetensors"
        save_file({"double_blocks.0.img_attn.qkv.weight": torch.zeros(1), tensor: torch.zeros(1)}, file)
        made.add(what, file)
    for what, (shapes, _) in test_checkpoints.OTHERS.items():
        file = root / f"other-{what}.safetensors"
        save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, file)
        made.add(f"given as a model: {what}", file)
    (root / "old.ckpt").touch()
    made.add("a pickle (.ckpt, .bin, .pt)", root / "old.ckpt")
    for method in ("bitsandbytes_4bit", "torchao", "quanto"):
        folder = root / method
        shutil.copytree(folders["flux"], folder)
        config = folder / "transformer" / "config.json"
        said = {**json.loads(config.read_text()), "quantization_config": {"quant_method": method}}
        config.write_text(json.dumps(said))
        made.add(f"a folder quantised by {method.partition('_')[0]}, without that package", folder)


# ---------------------------------------------------------------- adapters
def _loras(made: Files, root: Path, folder: Path) -> None:
    file = test_adapters.lora(folder, "sd1", root / "diffusers", 1, text=True) / "pytorch_lora_weights.safetensors"
    made.adapter("loras", "LoRA as diffusers names it", file)
    named = {
        name.replace("lora.down", "lora_A").replace("lora.up", "lora_B"): each for name, each in load_file(file).items()
    }
    save_file({name: each for name, each in named.items() if name.startswith("unet.")}, root / "p.safetensors")
    made.adapter("loras", "LoRA as peft names it", root / "p.safetensors")
    kohya = {}
    layers = dict(test_products.changed(diffusers.StableDiffusionPipeline.from_pretrained(folder)))
    for layer, module in [each for each in layers.items() if each[0].startswith("lora_unet")]:
        weight = module.weight.detach()
        plain = weight.dim() == 2
        down = torch.randn(2, *weight.shape[1:]) * 0.3
        up = torch.randn(weight.shape[0], 2, *([] if plain else [1, 1])) * 0.3
        kohya |= {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up, f"{layer}.alpha": torch.tensor(1.0)}
    linear = {name: each for name, each in kohya.items() if "conv" not in name}
    for what, tensors in (("LoRA as kohya names it", linear), ("LoCon: convolutions too", kohya)):
        save_file(tensors, root / f"{what[:5]}.safetensors")
        made.adapter("loras", what, root / f"{what[:5]}.safetensors")
    for what, kind in (("LoHa", "loha"), ("LoKr", "lokr"), ("DoRA", "dora-rows")):
        test_products.make(folder, root / f"{kind}.safetensors", kind)
        made.adapter("loras", what, root / f"{kind}.safetensors")
    for what, tensor in (("OFT", "lora_unet_x_attn1_to_q.oft_blocks"), ("full difference", "diffusion_model.x.diff")):
        save_file({tensor: torch.zeros(4, 4)}, root / f"{what[:3]}.safetensors")
        made.adapter("loras", what, root / f"{what[:3]}.safetensors")
    made.adapter("embeddings", "textual inversion of A1111", test_adapters.inversion(root / "dawn.safetensors", 5))
    (root / "dusk.pt").touch()
    made.adapter("embeddings", "textual inversion as a pickle", root / "dusk.pt")


def _networks(made: Files, root: Path, folders: Mapping[str, Path]) -> None:
    folder = controlnet(folders["sd1"], root / "lines", 1)
    shutil.copy(folder / WEIGHTS, root / "lines-file.safetensors")
    made.adapter("controlnets", "ControlNet's folder", folder)
    made.adapter("controlnets", "ControlNet in one file", root / "lines-file.safetensors")
    made.adapter("controlnets", "ControlNet Union of SDXL", test_guides.union(folders["sdxl"], root / "all"), "sdxl")
    for family, kind in (("sd3", diffusers.SD3ControlNetModel), ("flux", diffusers.FluxControlNetModel)):
        small: dict[str, Any] = {"num_layers": 1} | ({"num_single_layers": 1} if family == "flux" else {})
        net = test_guides.of_transformer(kind, folders[family], root / f"{family}-net", 3, **small)
        what = f"ControlNet of {'SD3' if family == 'sd3' else 'FLUX.1'}"
        shutil.copy(net / WEIGHTS, root / f"{family}-file.safetensors")
        made.adapter("controlnets", what, net, family)
        made.adapter("controlnets", f"{what} in one file", root / f"{family}-file.safetensors", family)
    _of_their_makers(made, root, folders)
    net = diffusers.T2IAdapter(**{"num_res_blocks": 1, **test_t2i_adapters.KINDS["lines-xl"]})
    net.save_pretrained(root / "t2i")
    shutil.copy(root / "t2i" / WEIGHTS, root / "t2i-file.safetensors")
    made.adapter("controlnets", "T2I-Adapter's folder", root / "t2i", "sdxl")
    made.adapter("controlnets", "T2I-Adapter in one file", root / "t2i-file.safetensors", "sdxl")
    made.adapter("ip_adapters", "IP-Adapter, its CLIP beside it", ip_adapter(folders["sd1"], root / "eyes"))


def _of_their_makers(made: Files, root: Path, folders: Mapping[str, Path]) -> None:
    """ControlNets in one file, as those who taught them have it."""
    made.bases["deep"] = test_control_files.deep_flux(root / "deep")
    flux, sd3 = diffusers.FluxControlNetModel, diffusers.SD3ControlNetModel
    net = test_guides.of_transformer(flux, folders["flux"], root / "xlabs", 8, **test_control_files.XLABS)
    named = test_control_files.as_xlabs(load_file(net / WEIGHTS))
    file = test_control_files.write(named, root / "xlabs.safetensors")
    made.adapter("controlnets", "ControlNet of FLUX.1 in one file, as XLabs has it", file, "deep")
    net = test_guides.of_transformer(sd3, folders["sd3"], root / "blur", 5, **test_control_files.STABILITYS)
    named = test_control_files.as_stability(load_file(net / WEIGHTS), 0)
    file = test_control_files.write(named, root / "blur.safetensors")
    made.adapter("controlnets", "ControlNet of SD3.5 in one file, as Stability has it", file, "sd3")
    file = root / "misto.safetensors"
    save_file({"controlnet_blocks.0.linear.weight": torch.zeros(4, 4)}, file)
    made.adapter("controlnets", "ControlNet of FLUX.1 in one file: MistoLine", file, "flux")


# ---------------------------------------------------------------- what was seen
async def seen(made: Files, folders: Mapping[str, Path]) -> dict[str, str]:
    """The rows by format; whatever fails otherwise than by being left out, fails the test."""
    names = {what: f"m{number}" for number, what in enumerate(made.models)}
    places = {str(path): f"p{number}" for number, path in enumerate(sorted(set(made.like.values())))}
    models = {names[what]: str(path) for what, path in made.models.items()}
    models |= {name: path for path, name in places.items()}
    models |= {name: str(path) for name, path in {**folders, **made.bases}.items()}
    keys = {what: f"a{number}" for number, what in enumerate(made.base)}
    beside = {kind: {keys[what]: str(path) for what, path in each.items()} for kind, each in made.beside.items()}
    beside["ip_adapters"] = dict(zip(("sd1",), map(str, made.beside["ip_adapters"].values()), strict=True))
    rows = dict(_headers())
    async with Engine(str(folders["sd1"]), models=models, **beside) as engine:  # type: ignore[arg-type]
        reasons = {each.name: each.reason for each in engine.left_out()}
        for what, name in names.items():
            like = places.get(str(made.like.get(what)))
            rows[what] = f"refused: {reasons[name]}" if name in reasons else await _like(engine, name, like)
        for kind, each in made.beside.items():
            for what in each:
                key = keys[what]
                rows[what] = (
                    f"refused: {reasons[key]}" if key in reasons else await _used(engine, kind, key, made.base[what])
                )
    return rows


def _headers() -> Iterator[tuple[str, str]]:
    """What single files are told to be by their tensors alone."""
    for shapes, pipeline in test_checkpoints.KINDS.values():
        found = checkpoints.recognise(Header(shapes=shapes))
        assert isinstance(found, checkpoints.Checkpoint)
        assert found.pipeline == pipeline
        kind = f"the transformer of {found.what}" if found.transformer else found.what
        inpaints = ", for inpainting" if found.unet else ""
        yield f"one file: {kind}{inpaints}", f"known by its header, loaded as {pipeline}"


async def _picture(engine: Engine, request: Txt2Img) -> np.ndarray:
    return np.asarray((await engine.submit(request).result())[0]).astype(int)


async def _like(engine: Engine, name: str, other: str | None) -> str:
    mine = await _picture(engine, Txt2Img(prompt="a red boat", model=name, **SIZE))
    assert mine.std() > 0
    if other is None:
        return PAINTS
    theirs = await _picture(engine, Txt2Img(prompt="a red boat", model=other, **SIZE))
    far = np.abs(mine - theirs).max()
    assert far <= ROUNDING, f"{name} is off by {far} levels"
    return ALMOST if far else LIKE


async def _used(engine: Engine, kind: str, key: str, base: str) -> str:
    plain: dict[str, Any] = {"prompt": "a red boat", "model": base, **SIZE}
    info = next(info for info in engine.models() if info.key == base)
    asked: Txt2Img
    if kind == "loras":
        asked = Txt2Img(**{**plain, "prompt": f"a red boat <lora:{key}:1>"})
    elif kind == "embeddings":
        asked = Txt2Img(**{**plain, "prompt": f"a red boat {key}"})
    elif kind == "ip_adapters":
        asked = Txt2Img(**plain, references=(Reference(image=PICTURE),))
    else:
        (name,) = [each for each in info.controlnets if each in (key, f"edges-{key}")]
        asked = Control(**plain, control_image=PICTURE, controlnet=name)
    other = {**plain, "prompt": f"a red boat {key}x"} if kind == "embeddings" else plain
    assert (await _picture(engine, asked) != await _picture(engine, Txt2Img(**other))).any(), key
    return USED


# ---------------------------------------------------------------- the document
def told(rows: Mapping[str, str]) -> str:
    """The rows as the document has them."""
    return "".join(f"| {what} | {result} |\n" for what, result in rows.items())


def written() -> str:
    """Those that it has."""
    text = DOCS.read_text(encoding="utf-8")
    return text.partition(BEGIN)[2].partition(END)[0].removeprefix(HEAD)


def write(rows: Mapping[str, str]) -> None:
    """Put them there."""
    text = DOCS.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    DOCS.write_text(before + BEGIN + HEAD + told(rows) + END + rest.partition(END)[2], encoding="utf-8")
