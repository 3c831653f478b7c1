"""A picture of figures: tiles on top, charts below, drawn twice as large and shrunk so that lines are smooth.

Pure; runs in a worker thread.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from bot.features.stats.service import reason
from bot.features.stats.store import Day, Figures
from bot.store.clock import DAY_MS

SCALE = 2  # drawn so much larger than shown
WIDTH, MARGIN, GAP = 1200, 36, 24
TILE_H, CHART_H = 108, 270
BACK, CARD, INK, FAINT, GRID = "#1e1f24", "#2a2c33", "#f2f3f5", "#a3a6b0", "#3b3e48"
BLUE, GREEN, AMBER, RED, VIOLET = "#6d9df5", "#63b985", "#e3ad58", "#dd6b4d", "#a98be0"
MOST_REASONS = 7


@dataclass(frozen=True, slots=True)
class Series:
    """Values of the days in one colour; None = no value that day."""

    name: str
    colour: str
    values: Sequence[float | None]


Box = tuple[float, float, float, float]  # left, top, right, bottom in shown pixels


def stats(figures: Figures) -> bytes:
    """The whole picture, as PNG."""
    rows, top = 3, MARGIN
    height = MARGIN * 2 + TILE_H + rows * (CHART_H + GAP)
    page = _Page(WIDTH, int(height))
    _tiles(page, figures.total, top)
    days, half = figures.days, (WIDTH - 2 * MARGIN - GAP) / 2
    charts: list[Callable[[Box], None]] = [
        lambda box: _bars(page, box, "Images per day", days, _series("", BLUE, days, lambda d: d.images)),
        lambda box: _bars(page, box, "Members per day", days, _series("", GREEN, days, lambda d: d.members)),
        lambda box: _lines(page, box, "Seconds (daily median)", days, _time_series(days)),
        lambda box: _bars(page, box, "Credits per day", days, _series("", AMBER, days, lambda d: d.credits_mc / 1000)),
        lambda box: _bars(page, box, "Refusals per day", days, _series("", RED, days, lambda d: d.refusals)),
        lambda box: _reasons(page, box, figures.refusals),
    ]
    for number, chart in enumerate(charts):
        left = MARGIN + (number % 2) * (half + GAP)
        upper = top + TILE_H + GAP + (number // 2) * (CHART_H + GAP)
        chart((left, upper, left + half, upper + CHART_H))
    return page.png()


class _Page:
    """A drawing in shown pixels."""

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), BACK)
        self._draw = ImageDraw.Draw(self._image)

    def card(self, box: Box) -> None:
        self._draw.rounded_rectangle([side * SCALE for side in box], 12 * SCALE, fill=CARD)

    def bar(self, box: Box, colour: str) -> None:
        left, top, right, bottom = (side * SCALE for side in box)
        radius = min(3 * SCALE, (right - left) / 2, max(0.0, bottom - top) / 2)
        self._draw.rounded_rectangle((left, top, max(left, right), max(top, bottom)), radius, fill=colour)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * SCALE), joint="curve")

    def dot(self, x: float, y: float, colour: str, radius: float = 3) -> None:
        box = [(x - radius) * SCALE, (y - radius) * SCALE, (x + radius) * SCALE, (y + radius) * SCALE]
        self._draw.ellipse(box, fill=colour)

    def text(self, x: float, y: float, text: str, size: int, colour: str = INK, anchor: str = "la") -> None:
        self._draw.text((x * SCALE, y * SCALE), text, fill=colour, font=_font(size), anchor=anchor)

    def text_width(self, text: str, size: int) -> float:
        return self._draw.textlength(text, font=_font(size)) / SCALE

    def png(self) -> bytes:
        out = io.BytesIO()
        self._image.resize(self._size, Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
        return out.getvalue()


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * SCALE)


# ---------------------------------------------------------------- tiles
def _tiles(page: _Page, total: Day, top: float) -> None:
    shown = (
        ("images", compact(total.images), BLUE),
        ("members", compact(total.members), GREEN),
        ("wait", _duration(total.wait_ms), VIOLET),
        ("generating", _duration(total.render_ms), VIOLET),
        ("credits", compact(total.credits_mc / 1000), AMBER),
        ("refusals", compact(total.refusals), RED),
    )
    width = (WIDTH - 2 * MARGIN - (len(shown) - 1) * 16) / len(shown)
    for number, (name, value, colour) in enumerate(shown):
        left = MARGIN + number * (width + 16)
        page.card((left, top, left + width, top + TILE_H))
        page.text(left + 16, top + 16, value, 38, colour)
        page.text(left + 16, top + TILE_H - 14, name, 22, FAINT, "ld")


# ---------------------------------------------------------------- charts
def _series(name: str, colour: str, days: Sequence[Day], of: Callable[[Day], float]) -> Series:
    return Series(name, colour, [of(day) for day in days])


def _time_series(days: Sequence[Day]) -> tuple[Series, Series]:
    def all_of(name: str) -> list[float | None]:
        return [None if (ms := getattr(day, name)) is None else ms / 1000 for day in days]

    return Series("wait", VIOLET, all_of("wait_ms")), Series("generating", BLUE, all_of("render_ms"))


def _bars(page: _Page, box: Box, title: str, days: Sequence[Day], series: Series) -> None:
    plot, top_value = _frame(page, box, title, days, [series])
    left, top, right, bottom = plot
    step = (right - left) / len(days)
    width = min(step * 0.72, 28)
    for number, value in enumerate(series.values):
        if value:
            x = left + (number + 0.5) * step
            y = bottom - (bottom - top) * value / top_value
            page.bar((x - width / 2, min(y, bottom - 2), x + width / 2, bottom), series.colour)


def _lines(page: _Page, box: Box, title: str, days: Sequence[Day], all_series: Sequence[Series]) -> None:
    plot, top_value = _frame(page, box, title, days, all_series)
    left, top, right, bottom = plot
    step = (right - left) / len(days)
    for series in all_series:
        points = [
            (left + (n + 0.5) * step, bottom - (bottom - top) * value / top_value)
            for n, value in enumerate(series.values)
            if value is not None
        ]
        if len(points) > 1:
            page.line(points, series.colour, 2.5)
        for point in points:
            page.dot(*point, series.colour)
    _legend(page, box, all_series)


def _legend(page: _Page, box: Box, all_series: Sequence[Series]) -> None:
    x = box[2] - 18
    for series in reversed(all_series):
        page.text(x, box[1] + 16, series.name, 20, FAINT, "ra")
        x -= page.text_width(series.name, 20) + 12
        page.dot(x, box[1] + 29, series.colour, 6)
        x -= 18


def _frame(page: _Page, box: Box, title: str, days: Sequence[Day], all_series: Sequence[Series]) -> tuple[Box, float]:
    """A card with a title, a grid and the days below; where the values go, and the value at its upper edge."""
    page.card(box)
    page.text(box[0] + 18, box[1] + 16, title, 24)
    values = [value for series in all_series for value in series.values if value]
    ticks = nice_ticks(max(values, default=0))
    plot = (box[0] + 74, box[1] + 66, box[2] - 34, box[3] - 44)
    for tick in ticks:
        y = plot[3] - (plot[3] - plot[1]) * tick / ticks[-1]
        page.line([(plot[0], y), (plot[2], y)], GRID)
        page.text(plot[0] - 10, y, compact(tick), 20, FAINT, "rm")
    _days_below(page, plot, days)
    if not values:
        page.text((plot[0] + plot[2]) / 2, (plot[1] + plot[3]) / 2, "nothing yet", 22, FAINT, "mm")
    return plot, ticks[-1]


def _days_below(page: _Page, plot: Box, days: Sequence[Day]) -> None:
    step = (plot[2] - plot[0]) / len(days)
    every = max(1, math.ceil(len(days) / 5))
    for number in range(len(days) - 1, -1, -every):  # today always has its label
        moment = datetime.fromtimestamp(days[number].day * DAY_MS / 1000, UTC)
        page.text(plot[0] + (number + 0.5) * step, plot[3] + 10, f"{moment.day} {moment:%b}", 20, FAINT, "ma")


def _reasons(page: _Page, box: Box, refusals: Sequence[tuple[str, int]]) -> None:
    page.card(box)
    page.text(box[0] + 18, box[1] + 16, "Refused because", 24)
    if not refusals:
        page.text((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, "no refusals", 22, FAINT, "mm")
        return
    most = refusals[0][1]
    middle = box[0] + 256
    for number, (code, count) in enumerate(refusals[:MOST_REASONS]):
        y = box[1] + 74 + number * 27
        page.text(middle - 12, y, reason(code), 20, FAINT, "rm")
        right = middle + max(3.0, (box[2] - 76 - middle) * count / most)
        page.bar((middle, y - 9, right, y + 9), RED)
        page.text(right + 8, y, compact(count), 20, INK, "lm")


# ---------------------------------------------------------------- numbers
def nice_ticks(most: float) -> list[float]:
    """0 and up to five round steps, the last at or above `most`; whole ones from 1 on: half an image is nobody's."""
    if most < 1e-6:  # nothing that a chart could show
        return [0, 1]
    rough = most / 4
    power = 10 ** math.floor(math.log10(rough))
    steps = (factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    step = 1.0 if 1 <= most <= 4 else next(step for step in steps if most < 1 or step == int(step))
    return [step * n for n in range(math.ceil(most / step - 1e-9) + 1)]


def compact(value: float) -> str:
    """A number in at most four signs or so: 950, 1.2k, 36k, 1.4M."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            share = value / limit
            return f"{share:.0f}{unit}" if share >= 100 else f"{share:.1f}".removesuffix(".0") + unit
    return f"{value:.2f}".rstrip("0").rstrip(".") if value < 10 else f"{value:.0f}"


def _duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "–"
    seconds = milliseconds / 1000
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
