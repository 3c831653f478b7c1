"""What the registry says of the tasks, held against the requests and the models."""

from __future__ import annotations

from dataclasses import fields

import pytest
from PIL import Image

import engine
from engine.api.model_info import ModelInfo
from engine.fake import MINI
from engine.tasks import TASKS
from engine.tasks.pictures import StoredPicture


def test_every_task_is_public_and_named_in_diffusers_words() -> None:
    for name, task in TASKS.items():
        assert (task.task, task.__name__.lower()) == (name, name)
        assert getattr(engine, task.__name__) is task
        assert task.label
        assert task.does
        assert {*task.picture_fields} <= {field.name for field in fields(task)}


def test_a_model_can_do_whatever_asks_for_nothing_beside_it() -> None:
    info = ModelInfo(
        key="x", family="sd1", width=64, height=64, num_inference_steps=1, guidance_scale=1.0, scheduler="euler"
    )
    assert info.tasks == TASKS.keys() - {"control", "edit"}


def test_stored_pictures_say_enough_to_price_a_request_and_are_replaced_to_paint_it() -> None:
    picture, mask = Image.new("RGB", (100, 60)), Image.new("L", (100, 60))
    mask.paste(255, (10, 10, 30, 30))
    info = MINI
    for changes in ({}, {"only_masked": True}):
        stored = engine.Inpaint(
            prompt="a",
            init_image=StoredPicture(sha256="p", size=(100, 60)),
            mask=StoredPicture(sha256="m", size=(100, 60), box=(10, 10, 30, 30)),
            num_inference_steps=4,
            width=100,
            height=60,
            **changes,
        )
        assert [each.sha256 for each in stored.pictures if isinstance(each, StoredPicture)] == ["p", "m"]
        loaded = stored.loaded({"p": picture, "m": mask.convert("RGB")})
        assert isinstance(loaded.mask, Image.Image)
        assert loaded.mask.mode == "L"
        assert (stored.canvas(info), stored.pixel_calls(info)) == (loaded.canvas(info), loaded.pixel_calls(info))


@pytest.mark.parametrize("steps", [1, 2, 7, 150])
@pytest.mark.parametrize("strength", [1e-9, 0.3, 0.999999, 1.0])
def test_a_strength_runs_at_least_one_step_and_no_more_than_all(steps: int, strength: float) -> None:
    """As diffusers counts them; it refuses a strength above 1."""
    run = engine.Txt2Img(prompt="a", num_inference_steps=steps).strength_run(strength)
    assert strength <= run <= 1
    assert 1 <= int(steps * run) <= max(1, int(steps * strength))
