"""upscale: make a picture larger, with new detail or without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from PIL import Image

from engine.api.errors import InvalidRequest
from engine.api.model_info import ModelInfo
from engine.imaging import masks
from engine.imaging import tiles as upscale_tiles
from engine.imaging.masks import Box, Frame, Size
from engine.imaging.tiles import Mosaic
from engine.tasks.canvas import Enlargement, Place, Region
from engine.tasks.pictures import MAX_EDIT_SIDE_PX, Picture, check_strength, pixels, too_large
from engine.tasks.txt2img import Room, Txt2Img, check

Mode = Literal["faithful", "creative"]
LANCZOS, BEST = "lanczos", "best"
_NAMES = {LANCZOS: "Lanczos"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscale(Txt2Img):
    """Make a picture 2 or 4 times as wide and high.

    Attributes:
        mode: `faithful` adds nothing; `creative` enlarges, then repaints overlapping tiles.
        resampling: how a faithful one is made: `lanczos`, or `best`, the engine's upscaler, which the recipe names.
        strength: creative: noise added to the enlarged picture, 0 < strength <= 1.
    """

    prompt: str = ""
    init_image: Picture
    scale: int = 2
    mode: Mode = "faithful"
    strength: float = 0.3
    resampling: str = BEST

    task: ClassVar[str] = "upscale"
    label: ClassVar[str] = "upscale"
    does: ClassVar[str] = "enlarge pictures"
    is_edit: ClassVar[bool] = True
    varies_by_noise: ClassVar[bool] = False
    any_size: ClassVar[bool] = True
    default_strength: ClassVar[float | None] = 0.3
    can_follow: ClassVar[bool] = False
    picture_fields: ClassVar[tuple[str, ...]] = ("init_image",)

    def __post_init__(self) -> None:
        check_strength(self.strength)
        if self.scale not in (2, 4) or too_large(self.init_image, self.result_size):
            width, height = self.init_image.size
            raise InvalidRequest(
                f"A picture of {width}x{height} can't become {self.scale}x as large.",
                f"Use 2 or 4, up to {MAX_EDIT_SIDE_PX} pixels a side.",
            )
        if self.mode not in ("faithful", "creative"):
            raise InvalidRequest(f"There is no upscale '{self.mode}'.", "Use faithful or creative.")
        if (self.width or self.result_size[0], self.height or self.result_size[1]) != self.result_size:
            raise InvalidRequest("An upscale's size is its picture's times the scale.", "Leave width and height out.")
        check(self)

    @property
    def result_size(self) -> Size:
        width, height = self.init_image.size
        return width * self.scale, height * self.scale

    @property
    def paints(self) -> bool:
        return self.mode == "creative"

    @property
    def noise_strength(self) -> float | None:
        return self.strength if self.paints else None

    @property
    def title(self) -> str:
        how = "Creative" if self.paints else _NAMES.get(self.resampling, self.resampling)
        return f"Upscale {self.scale}x ({how})"

    @property
    def uses_upscaler(self) -> bool:
        return not self.paints and self.resampling != LANCZOS

    def asked_again(self) -> Self:
        return replace(self, resampling=BEST)

    def with_strength(self, strength: float | None) -> Self:
        return Txt2Img.with_strength(self, strength) if self.paints else self

    def within(self, size: Size, info: ModelInfo, room: Room) -> tuple[Self, Size, str]:
        """4x becomes 2x where 4x would be more than can be kept. Raises: InvalidRequest."""
        if room.keeps(size):
            return self, size, ""
        half = size[0] // 2, size[1] // 2
        if self.scale > 2 and room.keeps(half):
            note = f"{self.scale}x would be {size[0]}x{size[1]}, too large to keep: made 2x."
            return replace(self, scale=2), half, note
        raise InvalidRequest(
            f"This picture is {size[0] // self.scale}x{size[1] // self.scale} already; twice that can't be kept.",
            "Use one of at most 2048x2048 pixels.",
        )

    def completed(self, info: ModelInfo) -> Self:
        """With the name of what enlarges it; a creative one starts from Lanczos. Raises: InvalidRequest."""
        known = info.upscaler.name
        if self.paints or self.resampling == LANCZOS:
            return replace(self, resampling=LANCZOS)
        if self.resampling not in (BEST, known):
            raise InvalidRequest(f"There is no upscaler '{self.resampling}' here.", "Use best or lanczos.")
        return replace(self, resampling=known)

    def pipeline(self, info: ModelInfo) -> str:
        return "AutoPipelineForImage2Image"

    def arguments(self, info: ModelInfo) -> dict[str, Any]:
        return {**Txt2Img.arguments(self, info), "strength": self.strength_run(self.strength)}

    def effort(self, info: ModelInfo) -> float:
        return self.strength_run(self.strength)

    def painted_px(self, info: ModelInfo) -> int:
        """Of one that paints nothing, the pixels that it makes."""
        if not self.paints:
            return self.result_size[0] * self.result_size[1]
        return len(self._tiles(info)) * info.width * info.height

    # ------------------------------------------------------------ tiles
    def canvas(self, info: ModelInfo) -> Size:
        return self._frame(info, 0).canvas

    def parts(self, info: ModelInfo) -> int:
        return len(self._tiles(info)) if self.paints or self.uses_upscaler else 1

    def place(self, info: ModelInfo, part: int) -> Place | None:
        if self.uses_upscaler or self.parts(info) == 1:
            return None
        boxes = self._tiles(info)
        (left, top, *_), (right, bottom) = boxes[part], boxes[-1][:2]
        canvas = self._frame(info, part).canvas
        return Place(whole=(right + canvas[0], bottom + canvas[1]), canvas=canvas, left=left, top=top)

    def prepare(self, info: ModelInfo, seed: int, part: int = 0) -> tuple[Region | None, dict[str, Any]]:
        frame = self._frame(info, part)
        tile = upscale_tiles.enlarged(pixels(self.init_image).convert("RGB"), self.result_size, frame.box)
        padded = masks.into_frame(tile, replace(frame, box=(0, 0, *tile.size)))
        width, height = frame.canvas
        region = Region(picture=tile, mask=None, feather_px=0, frame=frame)
        return region, {"image": padded, "width": width, "height": height}

    def mosaic(self, info: ModelInfo) -> Mosaic | None:
        return None if self.parts(info) == 1 else Mosaic(self.result_size, self._tiles(info))

    def enlargement(self, info: ModelInfo, part: int) -> Enlargement | None:
        if not self.uses_upscaler:
            return None
        left, top, right, bottom = (px // self.scale for px in self._tiles(info)[part])
        return Enlargement(picture=pixels(self.init_image), box=(left, top, right, bottom), scale=self.scale)

    def unpainted(self) -> Image.Image | None:
        if self.paints or self.uses_upscaler:
            return None
        return upscale_tiles.enlarged(pixels(self.init_image).convert("RGB"), self.result_size)

    def _tiles(self, info: ModelInfo) -> list[Box]:
        """The tiles of the result."""
        if self.uses_upscaler:
            side = info.upscaler.tile_px // info.upscaler.scale ** (info.upscaler.passes(self.scale) - 1)
            own = upscale_tiles.tiles(self.init_image.size, (side, side), 1)
            return [(a * self.scale, b * self.scale, c * self.scale, d * self.scale) for a, b, c, d in own]
        return upscale_tiles.tiles(self.result_size, (info.width, info.height), info.multiple_px)

    def _frame(self, info: ModelInfo, part: int) -> Frame:
        box = self._tiles(info)[part]
        inner = (box[2] - box[0], box[3] - box[1])
        return replace(masks.whole(inner, info.multiple_px, max(info.max_pixels, info.width * info.height)), box=box)
