"""`easel imagine` over the fake backend: files, report and refusals."""

import json
from pathlib import Path

import pytest
from PIL import Image

from bot.__main__ import main
from bot.cli import generate as cli_generate
from engine.api import metadata
from engine.fake import FAIL_WORD, FakeEngine, score


@pytest.fixture(autouse=True)
def _fake_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli_generate, "engine_for", lambda settings: FakeEngine())


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_one_picture_carries_its_recipe(tmp_path: Path) -> None:
    assert main(["imagine", "a", "red", "boat", "--ar", "2:1", "--seed", "7", "--out", "boat.png"]) == 0
    recipe = metadata.decode((tmp_path / "boat.png").read_bytes())
    assert recipe is not None
    assert (recipe.seed, recipe.request["prompt"], recipe.request["num_images"]) == (7, "a red boat", 1)
    assert size_of(tmp_path / "boat.png") == (184, 88)


def test_the_data_folder_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "data"))
    assert main(["imagine", "a boat"]) == 0
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_several_pictures_and_their_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["imagine", "a boat --seed 7", "--n", "4", "--out", "b.png", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["grid"] == "b.png"
    assert [(each["path"], each["seed"]) for each in facts["pictures"]] == [(f"b-{n}.png", 6 + n) for n in range(1, 5)]
    assert facts["recipe"]["request"]["prompt"] == "a boat"
    assert not [each for each in facts["pictures"] if set(each) & set(facts["recipe"])], "nothing is said twice"
    assert facts["timings"].keys() == {"wait_s", "run_s"}
    (sheet, _), (one, _) = size_of(tmp_path / "b.png"), size_of(tmp_path / "b-1.png")
    assert sheet >= 2 * one


def test_a_picture_to_start_from(tmp_path: Path) -> None:
    Image.new("RGB", (60, 30), "red").save(tmp_path / "in.png")
    assert main(["imagine", "a boat", "--image", "in.png", "--strength", "0.5", "--seed", "1"]) == 0
    recipe = metadata.decode((tmp_path / "easel-1.png").read_bytes())
    assert recipe is not None
    assert recipe.task == "img2img"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["a", "--sedd", "4"], "Did you mean --seed?"),
        (["{a,b}{c,d,e,f,g}{h,i}"], "20 jobs"),
        (["a --sedd 4"], "This would work: easel imagine 'a --seed 4'"),
        (["a <hypernet:b:1>"], "This would work: easel imagine a"),
        (["a", "--out", "a.jpg"], "ends in .png"),
        (["a", "--out", "nowhere/a.png"], "cannot be written"),
        (["a", "--image", "nowhere.png"], "cannot be read"),
        (["a", "--n", "17"], "1 to 16"),
        (["a", "--strength", "0.5"], "Attach one"),
        ([FAIL_WORD], "The model failed"),
    ],
)
def test_errors_are_one_sentence(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["imagine", *argv]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("easel: ")
    assert says in last


def test_the_best_of_many_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["imagine", "a boat --seed 7", "--best", "5", "--out", "b.png", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [each["seed"] for each in facts["pictures"]] == [max(range(7, 12), key=score)]
    assert facts["line"].endswith("--n 1 --best 5")


def test_choices_are_several_jobs_in_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["imagine", "a {red, blue} boat --seed 3", "--out", "b.png", "--json"]) == 0
    said = capsys.readouterr()
    jobs = json.loads(said.out)["jobs"]
    assert [job["pictures"][0]["path"] for job in jobs] == ["b-1.png", "b-2.png"]
    assert [job["recipe"]["request"]["prompt"] for job in jobs] == ["a red boat", "a blue boat"]
    assert "Job 2 of 2: step" in said.err
    assert {path.name for path in tmp_path.glob("*.png")} == {"b-1.png", "b-2.png"}


def test_progress_is_told_by_steps_also_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["imagine", "a boat --seed 1 --steps 20"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Step")]
    assert lines == [f"Step {step} of 20" for step in (5, 10, 15, 20)]
