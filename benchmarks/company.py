"""Whether `exact` gives the same bytes in any company: 200 probes among random jobs of every joined family, with
cancellations and model switches.

    python -m benchmarks.company [PROBES] [SEED]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pytest

from tests.engine.company import probes


def main() -> None:
    """Print what was seen; the exit code is 1 when a probe differed."""
    warnings.simplefilter("ignore")
    count, seed = (int(each) for each in (*sys.argv[1:], *("200", "1")[len(sys.argv) - 1 :]))
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        seen = asyncio.run(probes.probed(Path(folder), patch, probes=count, seed=seed))
    print(f"{len(seen.differing)} of {count} differ; up to {seen.joined} jobs in one pass,", end=" ")
    print(f"{seen.cancelled} cancelled, {seen.reloads} models loaded again; {time.process_time() - started:.0f} CPU-s")
    for request in seen.differing:
        print(request)
    sys.exit(bool(seen.differing))


if __name__ == "__main__":
    main()
