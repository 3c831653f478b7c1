"""The size that a member or server has set, as it is stored: `3:2` or `768x512`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.prompt import flags


def fields_of(shape: str) -> Mapping[str, Any]:
    """A stored shape as fields of a draft. Raises: BadInput."""
    if ":" in shape:
        return {"aspect_ratio": flags.read_ratio(shape)}
    width, height = flags.read_size(shape)
    return {"width": width, "height": height}


def check_shape(shape: str | None) -> None:
    """Raises: BadInput."""
    if shape is not None:
        fields_of(shape)
