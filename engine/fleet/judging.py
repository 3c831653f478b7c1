"""Has pictures judged in a process without an engine, whoever has painted them. Knows no torch."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from engine.api import safety
from engine.api.safety import Verdict
from engine.vision.open_nsfw import OpenNsfw
from engine.vision.options import OPEN_NSFW, VisionOptions


class Judge:
    """open_nsfw, which needs no PyTorch; read when it's first asked. A picture that it can't judge is flagged."""

    def __init__(self, *, spares_adults: bool) -> None:
        self._spares_adults = spares_adults
        self._model: OpenNsfw | None = None
        self._thread = ThreadPoolExecutor(1, "judge")

    async def __call__(self, image: Image.Image, *, adults: bool) -> Verdict:
        """The verdict on a picture; `adults`: nobody else will see it."""
        if adults and self._spares_adults:
            return safety.FINE
        return await asyncio.get_running_loop().run_in_executor(self._thread, safety.ask, self._look, image)

    def _look(self, image: Image.Image) -> Verdict:
        if self._model is None:
            self._model = OpenNsfw(threads=1)
        return self._model(image)


def alone(sight: VisionOptions) -> Judge | None:
    """The judge that a setting names, if it can work without an engine."""
    return Judge(spares_adults=sight.spares_adults) if sight.judge == OPEN_NSFW else None
