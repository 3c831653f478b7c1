"""What Mini can paint or change instead of what it does not know: the nearest in meaning. Data and a look-up."""

import re
from collections.abc import Sequence

from engine.mini.words import COLOURS, THINGS, words_in

# One prompt a line, and the words that it stands in for.
INSTEAD: dict[str, str] = {
    "an orange cat": """dog puppy doggo animal pet lion tiger fox wolf mouse rabbit bunny hamster kitty horse pony cow
        pig sheep bear panda elephant monkey giraffe zebra deer unicorn squirrel raccoon tail fur paw catgirl""",
    "a blue bird": """eagle owl parrot duck chicken penguin swan crow raven dragon phoenix wing wings feather flamingo
        pigeon hummingbird plane airplane helicopter jet bat""",
    "a purple butterfly": "bee insect bug moth ladybug dragonfly fairy spider ant beetle firefly",
    "an orange fish": """shark whale dolphin octopus turtle crab goldfish salmon squid jellyfish seahorse mermaid
        aquarium coral frog crocodile""",
    "a rocket in space": """astronaut ufo alien galaxy planet spacecraft satellite mars nasa shuttle cosmos universe
        nebula comet asteroid launch""",
    "a gray robot": """android machine cyborg mech person man woman boy girl child kid human people guy lady face
        portrait hero warrior soldier knight wizard doctor computer anime character astronaut ninja samurai""",
    "a snowman in the snow": "santa christmas ice frozen frost elf winterland penguin polar yeti skiing sledge",
    "a white ghost at night": """monster demon zombie vampire skeleton spooky halloween witch devil spirit skull horror
        haunted dark creepy scary goblin""",
    "a castle in the mountains": """palace fortress tower kingdom king queen prince princess temple church ruin city
        cathedral dragon wizard knight medieval throne""",
    "a brown house in a meadow": """home hut cabin barn building village farm street town skyscraper window door bridge
        school shop room garden villa city""",
    "a red car in the desert": "truck bus van taxi motorcycle bike bicycle train tractor vehicle road race tank",
    "a boat on the sea": """yacht ferry canoe submarine pirate river lake harbour harbor beach island wave waves
        kayak titanic lighthouse port sail surfing""",
    "a pine tree in the snow": "forest wood woods jungle fir spruce christmas branch",
    "a green tree in a meadow": "oak palm leaf plant bush nature garden park landscape maple willow bonsai orchard",
    "a pink flower": "rose tulip daisy sunflower blossom bouquet lily orchid petal plant garden spring lotus lavender",
    "a red apple": """fruit banana pear strawberry cherry lemon food cake pizza bread vegetable tomato burger sushi
        cookie coffee tea pumpkin peach grape melon""",
    "a red mushroom": "fungus toadstool gnome forest moss fairy dwarf hobbit champignon",
    "a purple umbrella": "rain parasol rainy storm weather raincoat thunder",
    "a hot air balloon over a house": "kite zeppelin airship parachute party birthday flight fly",
    "a yellow moon at night": "midnight moonlight lunar dream sleep werewolf darkness",
    "a yellow sun at sunset": "sunrise dawn dusk summer sunshine sunny light horizon",
    "a star at night": "sparkle constellation magic wish glitter twinkle fireworks stardust",
    "a red heart": "love valentine romance kiss emoji heartbeat wedding couple romantic",
    "a teal diamond": "gem jewel crystal ruby emerald ring treasure gold sapphire ice",
    "a gray cloud": "fog mist smoke thunderstorm wind lightning tornado heaven",
    "mountains at sunset, a pine": "valley cliff volcano rock canyon hiking peak everest alps",
}
ALWAYS = ("a boat on the sea", "an orange cat", "a castle in the mountains")  # for words that have no relative here
ALWAYS_CHANGED = ("make it night", "as pixel art")  # in whatever picture
_WORDS = {prompt: frozenset(words.split()) for prompt, words in INSTEAD.items()}
_STYLES = {
    "watercolor": "painting oil impressionist gouache acrylic monet gogh ghibli aquarell pastel",
    "pixel art": "retro voxel lowpoly minecraft nintendo 16-bit sprite game",
    "line drawing": "ink pencil charcoal manga comic engraving doodle tattoo lineart",
    "neon": "cyberpunk synthwave vaporwave laser futuristic cyber glowing",
}


def instead_of(strangers: Sequence[str], prompt: str, count: int = 3) -> tuple[str, ...]:
    """Return prompts that Mini can paint, nearest in meaning to words it does not know, in the nearest style."""
    offers = list(dict.fromkeys([*_near(strangers), *ALWAYS]))[:count]
    style, colour = _style(strangers), _colour(prompt)
    return tuple(_dressed(offer, colour, style) for offer in offers)


def changes_instead_of(strangers: Sequence[str], instruction: str, count: int = 3) -> tuple[str, ...]:
    """Return changes that its editor can make in any picture, nearest in meaning to words it does not know."""
    style, colour = _style(strangers), _colour(instruction)
    things = [next(word for word in words_in(offer) if word in THINGS) for offer in _near(strangers)]
    added = [f"add {'an' if thing[0] in 'aeiou' else 'a'} {thing}" for thing in things[:1]]
    near = [f"as {style}"] if style else []
    return tuple(dict.fromkeys([*near, *added, f"make it {colour or 'blue'}", *ALWAYS_CHANGED]))[:count]


def _near(strangers: Sequence[str]) -> list[str]:
    return [offer for word in strangers for offer, words in _WORDS.items() if _stem(word) in words or word in words]


def _style(strangers: Sequence[str]) -> str | None:
    return next((style for style, words in _STYLES.items() if set(strangers) & set(words.split())), None)


def _colour(text: str) -> str | None:
    return next((word for word in words_in(text) if word in COLOURS), None)


def _stem(word: str) -> str:
    """Take a plural or possessive ending off."""
    return re.sub(r"(?:'s|’s|(?<=[^s])s)$", "", word)


def _dressed(offer: str, colour: str | None, style: str | None) -> str:
    """Give an offer the colour of the prompt that it stands in for, and a style."""
    words = offer.split()
    if colour and len(words) > 1 and words[1] in COLOURS:
        article = "an" if colour[0] in "aeiou" else "a"
        offer = " ".join([article, colour, *words[2:]])
    return f"{offer}, {style}" if style else offer
