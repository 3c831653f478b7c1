"""`easel models`: see which there are, fetch, name and remove them. A running Easel notices within seconds."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bot.config import Settings
from bot.errors import BadInput, NotFound
from engine.api.errors import ModelUnloadable
from engine.api.events import GB, Loading
from engine.models import catalog, whole
from engine.models.catalog import Source
from engine.models.files import hub, starters
from engine.models.files.library import Library
from engine.models.files.weights import bytes_of
from engine.models.memory import ladder

BFLOAT16_BYTES = 2  # what weights take on a graphics card, where nothing else is set


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Do one of `list`, `pull`, `add`, `remove`, `info`. Raises: BadInput, NotFound, ModelUnloadable."""
    library = Library(settings.data_dir)
    verbs = {"list": _list, "pull": _pull, "add": _add, "remove": _remove, "info": _info}
    for line in verbs[args.verb](args, settings, library):
        print(line, flush=True)
    return 0


# ---------------------------------------------------------------- what is there
def _known(settings: Settings, library: Library) -> dict[str, str]:
    """Locations by name, as the engine has them; the default model first."""
    own = {catalog.key_of(settings.model): settings.model}
    more = library.models() | settings.models
    return catalog.with_editor(own | {name: at for name, at in more.items() if name not in own})


def _list(_: argparse.Namespace, settings: Settings, library: Library) -> Iterator[str]:
    yield "Here:"
    known = _known(settings, library)
    for name, location in known.items():
        yield f"  {name:<16} {_on_disk(name, location)}  {location}"
    more = [each for each in starters.STARTERS if each.name not in known and each.repo not in known.values()]
    yield "" if not more else "\nTo begin with (easel models pull NAME):"
    for each in more:
        whole_bytes = ladder.need(each.sizes, ladder.WHOLE, BFLOAT16_BYTES).resident
        yield f"  {each.name:<16} {each.about}"
        yield f"  {'':<16} {whole_bytes / GB:.1f} GB of memory, less in smaller ways. {each.licence}."


def _on_disk(name: str, location: str) -> str:
    try:
        path = catalog.source(name, location).on_disk
    except ModelUnloadable:
        return "missing   "
    return f"{bytes_of(path) / GB:6.2f} GB" if path is not None else "on the hub"


def _info(args: argparse.Namespace, settings: Settings, library: Library) -> Iterator[str]:
    starter, known = starters.named(args.name), _known(settings, library)
    location = known.get(args.name) or (starter.repo if starter else "")
    if not location:
        raise NotFound(f"There is no model '{args.name}'. Models here: {', '.join(known)}.")
    source = catalog.source(args.name, location)
    yield f"{args.name}: {location}"
    if starter is not None:
        yield f"{starter.about}. Licence: {starter.licence}."
    if source.on_disk is None:
        yield _to_fetch(source)
        return
    info = catalog.describe(source)
    tasks = ", ".join(sorted(info.tasks))
    yield f"{info.family}, {info.width}x{info.height}, {info.num_inference_steps} steps; can do {tasks}."
    yield f"{bytes_of(source.on_disk) / GB:.2f} GB in {source.on_disk}."


def _to_fetch(source: Source) -> str:
    try:
        return f"{sum(hub.sizes(source.location).values()) / GB:.1f} GB to download: easel models pull {source.key}"
    except hub.Unfetched as error:
        return f"Not here, and {error}."


# ---------------------------------------------------------------- changes
def _pull(args: argparse.Namespace, _: Settings, library: Library) -> Iterator[str]:
    starter = starters.named(args.name)
    repo = starter.repo if starter else args.name
    name = args.as_name or (starter.name if starter else catalog.key_of(repo))
    source = catalog.source(name, repo)
    if source.path is not None:
        raise BadInput(f"'{repo}' is on this disk already. Name it with: easel models add {name} {repo}")
    if starter is not None:
        yield f"{starter.about}. Licence: {starter.licence}."
    try:
        folder = hub.fetch(
            repo, lambda done, total: _tell(Loading(model=name, stage="download", done_bytes=done, total_bytes=total))
        )
    except hub.Unfetched as error:
        raise ModelUnloadable(name=name, reason=str(error)) from None
    whole.check(name, folder)
    catalog.describe(source)
    library.add(name, repo)
    yield f"{name} is here, {bytes_of(folder) / GB:.2f} GB in {folder}. A running Easel has it in a moment."


def _tell(event: Loading) -> None:
    if sys.stderr.isatty():
        end = "\n" if event.done_bytes == event.total_bytes else "\r"
        print(f"{event}\033[K", end=end, file=sys.stderr, flush=True)


def _add(args: argparse.Namespace, _: Settings, library: Library) -> Iterator[str]:
    path = os.path.expanduser(args.location)
    location = str(Path(path).resolve()) if os.path.exists(path) else args.location
    name = args.name or catalog.key_of(location)
    source = catalog.source(name, location)
    if source.path is not None:
        whole.check(name, source.path)
    info = catalog.describe(source)
    library.add(name, location)
    yield f"{name} is {info.family}, at {location}. A running Easel has it in a moment."


def _remove(args: argparse.Namespace, settings: Settings, library: Library) -> Iterator[str]:
    location = library.listed().get(args.name)
    if location is None:
        where = "a setting names it" if args.name in _known(settings, library) else "no model has that name"
        raise NotFound(f"'{args.name}' is not on the list of {library.folder}: {where}.")
    library.remove(args.name)
    yield f"{args.name} is off the list."
    if args.files and (folder := hub.snapshot(location)) is not None and not Path(location).exists():
        repo = folder.parents[1]  # .../models--owner--name/snapshots/commit
        size = sum(file.stat().st_size for file in (repo / "blobs").glob("*"))
        shutil.rmtree(repo)
        yield f"Deleted {repo}, {size / GB:.2f} GB."
