"""How the command ends: with its own exit code, whatever its threads are in the middle of."""

from __future__ import annotations

import subprocess
import sys

COMPUTING = """
import threading
import torch
from bot.__main__ import run

computes = threading.Event()


def compute():
    many = torch.ones(1500, 1500)
    while True:
        many @ many
        computes.set()


threading.Thread(target=compute, daemon=True).start()
computes.wait()
run(["completions", "bash"])
"""


def test_a_thread_that_computes_doesnt_abort_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", COMPUTING], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, "by Python's own way out it's SIGABRT, for torch unwinds through what may not fail"
    assert "complete" in done.stdout, "what was printed has arrived"


def test_a_code_is_passed_on() -> None:
    command = "from bot.__main__ import run; run(['doctor', '--health'])"
    assert subprocess.run([sys.executable, "-c", command], env={"EASEL_DATA_DIR": "/nowhere"}).returncode == 1
