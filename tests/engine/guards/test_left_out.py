"""A file that cannot be used is left out and told, whatever is in it; the engine goes on without it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from engine import Engine, ModelUnloadable, Txt2Img
from engine.api.errors import first_line
from engine.models import facts, whole
from tests.engine import zoo
from tests.engine.conftest import weights_bytes


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "text": b"a LoRA, honestly",
    "no object": b"\x02\0\0\0\0\0\0\0[]",
    "not whole": b"\xff\xff\0\0\0\0\0\0{",
    "nested": (200_000).to_bytes(8, "little") + b"[" * 200_000,
    "a huge header": (1 << 60).to_bytes(8, "little") + b"{}",
    "odd shapes": (json.dumps({"a": {"shape": [[1], -2], "data_offsets": [0, 9], "dtype": "F32"}})).encode(),
    "odd offsets": (json.dumps({"a": {"shape": [1], "data_offsets": {"from": 0}, "dtype": "F32"}})).encode(),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("setting", ["loras", "embeddings", "models"])
def test_whatever_bytes_a_file_has(folders: dict[str, Path], tmp_path: Path, what: str, setting: str) -> None:
    data = HOSTILE[what]
    file = tmp_path / "odd.safetensors"
    file.write_bytes(len(data).to_bytes(8, "little") + data if data.startswith(b"{") else data)
    engine = Engine(str(folders["sd1"]), **{setting: {"odd": str(file)}})  # type: ignore[arg-type]
    (left_out,) = engine.left_out()
    assert left_out.name == "odd"
    assert "safetensors file" in left_out.reason
    assert [info.key for info in engine.models()] == ["sd1"]


@given(st.binary(max_size=300))
def test_a_header_is_read_whatever_it_is(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("bytes") / "x.safetensors"
    for content in (data, len(data).to_bytes(8, "little") + data, len(data).to_bytes(8, "little") + b'{"a":' + data):
        file.write_bytes(content)
        whole.read_header(file)


def test_a_header_tells_the_whole_files_size(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(2, dtype=torch.int8)}, tmp_path / "x.safetensors")
    header = whole.read_header(tmp_path / "x.safetensors")
    assert header.shapes == {"a": (3, 5), "b": (2,)}
    assert header.file_bytes == weights_bytes(tmp_path / "x.safetensors")


def _bad_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{not json")


def _no_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


def _unknown_class(folder: Path) -> None:
    (folder / "model_index.json").write_text('{"_class_name": "NoSuchPipeline"}')


def _odd_configs(folder: Path) -> None:
    for config in folder.glob("*/*config.json"):
        config.write_text('{"block_out_channels": 7}')


def _cut_off(folder: Path) -> None:
    cut(folder / "text_encoder" / "model.safetensors")


@pytest.mark.parametrize("spoil", [_bad_index, _no_index, _unknown_class, _odd_configs, _cut_off])
async def test_a_model_that_is_none_leaves_the_others(
    folders: dict[str, Path], tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    shutil.copytree(folders["sdxl"], tmp_path / "odd")
    spoil(tmp_path / "odd")
    async with Engine(str(folders["sd1"]), models={"odd": str(tmp_path / "odd")}) as engine:
        (left_out,) = engine.left_out()
        assert (left_out.kind, left_out.name) == ("model", "odd")
        assert left_out.reason
        request = Txt2Img(prompt="a boat", seed=1, num_inference_steps=1, width=64, height=64)
        assert len(await engine.submit(request).result()) == 1


def entry(name: str, value: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps({**index, name: value}))

    return spoil


def without(*files: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for file in (each for pattern in files for each in list(folder.glob(pattern))):
            file.unlink()

    return spoil


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "no words": (without("tokenizer_3/tokenizer.json"), "its part tokenizer_3 has no vocabulary"),
    "an empty tokenizer": (without("tokenizer/*"), "its part tokenizer is empty"),
    "no scheduler": (without("scheduler/*"), "its part scheduler is empty"),
    "no config": (without("transformer/config.json"), "its part transformer has no config.json"),
    "a class alone": (entry("vae", "AutoencoderKL"), "its model_index.json must say what vae is"),
    "half a pair": (entry("vae", ["diffusers"]), "its model_index.json must say what vae is"),
    "numbers": (entry("vae", [1, 2]), "its model_index.json must say what vae is"),
    "an object": (entry("vae", {"library": "diffusers"}), "its model_index.json must say what vae is"),
    "a stranger's library": (entry("vae", ["os", "path"]), "its part vae is of 'os', which isn't diffusers'"),
    "no part": (entry("transformer", [None, None]), "its model_index.json names no transformer"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_a_folder_lacks_is_told_at_the_start(folders: dict[str, Path], tmp_path: Path, what: str) -> None:
    spoil, says = SPOILT[what]
    shutil.copytree(folders["sd3"], tmp_path / "odd")
    spoil(tmp_path / "odd")
    (left_out,) = Engine("mini", models={"odd": str(tmp_path / "odd")}).left_out()
    assert left_out.reason.startswith(says)


def test_a_tokenizer_without_its_merges_is_told(folders: dict[str, Path], tmp_path: Path) -> None:
    """transformers would read each letter by itself, and say nothing."""
    shutil.copytree(folders["sd1"], tmp_path / "odd")
    (tmp_path / "odd" / "tokenizer" / "tokenizer.json").rename(tmp_path / "odd" / "tokenizer" / "vocab.json")
    (left_out,) = Engine("mini", models={"odd": str(tmp_path / "odd")}).left_out()
    assert left_out.reason == "its part tokenizer has no merges.txt"


ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=4)


@given(st.sampled_from(["vae", "scheduler", "tokenizer", "more"]), ANYTHING)
def test_an_index_may_say_anything(folders: dict[str, Path], name: str, value: Any) -> None:
    index = json.loads((folders["sd1"] / "model_index.json").read_text())
    assert isinstance(whole.of_pipeline(folders["sd1"], {**index, name: value}), str)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "no file named x.json found in directory /srv/models/boats/scheduler.",
            "no file named x.json found in directory scheduler",
        ),
        ("cannot open '/home/me/a.safetensors'", "cannot open 'a.safetensors'"),
        ("see https://huggingface.co/docs/x and 3/4 of it", "see https://huggingface.co/docs/x and 3/4 of it"),
        ("Error in loading:\n\tMissing key: a\n\tmore", "Error in loading: Missing key: a"),
    ],
)
def test_a_librarys_words_are_shown_without_the_disks_folders(said: str, shown: str) -> None:
    assert first_line(ValueError(said)) == shown


def test_without_the_default_model_nothing_can_be_done(tmp_path: Path) -> None:
    with pytest.raises(ModelUnloadable, match="nowhere"):
        Engine(str(tmp_path / "nowhere"), models={"mini": "mini"})


def test_a_default_model_that_was_cut_off_is_told_at_the_start(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["sd1"], tmp_path / "boats")
    _cut_off(tmp_path / "boats")
    (left_out,) = Engine(str(tmp_path / "boats"), models={"sdxl": str(folders["sdxl"])}).left_out()
    assert left_out.name == "boats"
    assert left_out.reason.startswith("in text_encoder, model.safetensors is not whole: it has ")


async def test_what_is_left_out_stands_in_the_log(
    folders: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_file({"whatever": torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    async with Engine(str(folders["sd1"]), loras={"x": str(tmp_path / "x.safetensors")}):
        assert "the LoRA 'x' is left out: x.safetensors is not a LoRA of a model that is known here" in caplog.text


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_family_is_whole_as_diffusers_saves_it(folders: dict[str, Path], tmp_path: Path) -> None:
    """Tokenizers, schedulers and processors have no weights, whatever their classes are called."""
    modular = tmp_path / "modular"
    pipe = diffusers.ZImageAutoBlocks().init_pipeline()
    pipe.update_components(**zoo.z_image().components)
    pipe.save_pretrained(str(modular), overwrite_modular_index=True)
    for folder in (*folders.values(), *zoo.build(tmp_path).values(), modular):
        assert whole.of_any_folder(folder) == ""
    index = json.loads((modular / facts.MODULAR).read_text())
    for odd, says in (([], "doesn't say what vae is"), ([1, 2, 3], "doesn't say"), (["a", "b", {}], "doesn't say")):
        (modular / facts.MODULAR).write_text(json.dumps({**index, "vae": odd}))
        assert says in whole.of_any_folder(modular)
    strange = [*index["vae"][:2], {**index["vae"][2], "type_hint": ["os", "path"]}]
    (modular / facts.MODULAR).write_text(json.dumps({**index, "vae": strange}))
    assert "is of 'os', which isn't diffusers'" in whole.of_any_folder(modular)
    (modular / facts.MODULAR).write_text(json.dumps(index))
    cut(modular / "vae" / "diffusion_pytorch_model.safetensors")
    assert "in vae, " in whole.of_any_folder(modular)
