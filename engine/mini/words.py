"""The words of Easel Mini's world. Pure data: knows neither torch nor Pillow, nor how a thing is drawn.

Captions are made from these tables and prompts are checked against them, so that what the model was taught and
what the bot says it knows cannot drift apart.
"""

import re

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 54, 54),
    "orange": (244, 138, 36),
    "yellow": (250, 208, 52),
    "green": (72, 168, 82),
    "blue": (54, 110, 222),
    "purple": (142, 74, 192),
    "pink": (245, 130, 174),
    "brown": (140, 92, 58),
    "white": (250, 250, 248),
    "black": (38, 38, 46),
    "gray": (150, 154, 162),
    "teal": (44, 178, 176),
}
THINGS: tuple[str, ...] = (
    *("circle", "square", "triangle", "star", "heart", "diamond", "moon", "sun", "cloud", "tree"),
    *("pine", "house", "boat", "fish", "flower", "cat", "bird", "balloon", "mushroom", "butterfly"),
    *("car", "apple", "rocket", "castle", "ghost", "umbrella", "snowman", "robot"),
)
SCENES: tuple[str, ...] = (
    *("plain", "night", "sunset", "sea", "meadow"),
    *("snow", "desert", "underwater", "mountains", "space"),
)
STYLES: tuple[str, ...] = ("flat", "outline", "watercolor", "pixel", "neon")

# A name that stands twice is drawn twice as often.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "gray": ("gray", "grey"),
    "teal": ("teal", "turquoise"),
    "purple": ("purple", "violet"),
    "circle": ("circle", "circle", "ball"),
    "pine": ("pine tree", "pine"),
    "house": ("house", "house", "cottage"),
    "boat": ("boat", "sailboat", "ship"),
    "cat": ("cat", "kitten"),
    "moon": ("moon", "crescent moon"),
    "balloon": ("hot air balloon", "balloon"),
    "rocket": ("rocket", "rocket", "spaceship"),
}
PLURALS: dict[str, str] = {
    "butterfly": "butterflies",
    "fish": "fish",
    "snowman": "snowmen",
}
SIZES: dict[str, tuple[str, ...]] = {
    "small": ("small", "tiny", "little"),
    "big": ("big", "large", "huge"),
}
PLACES: dict[str, tuple[str, ...]] = {
    "left": ("on the left", "on the left side"),
    "right": ("on the right", "on the right side"),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
    "center": ("in the center", "in the middle"),
    "top left": ("in the top left", "in the top left corner", "at the top left"),
    "top right": ("in the top right", "in the top right corner", "at the top right"),
    "bottom left": ("in the bottom left", "in the bottom left corner", "at the bottom left"),
    "bottom right": ("in the bottom right", "in the bottom right corner", "at the bottom right"),
}
RELATIONS: dict[str, tuple[str, ...]] = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under", "beneath"),
    "on": ("on", "on top of", "sitting on"),
    "next to": ("next to", "beside", "near"),
}
NUMBERS: dict[int, tuple[str, ...]] = {
    2: ("two", "two", "two", "2"),
    3: ("three", "three", "three", "3"),
    4: ("four", "four", "four", "4"),
}
SCENE_PHRASES: dict[str, tuple[str, ...]] = {
    "night": ("at night", "in the night sky", "under a starry night sky", "night"),
    "sunset": ("at sunset", "sunset", "in the evening"),
    "sea": ("on the sea", "sea", "at sea", "ocean"),
    "meadow": ("in a meadow", "on green grass", "on a green hill", "in a field", "green hills"),
    "snow": ("in the snow", "winter", "in winter", "snowy day"),
    "desert": ("in the desert", "desert"),
    "underwater": ("underwater", "under water", "deep in the ocean"),
    "mountains": ("in the mountains", "with mountains", "mountains"),
    "space": ("in space", "in outer space", "space"),
}
STYLE_PHRASES: dict[str, tuple[str, ...]] = {
    "flat": ("flat", "flat illustration", "flat design"),
    "outline": ("outline", "line art", "line drawing", "sketch"),
    "watercolor": ("watercolor", "watercolor painting", "watercolour"),
    "pixel": ("pixel art", "8-bit", "pixel"),
    "neon": ("neon", "neon glow", "glowing neon"),
}
IDLE: tuple[str, ...] = (
    *("beautiful", "cute", "lovely", "pretty", "nice", "amazing", "detailed", "high quality", "artstation"),
    *("masterpiece", "best quality", "very pretty", "colorful", "simple", "fantasy", "happy", "funny", "old"),
    *("young", "golden", "epic", "render", "4k", "hd"),
)
OPENINGS: tuple[str, ...] = ("a picture of ", "an image of ", "draw ", "a photo of ")

# Words that ask for nothing: they steer no pixel, and nobody needs to be told that.
_FUNCTION_WORDS = """
a an and as at background behind but by colored colour coloured color colours colors corner drawing draw for from
front has have her his i image in into is it its made make me my of off on one or our out painting paint photo
picture please scene sitting side sky some style standing floating flying swimming single solid that the their them
there these this those to top up us very view was we were which with without you your no not middle centre center
""".split()  # noqa: SIM905
_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")


def plural(name: str) -> str:
    """Return the plural of a thing's name, e.g. "pine trees"."""
    return PLURALS.get(name, name + ("es" if name.endswith("s") else "s"))


def names(word: str) -> tuple[str, ...]:
    """Return every name a colour or thing goes by."""
    return SYNONYMS.get(word, (word,))


def words_in(text: str) -> tuple[str, ...]:
    """Split a text into lower-case words."""
    return tuple(word.lower() for word in _WORD.findall(text))


def _phrases() -> list[str]:
    nouns = [name for thing in THINGS for name in names(thing)]
    tables = (SIZES, PLACES, RELATIONS, NUMBERS, SCENE_PHRASES, STYLE_PHRASES)
    return [
        *nouns,
        *map(plural, nouns),
        *(name for colour in COLOURS for name in names(colour)),
        *(phrase for table in tables for phrases in table.values() for phrase in phrases),
        *SCENES,
        *IDLE,
        *OPENINGS,
        *_FUNCTION_WORDS,
    ]


PAINTED: frozenset[str] = frozenset(
    word
    for phrases in ([*names(thing), *map(plural, names(thing))] for thing in THINGS)
    for phrase in phrases
    for word in words_in(phrase)
) | frozenset(scene for scene in SCENES if scene != "plain")
"""Words that put something into a picture by themselves."""
KNOWN: frozenset[str] = frozenset(word for phrase in _phrases() for word in words_in(phrase))
CHANGES: frozenset[str] = frozenset(
    [
        *("turn", "change", "replace", "swap", "switch", "exchange", "move", "place", "put", "bigger", "larger"),
        *("enlarge", "shrink", "smaller", "remove", "delete", "take", "away", "get", "rid", "erase", "add", "show"),
        *("instead", "now"),
    ]
)
"""Words that only its editor knows."""
CHANGED: frozenset[str] = (KNOWN - {*_FUNCTION_WORDS} - {word for phrase in IDLE for word in words_in(phrase)}) | {
    "bigger",
    "larger",
    "enlarge",
    "shrink",
    "smaller",
    "swap",
    "switch",
    "exchange",
    "center",
    "middle",
}
"""Words any of which tells what a change leads to, or which thing it is about."""
