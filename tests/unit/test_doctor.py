"""The doctor tries what Easel needs: the device computes, every file is whole, keys and ports are right."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.__main__ import main
from bot.app import App
from bot.cli import doctor
from bot.cli.checks import account, models
from bot.cli.checks.finding import Check
from bot.config import Settings, engine_for
from bot.errors import UserError
from bot.jobs.files import MARK, MARKED
from bot.store import key_values
from bot.store.lock import directory_lock
from bot.store.migrations import migrate
from engine import mini
from engine.api.errors import ModelUnloadable
from engine.fake import FakeEngine
from engine.models import catalog, whole
from engine.models.upscalers import known
from engine.vision import options as vision_options

MINI = mini.MODEL_DIR
LORA = next(mini.ADAPTERS_DIR.glob("*/pytorch_lora_weights.safetensors"))
CONTROLNET = next(mini.ADAPTERS_DIR.glob("*/diffusion_pytorch_model.safetensors")).parent
EMBEDDING = next(file for file in mini.ADAPTERS_DIR.glob("*/*.safetensors") if file.stem == file.parent.name)


@pytest.fixture(autouse=True)
def _clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` and no EASEL_ variables of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for key in [key for key in os.environ if key.startswith("EASEL_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("EASEL_MIN_FREE_MIB", "0")


def found(**given: Any) -> dict[str, Check]:
    """The worst finding about each thing."""
    worst: dict[str, Check] = {}
    for check in doctor.checks(Settings(_env_file=None, **given)):  # type: ignore[call-arg]
        order = ("ok", "note", "bad")
        if check.what not in worst or order.index(check.verdict) > order.index(worst[check.what].verdict):
            worst[check.what] = check
    return worst


# ---------------------------------------------------------------- the command
def test_a_fresh_checkout_is_fine_but_for_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "note  token: EASEL_TOKEN is empty" in said
    assert "ok    model mini: Easel Mini, built in." in said
    assert "ok    device: cpu computes: processor" in said or "ok    device: cuda computes" in said


def test_its_exit_code_says_whether_something_is_bad(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EASEL_MODEL", "/no/such/model")
    assert main(["doctor"]) == 1
    assert "bad   model model: /no/such/model: there is no file, folder or hub id" in capsys.readouterr().out


def test_it_names_unknown_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_MODLES", "{}")
    check = found()["settings"]
    assert (check.verdict, check.sentence) == ("note", "EASEL_MODLES is no setting, did you mean EASEL_MODELS?")


# ---------------------------------------------------------------- the machine
def test_a_machine_that_paints_nothing_needs_no_device_and_somebody_who_does() -> None:
    assert found(device="none")["device"].verdict == "bad"
    others = found(device="none", workers=True, web_port=0)
    assert others["device"].verdict == "ok"
    assert "torch" not in others
    assert not [name for name in others if name.startswith(("model", "memory"))]
    note = found(device="none", workers=True, web_port=0, safety="/some/classifier")["safety"]
    assert (note.verdict, "judges nothing here" in note.sentence) == ("note", True)


@pytest.mark.parametrize("device", ["gpu", "cuda:77", "tpu", "cpu:x"])
def test_a_device_that_cannot_be_used_is_found(device: str) -> None:
    check = found(device=device)["device"]
    assert check.verdict == "bad"
    assert check.vital
    assert f"EASEL_DEVICE is {device}." in check.sentence


def test_the_device_computes_in_the_precision_that_is_set() -> None:
    for dtype in ("float32", "bfloat16"):
        assert dtype in found(device="cpu", dtype=dtype)["device"].sentence


def test_a_card_that_is_not_used_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from engine.device import cards, probe

    version = tmp_path / "version"
    version.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n")
    for module in (cards, probe):
        monkeypatch.setattr(module, "NVIDIA", version)
    assert probe.driver_version() == "535.183.01"
    version.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n")
    assert probe.driver_version() == "580.65.06"
    assert "There is an NVIDIA card, but" in probe.probe("cpu", "auto").hint


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = found(data_dir=tmp_path / "file")["data"]
    assert check.verdict == "bad"
    assert "EASEL_DATA_DIR" in check.sentence


def test_a_second_easel_is_seen(tmp_path: Path) -> None:
    assert found(data_dir=tmp_path)["other Easel"].verdict == "ok"
    with directory_lock(tmp_path):
        assert found(data_dir=tmp_path)["other Easel"].verdict == "note"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        given = {"data_dir": tmp_path, "web_address": "auto", "web_port": taken.getsockname()[1]}
        check = found(**given)["web port"]
        assert (check.verdict, check.passing) == ("bad", True)
        for opens in ({"api": True}, {"workers": True}, {"metrics_token": "long"}):
            check = found(**{**given, "web_address": "", **opens})["web port"]
            assert (check.verdict, check.passing) == ("bad", True), opens
        assert "web port" not in found(**{**given, "web_address": ""})
        with directory_lock(tmp_path):
            assert "web port" not in found(**given), "it is the running bot's"
    assert "web port" not in found(**given)


@pytest.mark.parametrize("host", ["256.1.1.1", "a..b"])
def test_a_host_that_cannot_be(tmp_path: Path, host: str) -> None:
    check = found(data_dir=tmp_path, api=True, web_host=host)["web port"]
    assert (check.verdict, check.passing) == ("bad", False)
    assert "EASEL_WEB_HOST" in check.sentence


def test_little_room_and_backups(tmp_path: Path) -> None:
    assert found(min_free_mib=10**9)["disk"].verdict == "bad"
    assert found()["backups"].verdict == "note"
    assert found(backup_every_hours=24)["backups"].verdict == "ok"
    (tmp_path / "file").touch()
    assert found(backup_every_hours=24, backup_dir=str(tmp_path / "file"))["backups"].verdict == "bad"


def test_a_token_that_is_none() -> None:
    assert found(token="hello")["token"].verdict == "bad"
    assert found(token="a.b.c")["token"].verdict == "ok"


@pytest.mark.parametrize(
    "sold", [{"credits": -5}, {"credits": float("nan")}, {"credits": 1e30}, {"x": 1}, {"models": 5}]
)
async def test_what_is_sold_can_be_read(sold: dict[str, Any], tmp_path: Path) -> None:
    check = next(iter(account.shop(Settings(_env_file=None, skus={5: sold}))))  # type: ignore[call-arg]
    assert (check.verdict, check.vital, check.passing) == ("bad", True, False)
    assert "EASEL_SKUS" in check.sentence
    app = App(Settings(_env_file=None, skus={5: sold}, data_dir=tmp_path), FakeEngine())  # type: ignore[call-arg]
    with pytest.raises(UserError, match="EASEL_SKUS"):
        await app.__aenter__()
    with directory_lock(tmp_path):
        pass  # nothing of what it had opened stays


def test_a_path_that_is_too_long_is_none() -> None:
    """Whatever it's the path of: names of files end at 255 characters."""
    long = "a" * 300
    assert found(model=long)[f"model {long}"].verdict == "bad"
    assert found(safety=long)["safety"].verdict == "bad"


def test_whether_models_can_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where somebody wants that: it takes seconds."""
    from engine.device import compiler

    def broken(program: Any, inputs: Any) -> Any:
        raise RuntimeError("there is no compiler")

    assert "compile" not in found()
    for backend, verdict, sentence in (
        ("eager", "ok", "Models are compiled; their first picture of each size takes longer."),
        (broken, "note", "Nothing can be compiled on cpu (there is no compiler), so models run as they are."),
    ):
        monkeypatch.setattr(compiler, "BACKEND", backend)
        check = found(compile=True)["compile"]
        assert (check.verdict, check.sentence) == (verdict, sentence)


# ---------------------------------------------------------------- models and their like
def test_everything_that_comes_along_is_whole() -> None:
    given = {
        "models": {"again": str(MINI)},
        "loras": {"one": str(LORA)},
        "embeddings": {"two": str(EMBEDDING)},
        "controlnets": {"three": str(CONTROLNET)},
        "ranker": str(MINI / "ranker"),
        "captioner": "owner/model",
    }
    installed = {"upscaler"} if known.chosen("auto", "cpu") else set()
    installed |= {"safety"} if vision_options.is_installed() else set()
    verdicts = {check.what: check.verdict for check in models.files(Settings(_env_file=None, **given))}  # type: ignore[arg-type]
    assert verdicts.pop("captioner") == "note"
    for extra in ("upscaler", "safety"):  # which may be installed
        assert verdicts.pop(extra) == ("ok" if extra in installed else "note")
    own = {f"model {name}" for name in catalog.with_editor({"mini": "mini", "again": "mini"})}
    assert set(verdicts) == {*own, "LoRA one", "embedding two", "ControlNet three", "ranker"}
    assert set(verdicts.values()) == {"ok"}


def test_one_bad_thing_does_not_hide_the_next(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"hello")
    given = {
        "loras": {"a": "/no/such", "b": str(tmp_path / "x.safetensors"), "c": str(EMBEDDING), "d": "evil.pt"},
        "controlnets": {"e": str(tmp_path)},
        "ip_adapters": {"mini": str(LORA), "nobody": str(LORA)},
        "upscaler": str(MINI),
        "safety": "/no/such/judge",
    }
    checks = {check.what: check for check in models.files(Settings(_env_file=None, **given))}  # type: ignore[arg-type]
    bad = {what for what, check in checks.items() if check.verdict == "bad"}
    expected = {"LoRA a", "LoRA b", "LoRA c", "LoRA d", "ControlNet e", "upscaler", "safety"}
    assert bad == {*expected, "IP-Adapter mini", "IP-Adapter nobody"}
    assert {what for what, check in checks.items() if check.verdict == "bad" and check.vital} == {"safety"}


def test_what_cannot_be_loaded_is_left_out_and_the_rest_paints(
    tmp_path: Path,
) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"hello")
    settings = Settings(
        _env_file=None,
        models={"good": str(MINI), "bad": "/no/such"},
        loras={"good": str(LORA), "bad": str(tmp_path / "x.safetensors")},
        embeddings={"bad": str(LORA)},
        controlnets={"good": str(CONTROLNET), "bad": str(tmp_path)},
        ip_adapters={"bad": str(LORA)},
        upscaler=str(MINI),
        captioner="/no/such",
    )  # type: ignore[call-arg]
    engine = engine_for(settings)
    default, good, *_ = engine.models()
    assert (default.key, good.key) == ("mini", "good")
    assert "good" in default.loras
    assert "bad" not in {*default.loras, *default.embeddings, *default.controlnets}
    assert {(each.kind, each.name) for each in engine.left_out()} == {
        *((kind, "bad") for kind in ("model", "LoRA", "embedding", "ControlNet", "IP-Adapter")),
        *(("setting", name) for name in ("upscaler", "captioner")),
    }


def test_nobody_paints_without_the_judge_that_was_wanted() -> None:
    with pytest.raises(ModelUnloadable, match="safety"):
        engine_for(Settings(_env_file=None, safety="/no/such/judge"))  # type: ignore[call-arg]


def test_the_default_model_is_vital(tmp_path: Path) -> None:
    assert found(model=str(tmp_path / "nowhere"))["model nowhere"].vital
    assert not found(models={"x": str(tmp_path / "nowhere")})["model x"].vital


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return shutil.copytree(MINI, tmp_path / "model")


def truncated(model: Path) -> None:
    file = next(model.glob("unet/*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1000])


def only_the_head(model: Path) -> None:
    file = next(model.glob("vae/*.safetensors"))
    file.write_bytes(file.read_bytes()[:4])


def pointer(model: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 100\n"
    next(model.glob("vae/*.safetensors")).write_text(text)


def pickled(model: Path) -> None:
    file = next(model.glob("text_encoder/*.safetensors"))
    file.rename(file.with_suffix(".bin"))


def part_missing(model: Path) -> None:
    shutil.rmtree(model / "unet")


def shard_missing(model: Path) -> None:
    index = {"weight_map": {"a": "diffusion_pytorch_model-00002-of-00002.safetensors"}}
    (model / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def strange_header(model: Path) -> None:
    next(model.glob("vae/*.safetensors")).write_bytes((2).to_bytes(8, "little") + b"[]")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (truncated, "is not whole: it has"),
        (only_the_head, "is no safetensors file, or only its beginning"),
        (pointer, "git lfs pull"),
        (pickled, "in text_encoder, there are pickles only"),
        (part_missing, "its part unet is missing"),
        (shard_missing, "00002-of-00002.safetensors is missing"),
        (strange_header, "is no safetensors file"),
    ],
)
def test_a_model_that_is_not_whole_is_found(model: Path, damage: Any, says: str) -> None:
    assert whole.of_pipeline(model, json.loads((model / "model_index.json").read_text())) == ""
    damage(model)
    check = found(model=str(model))["model model"]
    assert check.verdict == "bad"
    assert says in check.sentence


# ---------------------------------------------------------------- what is stored
def test_a_folder_of_pictures_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert found()["database"].sentence == "there is none yet; the first start makes it."
    settings = Settings(_env_file=None, data_dir=tmp_path)  # type: ignore[call-arg]
    migrate(settings.database_path, 0)
    assert found(data_dir=tmp_path)["images"].verdict == "ok", "nothing was ever painted"
    with closing(sqlite3.connect(settings.database_path)) as db, db:
        key_values.remember(db, MARKED, "yes")
    check = found(data_dir=tmp_path)["images"]
    assert (check.verdict, check.vital) == ("bad", False)
    assert "is missing: mount the disk" in check.sentence
    settings.images_dir.mkdir()
    assert "holds no file 'database'" in found(data_dir=tmp_path)["images"].sentence
    (settings.images_dir / MARK).touch()
    assert found(data_dir=tmp_path)["images"].verdict == "ok"
    settings.database_path.unlink()
    check = found(data_dir=tmp_path)["database"]
    assert (check.verdict, "is gone, but its pictures are in" in check.sentence) == ("bad", True)


def test_a_database_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "easel.db").write_bytes(b"hello" * 1000)
    assert "can't be read (file is not a database)" in found(data_dir=tmp_path)["database"].sentence
