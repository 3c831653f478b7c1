"""Which files of a model hold its weights, and reading them from end to end. Knows no torch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SAFETENSORS = ".safetensors"
SFT = (SAFETENSORS, ".sft")  # the same under a shorter name
NCNN = ".param"  # ncnn's graphs; their weights lie beside them
BLOCK = 8 << 20
READ_AHEAD_SHARE = 0.5  # of the memory that is free; reading more would push out what was read first
VARIANT = ".fp16"  # in a file's name: the same weights in half precision
Tell = Callable[[int, int], None]  # bytes that are done, and all of them


def weights_in(path: Path) -> list[Path]:
    """The single file itself, with its weights where they are in another, or a folder's in order of their path."""
    if path.suffix == NCNN:
        return [path, path.with_suffix(".bin")]
    return [path] if path.is_file() else sorted(path.rglob("*.safetensors"))


def in_use(folder: Path) -> list[Path]:
    """The files of a part's folder that are loaded: the full ones, or half precision where there is nothing else."""
    files = sorted(folder.glob("*.safetensors"))
    return [file for file in files if VARIANT not in file.name] or files


def read(path: Path, tell: Tell) -> Iterator[memoryview]:
    """The bytes of a file, or of a folder's weights in order of path. Each block holds until the next is asked for."""
    done, total = 0, bytes_of(path)
    room = memoryview(bytearray(min(BLOCK, max(total, 1))))
    tell(0, total)
    for each in weights_in(path):
        with each.open("rb", buffering=0) as file:
            while size := file.readinto(room):
                yield room[:size]
                done += size
                tell(done, total)


def read_ahead(path: Path, tell: Tell, free_bytes: int) -> int:
    """Have the system hold in memory what it doesn't hold yet of them, where there is room. The bytes that were read.

    Weights are mapped, not read: a load would fetch what it touches from the disk in small pieces, one after the other,
    and tell nobody.
    """
    done, fetched, total = 0, 0, bytes_of(path)
    if total > READ_AHEAD_SHARE * free_bytes:
        return 0
    room = memoryview(bytearray(min(BLOCK, max(total, 1))))
    tell(0, total)
    for each in weights_in(path):
        with each.open("rb", buffering=0) as file:
            for start in range(0, size := each.stat().st_size, BLOCK):
                block = room[: min(BLOCK, size - start)]
                if not _is_held(file.fileno(), start, len(block)):
                    file.seek(start)
                    fetched += file.readinto(block) or 0
                done += len(block)
                tell(done, total)
    return fetched


def bytes_of(path: Path) -> int:
    """What a file, or a folder's weights, take on the disk."""
    return sum(file.stat().st_size for file in weights_in(path))


def _is_held(file: int, start: int, size: int) -> bool:
    """Whether the system has a block's first and last page in memory; False where it doesn't tell."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    page = bytearray(1)
    try:
        return all(os.preadv(file, [page], at, os.RWF_NOWAIT) for at in (start, start + size - 1))
    except OSError:  # BlockingIOError: it would have to wait for the disk; others: this file system can't say
        return False


@contextmanager
def named_as_it_is(path: Path, end: str = SAFETENSORS) -> Iterator[Path]:
    """The file under a name that ends as its kind does: diffusers goes by that, and takes any other for a pickle."""
    if path.suffix == end:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="easel-file-") as folder:
        link = Path(folder) / f"{path.stem}{end}"
        link.symlink_to(path.resolve())
        yield link
