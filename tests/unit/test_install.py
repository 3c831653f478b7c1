"""The installer: which build of PyTorch a machine gets, and a lock that covers what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import install
from install import SECTIONS, entries, has_nvidia_card, sections, torch_version, wants_cpu_build

ROOT = Path(__file__).parents[2]
LOCKED = sections((ROOT / install.LOCK).read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(*names: str) -> dict[str, list[str]]:
    """Return the locked versions of each package in some sections, by its normal name."""
    found: dict[str, list[str]] = {}
    for name in names:
        for line in entries(LOCKED[name]):
            pin = Requirement(line)
            found.setdefault(pin.name.replace(".", "-"), []).append(str(pin.specifier).removeprefix("=="))
    return found


@pytest.mark.parametrize(
    ("choice", "platform", "card", "cpu"),
    [
        ("auto", "linux", False, True),
        ("auto", "linux", True, False),
        ("cpu", "linux", True, True),
        ("cuda", "linux", False, False),
        ("auto", "darwin", False, False),
        ("auto", "win32", False, False),
    ],
)
def test_a_machine_without_a_card_gets_the_small_build(choice: str, platform: str, card: bool, cpu: bool) -> None:
    assert wants_cpu_build(choice, platform, card=card) is cpu


def test_a_card_is_seen_by_its_driver(tmp_path: Path) -> None:
    assert not has_nvidia_card(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    assert has_nvidia_card(tmp_path)


def test_sections_and_entries() -> None:
    pin = "x==1 ; python_version < '3.12' \\\n    --hash=sha256:00\ny==2 \\\n    --hash=sha256:11\n"
    text = f"# head\n# [a]\n{pin}# [b]\nz==3\n"
    assert list(sections(text)) == ["a", "b"]
    assert list(entries(sections(text)["a"])) == ["x==1 ; python_version < '3.12'", "y==2"]


def test_every_pin_has_a_hash() -> None:
    bare = [line for part in LOCKED.values() for line, text in entries(part).items() if "--hash=sha256:" not in text]
    assert bare == []


@pytest.mark.parametrize("what", [name for name in SECTIONS if name != "run"])
def test_the_lock_is_what_the_project_asks_for(what: str) -> None:
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"][what]
    locked = pins(install.TORCH, *SECTIONS[what])
    for each in map(Requirement, wanted + PROJECT["build-system"]["requires"]):
        versions = locked.get(re.sub(r"[._]", "-", each.name), [])
        assert versions, each.name
        assert all(each.specifier.contains(version) for version in versions), each


def test_the_cuda_libraries_come_with_pypis_torch_only() -> None:
    assert torch_version(LOCKED[install.TORCH]) == next(
        str(each.specifier).removeprefix("==")
        for each in map(Requirement, PROJECT["project"]["dependencies"])
        if each.name == "torch"
    )
    assert not [name for name in pins("easel", "demo", "test") if name.startswith(("nvidia", "cuda", "triton"))]
