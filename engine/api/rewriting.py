"""What a prompt helper can be asked for. Knows no torch."""

from __future__ import annotations

from typing import Literal

Aim = Literal["expand", "translate", "instruct"]
