"""Forms. Their answers are routed by the form's id, not by a waiting object, so they survive a restart too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import discord

from bot.grammar import plain
from bot.spec import Spec
from bot.views.ids import Action, PressId


class Form(discord.ui.Modal):
    """A modal whose submission the client handles by `custom_id` (see `Client.on_interaction`)."""

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Nothing: the client has it already."""


def remix(image_id: int, spec: Spec) -> Form:
    """Everything that made an image, filled in and ready to change."""
    form = Form(title="Remix", custom_id=str(PressId(Action.REMIX, image_id)), timeout=None)
    steps = f"{spec.num_inference_steps}, {spec.guidance_scale:g}"
    fields = (
        ("prompt", "Prompt", plain(spec.prompt)[:4000], discord.TextStyle.paragraph, True, 4000),
        ("negative", "Leave out", spec.negative_prompt, discord.TextStyle.short, False, 1000),
        ("seed", "Seed (empty: a new one)", str(spec.seed), discord.TextStyle.short, False, 10),
        ("size", "Size (width x height, or a ratio such as 3:2)", f"{spec.width}x{spec.height}",
         discord.TextStyle.short, False, 11),
        ("steps", "Steps, guidance", steps, discord.TextStyle.short, False, 12),
    )  # fmt: skip
    for name, label, value, style, required, length in fields:
        form.add_item(
            discord.ui.TextInput(
                label=label,
                custom_id=name,
                style=style,
                default=value or None,
                required=required,
                max_length=length,
            )
        )
    return form


def answers(interaction: discord.Interaction[Any]) -> Mapping[str, str]:
    """The submitted fields by their ids; untouched optional ones are empty strings."""
    found: dict[str, str] = {}
    pending: list[dict[str, Any]] = list(cast(dict[str, Any], interaction.data or {}).get("components", ()))
    while pending:
        item = pending.pop()
        pending += item.get("components", ())
        if "component" in item:
            pending.append(item["component"])
        if "value" in item:
            found[item["custom_id"]] = item["value"] or ""
    return found


def files(interaction: discord.Interaction[Any]) -> list[discord.Attachment]:
    """The submitted files, in their order."""
    data = cast(dict[str, Any], interaction.data or {})
    given = data.get("resolved", {}).get("attachments", {})
    return [discord.Attachment(data=each, state=interaction._state) for each in given.values()]
