"""python -m engine.mini.ruler: paint things before white, alone, counted and in styles, measure pixels, print a table.

`--strength` tells which part of a model loses a shape: it measures what image to image makes of the renderer's own
pictures of things alone and in styles. At 0 that is the autoencoder alone, at 1 almost what a prompt alone gives.
`--against` compares two models picture by picture: one seed's table says little about which of two is better.
"""

import argparse
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image

from engine.mini import MODEL_DIR
from engine.mini.evaluate import BATCH, GUIDANCE, STEPS, load, paint
from engine.mini.judge import wilson
from engine.mini.manners import manner
from engine.mini.silhouettes import edge_width, own_pieces, pieces, together, verdict
from engine.mini.train.captions import with_article
from engine.mini.train.data import ENCODE_BATCH, to_tensor
from engine.mini.train.render import render
from engine.mini.train.scenes import ROWS, Scene, Thing
from engine.mini.words import COLOURS, NUMBERS, STYLE_PHRASES, STYLES, THINGS, plural

VISIBLE = tuple(colour for colour in COLOURS if colour != "white")
COLOURS_EACH = 4  # of every thing
FRESH_SEED = 5000  # noise that no single look at a model has seen

Marks = dict[str, list[bool]]  # passed or not, picture by picture, of everything that is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt and the equal things, one to four, that answer it."""

    kind: str
    colour: str
    count: int = 1
    style: str = "flat"

    @property
    def prompt(self) -> str:
        """Ask for it before white: a default backdrop is not a question of shape."""
        one, many = f"{self.colour} {self.kind}", f"{self.colour} {plural(self.kind)}"
        things = with_article(one) if self.count == 1 else f"{NUMBERS[self.count][0]} {many}"
        manner = "" if self.style == "flat" else f", {STYLE_PHRASES[self.style][0]}"
        return f"{things} on a white background{manner}"

    def truth(self, seed: int) -> Image.Image:
        """Return the renderer's own answer."""
        xs, radius = ROWS.get(self.count, (0.5,)), {1: 0.28, 2: 0.2, 3: 0.14, 4: 0.105}[self.count]
        things = tuple(Thing(kind=self.kind, colour=self.colour, x=x, radius=radius) for x in xs)
        return render(Scene(style=self.style, scene="plain", background="white", things=things), seed, 256)


def questions(count: int | None = None) -> list[Question]:
    """Return the same questions each time: every thing in four colours, or as many things of a count in one each."""
    dice = random.Random(f"ruler {count}")
    colours = {kind: dice.sample(VISIBLE, COLOURS_EACH if count is None else 1) for kind in THINGS}
    return [Question(kind=kind, colour=colour, count=count or 1) for kind in THINGS for colour in colours[kind]]


def styled() -> list[Question]:
    """Return the same questions each time: every thing in every style but the flat one, in a colour each."""
    dice = random.Random("ruler styles")
    return [Question(kind=kind, colour=dice.choice(VISIBLE), style=style) for style in STYLES[1:] for kind in THINGS]


@torch.inference_mode()
def decoded(pipeline: StableDiffusionPipeline, pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Return what is left of pictures in the autoencoder's latents."""
    passed: list[Image.Image] = []
    for start in range(0, len(pictures), ENCODE_BATCH):
        latents = pipeline.vae.encode(to_tensor(pictures[start : start + ENCODE_BATCH])).latent_dist.mean
        passed += pipeline.image_processor.postprocess(pipeline.vae.decode(latents).sample, output_type="pil")
    return passed


def repainted(
    pipeline: StableDiffusionPipeline, pictures: Sequence[Image.Image], prompts: Sequence[str], strength: float
) -> list[Image.Image]:
    """Noise pictures by `strength`, 0 to 1, and paint them again after their own prompts."""
    if int(STEPS * strength) == 0:
        return decoded(pipeline, pictures)
    repaint = StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
    repaint.set_progress_bar_config(disable=True)
    done: list[Image.Image] = []
    for start in range(0, len(pictures), BATCH):
        chunk = slice(start, start + BATCH)
        generators = [torch.Generator().manual_seed(start + i) for i in range(len(prompts[chunk]))]
        done += repaint(
            list(prompts[chunk]), image=list(pictures[chunk]), strength=strength,
            num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators,
        ).images  # fmt: skip
    return done


def answers(
    pipeline: StableDiffusionPipeline | None, asked: Sequence[Question], strength: float | None
) -> tuple[list[Image.Image], list[Image.Image]]:
    """Return the pictures to measure and the renderer's own, which are the same without a pipeline."""
    truths = [question.truth(seed) for seed, question in enumerate(asked)]
    if pipeline is None:
        return truths, truths
    prompts = [question.prompt for question in asked]
    if strength is None:
        return paint(pipeline, prompts), truths
    return repainted(pipeline, truths, prompts, strength), truths


def counted(picture: Image.Image, question: Question) -> int:
    """Count the things of a picture by their pieces."""
    return len(together(pieces(picture), question.kind, question.colour))


def single_marks(asked: Sequence[Question], pictures: Sequence[Image.Image]) -> Marks:
    """Judge single things."""
    found = [verdict(picture, q.kind, q.colour) for picture, q in zip(pictures, asked, strict=True)]
    return {
        "one piece": [v.pieces == 1 for v in found],
        "one piece, IoU >= 0.72": [v.pieces == 1 and v.overlap >= 0.72 for v in found],
        "its outline, too": [v.pieces == 1 and v.shaped for v in found],
        "colour": [v.colour for v in found],
        "right in all": [v.right for v in found],
    }


def style_marks(asked: Sequence[Question], pictures: Sequence[Image.Image]) -> Marks:
    """Judge styles, each by a measure of its own."""
    found = [(q.style, manner(picture).fits(q.style)) for q, picture in zip(asked, pictures, strict=True)]
    return {style: [fits for other, fits in found if other == style] for style in STYLES[1:]}


def count_marks(asked: Sequence[Question], pictures: Sequence[Image.Image]) -> Marks:
    """Judge numbers of things, of those that the renderer draws in one piece."""
    pairs = [(q, p) for q, p in zip(asked, pictures, strict=True) if own_pieces(q.kind, q.colour) == 1]
    return {NUMBERS[asked[0].count][0]: [counted(picture, question) == question.count for question, picture in pairs]}


def every_mark(pipeline: StableDiffusionPipeline, seed: int) -> Marks:
    """Ask everything that words alone can ask, with noise of this seed."""
    marks = single_marks(asked := questions(), paint(pipeline, [q.prompt for q in asked], seed=seed))
    for count in (2, 3, 4):
        marks |= count_marks(asked := questions(count), paint(pipeline, [q.prompt for q in asked], seed=seed))
    return marks | style_marks(asked := styled(), paint(pipeline, [q.prompt for q in asked], seed=seed))


def comparison(ours: Marks, theirs: Marks) -> Iterator[str]:
    """Yield a table of two models' marks for the same questions, with an exact sign test of where they differ."""
    yield "| what | pictures | rate | the other's | only here | only there | chance |"
    yield "|---|---|---|---|---|---|---|"
    for name, mine in ours.items():
        pairs = list(zip(mine, theirs[name], strict=True))
        won, lost = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
        rates = f"{np.mean(mine):.2f} | {np.mean(theirs[name]):.2f}"
        yield f"| {name} | {len(pairs)} | {rates} | {won} | {lost} | {sign_test(won, lost):.3f} |"


def sign_test(won: int, lost: int) -> float:
    """Return how probable it is that two equal models differ so much or more, two-sided."""
    both = won + lost
    as_few = sum(math.comb(both, count) for count in range(min(won, lost) + 1))
    return min(1.0, 2 * as_few / float(2**both))


def _lines(marks: Marks) -> str:
    return "\n".join(_line(name, passed) for name, passed in marks.items())


def _line(name: str, passed: Sequence[bool]) -> str:
    low, high = wilson(sum(passed), len(passed))
    return f"| {name} | {len(passed)} | {np.mean(passed):.2f} | {low:.2f}-{high:.2f} |"


def _weakest(asked: Sequence[Question], right: Sequence[bool]) -> str:
    rates = {kind: np.mean([good for q, good in zip(asked, right, strict=True) if q.kind == kind]) for kind in THINGS}
    names = [f"{kind} {rate:.2f}" for kind, rate in sorted(rates.items(), key=lambda item: item[1]) if rate < 0.75]
    return f"under 0.75: {', '.join(names) or 'none'}"


def edge_ratio(pictures: Sequence[Image.Image], truths: Sequence[Image.Image]) -> float:
    """Return how much wider painted edges are than the renderer's: medians of rims, in pixels."""
    painted, true = (np.median([edge_width(picture) for picture in some]) for some in (pictures, truths))
    return float((painted + 1) / (true + 1))  # a perfectly sharp rim has no pixels between


def main() -> None:
    """Paint, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--renderer", action="store_true", help="judge the renderer's own pictures, which bound it")
    parser.add_argument(
        "--strength", type=float, help="paint over the renderer's pictures, noised by 0 to 1 of the way"
    )
    parser.add_argument("--against", type=Path, help="ask another model folder the same with the same noise, in pairs")
    parser.add_argument("--seeds", type=int, default=3, help="how often, with `--against`")
    chosen = parser.parse_args()
    if chosen.against:
        print("\n".join(comparison(*(_pooled(folder, chosen.seeds) for folder in (chosen.model, chosen.against)))))
        return
    pipeline = None if chosen.renderer else load(chosen.model)
    print("| what | pictures | rate | 95 % interval |\n|---|---|---|---|")
    pictures, truths = answers(pipeline, asked := questions(), chosen.strength)
    print(_lines(marks := single_marks(asked, pictures)))
    print(_weakest(asked, marks["right in all"]))
    print(f"edges {edge_ratio(pictures, truths):.2f} times as wide as the renderer's", flush=True)
    for count in (2, 3, 4) if chosen.strength is None else ():
        pictures, _ = answers(pipeline, asked := questions(count), None)
        print(_lines(count_marks(asked, pictures)), flush=True)
    pictures, _ = answers(pipeline, asked := styled(), chosen.strength)
    print(_lines(style_marks(asked, pictures)))


def _pooled(folder: Path, seeds: int) -> Marks:
    """Ask a model everything several times and put the marks in one row each."""
    pipeline = load(folder)
    rounds = [every_mark(pipeline, FRESH_SEED * (number + 1)) for number in range(seeds)]
    return {name: [mark for each in rounds for mark in each[name]] for name in rounds[0]}


if __name__ == "__main__":
    main()
