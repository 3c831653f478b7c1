"""From a picture and what should change in it to an order: what all ways to an edit share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from bot.errors import BadInput
from bot.features.generate import edits
from bot.features.generate.edits import Source
from bot.features.generate.image_lookup import FoundImage
from bot.features.generate.submission import Submission
from bot.kit import error_messages
from bot.kit.button import Button
from bot.kit.client import Client, Handler, Interaction
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import _, engine_words, later
from bot.orders import drafts
from bot.orders.service import Order
from bot.prompt.parser import Draft
from engine.backend import Backend
from engine.tasks.edit import Edit

OFFERS = (Action.EDIT_OFFER_1, Action.EDIT_OFFER_2, Action.EDIT_OFFER_3)


class Services(edits.Services, Protocol):
    """What this module works with."""

    backend: Backend
    submission: Submission


def install(client: Client, app: Services) -> None:
    """Register the buttons under a change that the model would make blobs of."""
    for at, action in enumerate(OFFERS):
        client.on_button(action, once=True)(_taking(app, at))
    client.on_button(Action.EDIT_ANYWAY, once=True)(_taking(app, None))


def _taking(app: Services, offer: int | None) -> Handler:
    """The button that paints one of the changes that were offered, or what was asked for."""

    async def take(interaction: Interaction, number: int) -> None:
        order, offers = await app.submission.kept(interaction, number)
        if offer is not None:
            order = replace(order, specs=tuple(spec.evolve(prompt=offers[offer]) for spec in order.specs))
        await app.submission.submit_or_confirm(interaction, order)

    return take


async def change(
    app: Services, interaction: Interaction, source: Source, said: Draft, others: Sequence[FoundImage] = ()
) -> None:
    """Four pictures of this one, changed as words say, with others to look at. Raises: UserError."""
    if not said.prompt:
        raise BadInput("Say what should change, such as: make the boat blue.")
    for found in others:
        found.check_single()
    references = [await edits.of_found(app, interaction, found, private=source.private) for found in others]
    what = Edit(prompt="", images=[each.picture for each in (source, *references)])
    own = next((info for info in app.backend.models() if source.spec and info.key == source.spec.model), None)
    if said.model is None and own is not None and what.fits(own):
        said = replace(said, model=own.key)
    said = edits.with_notes(said, *(note for each in (source, *references) for note in each.notes))
    specs = await edits.planned(app, interaction, said, what)
    private = any(each.private for each in (source, *references))
    order = Order(specs=specs, kind=what.task, parent=source.parent, private=private)
    try:
        app.submission.orders.check_known(specs)
        _check_small_world(app, source, order)
    except BadInput as refusal:
        ways = await _ways(app, interaction, order, refusal)
        await error_messages.answer(interaction, refusal, *ways, written=said.prompt)
        return
    await app.submission.submit_or_confirm(interaction, order)


def _check_small_world(app: Services, source: Source, order: Order) -> None:
    """Whether a model that knows nothing but Mini's world gets a picture of it. Raises: BadInput."""
    models = app.backend.models()
    info = drafts.find_model(models, order.specs[0].model)
    painted_by = next((each for each in models if source.spec and each.key == source.spec.model), None)
    if info.small_world and not (painted_by is not None and painted_by.small_world):
        raise BadInput(
            "{key} only knows what Mini paints, and would make blobs of this picture; nothing was charged. Others need "
            "a larger model. {advice}",
            key=info.key,
            advice=later(engine_words, Edit.advice),
        )


async def _ways(app: Services, interaction: Interaction, order: Order, refusal: BadInput) -> list[Button]:
    """Keep what was asked for a day; buttons that paint what would work instead, or that all the same."""
    await app.submission.keep(interaction, order, refusal.offers)
    offered = zip(OFFERS, refusal.offers, strict=False)
    ways = [Button(ButtonId(action, interaction.id), text[:80]) for action, text in offered]
    return [*ways, Button(ButtonId(Action.EDIT_ANYWAY, interaction.id), _("Paint it anyway"))]
