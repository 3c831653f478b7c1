"""What a look found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: `bad` has to be mended, `note` is worth knowing.

    Attributes:
        passing: it may pass by itself (a port in use), so another start may go better.
        vital: without it nothing works; the rest goes on without a LoRA, say, or with a full disk.
    """

    what: str
    verdict: Verdict
    sentence: str
    passing: bool = False
    vital: bool = True
