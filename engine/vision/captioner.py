"""Prompts from pictures: a captioner where one is configured, else words of Easel Mini's world that its CLIP picks."""

from __future__ import annotations

import random
from collections.abc import Iterable

import torch
import transformers
from PIL import Image, ImageFilter

from engine.mini import words
from engine.vision import ranker
from engine.vision.loading import Reader, reader

PROMPTS = 4
TOKENS = 40  # a caption is a sentence
SAMPLES = 8  # so that four different ones are among them
SEED = 0  # the same picture is described in the same words
HIDDEN = 0.46  # of each side
SAMPLED = 24  # things that every scene and style is tried with; more find nothing else


def captioner(location: str, device: torch.device) -> Reader:
    """BLIP, GIT or any other image-to-text model of transformers."""
    return reader(transformers.AutoModelForImageTextToText, location, device)


def captions(eyes: Reader, image: Image.Image) -> list[str]:
    """The likeliest caption, then others that the model might say as well."""
    seen = eyes.see([image])
    likeliest = eyes.model.generate(pixel_values=seen, num_beams=3, do_sample=False, max_new_tokens=TOKENS)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        others = eyes.model.generate(
            pixel_values=seen, do_sample=True, top_p=0.9, num_return_sequences=SAMPLES, max_new_tokens=TOKENS
        )
    said = (text for ids in (likeliest, others) for text in eyes.words.batch_decode(ids, skip_special_tokens=True))
    return _different(" ".join(text.split()) for text in said)


def _different(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))[:PROMPTS]


class Vocabulary:
    """Describes pictures in Easel Mini's words: first the scene and the style, then what is in it, then where."""

    def __init__(self, eyes: Reader) -> None:
        self._eyes = eyes
        some = random.Random(SEED).sample(COLOURED, SAMPLED)
        self._around = torch.stack([self._of(f"{thing}{end}" for thing in some) for end in ENDS])
        self._things: dict[str, torch.Tensor] = {}

    def describe(self, image: Image.Image) -> list[str]:
        """Four prompts of four things, all in words that Mini knows."""
        seen = ranker.of_pictures(self._eyes, [image])[0]
        end = ENDS[int((self._around @ seen).amax(1).argmax())]
        things = self._likely(seen, end)
        place = self._place(image, things[0] + end)
        return [thing + place + end for thing in things]

    def _likely(self, seen: torch.Tensor, end: str) -> list[str]:
        """Each of the likeliest kinds of thing in its likeliest colour."""
        if end not in self._things:
            self._things[end] = self._of(thing + end for thing in COLOURED)
        likely = (self._things[end] @ seen).view(len(words.THINGS), len(words.COLOURS))
        kinds = likely.amax(1).topk(PROMPTS).indices.tolist()
        return [COLOURED[kind * len(words.COLOURS) + int(likely[kind].argmax())] for kind in kinds]

    def _place(self, image: Image.Image, text: str) -> str:
        """Where the thing is: with that place hidden, the picture matches the words least. The middle needs no word.

        CLIP reads places badly and sees things well: measured on 40 renderings, this finds 30 places, the words 5.
        """
        likely = ranker.of_pictures(self._eyes, [_hidden(image, *at) for at in PLACE_AT.values()]) @ self._of([text])[0]
        place = list(PLACE_AT)[int(likely.argmin())]
        return "" if place == "center" else f" {words.PLACES[place][0]}"

    def _of(self, texts: Iterable[str]) -> torch.Tensor:
        return ranker.of_texts(self._eyes, list(texts))


def _hidden(image: Image.Image, x: float, y: float) -> Image.Image:
    """The picture with a square around (x, y), in shares of its sides, blurred away."""
    width, height = image.size
    ground = image.convert("RGB").filter(ImageFilter.BoxBlur(max(width, height) // 2))
    box = [round((at + sign * HIDDEN / 2) * side) for sign in (-1, 1) for at, side in ((x, width), (y, height))]
    left, top = max(0, box[0]), max(0, box[1])
    hidden = image.convert("RGB")
    hidden.paste(ground.crop((left, top, box[2], box[3])), (left, top))
    return hidden


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _ends() -> list[str]:
    """Every scene with every style; the plain ground and the flat style go without saying."""
    scenes = ["", *(f" {phrases[0]}" for phrases in words.SCENE_PHRASES.values())]
    styles = ["" if style == "flat" else f", {phrases[0]}" for style, phrases in words.STYLE_PHRASES.items()]
    return [scene + style for scene in scenes for style in styles]


COLOURED = [f"{_article(c)} {c} {words.names(thing)[0]}" for thing in words.THINGS for c in words.COLOURS]
ENDS = _ends()
LOW, MID, HIGH = 0.27, 0.5, 0.73  # shares of the side: where the renderer puts what is at an edge or in the middle
PLACE_AT = {
    f"{row} {column}".strip() or "center": (x, y)
    for row, y in (("top", LOW), ("", MID), ("bottom", HIGH))
    for column, x in (("left", LOW), ("", MID), ("right", HIGH))
}
