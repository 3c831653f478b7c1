"""Models of the Hugging Face hub: what of one is needed, whether it is here, and fetching it. Knows no torch.

Whatever is fetched lands in huggingface_hub's own cache (HF_HOME), where a download that was cut off goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from engine.api.errors import first_line
from engine.models.facts import CHECKER

MODULAR = "modular_model_index.json"
INDEXES = ("model_index.json", MODULAR)
FOUND_BY = (*INDEXES, "config.json")
SMALL = (".json", ".txt", ".model", ".jinja")  # configs, tokenizers, chat templates
WEIGHTS = ".safetensors"
VARIANT = ".fp16"
Tell = Callable[[int, int], None]


class Unfetched(Exception):
    """Why a model cannot be had from the hub, in words that say what to do."""


def snapshot(repo: str) -> Path | None:
    """The folder of a model that was downloaded before, as a whole or in part; None also for what is no hub id.

    Such as the path of a folder that was there a moment ago.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = [try_to_load_from_cache(repo, name) for name in FOUND_BY]
    except HFValidationError:
        return None
    return next((Path(each).parent for each in found if isinstance(each, str)), None)


def needed(files: Iterable[str], within: Sequence[str] = ()) -> list[str]:
    """The files of a repository that its pipeline is loaded from; the index, by which it is found, comes last.

    `within`: the only folders of a pipeline that are wanted, where it has the first of them.

    Of a pipeline: its parts' folders but a safety checker's, without the single files beside them. Where a part's
    weights come in full and in half precision, the full ones. Never code, pickles or other frameworks' weights.
    """
    names = [name for name in files if name.endswith((*SMALL, WEIGHTS))]
    pipeline = any(name in INDEXES for name in names)
    found = [name for name in names if not (pipeline and "/" not in name and name.endswith(WEIGHTS))]
    full = {_folder(name) for name in found if name.endswith(WEIGHTS) and VARIANT not in name}
    found = [name for name in found if not (VARIANT in name and _folder(name) in full)]
    if not within and pipeline:
        found = [name for name in found if _folder(name) != CHECKER]
    if within and any(_folder(name) == within[0] for name in found):
        found = [name for name in found if name in FOUND_BY or _folder(name) in within]
    return sorted(found, key=lambda name: (name in FOUND_BY, name))


def _folder(name: str) -> str:
    return str(PurePosixPath(name).parent)


def sizes(repo: str, within: Sequence[str] = ()) -> dict[str, int]:
    """The bytes of what would be fetched, by name. Raises: Unfetched when the hub does not tell."""
    from huggingface_hub import HfApi

    try:
        told = HfApi().model_info(repo, files_metadata=True).siblings or []
    except Exception as error:  # an outer edge: whatever the network, the hub or its library says
        raise Unfetched(_why(error)) from error
    known = {each.rfilename: each.size or 0 for each in told}
    found = {name: known[name] for name in needed(known, within)}
    if not any(name.endswith(WEIGHTS) for name in found):
        raise Unfetched("its repository has no .safetensors weights")
    return found


def fetch(repo: str, tell: Tell, within: Sequence[str] = ()) -> Path:
    """Download what is missing of a model; its folder. Raises: Unfetched; whatever `tell` raises, to stop it.

    `within`: see `needed`.
    """
    from huggingface_hub import hf_hub_download

    wanted, done, place = sizes(repo, within), 0, ""
    for name, size in wanted.items():
        bar = _bar(lambda more, before=done: tell(before + more, sum(wanted.values())))  # type: ignore[misc]
        try:
            place = hf_hub_download(repo, name, tqdm_class=bar)
        except BaseException as error:
            if bar.stopped is not None:
                raise bar.stopped from None
            if not isinstance(error, Exception):
                raise
            raise Unfetched(_why(error)) from error
        done += size
        tell(done, sum(wanted.values()))
    return Path(place).parent  # the index is the last of them, and lies on top


def _bar(tell: Callable[[int], None]) -> Any:
    """A progress bar for huggingface_hub, one a file, that shows nothing and tells the bytes."""

    class Bar:
        stopped: BaseException | None = None

        def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
            self.n, self.total = initial, 0

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, n: float | None = 1) -> None:
            self.n += int(n or 0)
            try:
                tell(self.n)
            except BaseException as error:  # kept, as the library may make another of it
                type(self).stopped = error
                raise

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: None  # what else a bar can do is for the eye

    return Bar


def _why(error: Exception) -> str:
    """What went wrong, in words that say what to do."""
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return "its licence must be accepted on the hub first, and HF_TOKEN set to a token of that account"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such model, or HF_TOKEN may not read it"
    if isinstance(error, OfflineModeIsEnabled):
        return "it isn't on this disk, and HF_HUB_OFFLINE is set"
    return f"it isn't on this disk, and the hub can't be reached ({first_line(error)})"
