"""`easel models`, against a small hub on this machine: list, pull, add, info, remove."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.cli import models
from bot.cli.main import build_parser
from bot.config import Settings
from bot.errors import BadInput, NotFound
from engine import mini
from engine.api.errors import ModelUnloadable
from engine.models.files import hub as hub_files
from engine.models.files import starters
from tests.engine.loading.hub_server import Hub, serving, use

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
Easel = Callable[..., str]


@pytest.fixture
def easel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Easel:
    """Runs `easel models ...` and returns what it printed."""

    def run(*words: str) -> str:
        args = build_parser().parse_args(["models", *words])
        models.run(args, Settings(_env_file=None, data_dir=tmp_path / "data"))  # type: ignore[call-arg]
        return capsys.readouterr().out

    return run


def listed(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "data" / "models.json"
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with more in it than is needed."""
    folder = shutil.copytree(mini.MODEL_DIR, tmp_path / "repo")
    (folder / "all-in-one.safetensors").write_bytes(b"nobody needs it")
    (folder / "README.md").write_text("a card")
    return folder


def test_the_list_has_what_is_here_and_something_to_begin_with(easel: Easel) -> None:
    said = easel("list")
    assert "mini" in said.partition("To begin with")[0]
    for each in starters.STARTERS:
        _, _, told = said.partition(f"  {each.name} ")
        assert each.licence in told
        size, memory = re.findall(r"([\d.]+) GB to download, ([\d.]+) GB of memory", told)[0]
        assert float(size) >= float(memory), "what is published takes no less than what is kept of it"


def test_a_model_is_pulled_named_described_and_removed(
    easel: Easel, tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub({"some/boats": repo})) as hub:
        use(hub, tmp_path / "cache", monkeypatch)
        said = easel("pull", "some/boats")
        assert "boats is here" in said
        assert listed(tmp_path) == {"boats": "some/boats"}
        assert "all-in-one.safetensors" not in hub.sent
        once = dict(hub.sent)
        easel("pull", "some/boats", "--as", "ships")
        assert hub.sent == once, "what is whole is not fetched again"
    assert "sd1" in easel("info", "boats")
    assert "some/boats" in easel("list")
    assert "Deleted" in easel("remove", "boats", "--files")
    assert hub_files.snapshot("some/boats") is None
    assert listed(tmp_path) == {"ships": "some/boats"}
    with pytest.raises(NotFound, match="no model has that name"):
        easel("remove", "boats")


def test_a_download_that_was_cut_off_goes_on(
    easel: Easel, tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no model before it is whole, and files that were whole stay."""
    with serving(Hub({"some/boats": repo})) as hub:
        use(hub, tmp_path / "cache", monkeypatch)
        broken: list[str] = []

        def pause(name: str) -> None:
            if name == WEIGHTS and not broken:
                broken.append(name)
                raise ConnectionResetError

        hub.pause = pause
        easel("pull", "some/boats")
        assert broken == [WEIGHTS]
        assert hub.sent[WEIGHTS] == (repo / WEIGHTS).stat().st_size
    assert listed(tmp_path) == {"boats": "some/boats"}


def test_what_the_hub_refuses_is_told_and_not_listed(
    easel: Easel, tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub({"some/boats": repo}, token="hf_secret")) as hub:
        use(hub, tmp_path / "cache", monkeypatch)
        with pytest.raises(NotFound, match=r"some/boats can.t be downloaded: .*HF_TOKEN"):
            easel("pull", "some/boats")
        assert listed(tmp_path) == {}
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        assert "boats is here" in easel("pull", "some/boats")


def test_a_folder_is_added_by_its_name_or_another(easel: Easel, tmp_path: Path) -> None:
    assert "sd1" in easel("add", str(mini.MODEL_DIR))
    easel("add", "small", str(mini.MODEL_DIR))
    assert listed(tmp_path) == {mini.MODEL_DIR.name: str(mini.MODEL_DIR), "small": str(mini.MODEL_DIR)}
    (tmp_path / "broken.safetensors").write_bytes(b"no model")
    with pytest.raises(ModelUnloadable, match="broken"):
        easel("add", str(tmp_path / "broken.safetensors"))
    assert "broken" not in listed(tmp_path)


def test_a_name_is_never_given_to_another_model_in_silence(easel: Easel, tmp_path: Path) -> None:
    folder, copy = str(mini.MODEL_DIR), str(shutil.copytree(mini.MODEL_DIR, tmp_path / "copy"))
    with pytest.raises(BadInput, match="easel models add NAME"):
        easel("add", "mini", folder)  # the default model's
    easel("add", "small", folder)
    assert "until now" not in easel("add", "small", folder)
    assert f"small was {folder} until now" in easel("add", "small", copy)


def test_files_that_were_not_downloaded_stay_and_why_a_name_stays_is_told(easel: Easel, tmp_path: Path) -> None:
    lying = shutil.copytree(mini.MODEL_DIR, tmp_path / "data" / "models" / "lying")
    copy = shutil.copytree(mini.MODEL_DIR, tmp_path / "copy")
    easel("add", str(copy))
    assert f"{copy} stays" in easel("remove", "copy", "--files")
    assert copy.exists()
    with pytest.raises(NotFound, match=f"it lies in {lying.parent}"):
        easel("remove", "lying")
    with pytest.raises(NotFound, match="a setting names it"):
        easel("remove", "mini")


def test_without_a_hub_what_is_known_is_told_all_the_same(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "to download" in easel("info", "sdxl")
    assert "easel models pull far" in easel("add", "far", "some/boats")
    said = easel("info", "far")
    assert "It isn't here: easel models pull far" in said
    assert said.count("this disk") == 1
    with pytest.raises(NotFound, match="some/boats can't be downloaded"):
        easel("pull", "far")
    with pytest.raises(NotFound, match=r"Models here: mini, far, mini-edit; to begin with: sd15"):
        easel("info", "nobody")
