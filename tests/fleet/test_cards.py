"""Which devices a setting means, and that one of them costs no process."""

from __future__ import annotations

import pytest
from PIL import Image

from bot.config import Settings, engine_for
from engine.api.safety import Verdict
from engine.fleet import cards
from engine.fleet.fleet import Fleet
from engine.runtime.engine import Engine


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cards.VISIBLE, raising=False)
    monkeypatch.setattr(cards, "_count", lambda: 2)


@pytest.mark.usefixtures("two_cards")
def test_auto_takes_every_card() -> None:
    assert cards.named("auto") == ("cuda:0", "cuda:1")
    assert cards.named("cuda:1") == ("cuda:1",)
    assert cards.named("cpu, cpu") == ("cpu", "cpu")


@pytest.mark.parametrize("count", [0, 1])
def test_auto_is_left_to_the_engine_where_there_is_nothing_to_divide(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.delenv(cards.VISIBLE, raising=False)
    monkeypatch.setattr(cards, "_count", lambda: count)
    assert cards.named("auto") == ("auto",)


def test_cards_that_were_given_to_this_process_are_the_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cards.VISIBLE, "3,GPU-5f2")
    assert cards.named("auto") == ("cuda:0", "cuda:1")
    assert [cards.environment(name) for name in cards.named("auto")] == [
        {cards.VISIBLE: "3"},
        {cards.VISIBLE: "GPU-5f2"},
    ]
    monkeypatch.setenv(cards.VISIBLE, "")
    assert cards.named("auto") == ("auto",)


def test_a_worker_sees_its_card_alone() -> None:
    assert (cards.environment("cuda:1"), cards.inside("cuda:1")) == ({cards.VISIBLE: "1"}, "cuda")
    assert (cards.environment("cpu"), cards.inside("cpu")) == ({}, "cpu")


def settings(device: str, **changes: object) -> Settings:
    return Settings(_env_file=None, device=device, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1"])
def test_one_device_is_served_in_this_process(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cards.VISIBLE, raising=False)
    monkeypatch.setattr(cards, "_count", lambda: 1)
    assert type(engine_for(settings(device))) is Engine


def test_several_devices_get_a_worker_each() -> None:
    def gate(_: Image.Image) -> Verdict:
        return Verdict()

    fleet = engine_for(settings("cpu,cpu,cuda:1", threads=3, data_dir="kept"), gate)
    assert isinstance(fleet, Fleet)
    specs = [process.spec for process in fleet.processes]
    assert [spec.name for spec in specs] == ["cpu-1", "cpu-2", "cuda:1"]
    assert [spec.setup.options["device"] for spec in specs] == ["cpu", "cpu", "cuda"]
    assert {spec.setup.options["threads"] for spec in specs} == {3}
    assert {spec.setup.options["data_dir"] for spec in specs} == {"kept"}
    assert "safety" in fleet.abilities()
    assert fleet.models()[0].key == "mini"
