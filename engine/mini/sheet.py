"""python -m engine.mini.sheet FILE: paint the sheet of 24 pictures that the docs show, one seed each, none picked."""

import argparse
from pathlib import Path

from PIL import Image

from engine.mini import MODEL_DIR, forty_eight
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


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """Arrange pictures of one size in rows."""
    width, height = (side + GAP_PX for side in pictures[0].size)
    rows = -(-len(pictures) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * width + GAP_PX, rows * height + GAP_PX), "white")
    for i, picture in enumerate(pictures):
        page.paste(picture, (GAP_PX + i % COLUMNS * width, GAP_PX + i // COLUMNS * height))
    return page


def main() -> None:
    """Paint and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--all", action="store_true", help="the 48 prompts by which a person judges")
    chosen = parser.parse_args()
    sheet(paint(load(chosen.model), forty_eight.PROMPTS if chosen.all else PROMPTS)).save(chosen.file, quality=QUALITY)


if __name__ == "__main__":
    main()
