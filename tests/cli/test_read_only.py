"""The program as in its container: a read-only root, one folder to write to, no rights, and any user where that can be.

Needs Linux and namespaces; `test_container.py` does the same with the image itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER, GROUP = 12345, 54321
SCRIPT = """
set -e
mount --make-rprivate /
mount --bind "$1" /mnt
mount -o remount,bind,ro /
mount -t tmpfs tmpfs /tmp
cd /mnt
shift
if touch /etc/easel-was-here 2>/dev/null; then exit 99; fi
exec "$@"
"""


def command(data: Path) -> list[str]:
    """How to run something in such a place; as another user where we're root and that user could run it."""
    mine = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    other = [
        "setpriv",
        f"--reuid={USER}",
        f"--regid={GROUP}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
    ]
    if os.geteuid() == 0 and not subprocess.run([*other, sys.executable, "-c", ""], capture_output=True).returncode:
        os.chown(data, USER, GROUP)
        return [*mine, "sh", "-c", SCRIPT, "sh", str(data), *other]
    return [*mine, "sh", "-c", SCRIPT, "sh", str(data)]


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("needs unshare and setpriv")
    if any(Path(each).is_relative_to("/tmp") for each in (ROOT, sys.executable)):
        pytest.skip("the checkout or its Python is below /tmp, which is an empty one there")
    data = tmp_path / "data"
    data.mkdir()
    found = command(data)
    if subprocess.run([*found, "true"], capture_output=True).returncode:
        pytest.skip("mounts can't be made here")
    return found


def easel(place: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/mnt", "EASEL_DATA_DIR": "/mnt", "PYTHONPATH": str(ROOT)}
    environment |= {"EASEL_MIN_FREE_MIB": "0", "EASEL_DEVICE": "cpu", "PYTHONDONTWRITEBYTECODE": "1", "USER": "easel"}
    done = [*place, sys.executable, "-m", "bot", *words]
    return subprocess.run(done, capture_output=True, text=True, timeout=300, env=environment)


def test_it_says_what_is_missing_and_asks_for_no_restart(place: list[str]) -> None:
    done = easel(place, "run")
    assert (done.returncode, "EASEL_TOKEN is empty" in done.stderr) == (78, True), done.stderr
    health = easel(place, "doctor", "--health")
    assert (health.returncode, "no heartbeat" in health.stdout) == (1, True), health.stderr


def test_it_paints_and_keeps_what_it_painted(place: list[str]) -> None:
    done = easel(place, "imagine", "a red boat", "--steps", "1", "--out", "/mnt/boat.png")
    assert done.returncode == 0, done.stderr
    assert "/mnt/boat.png" in done.stdout
