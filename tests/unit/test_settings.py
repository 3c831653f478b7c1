"""Settings as people write them: plain lists, any case, `~`, and a sentence for what can't be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.config import Settings, export_hub_keys, unknown_keys
from bot.errors import BadInput


@pytest.fixture(autouse=True)
def _clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for key in [key for key in os.environ if key.startswith("EASEL_")]:
        monkeypatch.delenv(key)


def read(key: str, value: str, how: str) -> object:
    """What a setting is when it's written into `.env`, or set in the environment."""
    if how == ".env":
        Path(".env").write_text(f"{key}={value}\n", encoding="utf-8")
    else:
        os.environ[key] = value
    return getattr(Settings.load(), key.removeprefix("EASEL_").lower())


@pytest.mark.parametrize("how", [".env", "environment"])
@pytest.mark.parametrize(
    ("key", "value", "means"),
    [
        ("EASEL_OPERATORS", "123", (123,)),
        ("EASEL_OPERATORS", "123,456", (123, 456)),
        ("EASEL_OPERATORS", "123, 456", (123, 456)),
        ("EASEL_OPERATORS", "123 456", (123, 456)),
        ("EASEL_OPERATORS", "[123, 456]", (123, 456)),
        ("EASEL_OPERATORS", '["123"]', (123,)),
        ("EASEL_OPERATORS", "", ()),
        ("EASEL_UNSAFE_LABELS", "nsfw, not safe", ("nsfw", "not safe")),
        ("EASEL_UNSAFE_LABELS", '["nsfw"]', ("nsfw",)),
        ("EASEL_LOG_LEVEL", "debug", "DEBUG"),
        ("EASEL_DTYPE", "Float16", "float16"),
        ("EASEL_MODE", "FAST", "fast"),
        ("EASEL_DEVICE", "CUDA:1", "cuda:1"),
        ("EASEL_MAX_STEPS", "", 60),
        ("EASEL_RELAX", "yes", True),
        ("EASEL_DATA_DIR", "~/easel", Path.home() / "easel"),
        ("EASEL_MODEL", "~/sdxl", str(Path.home() / "sdxl")),
        ("EASEL_CAPTIONER", "~/blip", str(Path.home() / "blip")),
        ("EASEL_MODELS", '{"a": "~/a", "b": "owner/b"}', {"a": str(Path.home() / "a"), "b": "owner/b"}),
        ("EASEL_LORAS", '{"a": "~/a"}', {"a": str(Path.home() / "a")}),
        ("EASEL_MODELS", "", {}),
        ("EASEL_SKUS", '{"5": {"credits": 1}}', {5: {"credits": 1}}),
    ],
)
def test_values_are_read_as_people_write_them(key: str, value: str, means: object, how: str) -> None:
    try:
        assert read(key, value, how) == means
    finally:
        os.environ.pop(key, None)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("EASEL_OPERATORS", "ann", "'ann' is no Discord id; write such as 123456789012345678, 2"),
        ("EASEL_OPERATORS", "[1, 2", "write it with commas between"),
        ("EASEL_OPERATORS", "-5", "'-5' is no Discord id"),
        ("EASEL_OPERATORS", "1" * 30, "is no Discord id"),
        ("EASEL_MODELS", "sdxl=/models/sdxl", 'write it as JSON, such as {"name": "value"}'),
        ("EASEL_MODELS", "[1]", 'write it as JSON, such as {"name": "value"}'),
        ("EASEL_LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("EASEL_MAX_STEPS", "many", "valid integer"),
        ("EASEL_MAX_STEPS", "0", "greater than or equal to 1"),
        ("EASEL_CREDITS_A_DAY", "99999999999999999999", "less than or equal to 1000000000"),
        ("EASEL_SHUTDOWN_GRACE_S", "inf", "less than or equal to 86400"),
        ("EASEL_SHUTDOWN_GRACE_S", "nan", "less than or equal to 86400"),
        ("EASEL_MEMORY", "9" * 30, "less than or equal to"),
        ("EASEL_DATA_DIR", "~nosuchuser/easel", "there is no user 'nosuchuser'"),
        ("EASEL_MODEL", "~nosuchuser/sdxl", "there is no user 'nosuchuser'"),
        ("EASEL_LORAS", '{"a": "~nosuchuser/a"}', "there is no user 'nosuchuser'"),
        ("EASEL_LORAS", '{"a": "\\u0000"}', "no null character"),
        ("EASEL_ALERT_WEBHOOK", "garbage!", "write it like https://discord.com/api/webhooks/..."),
    ],
)
def test_what_cannot_be_used_is_named_with_its_key(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, says: str
) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(BadInput, match=f"The setting {key} can't be used") as refused:
        Settings.load()
    assert says in str(refused.value)


def test_no_number_is_without_an_end() -> None:
    """A number that is far too large is a slip, and it would break something much later."""
    endless = []
    for name, field in Settings.model_fields.items():
        if field.annotation in (int, float):
            ends = {key for limit in field.metadata for key in ("ge", "le") if getattr(limit, key, None) is not None}
            endless += [name] if ends != {"ge", "le"} else []
    assert endless == []
    assert Settings.model_fields["memory"].annotation is int, "the kind of field that this looks at"


def test_an_address_that_is_a_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_ALERT_WEBHOOK", "discord.com/api/webhooks/1/secret")
    with pytest.raises(BadInput) as refused:
        Settings.load()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["https://discord.com/api/webhooks/1/a-b_c?thread_id=5", " https://hooks.slack.com/x ", ""]
)
def test_webhooks_as_they_are_copied(value: str) -> None:
    assert Settings(_env_file=None, alert_webhook=value).alert_webhook.get_secret_value() == value  # type: ignore[call-arg]


def test_every_wrong_setting_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEL_MAX_STEPS", "many")
    monkeypatch.setenv("EASEL_WEB_PORT", "99999")
    with pytest.raises(BadInput) as refused:
        Settings.load()
    assert {"EASEL_MAX_STEPS", "EASEL_WEB_PORT"} <= set(str(refused.value).split())


def test_windows_files_are_read() -> None:
    Path(".env").write_bytes(b"\xef\xbb\xbfEASEL_MAX_STEPS=20\r\n")
    assert Settings.load().max_steps == 20
    Path(".env").write_bytes("EASEL_MAX_STEPS=20\r\n".encode("utf-16"))
    with pytest.raises(BadInput, match="UTF-8"):
        Settings.load()


def test_the_hubs_own_keys_in_the_file_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("HF_TOKEN", "HF_HOME", "OTHER"):
        monkeypatch.delenv(key, raising=False)
    Path(".env").write_text("HF_TOKEN=hf_x\nHF_HOME=\nOTHER=y\n")
    export_hub_keys()
    try:
        assert os.environ["HF_TOKEN"] == "hf_x"
        assert "HF_HOME" not in os.environ
        assert "OTHER" not in os.environ
        monkeypatch.setenv("HF_TOKEN", "hf_z")
        export_hub_keys()
        assert os.environ["HF_TOKEN"] == "hf_z", "the environment wins"
    finally:
        monkeypatch.delenv("HF_TOKEN")


def test_unknown_keys_are_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("EASEL_MODLES={}\nEASEL_MODEL=mini\nHF_TOKEN=x\n")
    monkeypatch.setenv("EASEL_CREDITS_PER_DAY", "20")
    monkeypatch.setenv("EASEL_XYZZY", "1")
    assert unknown_keys() == {
        "EASEL_CREDITS_PER_DAY": "EASEL_CREDITS_A_DAY",
        "EASEL_MODLES": "EASEL_MODELS",
        "EASEL_XYZZY": "",
    }
