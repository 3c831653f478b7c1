"""The real engine in a worker's process: the same seed gives the same picture, to the last bit, as in this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.api.events import ImageReady
from engine.fleet.building import specs
from engine.fleet.fleet import Fleet
from engine.runtime.engine import Engine
from engine.tasks.txt2img import Txt2Img
from engine.vision.options import VisionOptions

WISH = Txt2Img(prompt="a red boat", seed=11, num_inference_steps=3, num_images=2)


async def painted(engine: Engine | Fleet) -> list[ImageReady]:
    return [event async for event in engine.submit(WISH, user="1") if isinstance(event, ImageReady)]


async def test_a_worker_paints_what_one_engine_paints(tmp_path: Path) -> None:
    options: dict[str, Any] = {"threads": 1, "data_dir": str(tmp_path)}
    async with Engine(device="cpu", **options) as alone:
        wanted = await painted(alone)
        async with Fleet(specs(["cpu"], options, VisionOptions()), catalogue=alone) as fleet:
            found = await painted(fleet)
    assert [each.image.tobytes() for each in found] == [each.image.tobytes() for each in wanted]
    assert [each.recipe for each in found] == [each.recipe for each in wanted]
