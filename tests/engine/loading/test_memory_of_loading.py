"""What a load takes of the machine's memory: weights are mapped from their files, never copied into it first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import diffusers
import pytest

from tests.engine import conftest as zoo
from tests.engine.files.original_layout import save_original

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
ROOT = Path(__file__).parents[3]
WIDE = (128, 384)  # channels: 100 MB of weights, beside which a load's own small things are nothing

# Its own memory is what files' pages are not part of. The first load brings the libraries.
LOADS = """
import json, sys, threading, time
from pathlib import Path
import torch
from engine.device.memory import DeviceMemory
from engine.models.catalog import source
from engine.models.files import reading
from engine.models.memory.placing import Placing

def own_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))

def load(place, dtype):
    with torch.no_grad():
        pipe = reading.load(source("m", place), getattr(torch, dtype))
        Placing(DeviceMemory(torch.device("cpu")), pipe).apply()
    return pipe

def watched(place, dtype):
    before, most, over = own_bytes(), [0], threading.Event()
    def watch():
        while not over.is_set():
            most[0] = max(most[0], own_bytes())
            time.sleep(0.002)
    watching = threading.Thread(target=watch)
    watching.start()
    pipe = load(place, dtype)
    over.set()
    watching.join()
    return max(most[0], own_bytes()) - before

small, folder, file = sys.argv[1:]
load(small, "float32"), load(small, "bfloat16")
print(json.dumps([watched(place, dtype) for place in (folder, file) for dtype in ("float32", "bfloat16")]))
"""


def test_no_load_copies_the_weights_into_memory_first(folders: dict[str, Path], tmp_path: Path) -> None:
    parts = {**zoo.sd1().components, "unet": zoo.unet(block_out_channels=WIDE)}
    pipe = diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)
    folder, file = tmp_path / "wide", tmp_path / "wide.safetensors"
    pipe.save_pretrained(folder)
    save_original(pipe, file)  # whose configs are in the folder of its name
    weights = file.stat().st_size
    given = [str(folders["sd1"]), str(folder), str(file)]
    said = subprocess.run(
        [sys.executable, "-c", LOADS, *given], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    taken = [taken / weights for taken in json.loads(said.stdout)]
    assert max(taken[::2]) < 0.15, "they are the file's own pages"
    assert max(taken[1::2]) < 0.65, "in half the precision it is what is kept, and no more"
