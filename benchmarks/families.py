"""Try every small model of diffusers' text-to-image table through every task it offers, and write what was seen into
docs/models.md.

    python -m benchmarks.families [NAME ...]
    python -m benchmarks.families formats       the table of files and folders instead
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pytest

from engine.diffusion import preview
from engine.models.files import quantised
from engine.runtime.policy import BatchCurve
from tests.engine import conftest
from tests.engine.files import test_checkpoints
from tests.engine.table import builders, formats, proof


def main() -> None:
    """Those named, or all."""
    warnings.simplefilter("ignore")
    if sys.argv[1:] == ["formats"]:
        return write_formats()
    preview.MIN_INTERVAL_S, preview.SHARE_ALONE = 0.0, 1e9
    BatchCurve.cap = lambda curve, *_: curve.limit  # type: ignore[method-assign]
    for name in sys.argv[1:] or builders.BUILDERS:
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            row = asyncio.run(proof.proven(name, builders.build(Path(folder), name)))
        proof.write({name: row.told()})
        print(f"{time.process_time() - started:6.1f} CPU-s  {row.told()}", flush=True)


def write_formats() -> None:
    """As tests/engine/table/test_table.py has it."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        folders = {name: Path(folder) / name for name in conftest.BUILDERS}
        for name, build in conftest.BUILDERS.items():
            build().save_pretrained(folders[name])
        test_checkpoints.ship(folders["sd1"], patch)
        patch.setattr(quantised, "has", lambda module: module == "gguf")
        made = formats.build(Path(folder) / "formats", folders)
        formats.write(asyncio.run(formats.seen(made, folders)))


if __name__ == "__main__":
    main()
