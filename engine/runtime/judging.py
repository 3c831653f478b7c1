"""What is said of the pictures that were painted: whether they may be shown, and which of many are the best."""

from __future__ import annotations

import logging
from dataclasses import replace

from PIL import Image

from engine.api import safety as picture_safety
from engine.api.events import ImageReady, Preview
from engine.api.recipe import Recipe
from engine.api.safety import Verdict
from engine.device.failures import attempt
from engine.runtime.jobs import Job
from engine.tasks import resolve
from engine.vision.vision_models import VisionModels

log = logging.getLogger(__name__)


def verdict(vision: VisionModels, job: Job, image: Image.Image) -> Verdict:
    """The verdict on a picture; one that cannot be checked is not let through."""
    said = attempt(lambda: vision.judge(image, adults=job.adults))
    if isinstance(said, Exception):
        log.warning("a picture could not be checked", exc_info=said)
        return Verdict(flagged=True, reason=picture_safety.UNCHECKED)
    return said


def preview(vision: VisionModels, job: Job, index: int, image: Image.Image) -> Preview:
    """A rough picture to be shown, blurred when it is not to be seen."""
    flagged = verdict(vision, job, image).flagged
    return Preview(index=index, image=picture_safety.blurred(image) if flagged else image, flagged=flagged)


def finished(vision: VisionModels, job: Job, index: int, image: Image.Image, recipe: Recipe) -> ImageReady:
    """A finished picture with the verdict on it."""
    said = verdict(vision, job, image)
    seed = resolve.image_seed(job.request, index)
    return ImageReady(index=index, image=image, seed=seed, recipe=recipe, flagged=said.flagged, reason=said.reason)


def best(vision: VisionModels, job: Job) -> list[ImageReady]:
    """The pictures to keep of those that were drawn, the best first; flagged ones only when nothing else is left."""
    drawn, request = job.drawn, job.request
    scores = vision.scores(job.info.key, request.prompt, [ready.image for ready in drawn])
    ranked = sorted(zip(drawn, scores, strict=True), key=lambda pair: (pair[0].flagged, -pair[1]))
    return [replace(ready, index=index) for index, (ready, _) in enumerate(ranked[: request.num_images])]
