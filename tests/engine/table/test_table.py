"""docs/models.md says of each family what was tried here: every task that it offers, with a small random model."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.diffusion import preview
from engine.models import signatures
from engine.runtime.policy import BatchCurve
from tests.engine.table import builders, proof


@pytest.mark.parametrize("name", builders.BUILDERS)
@pytest.mark.filterwarnings("ignore")
async def test_the_table_says_what_is_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it's right to differ: `python -m benchmarks.families` writes the table anew."""
    monkeypatch.setattr(preview, "MIN_INTERVAL_S", 0.0)
    monkeypatch.setattr(preview, "SHARE_ALONE", 1e9)
    monkeypatch.setattr(BatchCurve, "cap", lambda curve, *_: curve.limit)  # whether joining pays is the clock's verdict
    row = await proof.proven(name, builders.build(tmp_path, name))
    assert row.told() == proof.written().get(name)


def test_every_kind_has_a_row() -> None:
    assert proof.written().keys() == builders.BUILDERS.keys() == signatures.names("txt2img")
