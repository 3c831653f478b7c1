"""The installer: which build of PyTorch a machine gets, and a lock that covers what pyproject.toml asks for."""

import argparse
import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
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


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cu126", "rocm7.2", "xpu"])
def test_pytorchs_builds_have_names(name: str) -> None:
    assert install.build_name(name) == name


@pytest.mark.parametrize("name", ["", "gpu", "rocm", "cpu --extra", "https://elsewhere.example", "../cpu"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        install.build_name(name)


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


@pytest.mark.parametrize("what", SECTIONS)
def test_the_lock_is_what_the_project_asks_for(what: str) -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = PROJECT["project"]["dependencies"] + [each for name in SECTIONS[what] for each in extras.get(name, [])]
    locked = pins(*[install.TORCH] * (install.ENGINE in SECTIONS[what]), *SECTIONS[what])
    for each in map(Requirement, wanted + PROJECT["build-system"]["requires"]):
        versions = locked.get(re.sub(r"[._]", "-", each.name), [])
        assert versions, each.name
        assert all(each.specifier.contains(version) for version in versions), each


def test_the_cuda_libraries_come_with_pypis_torch_only() -> None:
    assert torch_version(LOCKED[install.TORCH]) == next(
        str(each.specifier).removeprefix("==")
        for each in map(Requirement, PROJECT["project"]["optional-dependencies"][install.ENGINE])
        if each.name == "torch"
    )
    names = pins("easel", "engine", "demo", "test")
    assert not [name for name in names if name.startswith(("nvidia", "cuda", "triton"))]


def test_a_bot_that_has_others_paint_brings_nothing_of_an_engine() -> None:
    assert not {"torch", "diffusers", "transformers", "peft", "accelerate", "safetensors"} & set(pins(*SECTIONS["bot"]))


# ---------------------------------------------------------------- the package
def imported(folder: Path) -> set[str]:
    """Top-level modules that the code in a folder imports, wherever in a file."""
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", ["bot", "engine"])
def test_whatever_is_imported_is_declared(package: str) -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    asked = PROJECT["project"]["dependencies"] + [each for name in extras if name != "test" for each in extras[name]]
    declared = {re.sub(r"[._]", "-", Requirement(each).name.lower()) for each in asked}
    known = packages_distributions()
    modules = imported(ROOT / package) - set(sys.stdlib_module_names) - {"bot", "engine", "migrations"}
    names = {
        module: {re.sub(r"[._]", "-", name.lower()) for name in known.get(module, [module, f"{module}-python"])}
        for module in modules
    }
    assert {module for module, providers in names.items() if not providers & declared} == set()


def test_the_package_has_a_name_of_its_own() -> None:
    """On PyPI, `easel` is another project: nothing may tell people to install it."""
    assert PROJECT["project"]["name"] == "easel-bot"
    pages = [*ROOT.glob("docs/*.md"), ROOT / "README.md", *ROOT.glob("bot/**/*.py"), ROOT / "Dockerfile"]
    advice = re.compile(r"pip install '?\"?easel(\[|\b(?!-bot))")
    assert [page.name for page in pages if advice.search(page.read_text(encoding="utf-8"))] == []


def test_no_package_is_taken_from_two_indexes() -> None:
    for file in ("install.py", "Dockerfile", "pyproject.toml"):
        assert "extra-index-url" not in (ROOT / file).read_text(encoding="utf-8")


def test_a_second_build_forgets_deleted_modules(tmp_path: Path) -> None:
    tree = tmp_path / "easel"
    for package in ("bot", "engine", "migrations"):
        (tree / package).mkdir(parents=True)
        (tree / package / "__init__.py").touch()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    (tree / "bot" / "old.py").touch()
    first = wheel(tree, tmp_path / "first")
    (tree / "bot" / "old.py").unlink()
    assert first - wheel(tree, tmp_path / "second") == {"bot/old.py"}


def wheel(tree: Path, out: Path) -> set[str]:
    """Build a tree's wheel as `pip install` does; the names of its files."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(out), str(tree)], check=True)
    with zipfile.ZipFile(next(out.glob("easel_bot-*.whl"))) as file:
        return set(file.namelist())
