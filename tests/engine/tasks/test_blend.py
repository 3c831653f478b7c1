"""What a blend may be, and that the fake backend mixes what it was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine import Blend, InvalidRequest
from engine.fake import MINI, FakeEngine
from engine.tasks import resolve

RED, BLUE = Image.new("RGB", (40, 30), "red"), Image.new("L", (64, 64), 0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": [RED]}, "1 pictures can't be blended"),
        ({"images": [RED] * 6}, "Use 2 to 5"),
        ({"weights": [1.0]}, "1 weights for 2 pictures"),
        ({"weights": [0.0, 0.0]}, "at least one above 0"),
        ({"weights": [1.0, -1.0]}, "at least one above 0"),
        ({"weights": [1.0, float("nan")]}, "at least one above 0"),
        ({"strength": 0.0}, "strength 0.0"),
    ],
)
def test_what_cannot_be_blended_gets_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        Blend(**{"images": [RED, BLUE], **changes})


async def test_the_fake_honours_weights() -> None:
    async def red(weights: list[float]) -> float:
        request = Blend(images=[RED, BLUE], weights=weights, seed=1, strength=0.01)
        async with FakeEngine() as engine:
            (result,) = await engine.submit(request).result()
        assert result.size == (MINI.width, MINI.height)
        return float(np.asarray(result)[..., 0].mean())

    assert await red([1, 0]) > 240
    assert await red([0, 1]) < 10
    assert 180 < await red([3, 1]) < 200


def test_a_recipe_names_every_picture() -> None:
    plain = resolve.to_json(resolve.complete(Blend(images=[RED, BLUE], weights=[1, 2]), MINI))
    assert plain["images"] == [resolve.picture_sha256(RED), resolve.picture_sha256(BLUE)]
    assert plain["weights"] == [1, 2]
