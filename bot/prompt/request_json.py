"""A request as plain JSON values and back: its task's name, its fields, its pictures by name. Knows no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from engine.tasks import TASKS
from engine.tasks.pictures import Beside, Guide, Reference, StoredPicture
from engine.tasks.txt2img import Txt2Img, Variation

BESIDE: Mapping[str, type[Beside]] = {"controls": Guide, "references": Reference}


def to_json(request: Txt2Img) -> dict[str, Any]:
    """The request of stored pictures: each is its sha256, and what else is known of it stands in `pictures`."""
    pictures = {each.sha256: _facts(each) for each in request.pictures if isinstance(each, StoredPicture)}
    said = {field.name: getattr(request, field.name) for field in fields(request)}
    values = {name: _plain(value) for name, value in said.items() if value or name not in BESIDE}
    return {"task": request.task, **values, "pictures": pictures}


def from_json(value: Mapping[str, Any]) -> Txt2Img:
    """The request that `to_json` made plain; what else is in there is left alone. Raises: TypeError when it is none."""
    task = TASKS.get(value.get("task", ""))
    if task is None:
        raise TypeError(f"no task: {value.get('task')!r}")
    known = value.get("pictures", {})

    def rich(name: str, plain: Any) -> Any:
        if name == "variations":
            return tuple(Variation(**link) for link in plain)
        if name in BESIDE:
            return tuple(_beside(BESIDE[name], each, known) for each in plain)
        if isinstance(plain, list):
            return tuple(rich(name, each) for each in plain)
        return _picture(plain, known.get(plain, {})) if name in task.picture_fields else plain

    return task(**{field.name: rich(field.name, value[field.name]) for field in fields(task) if field.name in value})


def _beside(kind: type[Beside], plain: Mapping[str, Any], known: Mapping[str, Any]) -> Beside:
    sha256 = plain["image"]
    return kind(**{**plain, "image": _picture(sha256, known.get(sha256, {}))})


def _facts(picture: StoredPicture) -> dict[str, Any]:
    return {"size": list(picture.size), **({"box": list(picture.box)} if picture.box else {})}


def _picture(sha256: str, facts: Mapping[str, Any]) -> StoredPicture:
    box = facts.get("box")
    return StoredPicture(sha256=sha256, size=tuple(facts.get("size", (0, 0))), box=None if box is None else tuple(box))


def _plain(value: Any) -> Any:
    if isinstance(value, StoredPicture):
        return value.sha256
    if isinstance(value, Variation):
        return {"seed": value.seed, "strength": value.strength}
    if isinstance(value, Beside):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
