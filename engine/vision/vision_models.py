"""Everything that looks at pictures, loaded when first needed. Lives in the engine's thread.

Whatever needs a model that isn't there yet raises NotYet.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from PIL import Image

from engine.api import safety as picture_safety
from engine.api.errors import NO_CAPTIONER, NO_HELPER, NO_RANKER, NO_SEGMENTER, InvalidRequest
from engine.api.rewriting import Aim
from engine.api.safety import Verdict
from engine.device.failures import loaded
from engine.device.loader import Load, Loader, Tell
from engine.diffusion.prompts import plain_text
from engine.imaging import controlnet_preprocess
from engine.imaging.controlnet_preprocess import GRADIENT
from engine.models import whole
from engine.models.catalog import Source
from engine.models.facts import CHECKER
from engine.models.files import hub
from engine.tasks.lora_tags import without
from engine.vision import captioner, depth, poses, prompt_helper, ranker, safety_checker, segmenter, soft_edges
from engine.vision.captioner import Vocabulary
from engine.vision.options import OPEN_NSFW, VisionOptions, own_ranker
from engine.vision.safety_checker import Judge

log = logging.getLogger(__name__)
MOST_DRAWN = 8  # maps that are kept for the next picture of their job
LOADERS: Mapping[str, Callable[[str, torch.device], Any]] = {
    "captioner": captioner.captioner,
    "helper": prompt_helper.helper,
    "segmenter": segmenter.segmenter,
    "ranker": ranker.ranker,
    "depth": depth.estimator,
    "pose": poses.estimator,
    "people": poses.detector,
    "soft": soft_edges.network,
}
EXTRACTOR = "feature_extractor"  # of a pipeline from the hub, beside its checker all that judging needs


class VisionModels:
    """The models of `VisionOptions`. Their memory is not part of the painting models' budget."""

    def __init__(
        self, sight: VisionOptions, sources: Mapping[str, Source], device: torch.device, loader: Loader
    ) -> None:
        self._sight, self._device, self._loader = sight, device, loader
        self._rankers = {key: str(folder) for key, source in sources.items() if (folder := own_ranker(source))}
        self._readers: dict[str, Any] = {}
        self._drawn: dict[tuple[object, ...], Image.Image] = {}
        self._fetched: dict[str, Path] = {}
        self._vocabulary: Vocabulary | None = None
        self._judge: Judge | None = None

    def ready(self) -> None:
        """Have the judge at hand before something is painted. Raises: NotYet."""
        sight = self._sight
        if self._judge is None and sight.checks:
            where = OPEN_NSFW if sight.judge == OPEN_NSFW else self._on_disk("safety", sight.judge)
            self._load("safety", lambda: safety_checker.judge(where, sight.unsafe_labels, self._device), self._judge_by)

    def _judge_by(self, judge: Judge) -> None:
        self._judge = judge

    def ready_to_rank(self, model: str) -> None:
        """Have the ranker at hand before pictures are painted that it chooses from. Raises: NotYet."""
        if location := self._sight.ranker or self._rankers.get(model):
            self._reader("ranker", location)

    def ready_to_draw(self, controlnets: Iterable[str]) -> None:
        """Have at hand what draws what these ControlNets follow. Raises: NotYet."""
        for name in controlnets:
            kind = controlnet_preprocess.looked_at(name)
            for each in ("people", "pose") if kind == "pose" else (kind,):
                if self._sight.preprocessors.get(each, GRADIENT) != GRADIENT:
                    self._drawer(each)

    def draw(self, controlnet: str, picture: Image.Image) -> Image.Image:
        """What the ControlNet of this name follows, as RGB of the picture's size. Raises: NotYet."""
        kind = controlnet_preprocess.looked_at(controlnet)
        if kind not in self._sight.preprocessors:
            return controlnet_preprocess.made_ready(picture, controlnet)
        key = kind, picture.size, hashlib.sha256(picture.tobytes()).digest()
        if key not in self._drawn:  # once for all pictures of a job
            self._drawn = dict([*self._drawn.items(), (key, self._looked_at(kind, picture))][-MOST_DRAWN:])
        return self._drawn[key]

    def _looked_at(self, kind: str, picture: Image.Image) -> Image.Image:
        if kind == "soft":
            if self._sight.preprocessors[kind] == GRADIENT:
                return controlnet_preprocess.soft(picture)
            return soft_edges.edges(self._drawer(kind), picture)
        if kind == "depth":
            return depth.nearness(self._drawer(kind), picture)
        whole = [(0.0, 0.0, float(picture.width), float(picture.height))]
        found = poses.people(self._drawer("people"), picture) if "people" in self._sight.preprocessors else whole
        return poses.skeleton(self._drawer(kind), picture, found)

    def _drawer(self, kind: str) -> Any:
        return self._reader(kind, self._sight.preprocessors[kind])

    def judge(self, image: Image.Image, *, adults: bool = False) -> Verdict:
        """The gate's verdict, else the safety model's. `adults`: nobody else will see it. Raises: NotYet."""
        self.ready()
        verdict = picture_safety.ask(self._sight.gate, image)
        if self._judge is None or verdict.flagged or (adults and self._sight.spares_adults):
            return verdict
        return self._judge(image)

    def describe(self, image: Image.Image) -> list[str]:
        """Raises: InvalidRequest, NotYet."""
        if self._sight.captioner:
            eyes = self._reader("captioner", self._sight.captioner)
            return captioner.captions(eyes, image)
        if not self._rankers:
            raise InvalidRequest(*NO_CAPTIONER)
        if self._vocabulary is None:
            self._vocabulary = Vocabulary(self._reader("ranker", next(iter(self._rankers.values()))))
        return self._vocabulary.describe(image)

    def rewrite(self, text: str, aim: Aim) -> str:
        """What the prompt helper makes of a text. Raises: InvalidRequest, NotYet."""
        if not self._sight.helper:
            raise InvalidRequest(*NO_HELPER)
        return prompt_helper.rewritten(self._reader("helper", self._sight.helper), text, aim)

    def segment(self, image: Image.Image, what: str) -> Image.Image:
        """Raises: InvalidRequest, NotYet."""
        if not self._sight.segmenter:
            raise InvalidRequest(*NO_SEGMENTER)
        return segmenter.mask_of(self._reader("segmenter", self._sight.segmenter), image, what)

    def scores(self, model: str, prompt: str, images: list[Image.Image]) -> list[float]:
        """How well each picture of a model matches the prompt. Raises: InvalidRequest, NotYet."""
        location = self._sight.ranker or self._rankers.get(model)
        if not location:
            raise InvalidRequest(*NO_RANKER)
        return ranker.scores(self._reader("ranker", location), plain_text(without(prompt)), images)

    def weigh(self, model: str, prompt: str) -> list[tuple[str, float]]:
        """How much each word matters to a model. Raises: InvalidRequest, NotYet."""
        location = self._rankers.get(model) or self._sight.ranker
        if not location:
            raise InvalidRequest(*NO_RANKER)
        return ranker.weights(self._reader("ranker", location), plain_text(without(prompt)))

    def _reader(self, kind: str, location: str) -> Any:
        load = LOADERS[kind]
        if location not in self._readers:
            where = self._on_disk(kind, location)
            self._load(kind, lambda: load(where, self._device), lambda reader: self._keep(location, reader))
        return self._readers[location]

    def _keep(self, location: str, reader: Any) -> None:
        self._readers[location] = reader

    def _load(self, kind: str, work: Callable[[], object], take: Callable[[Any], None]) -> NoReturn:
        """Have it loaded, and be asked again. Raises: NotYet."""

        def begin() -> Load:
            log.info("loading the %s", kind)
            return Load(key=f"({kind})", name=kind, stage="load", work=lambda _: loaded(kind, work), take=take)

        self._loader.wait(f"({kind})", begin)

    def _on_disk(self, kind: str, location: str) -> str:
        """Its folder. Raises: NotYet, when it must be downloaded first."""
        if Path(location).expanduser().exists():
            return location
        if location not in self._fetched:
            self._loader.wait(("download", location), lambda: self._download(kind, location))
        return str(self._fetched[location])

    def _download(self, kind: str, location: str) -> Load:
        def work(tell: Tell) -> Path:
            found = hub.snapshot(location)
            if found is None or whole.of_folder(found / CHECKER if (found / CHECKER).is_dir() else found):
                within = (CHECKER, EXTRACTOR) if kind == "safety" else ()
                return loaded(kind, lambda: hub.fetch(location, tell, within))
            return found

        def take(folder: Path) -> None:
            self._fetched[location] = folder

        return Load(key=("download", location), name=kind, stage="download", work=work, take=take)
