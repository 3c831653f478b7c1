"""outpaint: paint what lies around a picture."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar, Literal, Self

from engine.api.errors import InvalidRequest
from engine.api.model_info import ModelInfo
from engine.imaging import masks
from engine.imaging.masks import Size
from engine.tasks import canvas
from engine.tasks.canvas import Region, coarse_note
from engine.tasks.pictures import MAX_EDIT_SIDE_PX, Picture, check_strength, pixels, too_large
from engine.tasks.txt2img import MAX_RATIO, Room, Txt2Img, check

SMALLEST_ZOOM = 1.02  # what is less is called no zoom


@dataclass(frozen=True, slots=True, kw_only=True)
class Outpaint(Txt2Img):
    """Paint what lies beyond a picture's edges; inside, beyond the feather, every byte of it stays.

    Attributes:
        width, height: of the result; None = the picture's own and the new borders.
        left, right, top, bottom: new pixels at each side, at least one in all.
        strength: noise added to the new border, 0 < strength <= 1.
        fill: what the model finds there: the picture mirrored, or its edges flowing out.
        feather_px: into the picture, over which the new fades into the old; 0 = a hard edge.
    """

    init_image: Picture
    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    strength: float = 0.9
    fill: Literal["mirror", "blur"] = "mirror"
    feather_px: int = 16

    task: ClassVar[str] = "outpaint"
    label: ClassVar[str] = "outpaint"
    does: ClassVar[str] = "paint beyond a picture's edges"
    is_edit: ClassVar[bool] = True
    varies_by_noise: ClassVar[bool] = False
    any_size: ClassVar[bool] = True
    default_strength: ClassVar[float | None] = 0.9
    picture_fields: ClassVar[tuple[str, ...]] = ("init_image",)

    def __post_init__(self) -> None:
        check(self)
        check_strength(self.strength)
        borders = (self.left, self.right, self.top, self.bottom)
        if min(borders) < 0 or not any(borders) or too_large(self.init_image, self.result_size):
            raise InvalidRequest(
                f"The picture can't grow by {', '.join(map(str, borders))} pixels.",
                f"Use 0 or more at each side, more than 0 in all, and at most {MAX_EDIT_SIDE_PX} in all.",
            )
        if self.fill not in ("mirror", "blur"):
            raise InvalidRequest(f"There is no fill '{self.fill}'.", "Use mirror or blur.")
        if not 0 <= self.feather_px <= 256:
            raise InvalidRequest(f"The feather {self.feather_px} is out of range.", "Use 0 to 256 pixels.")

    @property
    def result_size(self) -> Size:
        """The picture's width and height with its new borders."""
        width, height = self.init_image.size
        return width + self.left + self.right, height + self.top + self.bottom

    @property
    def noise_strength(self) -> float | None:
        return self.strength

    @property
    def title(self) -> str:
        """A pan, a zoom, or another proportion."""
        sides = {"left": self.left, "right": self.right, "up": self.top, "down": self.bottom}
        grown = [name for name, px in sides.items() if px]
        if len(grown) == 1:
            return f"Pan {grown[0]}"
        (width, height), (wide, high) = self.init_image.size, self.result_size
        factor = min(wide / width, high / height)
        return "Outpaint" if factor < SMALLEST_ZOOM else f"Zoom Out {round(factor, 2):g}x"

    def within(self, size: Size, info: ModelInfo, room: Room) -> tuple[Self, Size, str]:
        """With its proportions and at most so many painted pixels. Raises: InvalidRequest when it is too narrow."""
        if narrow(size):
            raise InvalidRequest(
                f"{size[0]}x{size[1]} would be too narrow to paint.",
                f"The limit is 1:{MAX_RATIO:g} to {MAX_RATIO:g}:1.",
            )
        if size[0] * size[1] <= room.paint_px:
            return self, size, coarse_note(size, info)
        scale = sqrt(room.paint_px / (size[0] * size[1]))
        less = max(1, int(size[0] * scale)), max(1, int(size[1] * scale))
        return self, less, f"Made {less[0]}x{less[1]} instead of {size[0]}x{size[1]}: the most this server paints."

    def pipeline(self, info: ModelInfo) -> str:
        return "AutoPipelineForInpainting"

    def arguments(self, info: ModelInfo) -> dict[str, Any]:
        return {**Txt2Img.arguments(self, info), "strength": self.strength_run(self.strength)}

    def canvas(self, info: ModelInfo) -> Size:
        return masks.whole(self._size, info.multiple_px, info.max_pixels).canvas

    def prepare(self, info: ModelInfo, seed: int, part: int = 0) -> tuple[Region | None, dict[str, Any]]:
        borders = (self.left, self.right, self.top, self.bottom)
        picture, mask = masks.extended(pixels(self.init_image).convert("RGB"), _box_order(borders))
        mask = canvas.scaled_mask(mask, self._size)
        frame = masks.whole(self._size, info.multiple_px, info.max_pixels)
        region = canvas.region(picture, mask, self._size, self.feather_px, frame)
        filled = masks.with_blur(region.picture, mask) if self.fill == "blur" else region.picture
        return region, canvas.inputs(region, filled)

    @property
    def _size(self) -> Size:
        return self.width or self.result_size[0], self.height or self.result_size[1]


def narrow(size: Size) -> bool:
    """Whether no model paints such proportions well."""
    return not 1 / MAX_RATIO <= size[0] / size[1] <= MAX_RATIO


def _box_order(borders: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, right, top, bottom = borders
    return left, top, right, bottom
