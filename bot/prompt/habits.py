"""Flags that people know from Midjourney and that mean nothing here: what is said of them. Pure.

Source: Midjourney's public list of parameters (docs.midjourney.com, "Parameter List"), versions 5 to 8.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Habit:
    """A flag that is taken and left out. `takes`: as in `bot.prompt.flags.Flag`."""

    takes: str
    note: str


RAW = "`--style raw` has no effect here: these models add no look of their own."
_MODEL = "`--{}` has no effect here. Choose a model with `--model`; **/models** lists them."
_SPEED = "`--{}` has no effect here: there is one queue, and it's shared fairly."
_SIZE = "`--{}` has no effect here. Ask for pixels with `--size`, or press **Upscale** afterwards."
NOTED = {
    "v": Habit("number", _MODEL.format("v")),
    "niji": Habit("number", _MODEL.format("niji")),
    "fast": Habit("nothing", _SPEED.format("fast")),
    "relax": Habit("nothing", _SPEED.format("relax")),
    "turbo": Habit("nothing", _SPEED.format("turbo")),
    "hd": Habit("nothing", _SIZE.format("hd")),
    "sd": Habit("nothing", _SIZE.format("sd")),
    "raw": Habit("nothing", RAW.replace("--style raw", "--raw")),
    "stylize": Habit("number", "`--stylize` has no effect here. `--cfg` says how closely words are followed."),
    "weird": Habit("number", "`--weird` has no effect here. `--chaos` spreads the four pictures."),
    "stop": Habit("number", "`--stop` has no effect here: every step is painted. `--steps` asks for fewer."),
    "profile": Habit("number", "`--profile` has no effect here. **/settings** keeps your own style."),
    "uplight": Habit("nothing", "`--uplight` has no effect here. **Upscale (2x)** adds nothing to a picture."),
    "upbeta": Habit("nothing", "`--upbeta` has no effect here. **Upscale (2x)** adds nothing to a picture."),
    "exp": Habit("number", "`--exp` has no effect here. `--cfg` says how closely words are followed."),
}
"""What is taken, left out, and said."""

_REFERENCE = (
    "Easel can't take a reference picture with `--{}` yet. `/imagine image:` starts from a picture, and **/blend** "
    "mixes several."
)
_MOTION = "Easel paints still pictures, so `--{}` can't be used."
REFUSED = {
    **{name: _REFERENCE.format(name) for name in ("sref", "cref", "oref", "sw", "cw", "ow", "sv")},
    **{name: _MOTION.format(name) for name in ("video", "motion", "loop", "end", "bs")},
}
"""What would change the picture, so that leaving it out is asked first."""
