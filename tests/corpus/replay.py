"""Pressing the corpus's old buttons on a copy of its data directory, and what each press leads to, in plain facts.

Knows nothing of Easel's parts: messages, forms and lists are Discord's own JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.corpus import today
from tests.corpus.today import Facts

BUTTON, TEXT_INPUT, LISTS = 2, 4, (3, 5, 6, 7, 8)
STRINGS, PEOPLE, ROLES, CHANNELS = 3, 5, 6, 8
SMALL = 2000  # seeds below were chosen by somebody
VOLATILE = (
    "note",
    "transfer",
    "audit",
    "job_input",
    "upload",
    "delivery",
)  # how many rows there are is nobody's matter


def parts(components: Any) -> Iterator[dict[str, Any]]:
    """Every component of a message or form, however deep."""
    for component in components:
        yield component
        yield from parts(component.get("components", []))
        yield from parts([component[name] for name in ("accessory", "component") if name in component])


def pressable(message: Facts) -> list[Facts]:
    """Its buttons and lists."""
    found = [part for part in parts(message["components"]) if part.get("custom_id") and not part.get("disabled")]
    return [part for part in found if part["type"] in (BUTTON, *LISTS)]


def words(message: Any) -> str:
    """All that a message says."""
    shown = [part["content"] for part in parts(message.components) if part["type"] == 10]
    return "\n".join([message.content or "", *shown]).strip()


def steps(world: Facts, recorded: list[Facts]) -> Iterator[tuple[Facts, Facts]]:
    """Each step, and the message or form that it is about."""
    messages = {message["id"]: message for message in world["messages"]}
    forms = {form["does"]: form for form in world["forms"]}
    for step in recorded:
        yield step, forms[step["old_form"]] if "old_form" in step else messages[step["message"]]


async def press(place: today.Place, step: Facts, about: Facts, seeds: set[int]) -> Facts:
    """One press, with the form that it opens filled in and sent; what came of it."""
    before, known = place.state(), max(place.numbers())
    actor, found = place.actor(step["by"]), {}
    if "old_form" in step:
        result = place.show_again(about)
    else:
        result = await _pressed(place, actor, step, about)
        found = {"acknowledged": result.acknowledged, "form": _form(result.modal)}
    if result.modal is not None and "form" in step:
        answers = {name: _answer(value) for name, value in step["form"].items()}
        result = await actor.submit_modal(result, answers)
        await place.idle()
    after, jobs = place.state(), await place.jobs(above=known)
    return {
        **found,
        **_answers(result),
        "changes": _changes(before, after),
        "jobs": [settled(job, seeds) for job in jobs.values()],
    }


async def _pressed(place: today.Place, actor: Any, step: Facts, about: Facts) -> Any:
    message = place.put_back(about)
    if "values" in step:
        values = [_value(place, each) for each in step["values"]]
        result = await actor.select(message, values, custom_id=step["custom_id"])
    else:
        result = await actor.click(message, custom_id=step["custom_id"])
    await place.idle()
    return result


def _changes(before: Facts, after: Facts) -> Facts:
    """Rows more or less, by table."""
    names = sorted({*before, *after} - set(VOLATILE))
    return {
        name: after.get(name, 0) - before.get(name, 0) for name in names if after.get(name, 0) != before.get(name, 0)
    }


def _value(place: today.Place, value: Any) -> Any:
    """A choice of a list: a text, or somebody or a channel by name."""
    if isinstance(value, str):
        return value
    (kind, name), *_ = value.items()
    if kind == "role":
        return place.stage.guild.default_role
    return place.stage.members[name] if kind == "person" else place.channels[name]


def _answer(value: Any) -> Any:
    """A form's answer: a text, or a stored picture as a file."""
    if isinstance(value, str):
        return value
    folder = Path(__file__).parent / "v0_1_0" / "pictures"
    return (f"{value['file'][:8]}.png", (folder / f"{value['file']}.png").read_bytes())


def _form(modal: Any) -> dict[str, Any] | None:
    if modal is None:
        return None
    fields = [part for part in parts(modal["components"]) if part.get("custom_id")]
    filled = {part["custom_id"]: part.get("value") or "" for part in fields if part["type"] == TEXT_INPUT}
    return {
        "means": today.meaning(modal["custom_id"]),
        "fields": [part["custom_id"] for part in fields],
        "with": filled,
    }


def expected(does: str, then: Facts) -> Facts:
    """What a press leads to today, where that was changed on purpose."""
    if does != "batch":  # what was asked about then is painted as it was asked
        then = {**then, "jobs": [_asked_today(job) for job in then["jobs"]]}
    if does == "star" and then["only they see it"] == [False]:  # its person is told where it is kept
        return {**then, "answers": then["answers"] + 1, "only they see it": [False, True]}
    if does == "delete" and then["changes"]:  # it asks first
        return {**then, "only they see it": [False], "buttons": ["delete_yes", "delete_no"], "changes": {}}
    if "batch" in then["buttons"]:  # a price is asked about in private
        return {**then, "only they see it": [True]}
    return then


def _asked_today(job: dict[str, Any]) -> dict[str, Any]:
    """New jobs have the small pictures of a request painted in one go; stored ones go on as they were asked."""
    requests = [{**each, "together": True} for each in job["asks"]["requests"]]
    return {**job, "asks": {**job["asks"], "requests": requests}}


def as_before(now: Facts, then: Facts) -> bool:
    """Whether a press leads where it led; its answers may have more buttons today, between those they had."""
    rest = iter(now["buttons"])
    return {**now, "buttons": then["buttons"]} == then and all(each in rest for each in then["buttons"])


def _answers(result: Any) -> dict[str, Any]:
    shown = [*([result.response] if result.response else []), *result.followups]
    means = [today.meaning(part["custom_id"]) for each in shown for part in pressable({"components": each.components})]
    said = "\n".join(words(each) for each in shown)
    return {
        "answers": len(shown),
        "only they see it": [each.ephemeral for each in shown],
        "files": sum(len(each.attachments) for each in shown),
        "buttons": [f"{each['does']}" for each in means if each],
        "went wrong": "Something went wrong" in said,
    }


def settled(job: dict[str, Any], seeds: set[int]) -> dict[str, Any]:
    """A job's facts without what chance decided."""
    asks = {**job["asks"], "requests": [_known_seeds(each, seeds) for each in job["asks"]["requests"]]}
    return {**{name: job[name] for name in ("state", "kind", "lane", "private", "parent", "price")}, "asks": asks}


def _known_seeds(request: dict[str, Any], seeds: set[int]) -> dict[str, Any]:
    def known(seed: int) -> int | str:
        return seed if seed in seeds or seed < SMALL else "drawn"

    chain = [{**link, "seed": known(link["seed"])} for link in request["variations"]]
    return {**request, "seed": known(request["seed"]), "variations": chain}
