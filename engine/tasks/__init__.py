"""Every task by its name. A new one is a file beside this and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from engine.tasks.blend import Blend
from engine.tasks.control import Control
from engine.tasks.edit import Edit
from engine.tasks.img2img import Img2Img
from engine.tasks.inpaint import Inpaint
from engine.tasks.outpaint import Outpaint
from engine.tasks.txt2img import Txt2Img
from engine.tasks.upscale import Upscale

TASKS: Mapping[str, type[Txt2Img]] = {
    each.task: each for each in (Txt2Img, Img2Img, Inpaint, Outpaint, Upscale, Blend, Control, Edit)
}
