"""The same stored job gives the same bytes: those that were recorded where model and machine are the same ones.

Bits differ between kinds of CPU and versions of torch, and the embedded model may be trained anew. What has no record,
or was changed on purpose, is painted a second time from its request in plain words: that must give the same bytes
everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.corpus import files, painting, today

CHANGED = {"control"}  # the edges that a ControlNet follows are Canny's now, as the published ones were trained with


def of_this_machine(corpus: Path, weights: dict[str, str]) -> dict[str, Any]:
    """The recorded bytes by case, of the models that are still the same."""
    found: dict[str, Any] = {}
    for record in files.read(corpus / "painted.json"):
        if record["machine"] == today.machine():
            same = {name for name in weights if weights[name] == record["weights"][name]}
            found |= {name: each for name, each in record["painted"].items() if _model(name) in same}
    return found


def _model(case: str) -> str:
    return "mini" if case.startswith("mini, ") else "tiny"


@pytest.mark.parametrize("corpus", files.CORPORA, ids=lambda corpus: corpus.name)
async def test_stored_jobs_are_painted_as_they_were(corpus: Path, tmp_path: Path) -> None:
    cases, pictures = files.read(corpus / "painted_specs.json"), files.pictures(corpus / "pictures")
    tiny = today.tiny_model(tmp_path)
    recorded = of_this_machine(corpus, today.weights(tiny))
    wrong = []
    async with today.painter(tiny) as engine:
        for case in cases:
            stored = today.request_from_spec(case["spec"], pictures)
            assert stored == case["asks"], case["name"]
            painted = await painting.paint(engine, stored["requests"], pictures)
            known = recorded.get(case["name"]) if case["name"] not in CHANGED else None
            expected = known or await painting.paint(engine, case["asks"]["requests"], pictures)
            wrong += [case["name"]] if painted != expected else []
    assert wrong == [], "as recorded" if recorded else "painted twice"
