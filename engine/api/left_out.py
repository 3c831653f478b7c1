"""What is configured and cannot be used. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something configured that cannot be used, so that the engine goes on without it.

    Attributes:
        kind: `model`, `LoRA`, `embedding`, `IP-Adapter`, `ControlNet`, `upscaler`, `captioner`, `easel.json of`, ...
        name: as it was configured. reason: why, in a few words, and how to mend it.
    """

    kind: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"the {self.kind} '{self.name}' is left out: {self.reason}"
