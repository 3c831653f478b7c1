"""What a job's message says while its model is on its way."""

from __future__ import annotations

import pytest

from bot.delivery.job_messages import _apply
from bot.delivery.layouts import Painting, progress_line
from engine import Loading, Progress, Queued, Started


def loading(done: int, total: int, stage: str = "load", model: str = "flux") -> Loading:
    return Loading(model=model, stage=stage, done_bytes=done, total_bytes=total)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (loading(12_100_000_000, 23_800_000_000), "Loading flux (12 of 24 GB)..."),
        (loading(3_140_000_000, 9_800_000_000, "download"), "Downloading flux (3.1 of 9.8 GB)..."),
        (loading(0, 0, "download"), "Downloading flux..."),
        (loading(5, 6_000_000), "Loading flux (0 of 6 MB)..."),
        (loading(5, 6_000), "Loading flux..."),
    ],
)
def test_how_far_it_is(event: Loading, words: str) -> None:
    assert str(event) == words


def test_the_line_says_what_is_loading_until_the_job_goes_on() -> None:
    state = Painting()
    assert _apply(state, Queued(position=2, eta_s=None), 0)
    assert _apply(state, loading(1_000_000_000, 24_000_000_000, model="my_*flux*"), 0)
    assert progress_line(state).replace("\\", "") == "Loading my_*flux* (1 of 24 GB)..."
    assert "\\*flux" in progress_line(state), "a model's name is no markdown"
    assert _apply(state, Queued(position=2, eta_s=None), 0), "it waits again, though at the same place"
    assert progress_line(state).startswith("In the queue, 3rd")
    for event in (loading(1, 2), Started(), Progress(step=1, steps=4)):
        assert _apply(state, event, 0)
    assert "25%" in progress_line(state)
