"""Mini's editor comes with Mini: no setting, no download. Here it has learned nothing yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from bot.cli.checks import models as checks
from bot.config import Settings
from engine import Edit, Engine, InvalidRequest, Txt2Img, mini
from engine.models import catalog
from tests.engine.editing import editors

BOAT = Image.new("RGB", (256, 256), "red")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return editors.of_mini(tmp_path_factory.mktemp("mini"))


@pytest.fixture
def comes_along(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(mini, "EDITOR_DIR", folder)
    return folder


@pytest.mark.parametrize("setting", [{"model": "mini"}, {"model": str(mini.MODEL_DIR)}])
async def test_it_is_there_wherever_mini_is_and_comes_last(comes_along: Path, setting: dict[str, str]) -> None:
    engine = Engine(**setting, models={"again": "mini"})
    assert [info.key for info in engine.models()][1:] == ["again", "mini-edit"]
    assert engine.left_out() == ()


def test_it_does_not_come_with_others_nor_twice(comes_along: Path) -> None:
    assert catalog.with_editor({"sdxl": "some/where"}) == {"sdxl": "some/where"}
    own = {"mini": "mini", "changes": "mini-edit"}
    assert catalog.with_editor(own) == own
    named_so = {"mini": "mini", "mini-edit": "/elsewhere"}
    assert catalog.with_editor(named_so) == named_so


def test_where_it_is_missing_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(mini, "EDITOR_DIR", tmp_path / "nowhere")
    assert [info.key for info in Engine("mini").models()] == ["mini"]


def test_it_has_defaults_of_its_own_and_no_adapters(comes_along: Path) -> None:
    base, editor = Engine("mini").models()
    assert editor.tasks == {"edit"}
    assert editor.small_world
    assert (editor.width, editor.height, editor.num_inference_steps, editor.scheduler) == (256, 256, 12, "dpmpp_2m")
    assert (editor.edited_pictures, editor.kept_by, editor.margins) == (1, "image_guidance_scale", False)
    assert base.loras
    assert base.embeddings
    assert base.controlnets
    assert (editor.loras, editor.embeddings, editor.controlnets) == ((), (), ())


def test_the_doctor_knows_it(comes_along: Path, tmp_path: Path) -> None:
    found = {each.what: each for each in checks.files(Settings(_env_file=None, data_dir=tmp_path))}
    assert found["model mini-edit"].sentence == "Easel Mini's editor, built in."


async def test_an_edit_is_asked_of_it_by_name_and_painting_is_not(comes_along: Path) -> None:
    async with Engine("mini", threads=1) as engine:
        request = Edit(prompt="make it blue", images=(BOAT,), model="mini-edit", seed=1, num_inference_steps=2)
        (image,) = await engine.submit(request).result()
        assert image.size == (256, 256)
        with pytest.raises(InvalidRequest, match="can't look at 2 pictures"):
            engine.submit(Edit(prompt="x", images=(BOAT, BOAT), model="mini-edit"))
        with pytest.raises(InvalidRequest):
            engine.submit(Txt2Img(prompt="a boat", model="mini-edit"))
