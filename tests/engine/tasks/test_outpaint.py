"""Outpainting, with plain shapes: what is added, and that the rest stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine import InvalidRequest, Outpaint
from engine.fake import MINI, FakeEngine
from engine.imaging import masks
from engine.tasks import resolve


def picture(size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(101, 67), (64, 64), (33, 90), (7, 9)])
@pytest.mark.parametrize(
    ("borders", "changes"),
    [
        ({"left": 40}, {}),
        ({"right": 31, "bottom": 5}, {"fill": "blur", "feather_px": 6}),
        ({"left": 20, "right": 20, "top": 20, "bottom": 20}, {"feather_px": 0}),
        ({"top": 300}, {}),  # more than the picture is high
    ],
)
async def test_the_picture_stays_inside_its_new_borders(
    size: tuple[int, int], borders: dict[str, int], changes: dict[str, Any]
) -> None:
    image = picture(size)
    request = Outpaint(prompt="a", init_image=image, seed=1, **borders, **changes)
    async with FakeEngine() as engine:
        (result,) = await engine.submit(request).result()
    left, top, right, bottom = (borders.get(side, 0) for side in ("left", "top", "right", "bottom"))
    assert result.size == (size[0] + left + right, size[1] + top + bottom)
    kept = np.asarray(result)[top : top + size[1], left : left + size[0]]
    fade = request.feather_px
    rows = slice(fade if top else 0, size[1] - (fade if bottom else 0))
    columns = slice(fade if left else 0, size[0] - (fade if right else 0))
    assert np.array_equal(kept[rows, columns], np.asarray(image)[rows, columns])


def test_new_borders_mirror_the_picture() -> None:
    image = picture((10, 6))
    larger, mask = masks.extended(image, (4, 0, 0, 0))
    assert np.array_equal(np.asarray(larger)[:, :4], np.asarray(image)[:, 3::-1])
    assert (np.asarray(mask)[:, :4] == 255).all()
    assert not np.asarray(mask)[:, 4:].any()


@pytest.mark.parametrize("borders", [{}, {"left": -1, "right": 5}, {"top": 9000}])
def test_impossible_borders_get_a_sentence(borders: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match="can't grow by"):
        Outpaint(prompt="a", init_image=picture((10, 6)), **borders)


def test_a_recipe_names_the_picture_and_the_borders() -> None:
    image = picture((10, 6))
    plain = resolve.to_json(resolve.complete(Outpaint(prompt="a", init_image=image, left=7), MINI))
    assert plain["init_image"] == resolve.picture_sha256(image)
    assert (plain["left"], plain["width"], plain["height"]) == (7, 17, 6)
