"""The easel command: what it refuses, in which words, and with which exit code."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.cli import doctor
from bot.config import Settings
from bot.features.operations import heartbeat


@pytest.fixture(autouse=True)
def _clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` and no EASEL_ variables of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for key in [key for key in os.environ if key.startswith("EASEL_")]:
        monkeypatch.delenv(key)


def test_run_and_sync_say_where_a_token_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 78, "no restart mends it"
    assert main(["sync"]) == 2
    assert "https://discord.com/developers/applications" in capsys.readouterr().err


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EASEL_MAX_STEPS", "many")
    assert main(["doctor"]) == 2
    assert "EASEL_MAX_STEPS" in capsys.readouterr().err
    monkeypatch.setenv("EASEL_MAX_STEPS", "10")
    monkeypatch.setenv("EASEL_MODELS", "sdxl=/models/sdxl")
    assert main(["doctor"]) == 2
    assert "EASEL_MODELS" in capsys.readouterr().err


def test_a_missing_demo_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["demo"]) == 2
    assert "python3 install.py demo" in capsys.readouterr().err


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_settings: Settings) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupted)
    assert main(["doctor"]) == 130


@pytest.mark.parametrize("argv", [["paint"], ["run", "--fast"], ["imagine"], []])
def test_wrong_usage_exits_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 2
    assert "usage: easel" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.startswith("easel ")


# ---------------------------------------------------------------- health
def test_health_is_a_young_heartbeat_without_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert heartbeat.report(tmp_path) == 1
    heartbeat.write(tmp_path, {}, time.time() - 5)
    assert heartbeat.report(tmp_path) == 0
    assert "s ago. All is well." in capsys.readouterr().out
    heartbeat.write(tmp_path, {"Discord": "the connection is down."}, time.time())
    assert heartbeat.report(tmp_path) == 1
    assert "Discord: the connection is down." in capsys.readouterr().out
    for at in (time.time() - 120, time.time() + 3600):
        heartbeat.write(tmp_path, {}, at)
        assert heartbeat.report(tmp_path) == 1
    for broken in ("", "{}", '{"at": "x", "problems": 1}', "\x00"):
        (tmp_path / heartbeat.NAME).write_text(broken)
        assert heartbeat.report(tmp_path) == 1


@pytest.mark.parametrize(
    "line",
    [
        "EASEL_DATA_DIR=here",
        "EASEL_DATA_DIR='a b'",
        'export EASEL_DATA_DIR = "a # b"  # where it is',
        "easel_data_dir=~/easel # mine",
        "EASEL_DATA_DIR=a\nEASEL_DATA_DIR=b",
        "EASEL_DATA_DIR=",
        "#EASEL_DATA_DIR=no",
        "",
    ],
)
def test_health_looks_where_the_bot_writes(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(f"{line}\n")
    assert Path(heartbeat.data_dir()) == Settings.load().data_dir
    monkeypatch.setenv("EASEL_DATA_DIR", "/from/the/environment")
    assert Path(heartbeat.data_dir()) == Settings.load().data_dir


def test_asking_for_health_costs_next_to_nothing(tmp_path: Path) -> None:
    """Containers ask every 30 s: nothing large may be imported, whatever becomes of the rest."""
    heartbeat.write(tmp_path, {}, time.time())
    script = (
        "import sys\nfrom bot.__main__ import main\ncode = main(['doctor', '--health'])\n"
        "large = {'asyncio', 'argparse', 'pydantic', 'discord', 'PIL', 'torch'} & sys.modules.keys()\n"
        "assert not large, large\nsys.exit(code)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "EASEL_DATA_DIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", script], env=env).returncode == 0


def test_the_bot_is_there_before_what_paints_is_imported(tmp_path: Path) -> None:
    """The engine's thread imports it beside Discord's first words; what only some pictures need waits for them."""
    script = (
        "import sys\nimport bot.cli.serve, bot.demo.serve\n"
        "large = {'torch', 'diffusers', 'transformers', 'scipy.ndimage', 'scipy.fft', 'numpy.f2py'}\n"
        "assert not large & sys.modules.keys(), large & sys.modules.keys()"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env).returncode == 0
