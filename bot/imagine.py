"""`easel imagine`: one job straight through the engine, into files. Knows no Discord and no database."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import secrets
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from bot.app import engine_for
from bot.config import Settings
from bot.errors import BadInput
from bot.grammar import Draft, echo, parse
from bot.pictures import grid
from bot.services.drafts import resolve
from bot.services.requests import to_request
from bot.services.terms import default_terms
from bot.spec import Spec
from bot.uploads import check_size, read_upload
from engine.metadata import encode_png
from engine.types import (
    MAX_SEED,
    MAX_SIDE_PX,
    MAX_STEPS,
    Backend,
    Event,
    Failed,
    ImageReady,
    Progress,
    Started,
)


@dataclass(frozen=True, slots=True)
class Painted:
    """A finished job: its pictures in order."""

    spec: Spec
    ready: list[ImageReady] = field(default_factory=list)
    wait_s: float = 0.0
    run_s: float = 0.0


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Paint what the arguments say. Raises: UserError, EngineError."""
    options, line = _options(args), " ".join([*args.prompt, *args.extra])
    draft = _one_job(line, options)
    _check_target(args.out)
    source, source_sha = _source(args.image)
    painted = asyncio.run(_paint(draft, _unlimited(settings, args.model), source, source_sha))
    paths = _write(painted, args.out or Path(f"easel-{painted.spec.seed}.png"))
    print(_report(painted, paths) if args.json else "\n".join(str(path) for path in paths))
    return 0


def _options(args: argparse.Namespace) -> Draft:
    return Draft(
        negative_prompt=args.negative,
        seed=args.seed,
        steps=args.steps,
        guidance=args.cfg,
        scheduler=args.scheduler,
        width=args.width,
        height=args.height,
        strength=args.strength,
        num_images=1 if args.n is None else args.n,
        best_of=args.best,
    )


def _one_job(line: str, options: Draft) -> Draft:
    drafts = parse(line, options)
    if len(drafts) > 1:
        raise BadInput(f"This line asks for {len(drafts)} jobs; easel imagine paints one. Take out the choices.")
    return drafts[0]


def _check_target(out: Path | None) -> None:
    """Find out before painting, not after. Raises: BadInput."""
    if out is None:
        return
    if out.suffix.lower() != ".png":
        raise BadInput(f"{out} is no PNG file name. Use one that ends in .png.")
    if out.is_dir() or not out.parent.is_dir():
        raise BadInput(f"{out} cannot be written: its folder does not exist, or it is a folder itself.")


def _source(path: Path | None) -> tuple[Image.Image | None, str | None]:
    """The picture to start from and its sha256. Raises: BadInput."""
    if path is None:
        return None, None
    try:
        check_size(path.stat().st_size)
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    return read_upload(data), hashlib.sha256(data).hexdigest()


def _unlimited(settings: Settings, model: str | None) -> Settings:
    """Limits are for members of a server; at one's own machine only the model's own count."""
    source = settings.models.get(model, model) if model else settings.model
    return settings.model_copy(update={"model": source, "max_pixels": MAX_SIDE_PX**2, "max_steps": MAX_STEPS})


async def _paint(draft: Draft, settings: Settings, source: Image.Image | None, source_sha: str | None) -> Painted:
    engine = engine_for(settings)
    size = source.size if source else None
    seed = secrets.randbelow(MAX_SEED + 1)
    spec = resolve(draft, engine.models(), default_terms(settings), seed, init_image=source_sha, init_size=size)
    await engine.start()
    try:
        return await _follow(engine, spec, source)
    finally:
        await engine.close()


async def _follow(engine: Backend, spec: Spec, source: Image.Image | None) -> Painted:
    print("Loading the model...", file=sys.stderr)
    submitted, started = time.monotonic(), 0.0
    painted = Painted(spec)
    async for event in engine.submit(
        to_request(spec, {spec.init_image: source} if source and spec.init_image else {}), user="cli"
    ):
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
    if isinstance(event, Progress) and moving:
        end = "\n" if event.step == event.steps else "\r"
        print(f"Step {event.step} of {event.steps}", end=end, file=sys.stderr, flush=True)
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
