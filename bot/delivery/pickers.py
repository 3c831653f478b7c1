"""What is offered while an option is typed: what suits the rest of the command first, and pictures by their colours.

Everything is asked of the engine anew, so a file that it notices is offered at once.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from discord.app_commands import Choice
from PIL import Image

from bot.delivery import image_tools
from bot.errors import BadInput, NotFound
from bot.jobs.files import ImageFiles
from bot.jobs.records import StoredImage
from bot.kit.client import Interaction
from bot.languages.speech import _
from bot.orders import drafts
from bot.prompt.numbers import decimal, read_number
from bot.prompt.text import quoted
from bot.threads.pools import PICTURES
from engine.api.model_info import ModelInfo
from engine.backend import Backend
from engine.tasks.img2img import Img2Img
from engine.tasks.txt2img import Txt2Img

MAX_CHOICES = 25  # Discord's
MAX_SWATCHES = 5_000  # pictures whose colours are remembered
COLOURS, LOOKED_AT_PX = 3, 12
USUAL_WEIGHT = 0.8  # of a LoRA, as most of their makers say
Complete = Callable[[Interaction, str], Coroutine[Any, Any, list[Choice[str]]]]
SQUARES = {
    **{"🟥": (221, 46, 68), "🟧": (244, 144, 12), "🟨": (253, 203, 88), "🟩": (120, 177, 89), "🟦": (85, 172, 238)},
    **{"🟪": (170, 142, 214), "🟫": (193, 105, 79), "⬛": (49, 55, 61), "⬜": (230, 231, 232)},
}
"""As Discord draws them (Twemoji): what a list of choices can show of a picture."""


class Services(Protocol):
    """What this module works with."""

    backend: Backend


def choices(typed: str, known: Sequence[tuple[str, str]]) -> list[Choice[str]]:
    """Those (label, value) pairs that hold what is typed, as they come."""
    wanted = typed.casefold().strip()
    found = [pair for pair in known if wanted in pair[0].casefold() or wanted in pair[1].casefold()]
    return [Choice(name=label[:100], value=value[:100]) for label, value in found[:MAX_CHOICES]]


def models(app: Services) -> Complete:
    """Models, those first that can do what the rest of the command asks."""

    async def complete(interaction: Interaction, typed: str) -> list[Choice[str]]:
        said = interaction.namespace
        repaints = getattr(said, "image", None) or getattr(said, "source", None)
        task = Img2Img.task if repaints else Txt2Img.task
        wanted = {name for name, _ in _loras(getattr(said, "lora", None) or "")}

        def suits(info: ModelInfo) -> bool:
            return task in info.tasks and wanted <= set(info.loras)

        known = sorted(app.backend.models(), key=lambda info: not suits(info))
        return choices(typed, [(_model_label(info, suits=suits(info)), info.key) for info in known])

    return complete


def schedulers(app: Services) -> Complete:
    """Schedulers that can sample the model which the command names so far, its own first."""

    async def complete(interaction: Interaction, typed: str) -> list[Choice[str]]:
        info = _named(app, interaction)
        known = info.schedulers if info else ()
        return choices(
            typed, [(f"{each.label}{'' if at else _(' (its own)')}", each.name) for at, each in enumerate(known)]
        )

    return complete


def loras(app: Services) -> Complete:
    """LoRAs with a usual weight, behind those that are typed already; those of the model first."""

    async def complete(interaction: Interaction, typed: str) -> list[Choice[str]]:
        head, comma, last = typed.rpartition(",")
        info = _named(app, interaction)
        named = {name for name, _ in _loras(head)} if head else set()
        fitting = [*(info.loras if info else ())]
        others = {name: each.key for each in app.backend.models() for name in each.loras if name not in fitting}
        known = [(name, name) for name in fitting] + [
            (_("{name} (for {key})", name=name, key=key), name) for name, key in others.items()
        ]
        front = f"{head}{comma}"
        return choices(
            last.partition(":")[0],
            [(label, f"{front}{name}:{USUAL_WEIGHT:g}") for label, name in known if name not in named],
        )

    return complete


def lora_tags(text: str) -> str:
    """`waves:0.8, ink` as the tags of a prompt. Raises: BadInput."""
    tags = []
    for name, weight in _loras(text):
        number = read_number(weight) if weight else 1.0
        if number is None or not name:
            raise BadInput(
                "{text} can't be read. Write LoRAs like waves:0.8, or several with commas.", text=quoted(text)
            )
        tags.append(f"<lora:{name}:{decimal(number)}>")
    return " ".join(tags)


def _loras(text: str) -> list[tuple[str, str]]:
    parts = [part.strip().partition(":") for part in text.split(",") if part.strip()]
    return [(name.strip(), weight.strip()) for name, _, weight in parts]


def _named(app: Services, interaction: Interaction) -> ModelInfo | None:
    """The model that the command names so far, else the first."""
    try:
        return drafts.find_model(app.backend.models(), getattr(interaction.namespace, "model", None))
    except BadInput:  # it is still being typed
        return next(iter(app.backend.models()), None)


def _model_label(info: ModelInfo, *, suits: bool) -> str:
    facts = _(
        "{key} · {width}x{height}, {num_inference_steps} steps",
        key=info.key,
        width=info.width,
        height=info.height,
        num_inference_steps=info.num_inference_steps,
    )
    return facts if suits else _("{facts} · can't do this", facts=facts)


# ---------------------------------------------------------------- pictures by their colours
class Swatches:
    """A few squares for each picture, in its colours: a list of choices has no room for thumbnails."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, str] = OrderedDict()

    async def of(self, files: ImageFiles, image: StoredImage) -> str:
        """The squares of a picture; none where its file can't be read."""
        if image.id not in self._known:
            try:
                data = await files.read(image.path)
                self._known[image.id] = await PICTURES.run(lambda: squares(image_tools.opened(data)))
            except NotFound:
                return ""
            while len(self._known) > MAX_SWATCHES:
                self._known.popitem(last=False)
        return self._known[image.id]


def squares(image: Image.Image) -> str:
    """The colours that most of a picture has, the most frequent first."""
    small = image.convert("RGB").resize((LOOKED_AT_PX, LOOKED_AT_PX))
    pixels = [small.getpixel((x, y)) for x in range(LOOKED_AT_PX) for y in range(LOOKED_AT_PX)]
    counted = Counter(_nearest(pixel) for pixel in pixels)
    return "".join(square for square, count in counted.most_common(COLOURS) if count * 12 >= len(pixels))


def _nearest(pixel: Any) -> str:
    return min(SQUARES, key=lambda square: sum((a - b) ** 2 for a, b in zip(SQUARES[square], pixel, strict=True)))
