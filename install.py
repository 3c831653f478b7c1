"""Install Easel into `.venv` from `requirements.lock`: python3 install.py [demo | bot | test | run | lock].

Runs on a bare Python: nothing but the standard library. PyTorch comes first, because its build depends on the machine:
on Linux without an NVIDIA card the CPU build (0.8 GB on disk) instead of the CUDA build that PyPI has (5.4 GB).
Everything else is installed by version and hash. `bot` leaves PyTorch out, for where others paint (EASEL_DEVICE=none).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCK = "requirements.lock"
INDEX = "https://download.pytorch.org/whl"
BUILD = re.compile(r"auto|cpu|cuda|xpu|(cu|rocm)[\d.]+")  # names of PyTorch's builds; `cuda` is PyPI's on Linux
OLD_NAME = "easel"  # how this project was called among Python's packages; its leftovers would be in the way
SECTIONS = {
    "run": ("easel", "engine", "upscaler", "safety"),
    "bot": ("easel", "safety"),
    "demo": ("easel", "engine", "demo"),
    "c2pa": ("easel", "engine", "c2pa"),
    "test": ("easel", "engine", "demo", "upscaler", "safety", "test"),
}
ENGINE = "engine"  # the section that PyTorch belongs to
TORCH = "torch"  # the section of PyPI's build and of the CUDA libraries it needs on Linux
CUDA_PACKAGES = re.compile(r"torch|triton|cuda-|nvidia-")
SECTION = re.compile(r"^# \[(.+)\]$")
NO_VENV = "Python's venv module is incomplete. On Debian and Ubuntu: apt install python3-venv"
TOO_OLD = "Easel needs Python 3.11 or newer; this is {version}."
FAILED = "The installation stopped: see pip's last lines above. Run the same command again to go on."


# ---------------------------------------------------------------- the lock
def sections(text: str) -> dict[str, str]:
    """Split a lock file into its sections, by name."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := SECTION.match(line):
            name = match[1]
            found[name] = ""
        elif name and not line.startswith("#"):
            found[name] += line + "\n"
    return found


def entries(requirements: str) -> dict[str, str]:
    """Split requirements with hashes into one entry a pinned version: "numpy==2.4.6 ; marker" to its whole text."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", requirements.strip())
    return {block.split("\\")[0].strip(): block for block in blocks if block}


def lock(root: Path = ROOT) -> None:
    """Write the lock file anew: the newest versions that pyproject.toml allows, for every platform. Needs uv."""
    import tomllib  # here, so that an older Python reads what it lacks

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    build = project["build-system"]["requires"]  # or pip would download them without a hash
    known = _resolved(root, build, ENGINE)
    base = _resolved(root, build, known=known)
    cuda = {line: text for line, text in known.items() if CUDA_PACKAGES.match(line)}
    painting = {line: text for line, text in known.items() if line not in base and line not in cuda}
    found = {TORCH: cuda, "easel": base, ENGINE: painting}
    installed = {name for names in SECTIONS.values() for name in names} - set(found)
    for extra in (name for name in project["project"]["optional-dependencies"] if name in installed):
        resolved = _resolved(root, build, extra, known)
        found[extra] = {line: text for line, text in resolved.items() if line not in known}
        known |= resolved
    parts = [f"# [{name}]\n" + "\n".join(texts.values()) for name, texts in found.items()]
    head = "# Every version, with hashes, for Python 3.11 to 3.14. Made by `make lock`; installed by install.py.\n"
    (root / LOCK).write_text(head + "\n".join(parts) + "\n", encoding="utf-8")


def _resolved(
    root: Path, build: Sequence[str], extra: str = "", known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Ask uv for a resolution of the project, `build` and one extra that keeps every version of `known`."""
    options = [
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--quiet",
    ]
    with tempfile.TemporaryDirectory() as folder:
        kept, also = Path(folder) / "kept.txt", Path(folder) / "build.txt"
        kept.write_text("\n".join(known or ()), encoding="utf-8")
        also.write_text("\n".join(build), encoding="utf-8")
        wanted = ["pyproject.toml", str(also), *(["--extra", extra] if extra else []), "--constraint", str(kept)]
        command = [sys.executable, "-m", "uv", "pip", "compile", *options, *wanted]
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return entries(done.stdout)


# ---------------------------------------------------------------- the machine
def has_nvidia_card(root: Path = Path("/")) -> bool:
    """Return whether Linux's NVIDIA driver is loaded (also inside WSL 2)."""
    places = ("proc/driver/nvidia/version", "dev/nvidiactl", "usr/lib/wsl/lib/nvidia-smi")
    return any((root / place).exists() for place in places)


def wants_cpu_build(choice: str, platform: str, *, card: bool) -> bool:
    """Return whether PyTorch's index of CPU builds is asked first: elsewhere PyPI's builds are small already."""
    return platform == "linux" and (choice == "cpu" or (choice == "auto" and not card))


def torch_version(torch_section: str) -> str:
    """Return the locked version of PyTorch."""
    match = re.search(r"^torch==([\w.]+)", torch_section, re.M)
    assert match, f"{LOCK} names no version of torch"
    return match[1]


# ---------------------------------------------------------------- installing
class Environment:
    """The virtual environment that is installed into; made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if not self.python.exists():
            made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True)
            if made.returncode:
                raise SystemExit(NO_VENV if "ensurepip" in made.stdout + made.stderr else made.stdout + made.stderr)

    def pip(self, *arguments: str) -> bool:
        """Run `pip install` with these arguments; return whether it went well."""
        command = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
        return subprocess.run(command).returncode == 0

    def pip_locked(self, requirements: str, *arguments: str) -> bool:
        """Install requirements whose every version and hash is given."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "requirements.txt"
            file.write_text(requirements, encoding="utf-8")
            return self.pip("--no-deps", "--require-hashes", *arguments, "--requirement", str(file))

    def drop(self, package: str) -> None:
        """Uninstall a package if it is there."""
        command = [str(self.python), "-m", "pip", "uninstall", "--quiet", "--yes", package]
        subprocess.run(command, capture_output=True)  # it says so when there was nothing to do

    def torch(self) -> str:
        """Return the installed version of PyTorch, "" if there is none."""
        ask = "import importlib.metadata as m; print(next((d.version for d in m.distributions(name='torch')), ''))"
        return subprocess.run([str(self.python), "-c", ask], capture_output=True, text=True).stdout.strip()


def install_torch(environment: Environment, section: str, build: str) -> None:
    """Install PyTorch unless its locked version is there in any build. Raises: SystemExit."""
    version = torch_version(section)
    if environment.torch().split("+")[0] == version:
        return
    if build not in ("auto", "cpu", "cuda"):  # with what such a build needs, which only that index has
        if not environment.pip("--index-url", f"{INDEX}/{build}", f"torch=={version}+{build}"):
            raise SystemExit(FAILED)
        return
    if wants_cpu_build(build, sys.platform, card=has_nvidia_card()):
        print(
            f"PyTorch {version}, CPU build: 0.8 GB on disk. (With an NVIDIA card: install.py --torch cuda)", flush=True
        )
        # one try, for where this index is not reached; "+cpu" is a name that PyPI cannot hold
        quick = ("--retries", "0", "--timeout", "15", "--index-url", f"{INDEX}/cpu")
        if environment.pip("--no-deps", *quick, f"torch=={version}+cpu"):
            return
        print("PyTorch's own index was not reached; taking PyPI's build: 5.4 GB on Linux.", flush=True)
    if not environment.pip_locked(section):
        raise SystemExit(FAILED)


def install(what: str, folder: Path, *, torch: str, only: str = "", target: Path | None = None) -> None:
    """Install PyTorch, the sections of the lock that `what` needs, and Easel itself; or only one of the three.

    `target`: a folder that the dependencies go into instead, for images that keep them in a layer of their own.
    Raises: SystemExit.
    """
    locked = sections((ROOT / LOCK).read_text(encoding="utf-8"))
    environment, ready = Environment(folder), True
    if only in ("", "torch") and ENGINE in SECTIONS[what]:
        install_torch(environment, locked[TORCH], torch)
    if only in ("", "dependencies"):
        place = ("--target", str(target)) if target else ()
        ready = environment.pip_locked("".join(locked[name] for name in SECTIONS[what]), *place)
    if not only:
        environment.drop(OLD_NAME)
        ready = ready and environment.pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    if not ready:
        raise SystemExit(FAILED)


def build_name(text: str) -> str:
    """A name of one of PyTorch's builds. Raises: ArgumentTypeError."""
    if not BUILD.fullmatch(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no build; use auto, cpu, cuda, or a name such as rocm7.2")
    return text


def main() -> None:
    """Read the command line and install."""
    if sys.version_info < (3, 11):  # noqa: UP036 — this is how an older one learns of it
        raise SystemExit(TOO_OLD.format(version=sys.version.split()[0]))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="?", default="run", choices=(*SECTIONS, "lock"))
    parser.add_argument(
        "--torch", default="auto", type=build_name, metavar="BUILD", help="auto, cpu, cuda, rocm7.2 ..."
    )
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="where to install")
    parser.add_argument("--only", default="", choices=("torch", "dependencies"), help="install nothing else")
    parser.add_argument("--target", type=Path, help="a folder for the dependencies, outside the environment")
    chosen = parser.parse_args()
    if chosen.what == "lock":
        lock()
    else:
        install(chosen.what, chosen.venv, torch=chosen.torch, only=chosen.only, target=chosen.target)


if __name__ == "__main__":
    main()
