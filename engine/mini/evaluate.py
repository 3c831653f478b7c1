"""python -m engine.mini.evaluate: measure a model folder and print the tables of its card."""

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer

from engine.mini import MODEL_DIR
from engine.mini.judge import fulfils, read, shrunk, wilson
from engine.mini.prompts import PHRASINGS, Case, held_out_cases
from engine.mini.train.captions import caption
from engine.mini.train.data import to_tensor
from engine.mini.train.networks.checker import Checker, load_checker
from engine.mini.train.networks.clip import altered, embed_pictures, embed_text
from engine.mini.train.networks.vae import psnr, random_pictures
from engine.mini.train.pack import DEFAULTS
from engine.mini.train.render import render
from engine.mini.train.scenes import Diet, sample_scene

SEEDS = 4
STEPS, GUIDANCE = DEFAULTS["num_inference_steps"], DEFAULTS["guidance_scale"]
BATCH = 16
FEWER, FEWER_BEST = 50, 6  # the settings tables, of 21 cells, and the drawings for the ranker ask for fewer prompts
STEP_COUNTS = (4, 8, 12, 20)
SCHEDULERS = {
    "DPM++ 2M": DPMSolverMultistepScheduler,
    "UniPC": UniPCMultistepScheduler,
    "DDIM": DDIMScheduler,
    "Euler": EulerDiscreteScheduler,
}
RETRIEVAL_PICTURES, PSNR_PICTURES = 400, 96
DRAWN, KEPT = 8, 4  # `--best 8`

Score = tuple[int, int]  # successes, trials


def load(folder: Path) -> StableDiffusionPipeline:
    """Read a model folder, offline, in float32."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def paint(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    seed: int = 0,
) -> list[Image.Image]:
    """Paint one picture a prompt; prompt number i has its own seed."""
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), BATCH):
        chunk = list(prompts[start : start + BATCH])
        generators = [torch.Generator().manual_seed(seed + start + i) for i in range(len(chunk))]
        pictures += pipeline(chunk, num_inference_steps=steps, guidance_scale=guidance, generator=generators).images
    return pictures


def cases(count: int) -> list[Case]:
    """Return every category's prompts, each as often as there are seeds."""
    return [case for category in PHRASINGS for case in held_out_cases(category, count) for _ in range(SEEDS)]


def score(checker: Checker, pictures: Sequence[Image.Image], asked: Sequence[Case]) -> dict[str, Score]:
    """Count successes by category."""
    scores: dict[str, Score] = {}
    for reading, case in zip(read(checker, pictures), asked, strict=True):
        good, tried = scores.get(case.category, (0, 0))
        scores[case.category] = (good + fulfils(reading, case), tried + 1)
    return scores


def mean_rate(scores: dict[str, Score]) -> float:
    """Return the mean over categories."""
    return sum(good / tried for good, tried in scores.values()) / len(scores)


def fidelity_table(scores: dict[str, Score], ceiling: dict[str, Score]) -> Iterator[str]:
    """Yield the table of categories; the ceiling is the judge's verdict on true renderings."""
    yield "| category | pictures | obeys | 95 % interval | true renderings |"
    yield "|---|---|---|---|---|"
    for category, (good, tried) in scores.items():
        low, high = wilson(good, tried)
        best = ceiling[category][0] / ceiling[category][1]
        yield f"| {category} | {tried} | {good / tried:.2f} | {low:.2f}-{high:.2f} | {best:.2f} |"
    total = sum(tried for _, tried in scores.values())
    yield f"| **mean** | {total} | **{mean_rate(scores):.2f}** | | {mean_rate(ceiling):.2f} |"


def settings_table(pipeline: StableDiffusionPipeline, checker: Checker, asked: Sequence[Case]) -> Iterator[str]:
    """Yield fidelity by scheduler and number of steps."""
    yield "| scheduler | " + " | ".join(f"{steps} steps" for steps in STEP_COUNTS) + " |"
    yield "|---|" + "---|" * len(STEP_COUNTS)
    prompts, shipped = [case.prompt for case in asked], pipeline.scheduler
    for name, scheduler in SCHEDULERS.items():
        pipeline.scheduler = scheduler.from_config(shipped.config)
        rates = [mean_rate(score(checker, paint(pipeline, prompts, steps), asked)) for steps in STEP_COUNTS]
        yield f"| {name} | " + " | ".join(f"{rate:.2f}" for rate in rates) + " |"
    pipeline.scheduler = shipped


def guidance_table(pipeline: StableDiffusionPipeline, checker: Checker, asked: Sequence[Case]) -> Iterator[str]:
    """Yield fidelity by guidance scale."""
    scales, prompts = (1.0, 2.0, 3.0, 5.0, 7.5), [case.prompt for case in asked]
    rates = [mean_rate(score(checker, paint(pipeline, prompts, guidance=scale), asked)) for scale in scales]
    yield "| guidance_scale | " + " | ".join(f"{scale:g}" for scale in scales) + " |"
    yield "|---|" + "---|" * len(scales)
    yield "| mean | " + " | ".join(f"{rate:.2f}" for rate in rates) + " |"


@torch.inference_mode()
def ranker_lines(folder: Path) -> Iterator[str]:
    """Yield retrieval among 100 and the accuracy against one hard negative, by what was changed."""
    clip, tokenizer = CLIPModel.from_pretrained(folder, dtype=torch.float32), CLIPTokenizer.from_pretrained(folder)
    rng = random.Random("retrieval")
    scenes = [sample_scene(rng, Diet()) for _ in range(RETRIEVAL_PICTURES)]
    images = embed_pictures(clip, to_tensor([render(scene, rng.getrandbits(32)) for scene in scenes]))
    texts = embed_text(clip, tokenizer, [caption(rng, scene) for scene in scenes])
    hits = [
        (images[i : i + 100] @ texts[i : i + 100].T).argmax(1) == torch.arange(100)
        for i in range(0, RETRIEVAL_PICTURES, 100)
    ]
    yield f"- CLIP retrieval, true caption first among 100: {torch.cat(hits).float().mean():.2f}"
    changed = [altered(rng, scene) for scene in scenes]
    false = embed_text(clip, tokenizer, [caption(rng, scene) for scene, _ in changed])
    right = ((images * texts).sum(1) > (images * false).sum(1)).tolist()
    for what in sorted({kind for _, kind in changed}):
        verdicts = [won for won, (_, kind) in zip(right, changed, strict=True) if kind == what]
        yield f"- CLIP prefers the truth to another {what}: {sum(verdicts) / len(verdicts):.2f} of {len(verdicts)}"


def ceiling(checker: Checker, asked: Sequence[Case]) -> dict[str, Score]:
    """Judge true renderings of the same scenes: how far the judge itself can be trusted."""
    return score(checker, [render(case.scene, i) for i, case in enumerate(asked)], asked)


def category_lines(pipeline: StableDiffusionPipeline, checker: Checker, prompts: int) -> Iterator[str]:
    """Yield the main table."""
    asked = cases(prompts)
    scores = score(checker, paint(pipeline, [case.prompt for case in asked]), asked)
    scheduler = type(pipeline.scheduler).__name__
    yield f"{STEPS} steps, guidance_scale {GUIDANCE:g}, {SEEDS} seeds a prompt, {scheduler}."
    yield ""
    yield from fidelity_table(scores, ceiling(checker, asked))


def setting_lines(pipeline: StableDiffusionPipeline, checker: Checker, prompts: int) -> Iterator[str]:
    """Yield mean fidelity by scheduler, steps and guidance, on fewer prompts."""
    few = cases(max(1, prompts // FEWER))
    yield f"Mean over the categories, {len(few)} pictures a cell."
    for table in (settings_table, guidance_table):
        yield ""
        yield from table(pipeline, checker, few)


@torch.inference_mode()
def best_lines(pipeline: StableDiffusionPipeline, checker: Checker, folder: Path, prompts: int) -> Iterator[str]:
    """Yield how much oftener those pictures obey that the ranker keeps: `KEPT` of `DRAWN` a prompt."""
    clip, tokenizer = CLIPModel.from_pretrained(folder, dtype=torch.float32), CLIPTokenizer.from_pretrained(folder)
    drawn, kept = [], []
    for case in (case for category in PHRASINGS for case in held_out_cases(category, prompts)):
        pictures = paint(pipeline, [case.prompt] * DRAWN)
        obey = [fulfils(reading, case) for reading in read(checker, pictures)]
        match = embed_pictures(clip, to_tensor(shrunk(pictures))) @ embed_text(clip, tokenizer, [case.prompt])[0]
        drawn += obey
        kept += [obey[i] for i in match.topk(KEPT).indices.tolist()]
    yield f"- of {DRAWN} pictures a prompt, {len(drawn)} in all, {sum(drawn) / len(drawn):.2f} obey"
    yield f"- of the {KEPT} that the ranker keeps, {sum(kept) / len(kept):.2f}"


def part_lines(pipeline: StableDiffusionPipeline, folder: Path) -> Iterator[str]:
    """Yield what the ranker and the autoencoder reach by themselves."""
    yield from ranker_lines(folder / "ranker")
    pictures = random_pictures(PSNR_PICTURES, random.Random("psnr"), pipeline.vae.config.sample_size)
    yield f"- VAE PSNR on {PSNR_PICTURES} new pictures: {psnr(pipeline.vae, pictures):.1f} dB"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--checker", type=Path, help="default: the checker in the model folder")
    parser.add_argument(
        "--prompts", type=int, default=50, help="per category; seeds of one prompt agree more than prompts do"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=("categories", "settings", "parts", "best"), help="default: everything")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    pipeline, checker = load(chosen.model), load_checker(chosen.checker or chosen.model / "checker")
    sections = {
        "categories": category_lines(pipeline, checker, chosen.prompts),
        "settings": setting_lines(pipeline, checker, chosen.prompts),
        "parts": part_lines(pipeline, chosen.model),
        "best": best_lines(pipeline, checker, chosen.model / "ranker", max(1, chosen.prompts // FEWER_BEST)),
    }
    for name in [chosen.only] if chosen.only else sections:
        print(*sections[name], "", sep="\n", flush=True)


if __name__ == "__main__":
    main()
