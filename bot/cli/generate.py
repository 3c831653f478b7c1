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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from bot import process
from bot.config import Settings, engine_for
from bot.delivery.image_tools import grid
from bot.errors import BadInput
from bot.ledger.limits import default_terms
from bot.orders.drafts import WORDS, find_model, resolve
from bot.orders.uploads import OWN, Upload, check_size, read_upload
from bot.prompt.parser import Draft, echo, parse
from bot.prompt.spec import Spec
from engine.api.events import Event, Failed, ImageReady, Loading, Progress, Started
from engine.api.metadata import encode_png
from engine.api.model_info import ModelInfo
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
    draft = one_job(" ".join([*args.prompt, *args.extra]), options)
    check_target(args.out)
    wish = CliRequest(draft=draft)
    if args.image:
        data = read_file(args.image)
        upload, sha256 = read_upload(data, OWN), sha256_of(data)
        picture = upload.image
        tell(upload)
        repaint = Img2Img(prompt="", init_image=StoredPicture(sha256=sha256, size=picture.size))
        wish = CliRequest(draft=draft, pictures={sha256: picture}, what=lambda info: repaint)
    return deliver(wish, args, settings)


def deliver(wish: CliRequest, args: argparse.Namespace, settings: Settings) -> int:
    """Paint it, write the files and tell of them. Raises: UserError, EngineError."""
    painted = process.run(lambda _: _paint(wish, _unlimited(settings, args.model)))
    if painted.spec.note:
        print(painted.spec.note, file=sys.stderr)
    paths = _write(painted, args.out or Path(f"easel-{painted.spec.seed}.png"))
    print(_report(painted, paths) if args.json else "\n".join(str(path) for path in paths))
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
        return path.read_bytes()
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


async def _paint(wish: CliRequest, settings: Settings) -> Painted:
    engine = engine_for(settings)
    models, seed = engine.models(), secrets.randbelow(MAX_SEED + 1)
    what = wish.what(find_model(models, wish.draft.model))
    spec = resolve(wish.draft, models, default_terms(settings), seed, what)
    await engine.start()
    try:
        return await _follow(engine, spec, wish.pictures)
    finally:
        await engine.close()


async def _follow(engine: Backend, spec: Spec, pictures: Mapping[str, Image.Image]) -> Painted:
    print("Loading the model...", file=sys.stderr)
    submitted, started = time.monotonic(), 0.0
    painted = Painted(spec)
    async for event in engine.submit(spec.request.loaded(pictures), user="cli"):
        _tell(event)
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Started):
            started = time.monotonic()
        if isinstance(event, ImageReady):
            painted.ready.append(event)
    painted.ready.sort(key=lambda ready: ready.index)
    return replace(painted, wait_s=started - submitted, run_s=time.monotonic() - started)


def _tell(event: Event) -> None:
    """Progress for a person: one line that moves on a terminal, a few lines elsewhere."""
    moving = sys.stderr.isatty()
    if isinstance(event, Loading) and moving and event.total_bytes:
        print(f"{event}\033[K", end="\r", file=sys.stderr, flush=True)
    if isinstance(event, Progress) and moving:
        end = "\n" if event.step == event.steps else "\r"
        print(f"Step {event.step} of {event.steps}\033[K", end=end, file=sys.stderr, flush=True)
    if isinstance(event, ImageReady) and not moving:
        print(f"Picture {event.index + 1} is ready (seed {event.seed}).", file=sys.stderr)


# ---------------------------------------------------------------- files
def _write(painted: Painted, out: Path) -> list[Path]:
    """One picture into `out`; several into out-1.png, out-2.png ... and their grid into `out`, which comes first."""
    ready = painted.ready
    if len(ready) == 1:
        return [_save(ready[0].image, ready[0], out)]
    sheet = _save(grid([each.image for each in ready]), ready[0], out)
    return [sheet, *(_save(each.image, each, out.with_stem(f"{out.stem}-{n}")) for n, each in enumerate(ready, 1))]


def _save(image: Image.Image, ready: ImageReady, path: Path) -> Path:
    try:
        path.write_bytes(encode_png(image, ready.recipe))
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.") from None
    return path


def _report(painted: Painted, paths: list[Path]) -> str:
    facts: dict[str, Any] = {
        "line": echo(painted.spec),
        "seeds": [ready.seed for ready in painted.ready],
        "paths": [str(path) for path in paths],
        "recipes": [asdict(ready.recipe) for ready in painted.ready],
        "timings": {"wait_s": round(painted.wait_s, 3), "run_s": round(painted.run_s, 3)},
    }
    return json.dumps(facts, ensure_ascii=False, indent=2, default=str)
