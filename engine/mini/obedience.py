"""python -m engine.mini.obedience: does the editor do as it is told? By pixels, on changes of held-out scenes.

A change has happened where the picture is nearest to what the renderer draws for it, among what it draws for others of
the same kind and for none, and where what differs has gone at least half of the way. All of these are drawn by the
autoencoder, too, which is as well as the editor could do. The rest is kept where it is the given picture's within 8 of
255 on average.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionInstructPix2PixPipeline
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from engine.mini import EDITOR_DIR
from engine.mini.judge import wilson
from engine.mini.train.config import FINE_PX
from engine.mini.train.data import to_tensor
from engine.mini.train.editing.changes import KINDS, Change, View, base_view, made, unseen
from engine.mini.train.editing.instructions import instruction
from engine.mini.train.pack import EDITOR_DEFAULTS
from engine.mini.train.render import render_kept

STEPS, GUIDANCE = EDITOR_DEFAULTS["num_inference_steps"], EDITOR_DEFAULTS["guidance_scale"]
KEEPS = 1.5  # image guidance, as the paper and the pipeline have it
OTHERS = 4  # other changes of the same kind that a picture may not be nearer to
HALFWAY = 0.5
DIFFERS, SAME = 24.0, 2.0  # of 255: mean of the channels that a change shows in, and that none does
RIM_PX = 9  # what is this near to a change isn't asked to be kept: the autoencoder draws soft edges
KEPT = 8.0
SHEET, COLUMNS, GAP_PX, LINE_PX = 24, 4, 8, 16

Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An instruction, the scenes before and after it, and what else might have been painted."""

    kind: str
    text: str
    before: View
    after: View
    others: tuple[View, ...]
    seed: int

    def picture(self, view: View) -> Image.Image:
        """Draw one of its scenes."""
        return render_kept(view.scene, view.numbers, self.seed, FINE_PX)


@dataclass(frozen=True)
class Verdict:
    """What was painted, and what the renderer and the autoencoder make of the same: (H, W, 3) float32, 0..255 each.

    Attributes:
        given: what was to be changed, as it was given. before, after, others: through the autoencoder.
        unchanged: where renderings before and after are equal, away from what changes: (H, W) bool.
    """

    painted: Grid
    given: Grid
    before: Grid
    after: Grid
    others: tuple[Grid, ...]
    unchanged: NDArray[np.bool_]

    @cached_property
    def obeyed(self) -> bool:
        """Tell whether the named change has happened."""
        wrong = min(_distance(self.painted, other) for other in (self.before, *self.others))
        where = np.abs(self.after - self.before).mean(2) > DIFFERS
        if not where.any():
            where = np.ones_like(self.unchanged)
        left = _distance(self.painted[where], self.after[where])
        way = _distance(self.before[where], self.after[where])
        return _distance(self.painted, self.after) < wrong and left <= HALFWAY * way

    @cached_property
    def drift(self) -> float | None:
        """Return the mean difference of what was to stay, of 255; None where everything changes."""
        return _distance(self.painted[self.unchanged], self.given[self.unchanged]) if self.unchanged.any() else None

    @cached_property
    def floor(self) -> float:
        """Return what of that the autoencoder alone brings about."""
        return _distance(self.after[self.unchanged], self.given[self.unchanged])


def _distance(one: Grid, other: Grid) -> float:
    return float(np.abs(one - other).mean())


def held_out_case(kind: str, number: int) -> Case:
    """Make a change of a scene in which something is as training never shows it."""
    rng = random.Random(f"held out {kind} {number}")
    while True:
        before = base_view(rng)
        found = made(rng, kind, before)
        if found is not None and unseen(before, found[1]):
            return _case(rng, kind, before, *found, seed=1_000_000 + number)


def _case(rng: random.Random, kind: str, before: View, change: Change, after: View, seed: int) -> Case:
    others = (made(rng, kind, before) for _ in range(8 * OTHERS))
    distinct = tuple({other[0]: other[1] for other in others if other is not None and other[1] != after}.values())
    text = instruction(rng, change, before.scene)
    return Case(kind=kind, text=text, before=before, after=after, others=distinct[:OTHERS], seed=seed)


def load(folder: Path) -> StableDiffusionInstructPix2PixPipeline:
    """Read the editor's folder, offline, in float32."""
    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def paint(
    pipeline: StableDiffusionInstructPix2PixPipeline,
    case: Case,
    guidance: float = GUIDANCE,
    keeps: float = KEEPS,
) -> Image.Image:
    """Change a case's picture as its words say."""
    return told(pipeline, case.picture(case.before), case.text, case.seed, guidance, keeps)


def told(
    pipeline: StableDiffusionInstructPix2PixPipeline,
    picture: Image.Image,
    words: str,
    seed: int,
    guidance: float = GUIDANCE,
    keeps: float = KEEPS,
) -> Image.Image:
    """Change a picture as words say."""
    (changed,) = pipeline(
        words,
        image=picture,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        image_guidance_scale=keeps,
        generator=torch.Generator().manual_seed(seed),
    ).images
    return changed  # type: ignore[no-any-return]


@torch.inference_mode()
def redrawn(vae: AutoencoderKL, pictures: Sequence[Image.Image]) -> list[Grid]:
    """Encode and decode pictures: what an editor that knew everything would put out."""
    drawn = [vae.decode(vae.encode(to_tensor([each])).latent_dist.mean).sample[0] for each in pictures]
    return [((each.clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy() for each in drawn]


def judge(vae: AutoencoderKL, case: Case, painted: Image.Image) -> Verdict:
    """Compare what was painted with what the renderer draws."""
    given, wanted = (np.asarray(case.picture(view)).astype(np.float32) for view in (case.before, case.after))
    before, after, *others = redrawn(vae, [case.picture(view) for view in (case.before, case.after, *case.others)])
    return Verdict(
        painted=np.asarray(painted.convert("RGB")).astype(np.float32),
        given=given,
        before=before,
        after=after,
        others=tuple(others),
        unchanged=_eroded(np.abs(wanted - given).max(2) <= SAME),
    )


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MinFilter(RIM_PX))) > 0


def lines(folder: Path, count: int, guidance: float, keeps: float) -> Iterator[str]:
    """Yield a table: each kind's share of obeyed instructions and how well the rest was kept."""
    pipeline = load(folder)
    yield f"{STEPS} steps, guidance_scale {guidance:g}, image_guidance_scale {keeps:g}, one seed each."
    yield ""
    yield "| kind | instructions | obeyed | 95 % interval | rest kept | mean difference | of that the autoencoder's |"
    yield "|---|---|---|---|---|---|---|"
    everything: list[Verdict] = []
    for kind in KINDS:
        cases = [held_out_case(kind, number) for number in range(count)]
        verdicts = [judge(pipeline.vae, case, paint(pipeline, case, guidance, keeps)) for case in cases]
        everything += verdicts
        yield _line(kind, verdicts)
    yield _line("**all**", everything)


def _line(name: str, verdicts: Sequence[Verdict]) -> str:
    good = sum(verdict.obeyed for verdict in verdicts)
    low, high = wilson(good, len(verdicts))
    rest = [(verdict.drift, verdict.floor) for verdict in verdicts if verdict.drift is not None]
    kept = sum(drift <= KEPT for drift, _ in rest) / max(1, len(rest))
    drift, floor = (float(np.mean(part)) for part in zip(*rest, strict=True)) if rest else (0.0, 0.0)
    rate = f"{good / len(verdicts):.2f} | {low:.2f}-{high:.2f}"
    return f"| {name} | {len(verdicts)} | {rate} | {kept:.2f} of {len(rest)} | {drift:.1f} | {floor:.1f} |"


def sheet(pipeline: StableDiffusionInstructPix2PixPipeline, guidance: float, keeps: float) -> Image.Image:
    """Paint changes of all kinds in turn, none picked, before and after side by side, the words below."""
    kinds = list(KINDS)
    cases = [held_out_case(kinds[i % len(kinds)], 500 + i) for i in range(SHEET)]
    return page([(case.picture(case.before), paint(pipeline, case, guidance, keeps), case.text) for case in cases])


def page(changes: Sequence[tuple[Image.Image, Image.Image, str]]) -> Image.Image:
    """Show pictures before and after, and below them the words that were said."""
    width, height = FINE_PX + GAP_PX, FINE_PX // 2 + LINE_PX + GAP_PX
    shown = Image.new("RGB", (COLUMNS * width + GAP_PX, -(-len(changes) // COLUMNS) * height + GAP_PX), "white")
    half = (FINE_PX // 2, FINE_PX // 2)
    for i, (before, after, text) in enumerate(changes):
        left, top = GAP_PX + i % COLUMNS * width, GAP_PX + i // COLUMNS * height
        for side, picture in enumerate((before, after)):
            shown.paste(picture.resize(half, Image.Resampling.LANCZOS), (left + side * half[0], top))
        ImageDraw.Draw(shown).text((left, top + half[1] + 2), text, fill="black")
    return shown


def main() -> None:
    """Measure and print, or paint the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=EDITOR_DIR)
    parser.add_argument("--cases", type=int, default=20, help="of each kind")
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--keeps", type=float, default=KEEPS, help="image_guidance_scale")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet", type=Path, help="paint 24 before and after into this file instead")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.sheet:
        sheet(load(chosen.model), chosen.guidance, chosen.keeps).save(chosen.sheet, quality=90)
        return
    for line in lines(chosen.model, chosen.cases, chosen.guidance, chosen.keeps):
        print(line, flush=True)


if __name__ == "__main__":
    main()
