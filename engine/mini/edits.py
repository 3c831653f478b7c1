"""python -m engine.mini.edits: does editing obey? Image to image and inpainting through the engine, on true renderings.

Kept composition: the thing's silhouette before and after overlaps by more than half (intersection over union). A new
colour and a new thing are read by the checker, as in the evaluation.
"""

import argparse
import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from engine import Engine, Img2Img, Inpaint
from engine.mini import MODEL_DIR
from engine.mini.judge import Reading, read, wilson
from engine.mini.measure import centre, foreground
from engine.mini.train.captions import with_article
from engine.mini.train.config import FINE_PX
from engine.mini.train.networks.checker import Checker, load_checker
from engine.mini.train.render import render
from engine.mini.train.scenes import Scene, Thing
from engine.mini.words import COLOURS, THINGS

CASES = 30
OVERLAP = 0.5
VIVID = tuple(colour for colour in COLOURS if colour not in ("white", "gray", "black"))


def single(rng: random.Random, **place: float) -> Scene:
    """Put one thing on white."""
    thing = Thing(kind=rng.choice(THINGS), colour=rng.choice(VIVID), radius=0.25)
    return Scene(style="flat", scene="plain", background="white", things=(replace(thing, **place),))  # type: ignore[arg-type]


def prompt(thing: Thing) -> str:
    """Name a thing, its colour and the backdrop."""
    return with_article(f"{thing.colour} {thing.kind} on a white background")


def overlap(first: Image.Image, second: Image.Image) -> float:
    """Return the intersection over union of what stands before the backdrop."""
    a, b = foreground(first), foreground(second)
    return float((a & b).sum() / max(1, (a | b).sum()))


async def kept(engine: Engine, case: int) -> bool:
    """Repaint a picture a little after its own prompt."""
    scene = single(random.Random(f"kept {case}"))
    before = render(scene, case, FINE_PX)
    (after,) = await engine.submit(
        Img2Img(prompt=prompt(scene.things[0]), init_image=before, strength=0.4, seed=case)
    ).result()
    return overlap(before, after) > OVERLAP


async def recoloured(engine: Engine, checker: Checker, case: int) -> bool:
    """Repaint a picture much, in another colour."""
    rng = random.Random(f"recoloured {case}")
    scene = single(rng)
    wanted = replace(scene.things[0], colour=rng.choice([c for c in VIVID if c != scene.things[0].colour]))
    request = Img2Img(prompt=prompt(wanted), init_image=render(scene, case, FINE_PX), strength=0.7, seed=case)
    (after,) = await engine.submit(request).result()
    return read(checker, [after])[0].colour(wanted.kind) == wanted.colour


def starred(reading: Reading) -> bool:
    """Tell whether a yellow star is in the upper right quarter."""
    if reading.colour("star") != "yellow":
        return False
    x, y = centre(reading.mask("star"))
    return x > 0.5 > y


async def added(engine: Engine, checker: Checker, case: int, *, only_masked: bool) -> bool:
    """Paint a yellow star into the empty upper right corner."""
    rng = random.Random(f"added {case}")
    scene = single(rng, x=0.27, y=0.7)
    before = render(scene, case, FINE_PX)
    mask = Image.fromarray(np.zeros((before.height, before.width), np.uint8))
    mask.paste(255, (before.width // 2, 0, before.width, before.height // 2))
    request = Inpaint(
        prompt="a yellow star on a white background", init_image=before, mask=mask, seed=case, only_masked=only_masked
    )
    (after,) = await engine.submit(request).result()
    return starred(read(checker, [after])[0])


async def lines(folder: Path, cases: int) -> AsyncIterator[str]:
    """Yield one line a question."""
    checker = load_checker(folder / "checker")
    async with Engine(str(folder)) as engine:
        questions: dict[str, Callable[[int], Awaitable[bool]]] = {
            "img2img at strength 0.4 keeps the composition": lambda case: kept(engine, case),
            "img2img at strength 0.7 obeys a new colour": lambda case: recoloured(engine, checker, case),
            "inpainting puts a yellow star into an empty corner": lambda case: added(
                engine, checker, case, only_masked=False
            ),
            "the same with `only_masked`": lambda case: added(engine, checker, case, only_masked=True),
        }
        for question, ask in questions.items():
            good = sum([await ask(case) for case in range(cases)])
            low, high = wilson(good, cases)
            yield f"- {question}: {good / cases:.2f} of {cases} ({low:.2f}-{high:.2f})"


async def run(folder: Path, cases: int) -> None:
    """Measure and print."""
    async for line in lines(folder, cases):
        print(line, flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--cases", type=int, default=CASES)
    chosen = parser.parse_args()
    asyncio.run(run(chosen.model, chosen.cases))


if __name__ == "__main__":
    main()
