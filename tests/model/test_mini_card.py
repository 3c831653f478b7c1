"""The card's own examples run as they are printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
CARD = ROOT / "docs" / "models" / "mini.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", CARD.read_text(encoding="utf-8"), re.DOTALL)


def test_the_snippets_run_as_printed(tmp_path: Path) -> None:
    """With plain diffusers, and the LoRA's after it, as a reader would go on."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(SNIPPETS)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("boat.png", "cactus.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (256, 256)
