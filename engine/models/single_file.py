"""Load a model from one file: its weights, the configs it needs, a VAE beside it. Lives in the engine's thread."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.loaders import single_file, single_file_utils
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from engine.api import clip_tokens
from engine.api.clip_tokens import END
from engine.api.errors import ModelUnloadable, first_line
from engine.device.failures import attempt
from engine.models import families
from engine.models.checkpoints import Checkpoint, parts_of, recognise
from engine.models.facts import CHECKER, Parts, read_parts
from engine.models.files import parts, quantised
from engine.models.files.parts import Put
from engine.models.files.weights import SAFETENSORS, SFT, named_as_it_is
from engine.models.whole import read_header

GGUF = ".gguf"


def load(name: str, path: Path, dtype: torch.dtype, put: Put = parts.leave) -> Any:
    """The pipeline in a file. Raises: ModelUnloadable with what the file is; whatever diffusers does.

    Args:
        put: is given each part as soon as it's read, where the configs are here.
    """
    header = read_header(path)
    found = recognise(header)
    if isinstance(found, str):
        raise ModelUnloadable(name=name, reason=f"it is {found}")
    end = GGUF if header.gguf else SAFETENSORS
    with tempfile.TemporaryDirectory(prefix="easel-file-") as folder, named_as_it_is(path, end) as file:
        if found.scaled and not found.transformer:
            file = Path(folder) / "unscaled.safetensors"
            save_file({k: v.contiguous() for k, v in quantised.unscaled(path, dtype).items()}, file)
        read = _Read(name, file, dtype, but_vae(put, path.with_suffix("")))
        pipe = _read(read, found, path.with_suffix(""))
    return with_vae(pipe, path.with_suffix(""), dtype)


def with_vae(pipe: Any, name: Path, dtype: torch.dtype) -> Any:
    """The pipeline with the VAE in a file beside its own, where there is one; `name`: the model's, without its end."""
    if vae := _vae_beside(name):
        with named_as_it_is(vae) as file:
            pipe.register_modules(vae=_vae(file, pipe, dtype))
    return pipe


def but_vae(put: Put, name: Path) -> Put:
    """The same, but leaves the model's own VAE where it is when there is one beside it."""
    return put if _vae_beside(name) is None else lambda part, module: None if part == "vae" else put(part, module)


def _vae_beside(name: Path) -> Path | None:
    files = (name.with_name(f"{name.name}.vae{end}") for end in SFT)
    return next((file for file in files if file.is_file()), None)


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read: the model's name, its file, in which precision, and what is given its parts."""

    name: str
    path: Path
    dtype: torch.dtype
    put: Put


def _read(read: _Read, found: Checkpoint, beside: Path) -> Any:
    known = parts_of(found, read_parts(beside))
    if found.transformer:
        return _around_transformer(read, found, beside)
    if known.index:
        return _with_configs(read, found, known, beside)
    return _with_hubs_configs(read, found)


def _with_configs(read: _Read, found: Checkpoint, configs: Parts, beside: Path) -> Any:
    """The file holds the weights, and its configs are known."""
    if (beside / "model_index.json").is_file() and not (found.scheduler or found.unet):
        return _by_configs(read, found, configs, str(beside))
    with tempfile.TemporaryDirectory(prefix="easel-configs-") as folder:
        _write(configs, beside, Path(folder))
        return _by_configs(read, found, configs, folder)


def _by_configs(read: _Read, found: Checkpoint, configs: Parts, folder: str) -> Any:
    """As diffusers reads a file's parts, one by one."""
    pipeline: Any = getattr(diffusers, found.pipeline)
    weights = single_file_utils.load_single_file_checkpoint(str(read.path))
    how: dict[str, Any] = {"checkpoint": weights, "cached_model_config_path": folder, "torch_dtype": read.dtype}
    how |= {"pipelines": diffusers.pipelines, "is_pipeline_module": False, "local_files_only": True}
    given, wanted = {}, parts.classes(configs.index).keys() & set(parts.components(found.pipeline)) - {CHECKER}
    for part in sorted(wanted):  # in the order in which diffusers does
        library, class_name = configs.index[part]
        given[part] = single_file.load_single_file_sub_model(library, class_name, part, **how)
        read.put(part, given[part])
    return pipeline.from_single_file(str(read.path), config=folder, dtype=read.dtype, local_files_only=True, **given)


def _write(known: Parts, beside: Path, folder: Path) -> None:
    """The configs as a diffusers folder, with the tokenizers that lie beside the file, else with CLIP's."""
    (folder / "model_index.json").write_text(json.dumps(known.index))
    for name, config in known.configs.items():
        (folder / name).mkdir()
        file = "scheduler_config.json" if name == "scheduler" else "config.json"
        (folder / name / file).write_text(json.dumps(config))
    for name, kind in known.index.items():
        if (beside / name).is_dir() and name.startswith("tokenizer"):
            shutil.copytree(beside / name, folder / name, dirs_exist_ok=True)
        elif kind == ["transformers", "CLIPTokenizer"]:
            clip_tokenizer(pad="!" if name.endswith("_2") else END).save_pretrained(folder / name)


def clip_tokenizer(pad: str = END) -> Any:
    """CLIP's own tokenizer, made of its published merges; SDXL's second encoder was trained with another padding."""
    pairs = clip_tokens.merges()
    made: Any = CLIPTokenizer
    words = clip_tokens.vocabulary(pairs)
    return made(vocab=words, merges=pairs, pad_token=pad, model_max_length=clip_tokens.READS)


def _around_transformer(read: _Read, found: Checkpoint, beside: Path) -> Any:
    """The file holds a transformer alone; a diffusers folder of the family beside it has the rest."""
    if not (beside / "model_index.json").is_file():
        rest = f"put a diffusers folder of {found.what} beside it as '{beside.name}/', for its text encoders and VAE"
        raise ModelUnloadable(name=read.name, reason=f"it is {found.what}'s transformer alone; {rest}")
    path, dtype = read.path, read.dtype
    config: dict[str, Any] = {"config": str(beside), "subfolder": "transformer", "local_files_only": True}
    if path.suffix == GGUF:
        config["quantization_config"] = diffusers.GGUFQuantizationConfig(compute_dtype=dtype)
    weights: Any = quantised.unscaled(path, dtype) if found.scaled else str(path)
    transformer = getattr(diffusers, found.transformer).from_single_file(weights, dtype=dtype, **config)
    how = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
    read.put("transformer", transformer)
    return parts.pipeline(
        read.name, diffusers.DiffusionPipeline, beside, how, read.put, given={"transformer": transformer}
    )


def _with_hubs_configs(read: _Read, found: Checkpoint) -> Any:
    """The configs are not here: from the hub, or what it kept in its cache."""
    path = read.path
    pipe = attempt(lambda: getattr(diffusers, found.pipeline).from_single_file(str(path), dtype=read.dtype))
    if isinstance(pipe, Exception):
        ids = [hub_id for hub_id, card in families.PUBLISHED.items() if card.pipeline == found.pipeline]
        rest = f"put the small files of '{ids[0]}' beside it as '{path.stem}/', or let Easel reach the hub once"
        raise ModelUnloadable(
            name=read.name, reason=f"it is {found.what}, whose configs aren't here ({first_line(pipe)}); {rest}"
        ) from pipe
    return pipe


def _vae(path: Path, pipe: Any, dtype: torch.dtype) -> Any:
    """A VAE from a file of its own, shaped as the model's."""
    with tempfile.TemporaryDirectory(prefix="easel-configs-") as folder:
        pipe.vae.save_config(folder)
        made: Any = type(pipe.vae)
        return made.from_single_file(str(path), config=folder, dtype=dtype, local_files_only=True)
