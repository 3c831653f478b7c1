"""Painting the corpus's small jobs, one at a time, and the record of their bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from tests.corpus import today

Case = Mapping[str, Any]


async def record(cases: Sequence[Case], pictures: Mapping[str, Image.Image]) -> dict[str, Any]:
    """What this machine paints: its kind, the models' weights, and the sha256 of each case's pictures."""
    with tempfile.TemporaryDirectory() as folder:
        tiny = today.tiny_model(Path(folder))
        async with today.painter(tiny) as engine:
            painted = {case["name"]: await paint(engine, case["asks"]["requests"], pictures) for case in cases}
        return {"machine": today.machine(), "weights": today.weights(tiny), "painted": painted}


async def paint(engine: Any, requests: Sequence[Any], pictures: Mapping[str, Image.Image]) -> list[str]:
    """The sha256 of every picture of a job, from its requests in plain form."""
    found = []
    for plain in requests:
        found += await today.painted(engine, today.request_from(plain, list(pictures.values())))
    return found
