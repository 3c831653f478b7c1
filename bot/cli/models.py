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
from engine.api.events import GB, MB, Loading
from engine.models import catalog, whole
from engine.models.catalog import Source
from engine.models.files import hub, starters
from engine.models.files.library import Library
from engine.models.files.starters import Starter
from engine.models.files.weights import bytes_of
from engine.models.memory import ladder, sizes
from engine.models.memory.sizes import Sizes

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
        yield f"  {name:<16} {_on_disk(name, location):<10}  {location}"
    more = [each for each in starters.STARTERS if each.name not in known and each.repo not in known.values()]
    yield "" if not more else "\nTo begin with (easel models pull NAME):"
    for each in more:
        yield f"  {each.name:<16} {each.about}"
        yield f"  {'':<16} {_size(each.download)} to download, {_memory(each.sizes)}. {each.licence}."


def _on_disk(name: str, location: str) -> str:
    try:
        path = catalog.source(name, location).on_disk
    except ModelUnloadable:
        return "missing"
    return _size(bytes_of(path)) if path is not None else "on the hub"


def _size(count: int) -> str:
    return f"{count / GB:.1f} GB" if count >= GB else f"{count / MB:.0f} MB"


def _memory(size: Sizes) -> str:
    """What a model takes on a card."""
    return f"{_size(ladder.need(size, ladder.WHOLE, BFLOAT16_BYTES).resident)} of memory, less in smaller ways"


def _info(args: argparse.Namespace, settings: Settings, library: Library) -> Iterator[str]:
    starter, known = starters.named(args.name), _known(settings, library)
    location = known.get(args.name) or (starter.repo if starter else "")
    if not location:
        more = ", ".join(each.name for each in starters.STARTERS)
        raise NotFound(f"There is no model '{args.name}'. Models here: {', '.join(known)}; to begin with: {more}.")
    source = catalog.source(args.name, location)
    yield f"{args.name}: {location}"
    if starter is not None:
        yield f"{starter.about}. Licence: {starter.licence}."
    if source.on_disk is None:
        yield _to_fetch(source, starter)
        return
    info = catalog.describe(source)
    tasks = ", ".join(sorted(info.tasks))
    yield f"{info.family}, {info.width}x{info.height}, {info.num_inference_steps} steps; can do {tasks}."
    for about in info.about:
        if said := ", ".join(filter(None, (about.title, about.author and f"by {about.author}", about.licence))):
            yield f"It says of itself: {said}."
    yield f"{_size(bytes_of(source.on_disk))} in {source.on_disk}; {_memory(sizes.of(source.on_disk))}."


def _to_fetch(source: Source, starter: Starter | None) -> str:
    """What it would take to have it, as the hub says, or the list where that can't be asked."""
    try:
        wanted, why = sum(hub.sizes(source.location).values()), ""
    except hub.Unfetched as error:
        wanted, why = starter.download if starter else 0, f" Just now {error}."
    told = f"{_size(wanted)} to download" if wanted else "It isn't here"
    memory = f"; {_memory(starter.sizes)}" if starter else ""
    return f"{told}: easel models pull {source.key}{memory}.{why}"


# ---------------------------------------------------------------- changes
def _pull(args: argparse.Namespace, settings: Settings, library: Library) -> Iterator[str]:
    starter, known = starters.named(args.name), _known(settings, library)
    repo = known.get(args.name) or (starter.repo if starter else args.name)
    name = args.as_name or (args.name if args.name in known else starter.name if starter else catalog.key_of(repo))
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
        raise NotFound(f"{repo} can't be downloaded: {error}.") from None
    whole.check(name, folder)
    catalog.describe(source)
    library.add(name, repo)
    yield f"{name} is here, {_size(bytes_of(folder))} in {folder}. A running Easel has it in a moment."


def _tell(event: Loading) -> None:
    if sys.stderr.isatty():
        end = "\n" if event.done_bytes == event.total_bytes else "\r"
        print(f"{event}\033[K", end=end, file=sys.stderr, flush=True)


def _add(args: argparse.Namespace, settings: Settings, library: Library) -> Iterator[str]:
    path = os.path.expanduser(args.location)
    location = str(Path(path).resolve()) if os.path.exists(path) else args.location
    name = args.name or catalog.key_of(location)
    if name == catalog.key_of(settings.model) or name in settings.models:
        raise BadInput(
            f"A setting gives '{name}' to another model. Choose a name: easel models add NAME {args.location}"
        )
    source = catalog.source(name, location)
    if source.path is not None:
        whole.check(name, source.path)
    before, info = library.listed().get(name, location), catalog.describe(source)
    library.add(name, location)
    if before != location:
        yield f"{name} was {before} until now."
    if source.on_disk is None:
        yield f"{name} is {location} of the hub, fetched when it's first asked for, or now: easel models pull {name}"
    else:
        yield f"{name} is {info.family}, at {location}. A running Easel has it in a moment."


def _remove(args: argparse.Namespace, settings: Settings, library: Library) -> Iterator[str]:
    location = library.listed().get(args.name)
    if location is None:
        raise NotFound(
            f"'{args.name}' is not on the list of {library.folder}: {_why_not(args.name, settings, library)}."
        )
    library.remove(args.name)
    yield f"{args.name} is off the list."
    if args.files:
        yield _deleted(location)


def _why_not(name: str, settings: Settings, library: Library) -> str:
    if (place := library.models().get(name)) is not None:
        return f"it lies in {Path(place).parent}; delete it there"
    return "a setting names it" if name in _known(settings, library) else "no model has that name"


def _deleted(location: str) -> str:
    """Delete what was downloaded of a model; what somebody put there is theirs."""
    if Path(location).exists():
        return f"{location} stays: it wasn't downloaded by Easel."
    if (folder := hub.snapshot(location)) is None:
        return "None of its files are here."
    repo = folder.parents[1]  # .../models--owner--name/snapshots/commit
    size = sum(file.stat().st_size for file in (repo / "blobs").glob("*"))
    shutil.rmtree(repo)
    return f"Deleted {repo}, {_size(size)}."
