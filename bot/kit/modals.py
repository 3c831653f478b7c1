"""Forms. Their answers are routed by the form's id, not by a waiting object, so they survive a restart too.

One whose answers were refused is kept: a press opens it again with everything that was typed.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

import discord

from bot.errors import NotFound
from bot.kit.button import Button
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import _
from bot.prompt.parser import Draft, plain
from bot.prompt.spec import Spec
from bot.store.key_value_store import KeyValues

if TYPE_CHECKING:
    from bot.kit.client import Interaction

MAX_REFERENCES = 4  # beside the picture that is edited
REMEMBERED = 500  # forms that are open at a time; of older ones only the text is shown again
TEXT_INPUT, RADIO_GROUP = 4, 21  # Discord's component types


class Form(discord.ui.Modal):
    """A modal whose submission the client handles by `custom_id` (see `Client.on_interaction`)."""

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Nothing: the client has it already."""


def remix(image_id: int, spec: Spec, action: Action = Action.REMIX) -> Form:
    """Everything that made an image, filled in and ready to change; `action` is what the answer is for."""
    title = _("Remix") if action is Action.REMIX else _("Vary with changes")
    steps = f"{spec.num_inference_steps}, {spec.guidance_scale:g}"
    size = f"{spec.width}x{spec.height}"
    fields = [
        _prompt(spec.prompt, required=not spec.is_edit),
        _line("negative", _("Leave out"), spec.negative_prompt, 1000),
        _line("seed", _("Seed (empty: a new one)"), str(spec.seed), 10),
        _line("size", _("Size (width x height, or a ratio such as 3:2)"), size, 11),
        _line("steps", _("Steps, guidance"), steps, 12),
    ]
    if spec.is_edit:  # its size follows from its picture
        del fields[3]
    return _form(title, ButtonId(action, image_id), fields)


def offer(press: ButtonId, draft: Draft) -> Form:
    """What was offered, filled in and ready to be painted or changed."""
    size = f"{draft.width}x{draft.height}" if draft.width else ""
    size = f"{draft.aspect_ratio[0]:g}:{draft.aspect_ratio[1]:g}" if draft.aspect_ratio else size
    steps = f"{draft.num_inference_steps or ''}, {'' if draft.guidance_scale is None else f'{draft.guidance_scale:g}'}"
    fields = [
        _prompt(draft.prompt, required=True),
        _line("negative", _("Leave out"), (draft.negative_prompt or "")[:1000], 1000),
        _line("seed", _("Seed (empty: a new one)"), "" if draft.seed is None else str(draft.seed), 10),
        _line("size", _("Size (width x height, or a ratio such as 3:2)"), size, 11),
        _line("steps", _("Steps, guidance"), "" if steps == ", " else steps, 12),
    ]
    return _form(_("Imagine"), press, fields)


def line(said: Mapping[str, str]) -> str:
    """A form's answers as a prompt line."""
    steps, _, guidance = said.get("steps", "").replace(";", ",").partition(",")
    size = said.get("size", "").strip()
    flags = (
        f"--seed {said['seed'].strip()}" if said.get("seed", "").strip() else "",
        (f"--ar {size}" if ":" in size else f"--size {size}") if size else "",
        f"--steps {steps.strip()}" if steps.strip() else "",
        f"--cfg {guidance.strip()}" if guidance.strip() else "",
    )
    return " ".join([said.get("prompt", ""), *filter(None, flags)])


def zoom(image_id: int, prompt: str) -> Form:
    """How far to zoom out, into which proportion, and what is to be seen there."""
    fields = [
        _line("zoom", _("Zoom (1 to 4; 1 with a ratio only adds sides)"), "2", 6),
        _line("ratio", _("Ratio, such as 3:2 (empty: as it is)"), "", 11),
        _prompt(prompt, required=False),
    ]
    return _form(_("Custom Zoom"), ButtonId(Action.ZOOM_CUSTOM, image_id), fields)


def prompt_line(press: ButtonId, text: str) -> Form:
    """A prompt line as it was typed, flags and all."""
    style = discord.TextStyle.paragraph
    field: discord.ui.TextInput[Form] = discord.ui.TextInput(
        label=_("Prompt"), custom_id="prompt", style=style, default=text[:4000] or None, max_length=4000
    )
    return _form(_("Imagine"), press, [field])


def vary(press: ButtonId, prompt: str) -> Form:
    """How near the new pictures are to the old one, and what they show."""
    near = _choice(
        "strength", _("How near"), {"subtle": _("Subtle: the same, told again"), "strong": _("Strong: its idea")}
    )
    return _form(_("Vary a picture"), press, [near, _prompt(prompt, required=False)])


def upscale(press: ButtonId, prompt: str) -> Form:
    """How large, and whether detail may be added."""
    scale = _choice("scale", _("How large"), {"2": _("2x as wide and high"), "4": _("4x as wide and high")})
    mode = _choice(
        "mode", _("How"), {"faithful": _("Faithful: nothing added"), "creative": _("Creative: new detail, by words")}
    )
    return _form(_("Upscale a picture"), press, [scale, mode, _prompt(prompt, required=False)])


def edit(press: ButtonId) -> Form:
    """What should change, and pictures that the words may refer to."""
    what: discord.ui.TextInput[Form] = discord.ui.TextInput(
        label=_("What should change?"),
        custom_id="prompt",
        style=discord.TextStyle.paragraph,
        placeholder=_("make the boat blue"),
        max_length=4000,
    )
    look: discord.ui.Label[Form] = discord.ui.Label(
        text=_("Pictures to look at"),
        description=_("If your words refer to any, such as: put this hat on the cat."),
        component=discord.ui.FileUpload(
            custom_id="references", required=False, min_values=0, max_values=MAX_REFERENCES
        ),
    )
    return _form(_("Edit a picture"), press, [what, look])


def _choice(name: str, label: str, options: Mapping[str, str]) -> discord.ui.Label[Form]:
    """One of a few; the first is chosen already."""
    first = next(iter(options))
    buttons = [discord.RadioGroupOption(label=text, value=key, default=key == first) for key, text in options.items()]
    return discord.ui.Label(text=label, component=discord.ui.RadioGroup(custom_id=name, options=buttons))


def _form(title: str, press: ButtonId, fields: Sequence[discord.ui.Item[Form]]) -> Form:
    form = Form(title=title, custom_id=str(press), timeout=None)
    for each in fields:
        form.add_item(each)
    return form


def _prompt(text: str, *, required: bool) -> discord.ui.TextInput[Form]:
    value, style = plain(text)[:4000] or None, discord.TextStyle.paragraph
    return discord.ui.TextInput(
        label=_("Prompt"), custom_id="prompt", style=style, default=value, required=required, max_length=4000
    )


def _line(name: str, label: str, value: str, length: int) -> discord.ui.TextInput[Form]:
    return discord.ui.TextInput(label=label, custom_id=name, default=value or None, required=False, max_length=length)


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


# ---------------------------------------------------------------- refused forms
class Forms:
    """The forms people have open, and those they may open again."""

    def __init__(self, key_values: KeyValues) -> None:
        self._key_values = key_values
        self._open: OrderedDict[str, dict[str, Any]] = OrderedDict()

    async def send(self, interaction: Interaction, form: Form) -> None:
        """Open a form, and remember what it asks."""
        await interaction.response.send_modal(form)
        self._open[form.custom_id] = form.to_dict()
        self._open.move_to_end(form.custom_id)
        while len(self._open) > REMEMBERED:
            self._open.popitem(last=False)

    async def keep(self, interaction: Interaction) -> Button | None:
        """Keep the answers of a submitted form; the button that opens it again, if the form is known."""
        custom_id = str(cast(dict[str, Any], interaction.data or {}).get("custom_id", ""))
        form = self._open.get(custom_id)
        if form is None:
            return None
        filled = _filled(form, answers(interaction))
        await self._key_values.remember(f"form:{interaction.id}", json.dumps([interaction.user.id, filled]))
        return Button(ButtonId(Action.FORM, interaction.id), _("Edit"), emoji="✏️")

    async def reopen(self, interaction: Interaction, number: int) -> None:
        """Open a kept form. Raises: NotFound."""
        kept = await self._key_values.recall(f"form:{number}")
        owner, form = json.loads(kept) if kept else (0, {})
        if owner != interaction.user.id:
            raise NotFound("This form is older than a day, or someone else's. Open it from the picture again.")
        await self.send(interaction, _KeptForm(form))


class _KeptForm(Form):
    """A form from what Discord was sent before."""

    def __init__(self, sent: Mapping[str, Any]) -> None:
        super().__init__(title=sent["title"], custom_id=sent["custom_id"], timeout=None)
        self._sent = dict(sent)

    def to_dict(self) -> dict[str, Any]:
        return self._sent


def _filled(form: Mapping[str, Any], answers: Mapping[str, str]) -> dict[str, Any]:
    """The form with the answers as what it begins with."""
    filled = deepcopy(dict(form))
    for item in _items(filled.get("components", ())):
        answer = answers.get(item.get("custom_id", ""))
        if answer is None:
            continue
        if item.get("type") == TEXT_INPUT:
            item["value"] = answer
        elif item.get("type") == RADIO_GROUP:
            for option in item["options"]:
                option["default"] = option["value"] == answer
    return filled


def _items(components: Any) -> Iterator[dict[str, Any]]:
    for item in components:
        yield item
        yield from _items(item.get("components", ()))
        if "component" in item:
            yield from _items([item["component"]])


def typed(interaction: discord.Interaction[Any]) -> str:
    """The words of a command or form, for showing them again; empty where there are none."""
    if interaction.type is discord.InteractionType.modal_submit:
        return answers(interaction).get("prompt", "")
    if interaction.type is discord.InteractionType.application_command:
        return str(getattr(interaction.namespace, "prompt", None) or "")
    return ""
