"""Try every small model of diffusers' text-to-image table through every task it offers, and write what was seen into
docs/models.md.

    python -m benchmarks.families [NAME ...]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import warnings
from pathlib import Path

from engine.diffusion import preview
from engine.runtime.policy import BatchCurve
from tests.engine.table import builders, proof


def main() -> None:
    """Those named, or all."""
    warnings.simplefilter("ignore")
    preview.MIN_INTERVAL_S, preview.SHARE_ALONE = 0.0, 1e9
    BatchCurve.cap = lambda curve, *_: curve.limit  # type: ignore[method-assign]
    for name in sys.argv[1:] or builders.BUILDERS:
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            row = asyncio.run(proof.proven(name, builders.build(Path(folder), name)))
        proof.write({name: row.told()})
        print(f"{time.process_time() - started:6.1f} CPU-s  {row.told()}", flush=True)


if __name__ == "__main__":
    main()
