"""`easel imagine`: one job straight through the engine, into files. Knows no Discord and no database.

`bot.cli.edit` shares everything from the `Wish` on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from bot import process
from bot.config import Settings, engine_for
from bot.delivery.image_tools import grid
from bot.delivery.marks import Marks
from bot.errors import BadInput
from bot.ledger.limits import default_terms
from bot.orders.drafts import WORDS, find_model, resolve
from bot.orders.uploads import OWN, Upload, check_size, read_upload
from bot.prompt.parser import Draft, echo, parse
from bot.prompt.spec import Spec
from engine.api.events import Event, Failed, ImageReady, Loading, Progress, Started
from engine.api.metadata import encode_png
from engine.api.model_info import ModelInfo
from engine.api.recipe import Recipe
from engine.backend import Backend
from engine.tasks.img2img import Img2Img
from engine.tasks.pictures import StoredPicture
from engine.tasks.txt2img import MAX_SEED, MAX_SIDE_PX, MAX_STEPS, Txt2Img


@dataclass(frozen=True, slots=True, kw_only=True)
class CliRequest:
    """What the arguments come to.

    Attributes:
        what: the task with its own fields, for the model that will do it.
        pictures: each that the task names, by its sha256.
    """

    draft: Draft
    what: Callable[[ModelInfo], Txt2Img] = lambda info: WORDS
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Painted:
    """A finished job: its pictures in order."""

    spec: Spec
    ready: list[ImageReady] = field(default_factory=list)
    wait_s: float = 0.0
    run_s: float = 0.0


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Paint what the arguments say. Raises: UserError, EngineError."""
    options = replace(common_options(args), width=args.width, height=args.height, best_of=args.best)
    drafts = [replace(draft, private=None) for draft in parse(" ".join([*args.prompt, *args.extra]), options)]
    check_target(args.out)
    wish = CliRequest(draft=drafts[0])
    if args.image:
        data = read_file(args.image)
        upload, sha256 = read_upload(data, OWN), sha256_of(data)
        picture = upload.image
        tell(upload)
        repaint = Img2Img(prompt="", init_image=StoredPicture(sha256=sha256, size=picture.size))
        wish = replace(wish, pictures={sha256: picture}, what=lambda info: repaint)
    return deliver([replace(wish, draft=draft) for draft in drafts], args, settings)


def deliver(wishes: Sequence[CliRequest], args: argparse.Namespace, settings: Settings) -> int:
    """Paint them, write the files and tell of them. Raises: UserError, EngineError."""
    painted = process.run(lambda _: _paint(wishes, _unlimited(settings, args.model)))
    for note in dict.fromkeys(each.spec.note for each in painted if each.spec.note):
        print(note, file=sys.stderr)
    out = args.out or Path(f"easel-{painted[0].spec.seed}.png")
    stems = [out] if len(painted) == 1 else [out.with_stem(f"{out.stem}-{n}") for n in range(1, len(painted) + 1)]
    marks = Marks.of(settings)
    paths = [_write(each, stem, marks) for each, stem in zip(painted, stems, strict=True)]
    if args.json:
        print(_report(painted, paths))
    else:
        print("\n".join(str(path) for written in paths for path in written))
    return 0


def common_options(args: argparse.Namespace) -> Draft:
    """The options that painting and editing share."""
    return Draft(
        negative_prompt=args.negative,
        seed=args.seed,
        num_inference_steps=args.steps,
        guidance_scale=args.cfg,
        scheduler=args.scheduler,
        strength=args.strength,
        num_images=1 if args.n is None else args.n,
    )


def one_job(line: str, options: Draft, *, wordless: bool = False) -> Draft:
    """The one draft of a prompt line; `wordless` allows it to be empty. Raises: BadInput."""
    drafts = parse(line, options, wordless=wordless)
    if len(drafts) > 1:
        raise BadInput(f"This line asks for {len(drafts)} jobs; the command line paints one. Take out the choices.")
    return drafts[0]


def check_target(out: Path | None) -> None:
    """Find out before painting, not after. Raises: BadInput."""
    if out is None:
        return
    if out.suffix.lower() != ".png":
        raise BadInput(f"{out} is no PNG file name. Use one that ends in .png.")
    if out.is_dir() or not out.parent.is_dir():
        raise BadInput(f"{out} cannot be written: its folder does not exist, or it is a folder itself.")


def read_file(path: Path) -> bytes:
    """A picture's file, not yet decoded. Raises: BadInput."""
    try:
        check_size(path.stat().st_size, OWN)
        with path.open("rb") as file:
            data = file.read(OWN.size_bytes + 1)  # a pipe or a device doesn't tell its size
        check_size(len(data), OWN)
        return data
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None


def tell(upload: Upload) -> None:
    """Say what was done to a picture that was read."""
    if upload.notes:
        print(upload.note, file=sys.stderr)


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _unlimited(settings: Settings, model: str | None) -> Settings:
    """Limits are for members of a server; at one's own machine only the model's own count."""
    source = settings.models.get(model, model) if model else settings.model
    return settings.model_copy(update={"model": source, "max_pixels": MAX_SIDE_PX**2, "max_steps": MAX_STEPS})


async def _paint(wishes: Sequence[CliRequest], settings: Settings) -> list[Painted]:
    with suppress(OSError):  # a folder that can't be written stops nobody from painting
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # the bot may use it one day
    engine = engine_for(settings)
    models, terms = engine.models(), default_terms(settings)
    specs = []
    for wish in wishes:
        what = wish.what(find_model(models, wish.draft.model))
        specs.append(resolve(wish.draft, models, terms, secrets.randbelow(MAX_SEED + 1), what))
    await engine.start()
    try:
        return [
            await _follow(engine, spec, wish.pictures, f"Job {n} of {len(specs)}: " if len(specs) > 1 else "")
            for n, (spec, wish) in enumerate(zip(specs, wishes, strict=True), 1)
        ]
    finally:
        await engine.close()


async def _follow(engine: Backend, spec: Spec, pictures: Mapping[str, Image.Image], which: str) -> Painted:
    print(f"{which}Loading the model...", file=sys.stderr)
    submitted, started, told = time.monotonic(), 0.0, 0
    painted = Painted(spec)
    async for event in engine.submit(spec.request.loaded(pictures), user="cli"):
        told = _tell(event, which, told)
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Started):
            started = time.monotonic()
        if isinstance(event, ImageReady):
            painted.ready.append(event)
    painted.ready.sort(key=lambda ready: ready.index)
    return replace(painted, wait_s=started - submitted, run_s=time.monotonic() - started)


def _tell(event: Event, which: str = "", told: int = 0) -> int:
    """Progress for a person: one line that moves on a terminal, a line for each quarter elsewhere.

    `told`: quarters that were told. Returns those that are told now.
    """
    moving = sys.stderr.isatty()
    if isinstance(event, Loading) and moving and event.total_bytes:
        print(f"{event}\033[K", end="\r", file=sys.stderr, flush=True)
    if isinstance(event, Progress):
        quarters = 4 * event.step // max(1, event.steps)
        line = f"{which}step {event.step} of {event.steps}".capitalize()
        if moving:
            print(f"{line}\033[K", end="\n" if event.step == event.steps else "\r", file=sys.stderr, flush=True)
        elif quarters > told:
            print(line, file=sys.stderr, flush=True)
        return quarters
    if isinstance(event, ImageReady) and not moving:
        print(f"{which}picture {event.index + 1} is ready (seed {event.seed}).".capitalize(), file=sys.stderr)
    return told


# ---------------------------------------------------------------- files
def _write(painted: Painted, out: Path, marks: Marks) -> list[Path]:
    """One picture into `out`; several into out-1.png, out-2.png ... and their grid into `out`, which comes first."""
    own = bool(painted.spec.inputs)  # a picture that a person brought is part of it
    ready = [(each.image, replace(each.recipe, composite=own)) for each in painted.ready]
    if len(ready) == 1:
        return [_save(*ready[0], out, marks)]
    columns = 2 if len(ready) <= 4 else 4
    sheet = _save(grid([image for image, _ in ready], columns), ready[0][1], out, marks)
    return [sheet, *(_save(*each, out.with_stem(f"{out.stem}-{n}"), marks) for n, each in enumerate(ready, 1))]


def _save(image: Image.Image, recipe: Recipe, path: Path, marks: Marks) -> Path:
    try:
        data = encode_png(marks.marked(image), recipe)
        path.write_bytes(marks.signed(data, "png", recipe))
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.") from None
    return path


def _report(painted: Sequence[Painted], paths: Sequence[Sequence[Path]]) -> str:
    """Everything about the jobs, each fact once: what a job's pictures share stands with the job."""
    jobs = [_facts(job, written) for job, written in zip(painted, paths, strict=True)]
    return json.dumps(jobs[0] if len(jobs) == 1 else {"jobs": jobs}, ensure_ascii=False, indent=2, default=str)


def _facts(job: Painted, written: Sequence[Path]) -> dict[str, Any]:
    own = written[-len(job.ready) :]  # a grid comes first
    recipes = [asdict(ready.recipe) for ready in job.ready]
    shared = {key: value for key, value in recipes[0].items() if all(each[key] == value for each in recipes)}
    pictures = [
        {"path": str(path), **{key: value for key, value in recipe.items() if key not in shared}, "seed": ready.seed}
        for path, recipe, ready in zip(own, recipes, job.ready, strict=True)
    ]
    shared.pop("seed", None)  # of a picture, also where there is but one
    return {
        "line": echo(job.spec),
        **({"grid": str(written[0])} if len(written) > len(job.ready) else {}),
        "pictures": pictures,
        "recipe": shared,
        "timings": {"wait_s": round(job.wait_s, 3), "run_s": round(job.run_s, 3)},
    }
