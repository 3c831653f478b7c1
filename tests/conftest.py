"""What holds for every test.

Property tests look at the same examples on every run of CI, at new ones elsewhere. The whole suite runs in several
processes, a file's tests in one of them; named files and folders run in pytest's own process, where a debugger works.
"""

import gc
import os

import pytest
from hypothesis import settings

MOST_WORKERS = 4  # each imports PyTorch: 0.7 GB
USUAL, SELDOM = gc.get_threshold(), (50_000, 1000, 1000)  # objects, and times, before Python's collector looks

os.environ.setdefault("MKL_CBWR", "AUTO")  # as the engine has it: MKL asks once, and a test may compute before it

settings.register_profile("random", print_blob=True)
settings.register_profile("ci", derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "random"))


def pytest_configure() -> None:
    """While libraries and tests are imported, don't look for garbage among them again and again: a quarter of that."""
    gc.set_threshold(*SELDOM)


def pytest_collection_finish() -> None:
    """Nor while the tests run."""
    gc.freeze()
    gc.set_threshold(*USUAL)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of processes for `-n auto`, pyproject.toml's default: 0 keeps everything in this one."""
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        return 0
    return min(os.cpu_count() or 1, MOST_WORKERS)
