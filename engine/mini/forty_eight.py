"""The fixed sheet of 48 prompts by which a person judges Mini: what people type, never picked, one seed each."""

PROMPTS: tuple[str, ...] = (
    # single things, nothing else said
    *("a cat", "a red boat", "a fish", "a blue rocket", "a house", "a snowman", "a flower", "a castle"),
    *(
        "a yellow bird",
        "a robot",
        "a butterfly",
        "a purple car",
        "a mushroom",
        "a ghost",
        "a hot air balloon",
        "an apple",
    ),
    # colours and plain backdrops
    *("a green cat on a white background", "a pink house on a blue background", "a teal star on white"),
    *("a black umbrella on a yellow background", "a red heart on a white background", "an orange fish on black"),
    # scenes
    *("a black cat in the snow", "a red house in a meadow", "a boat on the sea at sunset", "a blue bird in the desert"),
    *("a pine tree in the mountains", "a yellow star at night", "a purple fish underwater", "a red car in the desert"),
    # several things
    *("two red apples", "three yellow stars", "four blue balloons", "two cats", "three pine trees in the snow"),
    *("a green tree left of a red house", "a pink heart above a blue square", "a cat next to a yellow flower"),
    *("a bird above a boat", "a red circle and a blue triangle", "a moon over a castle"),
    # styles
    *("a cat, pixel art", "a castle, pixel art", "a flower, watercolor", "a boat, watercolor"),
    *("a rocket, neon", "a butterfly, line art", "a robot, outline"),
)
