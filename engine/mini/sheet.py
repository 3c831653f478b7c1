"""python -m engine.mini.sheet FILE: paint the sheet of 24 pictures that the docs show, one seed each, none picked.

`--changes` paints the README's sheet instead: Mini's pictures, and what its editor makes of them as words say. Those
words were chosen among such as work, the seeds were not; `engine.mini.obedience --sheet` has 24 that nobody chose.
"""

import argparse
from pathlib import Path

from PIL import Image

from engine.mini import EDITOR_DIR, MODEL_DIR, forty_eight, obedience
from engine.mini.evaluate import load, paint

COLUMNS, GAP_PX = 6, 8
QUALITY = 90  # of a JPEG
PROMPTS = (
    *("a red circle", "a yellow star on a blue background", "a red house in a meadow", "a red boat on the sea"),
    *("a black cat in the snow", "a purple fish underwater", "an orange hot air balloon in the mountains"),
    *("a pink heart, watercolor", "two red apples", "three yellow stars at night", "a yellow sun and a white cloud"),
    *("a green tree left of a red house", "a pink heart above a blue square", "a big rocket in space"),
    *(
        "a castle in the mountains",
        "a blue bird at sunset",
        "a purple umbrella in the desert",
        "a red mushroom in a field",
    ),
    *(
        "a teal butterfly on a pink background",
        "a blue moon, neon",
        "a red apple, line art",
        "a green pine tree, pixel art",
    ),
    *("a snowman in winter", "four blue diamonds"),
)
CHANGES = (
    ("a red boat on the sea", "make it sunset"),
    ("a red house in a meadow", "make it night"),
    ("an orange cat in a meadow", "make the cat black"),
    ("a purple fish underwater", "make the fish yellow"),
    ("a yellow star on a blue background", "make the background pink"),
    ("a red apple on a white background", "turn the apple into a heart"),
    ("a red apple on a white background", "three apples"),
    ("a rocket in space", "make the rocket red"),
    ("a red house and a green tree", "swap them"),
    ("a red house and a green tree", "remove the tree"),
    ("a green tree left of a red house", "make the tree pink"),
    ("a hot air balloon in the mountains", "make the balloon purple"),
    ("a hot air balloon in the mountains", "put it in the desert"),
    ("a pink heart on a white background", "make the heart blue"),
    ("a pink heart above a blue square", "swap them"),
    ("a red mushroom in a field", "make the mushroom bigger"),
    ("a red mushroom in a field", "make it blue"),
    ("a flower in a meadow", "put it in the desert"),
    ("a purple umbrella in the desert", "make the umbrella red"),
    ("a red circle on a white background", "turn it into a star"),
    ("a blue moon at night", "make the moon yellow"),
    ("a tree in a meadow", "add a red house"),
    ("a fish underwater", "line art"),
    ("a red house in a meadow", "make it winter"),
)


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """Arrange pictures of one size in rows."""
    width, height = (side + GAP_PX for side in pictures[0].size)
    rows = -(-len(pictures) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * width + GAP_PX, rows * height + GAP_PX), "white")
    for i, picture in enumerate(pictures):
        page.paste(picture, (GAP_PX + i % COLUMNS * width, GAP_PX + i // COLUMNS * height))
    return page


def changed(model: Path, editor: Path) -> Image.Image:
    """Paint and change pictures: before and after side by side, the words below; the seed is the number."""
    pipeline, pictures = obedience.load(editor), paint(load(model), [prompt for prompt, _ in CHANGES])
    asked = zip(CHANGES, pictures, strict=True)
    return obedience.page(
        [
            (before, obedience.told(pipeline, before, words, seed), words)
            for seed, ((_, words), before) in enumerate(asked)
        ]
    )


def main() -> None:
    """Paint and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--all", action="store_true", help="the 48 prompts by which a person judges")
    parser.add_argument("--changes", action="store_true", help="24 pictures, before and after the editor's changes")
    parser.add_argument("--editor", type=Path, default=EDITOR_DIR)
    chosen = parser.parse_args()
    if chosen.changes:
        changed(chosen.model, chosen.editor).save(chosen.file, quality=QUALITY)
        return
    sheet(paint(load(chosen.model), forty_eight.PROMPTS if chosen.all else PROMPTS)).save(chosen.file, quality=QUALITY)


if __name__ == "__main__":
    main()
