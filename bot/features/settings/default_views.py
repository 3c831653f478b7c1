"""A server's defaults in words. Pure."""

from __future__ import annotations

from bot.features.settings.store import ServerDefaults
from bot.prompt.text import shown

OWN = "the model's default"


def described(defaults: ServerDefaults) -> str:
    """Every default, one a line."""
    rows = (
        ("Model", shown(defaults.model) if defaults.model else "the bot's default"),
        ("Size", defaults.shape or OWN),
        ("Steps", str(defaults.steps) if defaults.steps else OWN),
        ("Guidance", f"{defaults.guidance:g}" if defaults.guidance is not None else OWN),
        ("Scheduler", shown(defaults.scheduler) if defaults.scheduler else OWN),
        ("Negative prompt", shown(defaults.negative, 300) or "none"),
        ("Styles", ", ".join(defaults.styles) or "none"),
    )
    return "\n".join(["## This server's defaults", *(f"**{name}** {value}" for name, value in rows)])
