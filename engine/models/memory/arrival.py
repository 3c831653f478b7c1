"""A model's way into memory: each of its parts is where it's kept before the next one is read. In the loader's threads.

Where a card has its own memory, the machine's holds one part at most beside what is mapped from the files.
"""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import nn

from engine.models.catalog import Source
from engine.models.files import parts, reading
from engine.models.memory.placing import Placing
from engine.models.upscalers import networks


def bring(source: Source, dtype: torch.dtype, placing: Placing, *, upscales: bool = False) -> None:
    """Read a model, or one that upscales, into its `placing`.

    Raises: whatever reading or moving it does; nothing of it is left then.
    """

    def put(name: str, module: nn.Module) -> None:
        parts.refuse_unfilled(source.key, module)
        if dtype == torch.float16 and name == "vae":
            module.to(torch.float32)  # SDXL's overflows in half precision, and upcasting it midway would hit others
        placing.put(name, module)
        placing.memory.moved()

    with ExitStack() as undo:
        undo.callback(placing.empty, ())
        placing.pipe = (networks if upscales else reading).load(source, dtype, put)
        for name, module in placing.left():
            put(name, module)
        placing.count()
        undo.pop_all()
