"""Files that have to fit a limit, whatever the limit is."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.delivery.image_tools import MIN_SIDE_PX, DoesNotFit, fit
from engine.api import metadata

SIZES = st.integers(1, 400)


@settings(deadline=None, max_examples=40)
@given(SIZES, SIZES, st.integers(0, 60_000))
def test_a_picture_fits_or_is_given_up(width: int, height: int, limit: int) -> None:
    noise = Image.effect_noise((width, height), 90).convert("RGB")
    try:
        upload = fit(noise, "x", limit)
    except DoesNotFit:
        return
    assert len(upload.data) <= limit
    with Image.open(io.BytesIO(upload.data)) as fitted:
        assert max(fitted.size) >= min(MIN_SIDE_PX, max(width, height))


@pytest.mark.parametrize("side", [1, 64, 127, 128, 2048])
def test_no_limit_is_too_small_to_be_answered(side: int) -> None:
    with pytest.raises(DoesNotFit):
        fit(Image.new("RGB", (side, side)), "x", 20)


def test_a_large_grid_is_no_png_that_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take a second of processor time; it goes as WebP at once."""
    forms: list[str] = []
    encode = metadata.encode

    def noted(image: Image.Image, form: metadata.Form, *args: Any, **kwargs: Any) -> bytes:
        forms.append(form)
        return encode(image, form, *args, **kwargs)

    monkeypatch.setattr(metadata, "encode", noted)
    assert fit(Image.new("RGB", (2048, 2048)), "grid", 10 << 20).name == "grid.webp"
    assert fit(Image.new("RGB", (1024, 1024)), "grid", 10 << 20).name == "grid.png"
    assert forms == ["WEBP", "PNG"]


def test_files_are_no_larger_for_being_made_quickly() -> None:
    """Compared with zlib's own search at the same level, in what people paint: soft forms, with grain."""
    dice = np.random.default_rng(0)
    soft = Image.fromarray(dice.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize(
        (256, 256), Image.Resampling.BICUBIC
    )
    grained = np.asarray(soft, float) + dice.normal(0, 2, (256, 256, 3))
    picture = Image.fromarray(grained.clip(0, 255).astype(np.uint8))
    searched = io.BytesIO()
    picture.save(searched, "PNG", compress_level=metadata.PNG["compress_level"])
    quick = metadata.encode(picture, "PNG", None, **metadata.PNG)
    assert len(quick) < 1.02 * len(searched.getvalue())
    with Image.open(io.BytesIO(quick)) as read:
        assert read.tobytes() == picture.tobytes()
