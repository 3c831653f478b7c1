"""What a load takes of the machine's memory: weights are mapped from their files, never copied into it first.

What is kept in another precision than its file's is, part by part, in it until a card has it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import diffusers
import pytest

from engine.device.memory import bytes_of
from tests.engine import conftest as zoo
from tests.engine.files.original_layout import save_original

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
ROOT = Path(__file__).parents[3]
WIDE = (128, 384)  # channels: 100 MB of weights, beside which a load's own small things are nothing
EVEN = {"unet": {"block_out_channels": (128, 320)}, "vae": {"block_out_channels": (192, 384)}}

# Its own memory is what files' pages are not part of. The first load brings the libraries.
LOADS = """
import json, sys, threading, time
from pathlib import Path
import torch
from engine.device import heap
from engine.device.memory import DeviceMemory
from engine.models.catalog import source
from engine.models.memory import arrival
from engine.models.memory.placing import Placing

def own_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))

def load(place, dtype, device="cpu"):
    placing = Placing(DeviceMemory(torch.device(device)))
    with torch.no_grad():
        arrival.bring(source("m", place), getattr(torch, dtype), placing)
    assert {each.device.type for each in placing.pipe.unet.parameters()} == {device}
    return placing.pipe

def watched(place, *how):
    heap.trim()
    before, most, over = own_bytes(), [0], threading.Event()
    def watch():
        while not over.is_set():
            most[0] = max(most[0], own_bytes())
            time.sleep(0.002)
    watching = threading.Thread(target=watch)
    watching.start()
    pipe = load(place, *how)
    over.set()
    watching.join()
    return max(most[0], own_bytes()) - before

small, places, *ways = map(json.loads, sys.argv[1:])
[load(small, *way) for way in ways]
print(json.dumps([[watched(place, *way) for place in places] for way in ways]))
"""


def taken(small: Path, places: list[Path], *ways: list[str]) -> list[list[int]]:
    """Bytes of its own that a process takes at most, while it loads each model, each way."""
    given = [json.dumps(each) for each in (str(small), [str(place) for place in places], *ways)]
    command = [sys.executable, "-c", LOADS, *given]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    found: list[list[int]] = json.loads(said.stdout)
    return found


def test_no_load_copies_the_weights_into_memory_first(folders: dict[str, Path], tmp_path: Path) -> None:
    parts = {**zoo.sd1().components, "unet": zoo.unet(block_out_channels=WIDE)}
    pipe = diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)
    folder, file = tmp_path / "wide", tmp_path / "wide.safetensors"
    pipe.save_pretrained(folder)
    save_original(pipe, file)  # whose configs are in the folder of its name
    weights = file.stat().st_size
    whole, half = taken(folders["sd1"], [folder, file], ["float32"], ["bfloat16"])
    assert max(whole) < 0.15 * weights, "they are the file's own pages"
    assert max(half) < 0.65 * weights, "in half the precision it is what is kept, and no more"


def test_a_card_has_each_part_before_the_next_is_read(folders: dict[str, Path], tmp_path: Path) -> None:
    """Torch's device that keeps no numbers stands in for it: what is moved there takes none of the machine's memory."""
    made = {"unet": zoo.unet(), "vae": zoo.vae()}
    wide = {name: part.from_config({**part.config, **EVEN[name]}) for name, part in made.items()}
    pipe = diffusers.StableDiffusionPipeline(**{**zoo.sd1().components, **wide}, requires_safety_checker=False)
    folder, file = tmp_path / "even", tmp_path / "even.safetensors"
    pipe.save_pretrained(folder)
    save_original(pipe, file)
    largest, *_ = parts = sorted((bytes_of(part) // 2 for part in (pipe.unet, pipe.vae)), reverse=True)
    assert sum(parts) > 1.5 * largest
    (most,) = taken(folders["sd1"], [folder, file], ["bfloat16", "meta"])
    assert max(most) < 1.25 * largest
