"""python -m engine.mini.train STAGE: train one part of Easel Mini, or all of them in order."""

import argparse
import os
import tempfile
from pathlib import Path

import torch
import torch.multiprocessing
from transformers import CLIPTokenizer

from engine.mini import MODEL_DIR
from engine.mini.train.config import RECIPES
from engine.mini.train.data import LatentDataset, write_shards
from engine.mini.train.loop import join_workers
from engine.mini.train.unet import UnetLoss, load_parts, train_unet


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("data", "unet"))
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float)
    return parser.parse_args()


def unet_worker(rank: int, arguments: argparse.Namespace, meeting: Path) -> None:
    join_workers(rank, arguments.workers, meeting)
    recipe = RECIPES[arguments.device]
    network = load_parts(arguments.model).to(arguments.device)
    tokenizer = CLIPTokenizer.from_pretrained(arguments.model / "tokenizer")
    loss = UnetLoss(network, tokenizer, LatentDataset(arguments.out / "data"), arguments.device)
    train_unet(network, recipe.unet, arguments.out / "unet", loss, seed=recipe.seed, minutes=arguments.minutes)


def main() -> None:
    arguments = parse()
    if arguments.device == "auto":
        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    recipe = RECIPES[arguments.device]
    if arguments.stage == "data":
        write_shards(arguments.out / "data", recipe.data, arguments.model / "vae", arguments.device, arguments.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(unet_worker, (arguments, Path(folder) / "meeting"), nprocs=arguments.workers)


if __name__ == "__main__":
    main()
