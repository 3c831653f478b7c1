"""Masks by words: CLIPSeg (Lüddecke and Ecker 2022, arXiv:2112.10003)."""

from __future__ import annotations

import torch
import transformers
from PIL import Image

from engine.api.errors import NOTHING_THERE, InvalidRequest
from engine.vision.loading import Reader, reader

THERE = 0.25  # probability at the surest place; below it the words are not in the picture
EDGE = 0.5  # of the surest place: CLIPSeg is sure of a thing's heart and vague about its rim


def segmenter(location: str, device: torch.device) -> Reader:
    return reader(transformers.CLIPSegForImageSegmentation, location, device)


def mask_of(eyes: Reader, image: Image.Image, what: str) -> Image.Image:
    """Where `what` is, as L of the picture's size, 255 there. Raises: InvalidRequest when it is nowhere."""
    logits = eyes.model(pixel_values=eyes.see([image]), **eyes.read([what])).logits
    likely = logits.reshape(1, 1, *logits.shape[-2:]).float().sigmoid()
    likely = torch.nn.functional.interpolate(likely, size=(image.height, image.width), mode="bilinear")[0, 0]
    surest = float(likely.max())
    if surest < THERE:
        raise InvalidRequest(*NOTHING_THERE)
    there = (likely >= surest * EDGE).to("cpu", torch.uint8) * 255
    return Image.fromarray(there.numpy())
