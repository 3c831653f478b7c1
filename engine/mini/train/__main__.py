"""python -m engine.mini.train STAGE: train one part of Easel Mini, or all of them in order."""

import argparse
from pathlib import Path

import torch

from engine.mini.train.config import RECIPES
from engine.mini.train.stages import STAGES, Job


def parse() -> tuple[str, Job]:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("all", *STAGES))
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--preset", choices=tuple(RECIPES), help="default: the device's; short: does every stage run?")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/mini"), help="checkpoints and results; resumed if present"
    )
    parser.add_argument("--start", type=Path, help="a model folder to train further; default: from nothing")
    parser.add_argument(
        "--workers", type=int, default=2, help="processes of one thread each, on a CPU; other stages: threads"
    )
    parser.add_argument("--minutes", type=float, help="length of each stage, instead of the recipe's samples")
    chosen = vars(parser.parse_args())
    if chosen["device"] == "auto":
        chosen["device"] = "cuda" if torch.cuda.is_available() else "cpu"
    return chosen.pop("stage"), Job(**chosen)


def main() -> None:
    """Run one stage or all of them."""
    stage, job = parse()
    torch.set_num_threads(job.workers)
    for name in STAGES if stage == "all" else [stage]:
        print(f"== {name}", flush=True)
        STAGES[name](job)


if __name__ == "__main__":
    main()
