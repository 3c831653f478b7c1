"""What is said about a picture's safety, and the hook for rules of one's own. Knows no torch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from PIL import Image, ImageFilter

log = logging.getLogger(__name__)
UNCHECKED = "it could not be checked"
BLUR_SHARE = 4  # of the longer side: shapes are gone, colours stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a picture may be shown. `reason` is a few words for people, such as "nudity"."""

    flagged: bool = False
    reason: str = ""


FINE = Verdict()


class ImageGate(Protocol):
    """Your own rule for pictures, such as a list of perceptual hashes (PDQ); asked before any model is.

    It is called on the engine's thread with an RGB picture: finished ones, previews and uploads. Everything waits
    for it, so it should answer within milliseconds and load what it needs beforehand. When it raises, the picture
    counts as flagged.
    """

    def __call__(self, image: Image.Image) -> Verdict:
        """The verdict on one picture."""
        ...


def ask(gate: ImageGate | None, image: Image.Image) -> Verdict:
    """The gate's verdict; a gate that fails lets nothing through."""
    if gate is None:
        return FINE
    try:
        return gate(image.convert("RGB"))
    except Exception:  # code that is not ours: its bug must neither stop the engine nor let a picture through
        log.exception("the image gate failed")
        return Verdict(flagged=True, reason=UNCHECKED)


def blurred(image: Image.Image) -> Image.Image:
    """The picture with nothing to be recognised in it."""
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / BLUR_SHARE))
