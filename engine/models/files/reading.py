"""Read a model's files into a pipeline, or fetch them from the hub first. Runs in the loader's threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from engine.api.errors import ModelUnloadable, said_by
from engine.device.failures import attempt, forget, loaded
from engine.device.loader import Load, Tell
from engine.diffusion import modular
from engine.models import facts, signatures, single_file, whole
from engine.models.catalog import Source, describe
from engine.models.files import hub, parts, weights
from engine.models.files.parts import Put

SMALL_BYTES = 1 << 30


def files_of(source: Source) -> Path:
    """Its file or folder. Raises: ModelUnloadable when it is not here."""
    if source.on_disk is None:
        raise ModelUnloadable(name=source.key, reason=f"there is no file, folder or download of '{source.location}'")
    return source.on_disk


def is_here(source: Source) -> bool:
    """Whether nothing of it has to be downloaded: a download may have been cut off."""
    if source.path is not None:
        return True
    found = hub.snapshot(source.location)
    return found is not None and not whole.of_any_folder(found)


def download(source: Source) -> Load:
    """Fetches a hub model. Its work raises ModelUnloadable."""

    def work(tell: Tell) -> None:
        folder = loaded(source.key, lambda: hub.fetch(source.location, tell))
        whole.check(source.key, folder)

    return Load(key=("download", source.location), name=source.key, stage="download", work=work)


def load(source: Source, dtype: torch.dtype, put: Put = parts.leave) -> Any:
    """A text-to-image pipeline from safetensors only; code that comes with a model is never run.

    Args:
        put: is given each part as soon as it's read, where the library lets us read it alone.
    """
    source = replace(source, location=str(files_of(source)))
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    if source.path is not None and source.single_file:
        return single_file.load(source.key, source.path, dtype, put)
    if source.path is not None and not (source.path / "model_index.json").is_file():
        return modular.load(source.key, source.path, dtype, _parts_beside(source, source.path, dtype, put))
    kwargs: dict[str, Any] = {"dtype": dtype, "use_safetensors": True, "local_files_only": True}
    if dtype == torch.float32 and source.path is not None and weights.bytes_of(source.path) < SMALL_BYTES:
        kwargs["low_cpu_mem_usage"] = (
            False  # saving memory patches torch for every thread; not worth it for a small one
        )
    if source.path is not None and _variant_only(source.path):
        kwargs["variant"] = "fp16"
    beside = Path(source.location)
    put = single_file.but_vae(put, beside)
    raised = attempt(lambda: _folder(source, kwargs, put))
    if isinstance(raised, ValueError) and "low_cpu_mem_usage" in said_by(raised):  # parts of it stay in float32
        forget(raised)  # with the parts that were read
        raised = _folder(source, {**kwargs, "low_cpu_mem_usage": True}, put)
    if isinstance(raised, Exception):
        raise raised
    return single_file.with_vae(raised, beside, dtype)


def _parts_beside(source: Source, folder: Path, dtype: torch.dtype, put: Put) -> Mapping[str, Any]:
    """The parts of a modular folder that are in it, but for those that only diffusers knows how to load."""
    index = facts.read_parts(folder).index
    here = {part: kind[:2] for part, kind in index.items() if isinstance(kind, list) and (folder / part).is_dir()}
    return parts.of(source.key, folder, here, {"dtype": dtype}, put)


def _folder(source: Source, kwargs: Mapping[str, Any], put: Put) -> Any:
    """The pipeline of a folder, as one that paints from words where there is such; without a ControlNet."""
    folder = Path(source.location)
    saved = str(facts.read_parts(folder).index.get("_class_name", ""))
    plain = signatures.plain(saved)
    known = signatures.of(plain)
    painter = signatures.class_for(known, "txt2img") if known else ""
    made: Any = diffusers.DiffusionPipeline
    if plain != saved:
        made = getattr(diffusers, painter or plain)
    elif painter and "txt2img" in describe(source).tasks:
        made = getattr(diffusers, painter)  # diffusers' Auto class imports all the pipelines that it could make
    return parts.pipeline(source.key, made, folder, kwargs, put)


def _variant_only(folder: Path) -> bool:
    """Whether some part's weights are there in half precision only, as a download of the variant leaves them."""
    parts = {file.parent for file in folder.glob("*/*.fp16*.safetensors")}
    return any(all(".fp16" in file.name for file in part.glob("*.safetensors")) for part in parts)
