"""Models and LoRAs that come into the data folder while the engine runs are there without a restart."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from engine import Engine, Txt2Img, mini
from engine.models import catalog
from engine.models.files import hub
from engine.models.files.library import Library

OWN = {*catalog.with_editor({"mini": "mini"})}


def ask(model: str) -> Txt2Img:
    facts = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 1, "guidance_scale": 5.0}
    return Txt2Img(**facts, width=64, height=64, model=model)  # type: ignore[arg-type]


async def until(engine: Engine, names: set[str]) -> None:
    """Ask as the bot does, until the engine has noticed."""
    for _ in range(6000):
        if {info.key for info in engine.models()} == names:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{names} were not noticed")


async def test_what_comes_and_goes_is_noticed(folders: dict[str, Path], tmp_path: Path) -> None:
    async with Engine("mini", data_dir=tmp_path) as engine:
        assert {info.key for info in engine.models()} == OWN
        shutil.copytree(folders["sd1"], tmp_path / "models" / "boats")
        await until(engine, {*OWN, "boats"})
        assert len(await engine.submit(ask("boats")).result()) == 1
        Library(tmp_path).add("others", str(folders["sdxl"]))
        await until(engine, {*OWN, "boats", "others"})
        Library(tmp_path).remove("others")
        shutil.rmtree(tmp_path / "models" / "boats")
        await until(engine, OWN)
        assert [model.key for model in (await engine.inspect()).models] == ["mini"]


async def test_a_file_that_is_still_being_copied_is_left_out_until_it_is_whole(tmp_path: Path) -> None:
    lora = next(iter(sorted(mini.ADAPTERS_DIR.rglob("*.safetensors"))))
    async with Engine("mini", data_dir=tmp_path) as engine:
        before = set(engine.models()[0].loras)
        target = tmp_path / "loras" / "copied.safetensors"
        target.parent.mkdir()
        target.write_bytes(lora.read_bytes()[:-100])
        while not any(each.name == "copied" for each in engine.left_out()):
            engine.models()
            await asyncio.sleep(0.01)
        target.write_bytes(lora.read_bytes())
        while any(each.name == "copied" and "not whole" in each.reason for each in engine.left_out()):
            engine.models()
            await asyncio.sleep(0.01)
        assert before <= set(engine.models()[0].loras)


def test_names_are_those_of_the_files(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert library.models() == {}
    for name in ("a.safetensors", "b.sft", "b.vae.safetensors", "notes.txt"):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).write_text("")
    (tmp_path / "models" / "a").mkdir()  # the configs of a.safetensors
    assert set(library.models()) == {"a", "b"}
    library.add("c", "owner/model")
    assert library.models()["c"] == "owner/model"
    (tmp_path / "models.json").write_text("[half")
    assert set(library.models()) == {"a", "b"}


async def test_a_folder_that_goes_while_it_is_looked_at_stops_nobody(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["sd1"], tmp_path / "boats"))
    async with Engine("mini", models={"boats": str(folder)}) as engine:
        shutil.rmtree(folder)
        engine._commands.put(lambda worker: worker.use(engine._files))
        assert await engine.inspect()
        assert len(await engine.submit(ask("mini")).result()) == 1


def test_a_path_is_no_model_of_the_hub(tmp_path: Path) -> None:
    assert hub.snapshot(str(tmp_path / "gone" / "boats")) is None
