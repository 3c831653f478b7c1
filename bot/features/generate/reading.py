"""From what was typed into /imagine to what is asked for: words and flags, a picture's address, pasted parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from bot.errors import BadInput, NotFound, said
from bot.features.generate import image_lookup
from bot.features.generate.image_lookup import FoundImage
from bot.features.generate.refusals import Line
from bot.features.generate.submission import Submission
from bot.features.macros.service import Macros, expand
from bot.features.word_lists.service import WordLists
from bot.jobs.files import ImageFiles
from bot.jobs.service import Jobs
from bot.kit.client import Interaction
from bot.languages.speech import N_, later
from bot.orders import reproduce
from bot.prompt import foreign, parser
from bot.prompt.image_metadata import Parameters, pasted
from bot.prompt.parser import Draft
from engine.backend import Backend

ONE_PICTURE = N_("A prompt can start from one picture. **/blend** mixes several.")


class Services(Protocol):
    """What this module works with."""

    backend: Backend
    files: ImageFiles
    jobs: Jobs
    macros: Macros
    submission: Submission
    word_lists: WordLists


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a line asks for.

    Attributes:
        source: names the picture to start from. rest: the line without the address that did.
        as_told: it was made elsewhere, and what differs here is said first.
    """

    drafts: list[Draft]
    source: str | None = None
    rest: str = ""
    as_told: bool = False


async def read(app: Services, interaction: Interaction, line: Line) -> Asked:
    """Everything that a line asks for. Raises: UserError; a BadInput has the ways to go on."""
    macros = await app.macros.of(interaction.user.id)
    addresses, text = pasted.addresses(expand(line.text, macros))
    if len(addresses) > 1 or (addresses and (line.image is not None or line.source)):
        refusal = BadInput(ONE_PICTURE)
        refusal.without = text or None
        raise refusal
    source, rest = (addresses[0], text) if addresses else (line.source, "")
    told = pasted.parameters(text)
    if told is not None:
        draft = await _as_told(app, interaction, told, line.options, text)
        return Asked(drafts=_with_loras([draft], line.loras), source=source, rest=rest, as_told=True)
    lists = await app.word_lists.usable(interaction.user.id, interaction.guild_id or 0)
    drafts = _with_loras(parser.parse(text, line.options, lists=lists), line.loras)
    return Asked(drafts=drafts, source=source, rest=rest)


def _with_loras(drafts: list[Draft], tags: str) -> list[Draft]:
    return [replace(draft, prompt=f"{draft.prompt} {tags}") for draft in drafts] if tags else drafts


async def picture_of(app: Services, interaction: Interaction, line: Line, asked: Asked) -> FoundImage:
    """The one picture that a line starts from. Raises: NotFound, BadInput, Refused."""
    try:
        found = await image_lookup.from_options(app, interaction, line.image, asked.source)
        found.check_single()
    except (BadInput, NotFound) as error:
        if not asked.rest:
            raise
        refusal = BadInput("{why}", why=later(said, error))
        refusal.without = asked.rest
        raise refusal from None
    return found


async def _as_told(app: Services, interaction: Interaction, told: Parameters, options: Draft, text: str) -> Draft:
    """The nearest to what was made elsewhere, with the command's own options laid over it. Raises: BadInput."""
    again = reproduce.of(told, app.backend.models(), await app.submission.terms(interaction))
    draft = parser.merge(replace(again.draft, num_images=None), options)
    try:
        draft = parser.drawn(parser.checked(draft))
    except BadInput as error:
        error.without = foreign.simplified(text) if error.foreign else None
        raise
    return replace(draft, notes=(*(draft.notes or ()), *again.changes) or None)
