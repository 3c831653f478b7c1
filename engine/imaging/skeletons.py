"""Skeletons as ControlNets for poses read them: OpenPose's colours on black. Pillow alone; knows no requests, no torch.

OpenPose (Cao et al. 2018, arXiv:1812.08008) has 18 joints: COCO's 17, and a neck between the shoulders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]
# OpenPose's joints in their order, by COCO's numbers; the second is the neck.
_NOSE, _NECK, _LEFT_SHOULDER, _RIGHT_SHOULDER = 0, None, 5, 6
_ORDER = (_NOSE, _NECK, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
# The limbs between them, each in the colour of its place: arms, legs, then the head.
_LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
_LIMB_LIGHT = 0.6  # limbs are darker than the joints upon them
_HALF_WIDTH, _OF_SIDE = 4.0, 512  # pixels, where the shorter side has so many
_CORNERS = 24  # of an ellipse


def drawn(size: tuple[int, int], people: Sequence[Sequence[Point | None]]) -> Image.Image:
    """Everybody's skeleton, as RGB; of each person COCO's 17 joints, None where one isn't seen."""
    image = Image.new("RGB", size)
    draw, half = ImageDraw.Draw(image), max(1.0, _HALF_WIDTH * min(size) / _OF_SIDE)
    bodies = [_openpose(person) for person in people]
    for body in bodies:
        for number, (start, end) in enumerate(_LIMBS):
            one, other = body[start], body[end]
            if one is not None and other is not None:
                draw.polygon(_ellipse(one, other, half), fill=_colour(number, _LIMB_LIGHT))
    for body in bodies:
        for number, joint in enumerate(body):
            if joint is not None:
                x, y = joint
                draw.ellipse((x - half, y - half, x + half, y + half), fill=_colour(number))
    return image


def _openpose(person: Sequence[Point | None]) -> list[Point | None]:
    left, right = person[_LEFT_SHOULDER], person[_RIGHT_SHOULDER]
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2) if left and right else None
    return [neck if number is None else person[number] for number in _ORDER]


def _ellipse(one: Point, other: Point, half: float) -> list[Point]:
    """From joint to joint, as wide as two halves."""
    across, down = other[0] - one[0], other[1] - one[1]
    middle, long, angle = (
        (one[0] + across / 2, one[1] + down / 2),
        math.hypot(across, down) / 2,
        math.atan2(down, across),
    )
    turns = (2 * math.pi * corner / _CORNERS for corner in range(_CORNERS))
    ways = ((long * math.cos(turn), half * math.sin(turn)) for turn in turns)
    return [
        (middle[0] + x * math.cos(angle) - y * math.sin(angle), middle[1] + x * math.sin(angle) + y * math.cos(angle))
        for x, y in ways
    ]


def _colour(number: int, light: float = 1.0) -> tuple[int, int, int]:
    """OpenPose's colours: 18 around the circle from red over green and blue, by steps of a third of the way."""
    turn, part = divmod(number, 3)
    step = 85 * part
    ring = (
        (255, step, 0),
        (255 - step, 255, 0),
        (0, 255, step),
        (0, 255 - step, 255),
        (step, 0, 255),
        (255, 0, 255 - step),
    )
    red, green, blue = ring[turn]
    return int(red * light), int(green * light), int(blue * light)
