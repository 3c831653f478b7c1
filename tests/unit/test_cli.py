"""The easel command: what it refuses, in which words, and with which exit code."""

import os
import time
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.cli import doctor
from bot.config import Settings


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


# ---------------------------------------------------------------- doctor
def verdicts(**given: object) -> dict[str, str]:
    settings = Settings(_env_file=None, min_free_mib=0, **given)  # type: ignore[arg-type]
    return {check.what: check.verdict for check in doctor.checks(settings)}


def test_a_fresh_checkout_is_fine_but_for_the_token() -> None:
    found = verdicts()
    assert "bad" not in found.values()
    assert found["token"] == "note"


def test_doctor_finds_what_would_stop_a_start(tmp_path: Path) -> None:
    assert verdicts(model=str(tmp_path / "nowhere"))["model"] == "bad"
    assert verdicts(model="owner/model")["model"] == "note"
    assert verdicts(models={"x": "/no/such/place"})["model x"] == "bad"
    assert verdicts(safety="/no/such/judge")["safety"] == "bad"
    assert verdicts(captioner="owner/model")["captioner"] == "note"
    assert verdicts(safety="off")["looking"] == "ok"
    assert verdicts(token="hello")["token"] == "bad"
    assert verdicts(token="a.b.c")["token"] == "ok"
    (tmp_path / "file").touch()
    assert verdicts(data_dir=tmp_path / "file")["data"] == "bad"


def test_doctor_names_unknown_keys(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EASEL_MODLES", "{}")
    monkeypatch.setenv("EASEL_MIN_FREE_MIB", "0")
    assert main(["doctor"]) == 0
    assert "note  settings: EASEL_MODLES is no setting, did you mean EASEL_MODELS?" in capsys.readouterr().out


def test_doctors_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EASEL_MIN_FREE_MIB", "0")
    assert main(["doctor"]) == 0
    monkeypatch.setenv("EASEL_MODEL", "/no/such/model")
    assert main(["doctor"]) == 1
    assert "bad   model: /no/such/model is neither" in capsys.readouterr().out


def test_health_is_a_young_heartbeat(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)  # type: ignore[call-arg]
    assert doctor.health(settings) == 1
    heart = doctor.heartbeat_path(settings)
    heart.touch()
    assert doctor.health(settings) == 0
    os.utime(heart, (time.time() - 120, time.time() - 120))
    assert doctor.health(settings) == 1
