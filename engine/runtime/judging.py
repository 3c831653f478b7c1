"""What is said of the pictures that were painted: whether they may be shown, and which of many are the best."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from engine.api import safety as picture_safety
from engine.api.errors import EngineError
from engine.api.events import ImageReady, Preview
from engine.api.recipe import Recipe
from engine.api.safety import Verdict
from engine.device.failures import failure
from engine.runtime.jobs import Job
from engine.tasks import resolve
from engine.vision.vision_models import VisionModels


def verdict(eyes: VisionModels, image: Image.Image) -> Verdict:
    """The verdict on a picture; one that cannot be checked is not let through."""
    try:
        return eyes.judge(image)
    except Exception as error:
        failure(error, "a picture could not be checked")
        return Verdict(flagged=True, reason=picture_safety.UNCHECKED)


def preview(eyes: VisionModels, index: int, image: Image.Image) -> Preview:
    """A rough picture to be shown, blurred when it is not to be seen."""
    flagged = verdict(eyes, image).flagged
    return Preview(index=index, image=picture_safety.blurred(image) if flagged else image, flagged=flagged)


def finished(eyes: VisionModels, job: Job, index: int, image: Image.Image, recipe: Recipe) -> ImageReady:
    """A finished picture with the verdict on it."""
    said = verdict(eyes, image)
    seed = resolve.image_seed(job.request, index)
    return ImageReady(index=index, image=image, seed=seed, recipe=recipe, flagged=said.flagged, reason=said.reason)


def best(eyes: VisionModels, job: Job) -> list[ImageReady] | EngineError:
    """The pictures to keep of those that were drawn, the best first; flagged ones only when nothing else is left."""
    drawn, request = job.drawn, job.request
    try:
        scores = eyes.scores(job.info.key, request.prompt, [ready.image for ready in drawn])
    except Exception as error:
        return failure(error, f"job {job.number} could not be ranked")
    ranked = sorted(zip(drawn, scores, strict=True), key=lambda pair: (pair[0].flagged, -pair[1]))
    return [replace(ready, index=index) for index, (ready, _) in enumerate(ranked[: request.num_images])]
