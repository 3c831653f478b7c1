"""Run a script as on a machine where Easel was installed without its engine: python no_engine.py SCRIPT ARGUMENTS.

The packages of that extra aren't found, whoever looks for them.
"""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
ENGINE = {re.split(r"[<>=]", each)[0] for each in PROJECT["project"]["optional-dependencies"]["engine"]}


class Finder(PathFinder):
    """Python's own, which doesn't find them."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return None if fullname.partition(".")[0] in ENGINE else super().find_spec(fullname, path, target)


def version(name: str) -> str:
    if name in ENGINE:
        raise metadata.PackageNotFoundError(name)
    return metadata.distribution(name).version


if __name__ == "__main__":
    assert not ENGINE & set(sys.modules)
    sys.meta_path = [Finder if each is PathFinder else each for each in sys.meta_path]
    metadata.version = version
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
