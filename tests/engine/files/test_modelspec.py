"""What files say of themselves is read with care, and a hub model's commit goes into the recipe."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from engine import Engine, Txt2Img
from engine.models.files import hub, modelspec
from tests.engine import conftest
from tests.engine.adapters.test_adapters import lora
from tests.engine.files.original_layout import save_original


def data_uri(image: Image.Image, kind: str = "PNG") -> str:
    out = io.BytesIO()
    image.save(out, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"


SAID = {
    "modelspec.title": "Boats\nof the  north",
    "modelspec.author": "somebody",
    "modelspec.license": "CC-BY-4.0",
    "modelspec.trigger_phrase": "northern boat; fog,, ",
    "modelspec.thumbnail": data_uri(Image.new("RGBA", (600, 300), "teal")),
}


def test_all_of_it_is_read() -> None:
    found = modelspec.about("boats", SAID)
    assert found is not None
    assert (found.title, found.author, found.licence) == ("Boats of the north", "somebody", "CC-BY-4.0")
    assert found.trigger_words == ("northern boat", "fog")
    with Image.open(io.BytesIO(found.thumbnail)) as image:
        assert (image.format, image.size) == ("JPEG", (256, 128))
    assert modelspec.about("boats", {"format": "pt"}) is None


@pytest.mark.parametrize(
    "thumbnail",
    [
        "https://example.org/spy.png",
        "data:image/png;base64,!!!",
        "data:image/png;base64,aGVsbG8=",
        data_uri(Image.new("RGB", (4, 4)), "GIF"),
        data_uri(Image.new("1", (5000, 5000))),
        "data:image/png;base64," + "A" * (3 << 20),
        data_uri(Image.new("RGB", (64, 64), "red"))[:90],
    ],
)
def test_hostile_thumbnails_are_none(thumbnail: str) -> None:
    assert modelspec.about("x", {"modelspec.title": "x", "modelspec.thumbnail": thumbnail}) == modelspec.about(
        "x", {"modelspec.title": "x"}
    )
    assert len(getattr(modelspec.about("x", {"modelspec.title": "y" * 9999}), "title", "")) == modelspec.MOST_CHARS


def test_files_tell_it_of_models_and_loras(folders: dict[str, Path], tmp_path: Path) -> None:
    file, plain = tmp_path / "boats.safetensors", lora(folders["sd1"], "sd1", tmp_path / "plain", 2)
    save_original(conftest.sd1(), file)
    save_file(load_file(file), file, metadata=SAID)
    ink = tmp_path / "ink.safetensors"
    save_file(
        load_file(plain / "pytorch_lora_weights.safetensors"),
        ink,
        metadata={"modelspec.title": "Ink", "modelspec.trigger_phrase": "inked"},
    )
    engine = Engine(str(file), loras={"ink": str(ink), "plain": str(plain)})
    own, of_lora = engine.models()[0].about
    assert (own.name, own.licence) == ("boats", "CC-BY-4.0")
    assert (of_lora.name, of_lora.title, of_lora.trigger_words) == ("ink", "Ink", ("inked",))


async def test_the_recipe_pins_the_hubs_revision(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    (tmp_path / commit).symlink_to(folders["sd1"])
    monkeypatch.setattr(hub, "snapshot", lambda repo: tmp_path / commit if repo == "somebody/boats" else None)
    engine = Engine("somebody/boats", models={"local": str(folders["sd1"])})
    assert [info.revision for info in engine.models()] == [commit, ""]
    async with Engine(str(folders["sd1"])) as engine:
        ticket = engine.submit(Txt2Img(prompt="a", width=64, height=64, num_inference_steps=1))
        (recipe,) = [event.recipe for event in [e async for e in ticket] if hasattr(event, "recipe")]
    assert recipe.model_revision == ""
