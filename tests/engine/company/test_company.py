"""`exact`: the same bytes whoever else is there, among cancellations and models that come and go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.company import probes

PROBES = 8  # `python -m benchmarks.company` asks 200


@pytest.mark.filterwarnings("ignore")
async def test_no_probe_differs_in_random_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await probes.probed(tmp_path, monkeypatch, probes=PROBES, seed=1)
    assert seen.differing == ()
    assert seen.joined > 1
    assert seen.cancelled > 0
    assert seen.reloads > 0
