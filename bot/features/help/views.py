"""The pages of /help. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.languages.speech import N_, _
from bot.prompt.text import shown
from engine import mini
from engine.api.model_info import ModelInfo

KNOWN = {
    "things": N_("Mini knows these things: {words}"),
    "colours": N_("Mini knows these colours: {words}"),
    "scenes": N_("Mini knows these scenes: {words}"),
    "styles": N_("Mini knows these styles: {words}"),
}
MAX_CHARS = 3_500  # of one message's 4,000
PAGES = {
    N_("Start"): N_("""**/imagine** paints four pictures of your words. Try `a red boat`.
Under them, **U1**-**U4** show one alone, **V1**-**V4** make four like one, and 🔄 paints new ones.
Under one picture you make it larger, change a part of it, or paint what's around it.
**/history** has what you made, **/queue** what's on its way, **/credits** what you have.
You pay for pictures you get, and for the steps painted of a job you cancel."""),
    N_("Buttons"): N_("""## Under pictures
**U1**-**U4** one picture alone · **V1**-**V4** four neighbours of it · 🔄 the same words, new pictures
**Remix** change words, size or seed · **Seed** the line that makes the same again
**Upscale (2x)** larger, nothing added · **Upscale (Creative)** larger, with new detail
**Vary (Subtle)**, **Vary (Strong)** near or far from it · **Vary (Region)** paint a part anew
**Zoom Out**, ⬅️ ➡️ ⬆️ ⬇️ what lies around it · ⭐ your favourites · **Delete** forget it
-# Everyone may press the buttons of a public picture, with their own credits. They keep working for years."""),
    N_("Prompt line"): N_("""## In the prompt
`--ar 3:2` width to height · `--size 512x768` pixels · `--no clouds` leave out · `--seed 7` the same noise again
`--steps 20` · `--cfg 5` how closely to follow the words · `--model`, `--style`, `--scheduler` by name
`--n 1` one picture · `--repeat 2` the job twice · `--chaos 20` how far the four are from each other · `--tile`
`a {red, blue} boat` makes both · `a {red|blue} boat` takes one at random
`(boat:1.3)` more of it, `[boat]` less · `boat::2 sea` in Midjourney's way
-# Flags may stand anywhere. What can't be used is named before anything is painted, with a button that goes on."""),
    N_("Commands"): N_("""## Commands
**/vary** **/upscale** **/outpaint** **/inpaint** **/blend** the same with any picture; see also a message's Apps
**/control** your words along a picture's outlines · **/describe** words for a picture
**/compare** steps, guidance or seeds side by side · **/style** words that the server keeps for you
**/shorten** which words matter · **/words** lists to draw from · **/prefer** flags of your own
**/show** post a job again · **/settings** how you like your pictures · **/models** what's here
**/privacy** get or delete your data"""),
}
"""Title to text; the first one is what /help shows."""


def models_page(models: Sequence[ModelInfo]) -> str:
    """The models' names, and what the embedded one knows: it knows a small world only."""
    keys = [info.key for info in models]
    lines = [_("## Models here"), " ".join(f"`{shown(key, 80)}`" for key in keys) or _("No model is loaded yet.")]
    known = mini.vocabulary() if any(info.small_world for info in models) else {}
    lines += ["-# " + _(KNOWN[kind], words=", ".join(words)) for kind, words in known.items() if kind in KNOWN]
    return "\n".join([*lines, _("-# **/models** says what each can do.")])[:MAX_CHARS]
