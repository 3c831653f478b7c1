"""inpaint: redraw a part of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from PIL import Image

from engine.api.errors import InvalidRequest
from engine.api.model_info import ModelInfo
from engine.imaging import masks
from engine.imaging.masks import Box, Frame, Size
from engine.tasks import canvas
from engine.tasks.canvas import Region, coarse_note
from engine.tasks.pictures import Picture, StoredPicture, check_strength, pixels
from engine.tasks.txt2img import Room, Txt2Img, check

Fill = Literal["original", "noise", "blur"]
MAX_REACH_PX = 256  # of a feather or a padding


@dataclass(frozen=True, slots=True, kw_only=True)
class Inpaint(Txt2Img):
    """Redraw the white part of a mask; beyond its feather every byte of the picture stays.

    Attributes:
        width, height: of the result, any number of pixels; None = the picture's own.
        init_image: any mode, any size. mask: L, same size as `init_image`; 128 and above = redraw.
        strength: noise added under the mask, 0 < strength <= 1.
        fill: what the model finds under the mask: the picture, noise, or its surroundings flowing in.
        feather_px: outside the mask, over which the new picture fades into the old; 0 = a hard edge.
        only_masked: crop to the mask and `padding_px` around it, and paint that at the model's native size.
    """

    init_image: Picture
    mask: Picture
    strength: float = 1.0
    fill: Fill = "original"
    feather_px: int = 8
    only_masked: bool = False
    padding_px: int = 32

    task: ClassVar[str] = "inpaint"
    label: ClassVar[str] = "region"
    does: ClassVar[str] = "redraw a region"
    is_edit: ClassVar[bool] = True
    varies_by_noise: ClassVar[bool] = False
    any_size: ClassVar[bool] = True
    default_strength: ClassVar[float | None] = 0.7  # its surroundings flow in, and some of that should be kept
    picture_fields: ClassVar[tuple[str, ...]] = ("init_image", "mask")

    def __post_init__(self) -> None:
        check(self)
        check_strength(self.strength)
        if isinstance(self.init_image, Image.Image) and isinstance(self.mask, Image.Image):
            _check_mask(self.init_image, self.mask)
        if self.fill not in ("original", "noise", "blur"):
            raise InvalidRequest(f"There is no fill '{self.fill}'.", "Use original, noise or blur.")
        for name in ("feather_px", "padding_px"):
            if not 0 <= getattr(self, name) <= MAX_REACH_PX:
                raise InvalidRequest(
                    f"The {name[:-3]} {getattr(self, name)} is out of range.", f"Use 0 to {MAX_REACH_PX} pixels."
                )

    @property
    def result_size(self) -> Size:
        return self.init_image.size

    @property
    def noise_strength(self) -> float | None:
        return self.strength

    @property
    def title(self) -> str:
        return "Vary (Region)"

    def loaded(self, found: Mapping[str, Image.Image]) -> Self:
        if not isinstance(self.mask, StoredPicture):
            return Txt2Img.loaded(self, found)
        return Txt2Img.loaded(self, {**found, self.mask.sha256: found[self.mask.sha256].convert("L")})

    def within(self, size: Size, info: ModelInfo, room: Room) -> tuple[Self, Size, str]:
        """Of a picture that is too large as a whole, the mask's surroundings alone. Raises: InvalidRequest."""
        sized: Inpaint = replace(self, width=size[0], height=size[1])
        if sized.painted_px(info) <= room.paint_px:
            return self, size, "" if self.only_masked else coarse_note(size, info)
        if self.only_masked:
            raise InvalidRequest(
                "This region is too large to be painted at once.",
                f"Choose one of at most {room.paint_px:,} pixels in all.",
            )
        less, _, _ = replace(self, only_masked=True).within(size, info, room)
        return less, size, "Only the region and its surroundings were painted: the whole is too large for this server."

    def pipeline(self, info: ModelInfo) -> str:
        return "AutoPipelineForInpainting"

    def arguments(self, info: ModelInfo) -> dict[str, Any]:
        return {**Txt2Img.arguments(self, info), "strength": self.strength_run(self.strength)}

    def canvas(self, info: ModelInfo) -> Size:
        return self._frame(info, None).canvas

    def prepare(self, info: ModelInfo, seed: int, part: int = 0) -> tuple[Region | None, dict[str, Any]]:
        mask = canvas.scaled_mask(pixels(self.mask), self._size)
        picture = pixels(self.init_image).convert("RGB")
        region = canvas.region(picture, mask, self._size, self.feather_px, self._frame(info, mask))
        return region, canvas.inputs(region, self._filled(region.picture, mask, seed))

    @property
    def _size(self) -> Size:
        return self.width or self.result_size[0], self.height or self.result_size[1]

    def _frame(self, info: ModelInfo, mask: Image.Image | None) -> Frame:
        """Where the model paints; `mask`: at the size of the result, where that has been made already."""
        if not self.only_masked:
            return masks.whole(self._size, info.multiple_px, info.max_pixels)
        padding, native = self.padding_px + self.feather_px, info.width * info.height
        return masks.around_box(self._box(mask), self._size, padding, info.multiple_px, native, info.max_pixels)

    def _box(self, mask: Image.Image | None) -> Box:
        """Left, top, right, bottom of the mask's white part."""
        if isinstance(self.mask, StoredPicture):
            found = self.mask.box
        else:
            found = (mask or canvas.scaled_mask(self.mask, self._size)).getbbox()
        assert found is not None, "an empty mask was refused"
        return found

    def _filled(self, picture: Image.Image, mask: Image.Image, seed: int) -> Image.Image:
        if self.fill == "noise":
            return masks.with_noise(picture, mask, seed)
        return masks.with_blur(picture, mask) if self.fill == "blur" else picture


def _check_mask(image: Image.Image, mask: Image.Image) -> None:
    if mask.size != image.size:
        raise InvalidRequest(
            f"The mask is {mask.width}x{mask.height}, the picture {image.width}x{image.height}.",
            "Both must have the same size.",
        )
    low, high = masks.binary(mask).getextrema()
    if high == 0:
        raise InvalidRequest("The mask is empty.", "Paint white what should be redrawn.")
    if low == 255:
        raise InvalidRequest("The mask covers the whole picture.", "Leave part of it black, or use img2img.")
