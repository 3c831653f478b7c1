"""docs/models.md says of each family what was tried here: every task that it offers, with a small random model."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.diffusion import preview
from engine.models import signatures
from engine.models.files import quantised
from engine.runtime.policy import BatchCurve
from tests.engine.files import test_checkpoints
from tests.engine.table import builders, formats, proof


@pytest.mark.parametrize("name", builders.BUILDERS)
@pytest.mark.filterwarnings("ignore")
async def test_the_table_says_what_is_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it's right to differ: `python -m benchmarks.families` writes the table anew."""
    monkeypatch.setattr(preview, "MIN_INTERVAL_S", 0.0)
    monkeypatch.setattr(preview, "SHARE_ALONE", 1e9)
    monkeypatch.setattr(BatchCurve, "cap", lambda curve, *_: curve.limit)  # whether joining pays is the clock's verdict
    row = await proof.proven(name, builders.build(tmp_path, name))
    assert row.told() == proof.written().get(name)


@pytest.mark.filterwarnings("ignore")
async def test_the_formats_are_as_told(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it's right to differ: `python -m benchmarks.families formats` writes the table anew."""
    test_checkpoints.ship(folders["sd1"], monkeypatch)
    has = quantised.has
    monkeypatch.setattr(quantised, "has", lambda module: module == "gguf" and has(module))  # whatever is installed
    rows = await formats.seen(formats.build(tmp_path, folders), folders)
    assert formats.told(rows).splitlines() == formats.written().splitlines()


def test_every_kind_has_a_row() -> None:
    assert proof.written().keys() == builders.BUILDERS.keys() == signatures.names("txt2img")
