"""A server's defaults in words. Pure."""

from __future__ import annotations

from bot.features.settings.store import ServerDefaults
from bot.languages.speech import N_, _
from bot.prompt.text import shown

OWN = N_("the model's default")


def described(defaults: ServerDefaults) -> str:
    """Every default, one a line."""
    rows = (
        (_("Model"), shown(defaults.model) if defaults.model else _("the bot's default")),
        (_("Size"), defaults.shape or _(OWN)),
        (_("Steps"), str(defaults.steps) if defaults.steps else _(OWN)),
        (_("Guidance"), f"{defaults.guidance:g}" if defaults.guidance is not None else _(OWN)),
        (_("Scheduler"), shown(defaults.scheduler) if defaults.scheduler else _(OWN)),
        (_("Negative prompt"), shown(defaults.negative, 300) or _("none")),
        (_("Styles"), ", ".join(defaults.styles) or _("none")),
    )
    return "\n".join([_("## This server's defaults"), *(f"**{name}** {value}" for name, value in rows)])
