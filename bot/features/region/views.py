"""How one chooses a region: the ways to do it, the cells, and the forms that end in a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import discord
from discord.ui import ActionRow, FileUpload, Label, LayoutView, TextDisplay, TextInput

from bot.features.region.store import Region
from bot.kit.button import Button
from bot.kit.components import ACCENT, gallery, row, view
from bot.kit.custom_ids import Action, ButtonId
from bot.kit.modals import Form
from bot.languages.speech import N_, _

CELLS = 32  # numbers of one region's cells: more than 5 x 5, and a power of two to see through
PROMPT_MAX = 4000  # Discord's, for one input

WAYS = N_("""**Which part is to be redrawn?**
**Cells** press squares of the picture · **Paint over** upload it with the part scribbled over, in any colour
**By words** such as `top right`, or what is to be seen there""")
EDITOR = N_("**Mask editor** opens a page with a brush; its link is yours alone, works once and for an hour")


def ways(region: Region, filename: str, link: str | None, notes: Sequence[str] = ()) -> LayoutView:
    """The picture and the ways of choosing; `link` opens the browser's editor, if there is one."""
    text = "\n".join([_(WAYS), *([_(EDITOR)] if link else []), *(f"-# {note}" for note in notes)])
    presses = row(
        Button(ButtonId(Action.CELLS, region.id), _("Cells"), emoji="🔢"),
        Button(ButtonId(Action.PAINTED, region.id), _("Paint over"), emoji="🖍️"),
        Button(ButtonId(Action.WORDS, region.id), _("By words"), emoji="💬"),
    )
    parts: list[discord.ui.Item[LayoutView]] = [
        TextDisplay(text),
        gallery(filename, _("The picture to be changed")),
        presses,
    ]
    if link:
        opener: Any = discord.ui.Button(
            style=discord.ButtonStyle.link, url=link, label=_("Open the mask editor"), emoji="🎨"
        )
        parts.append(ActionRow(opener))
    return view(parts, ACCENT)


def cells(region: Region, filename: str) -> LayoutView:
    """The picture under its grid, a button a cell. At most 38 components: Discord allows 40."""
    count = len(region.cells)
    chosen = _("{count} chosen", count=count) if count else _("none chosen yet")
    text = _("**Press the squares that are to be redrawn** ({chosen}), then **Paint**.", chosen=chosen)
    other = "5 x 5" if region.side == 3 else "3 x 3"
    rows = [
        row(*(_cell(region, line * region.side + column) for column in range(region.side)))
        for line in range(region.side)
    ]
    controls = row(
        Button(
            ButtonId(Action.CELLS_DONE, region.id),
            _("Paint"),
            style=discord.ButtonStyle.success,
            emoji="🎨",
            disabled=not count,
        ),
        Button(ButtonId(Action.CELLS, region.id), other),
        Button(ButtonId(Action.WAYS, region.id), _("Back"), emoji="↩️"),
    )
    grid = _("The picture under a grid of {side} by {side} numbered squares, {chosen}", side=region.side, chosen=chosen)
    shown = gallery(filename, grid)
    return view([TextDisplay(text), shown, *rows, controls], ACCENT)


def cell_number(region_id: int, cell: int) -> int:
    """The number of a cell's button: the region's and the cell's in one."""
    return region_id * CELLS + cell


def cell_of(number: int) -> tuple[int, int]:
    """The region and the cell of a cell's button."""
    return divmod(number, CELLS)


def _cell(region: Region, cell: int) -> Button:
    style = discord.ButtonStyle.primary if cell in region.cells else discord.ButtonStyle.secondary
    return Button(ButtonId(Action.CELL, cell_number(region.id, cell)), str(cell + 1), style=style)


# ---------------------------------------------------------------- forms
def cells_form(region: Region) -> Form:
    """What is to appear in the chosen cells."""
    return _form(Action.CELLS_DONE, region, _("Paint the chosen squares"), [])


def painted_form(region: Region) -> Form:
    """Takes the picture painted over."""
    upload: Label[Any] = Label(
        text=_("The same picture, painted over"),
        description=_("Save it, scribble over the part in any colour, and upload it here."),
        component=FileUpload(custom_id="painted", min_values=1, max_values=1),
    )
    return _form(Action.PAINTED, region, _("Paint over the picture"), [upload])


def words_form(region: Region, can_segment: bool) -> Form:
    """Takes a place in words, or what is to be seen there when the engine can look for it."""
    where = _("top right, left third, centre, or x,y,width,height in %")
    place: Label[Any] = Label(
        text=_("Where, or what") if can_segment else _("Where"),
        description=_("{where}; or a thing, such as: the hat", where=where) if can_segment else where,
        component=TextInput(custom_id="where", max_length=200),
    )
    return _form(Action.WORDS, region, _("Redraw a part, in words"), [place])


def _form(action: Action, region: Region, title: str, first: Sequence[Label[Any]]) -> Form:
    form = Form(title=title, custom_id=str(ButtonId(action, region.id)), timeout=None)
    prompt: Label[Any] = Label(
        text=_("What should appear here?"),
        description=_("Only what the part is to show, such as: a red hat. Flags such as --seed 7 work too."),
        component=TextInput(
            custom_id="prompt",
            style=discord.TextStyle.paragraph,
            default=region.prompt[:PROMPT_MAX] or None,
            max_length=PROMPT_MAX,
        ),
    )
    for item in (*first, prompt):
        form.add_item(cast(Any, item))
    return form
