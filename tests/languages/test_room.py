"""What is shown fits Discord's limits in every language, and is said in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

import discord
import pytest

from bot.delivery import layouts
from bot.delivery.layouts import Painting, Quote
from bot.errors import BadInput, said
from bot.features.help.views import PAGES
from bot.features.settings import views as settings_views
from bot.features.settings.store import Preferences
from bot.kit import modals
from bot.kit.custom_ids import Action, ButtonId
from bot.languages.speech import LANGUAGES, _, later, speaking
from bot.ledger.amounts import credits_text
from bot.ledger.transfers import too_dear
from engine.api.errors import QueueFull
from tests.languages.collecting import called, literal, modules

LOCALES = ["en-US", *LANGUAGES]
TITLE, LABEL, DESCRIPTION, OPTION, BUTTON, MESSAGE = 45, 45, 100, 100, 80, 4000
PRESS = ButtonId(Action.REMIX, 1)
FORMS: list[Callable[[], discord.ui.Modal]] = [
    lambda: modals.zoom(1, "a boat"),
    lambda: modals.prompt_line(PRESS, "a boat"),
    lambda: modals.vary(PRESS, "a boat"),
    lambda: modals.upscale(PRESS, "a boat"),
    lambda: modals.edit(PRESS),
    lambda: settings_views.suffix_form(Preferences()),
]


def parts(sent: Any) -> Iterator[dict[str, Any]]:
    """Every component of something that is sent."""
    if isinstance(sent, dict):
        yield sent
        sent = list(sent.values())
    if isinstance(sent, list):
        for each in sent:
            yield from parts(each)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("form", FORMS)
def test_forms_fit(locale: str, form: Callable[[], discord.ui.Modal]) -> None:
    with speaking(locale):
        sent = form().to_dict()
    assert len(sent["title"]) <= TITLE
    for part in parts(sent["components"]):
        assert len(part.get("label") or "") <= (OPTION if "value" in part and "type" not in part else LABEL), part
        assert len(part.get("description") or "") <= DESCRIPTION, part
        assert len(part.get("placeholder") or "") <= DESCRIPTION, part


@pytest.mark.parametrize("locale", LOCALES)
def test_messages_fit(locale: str) -> None:
    quote = Quote(jobs=3, images=12, price_mc=12_500, left_mc=1_000, relax=True, squeezes=True, prompts=["a boat"])
    with speaking(locale):
        views = [layouts.batch(1, quote), settings_views.panel(Preferences(), ["mini"])]
        pages = [_(page) for page in PAGES.values()]
    assert all(len(page) <= MESSAGE for page in pages)
    for view in views:
        sent = list(parts(view.to_components()))
        assert sum(len(part.get("content") or "") for part in sent) <= MESSAGE
        assert all(len(part.get("label") or "") <= BUTTON for part in sent)


def test_a_refusal_is_told_in_the_language_of_who_reads_it() -> None:
    refusal = too_dear(12_500, 1_000)
    with speaking("de"):
        german = said(refusal)
    assert german.startswith("Das kostet 12,5 Credits, und du hast noch 1.")
    assert said(refusal).startswith("This costs 12.5 credits and you have 1 left.")


def test_values_of_refusals_are_said_in_the_language_too() -> None:
    refusal = BadInput(
        "There is no model {name}. {nearest}", name="'x'", nearest=later(_, "Available: {known}.", known="a")
    )
    with speaking("fr"):
        assert str(refusal) == "Il n'y a pas de modèle 'x'. Disponibles : a."
    assert str(refusal) == "There is no model 'x'. Available: a."


def test_the_engines_sentences_are_recognised() -> None:
    error = QueueFull(retry_after_s=7.4)
    with speaking("de"):
        assert said(error) == "Die Warteschlange ist voll. Versuch es in 7 s wieder."
    assert said(error) == "The queue is full. Try again in 7 s."


def test_numbers_of_things_have_their_words() -> None:
    with speaking("de"):
        assert [credits_text(mc) for mc in (1_000, 2_500, 1_200_000)] == ["1 Credit", "2,5 Credits", "1.200 Credits"]
    with speaking("ja"):
        assert credits_text(2_500) == "2.5クレジット"


def test_a_place_in_the_queue_is_said() -> None:
    with speaking("es-419"):
        assert layouts.progress_line(Painting(position=2)) == "En la cola, puesto 3"
    assert layouts.progress_line(Painting(position=2)) == "In the queue, 3rd in line"


ROOM = {
    "line": LABEL,
    "text": LABEL,
    "ask": TITLE,
    "title": TITLE,
    "Label": LABEL,
    "button": BUTTON,
    "Button": BUTTON,
    "Count": LABEL,
    "Pixels": LABEL,
    "Factor": LABEL,
    "Names": LABEL,
    "Switch": LABEL,
    "FreeCredits": LABEL,
    "CreditsADay": LABEL,
    "hint": DESCRIPTION,
    "description": DESCRIPTION,
    "placeholder": DESCRIPTION,
}
"""What Discord leaves of a marked sentence that is the first one which such a call gets, or such an argument."""


def places(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Sentences with the call or the argument that says where they are shown."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        yield from ((called(call), text) for text in list(marked(call.args))[:1])
        for each in call.keywords:
            yield from ((each.arg or "", text) for text in marked([each.value]))


def marked(arguments: list[ast.expr]) -> Iterator[str]:
    """The sentences that are marked right there."""
    for each in arguments:
        if isinstance(each, ast.IfExp):
            yield from marked([each.body, each.orelse])
        elif (
            isinstance(each, ast.Call)
            and called(each) in {"_", "N_"}
            and isinstance(text := literal(each.args[0]), str)
        ):
            yield text


def test_whatever_has_little_room_is_short() -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in modules("bot")]
    shown = {place for tree in trees for place in places(tree) if place[0] in ROOM}
    assert len(shown) > 40
    long = []
    for locale in LOCALES:
        with speaking(locale):
            long += [(locale, text) for where, text in shown if len(_(text)) > ROOM[where]]
    assert long == []
