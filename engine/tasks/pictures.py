"""The pictures of a request: pixels, or the name of a stored file in their place. Pillow alone; knows no torch."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageOps

from engine.api.errors import InvalidRequest
from engine.imaging.masks import Box, Size

MAX_EDIT_SIDE_PX = 8192  # an edit's result is a picture someone has, and only parts of it are painted


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPicture:
    """A picture that is kept elsewhere: enough to check, price and store a request, but not to paint it.

    Attributes:
        sha256: of its file, in hex. size: width and height in pixels; (0, 0) = unknown.
        box: of a mask: left, top, right, bottom of its white part, in pixels.
    """

    sha256: str
    size: Size = (0, 0)
    box: Box | None = None


Picture = Image.Image | StoredPicture


def pixels(picture: Picture) -> Image.Image:
    """The picture itself; a request that is painted has loaded its pictures."""
    assert isinstance(picture, Image.Image), "this picture has not been loaded"
    return picture


def too_large(picture: Picture, result: Size) -> bool:
    """Whether an edit's result would be too large; one of a stored picture may still be made to fit."""
    return isinstance(picture, Image.Image) and max(result) > MAX_EDIT_SIDE_PX


def check_strength(strength: float) -> None:
    """Raises: InvalidRequest."""
    if not 0 < strength <= 1:
        raise InvalidRequest(f"The strength {strength} is out of range.", "Use more than 0, at most 1.")


def fitted(image: Picture, size: Size) -> Image.Image:
    """The picture as RGB at `size`, stretched if it must be."""
    rgb = pixels(image).convert("RGB")
    return rgb if rgb.size == size else rgb.resize(size, Image.Resampling.LANCZOS)


def covering(image: Picture, size: Size) -> Image.Image:
    """The picture as RGB at `size`, in its own proportions, its middle kept."""
    return ImageOps.fit(pixels(image).convert("RGB"), size, Image.Resampling.LANCZOS)
