"""The image as people run it: read-only, without rights, as any user.

`TESTED_IMAGE=easel pytest tests/cli/test_container.py` tests an image that is there, `TESTED_IMAGE=build` builds one
first, from Dockerfile; both need Docker or Podman. The release workflow does the first. `CONTAINER_ENGINE` is another
command than these two, as in "podman --runtime runc"; `BUILD_OPTIONS` are more options of its build, such as
"--build-arg PYTHON=...".
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASKED = os.environ.get("TESTED_IMAGE", "")
BUILT = "localhost/easel-tested"
IMAGE = BUILT if ASKED == "build" else ASKED
GIVEN = os.environ.get("CONTAINER_ENGINE", "")
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def engine() -> list[str]:
    """The command of an engine that answers; a client may lack its daemon."""
    for words in [shlex.split(GIVEN)] if GIVEN else [["docker"], ["podman"]]:
        if shutil.which(words[0]) and not subprocess.run([*words, "info"], capture_output=True).returncode:
            return words
    return []


ENGINE = engine() if ASKED else []
pytestmark = [
    pytest.mark.skipif(not ASKED, reason="set TESTED_IMAGE to the name of an image, or to build"),
    pytest.mark.skipif(bool(ASKED) and not ENGINE, reason="neither Docker nor Podman answers"),
]


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    if ASKED == "build":
        options = shlex.split(os.environ.get("BUILD_OPTIONS", ""))
        subprocess.run([*ENGINE, "build", "--tag", BUILT, *options, str(ROOT)], check=True)


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"easel-test-{uuid.uuid4().hex[:8]}"
    subprocess.run([*ENGINE, "volume", "create", name], check=True, stdout=subprocess.DEVNULL)
    yield name
    subprocess.run([*ENGINE, "volume", "rm", "--force", name], check=True, stdout=subprocess.DEVNULL)


def easel(volume: str, user: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*ENGINE, "run", "--rm", *HARDENED, "--network", "none", "--user", user, "--volume", f"{volume}:/data"]
    command += ["--env", "EASEL_MIN_FREE_MIB=0", IMAGE, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("user", ["10001:10001", "12345:54321"])
def test_it_paints_as_any_user(volume: str, user: str) -> None:
    doctor = easel(volume, user, "doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "ok    data: /data can be written." in doctor.stdout
    painted = easel(volume, user, "imagine", "a red boat", "--steps", "2", "--out", "/data/boat.png")
    assert painted.returncode == 0, painted.stderr
    health = easel(volume, user, "doctor", "--health")
    assert (health.returncode, "no heartbeat" in health.stdout) == (1, True)


def test_without_a_token_it_says_so_and_asks_for_no_restart(volume: str) -> None:
    done = easel(volume, "10001:10001", "run")
    assert done.returncode == 78
    assert "EASEL_TOKEN is empty" in done.stderr


def test_pytorch_and_easel_are_layers_apart() -> None:
    """The newest layer, which every update changes, is small."""
    sizes = [*ENGINE, "history", "--format", "{{.Size}}|{{.CreatedBy}}", "--human=false", IMAGE]
    lines = subprocess.run(sizes, capture_output=True, text=True, check=True).stdout.splitlines()
    app = next(line for line in lines if "/opt/app" in line.split("|", 1)[1] and "COPY" in line)
    assert int(app.split("|")[0]) < 100 << 20
