"""Specs for tests, from as little as matters."""

from __future__ import annotations

from typing import Any

from bot.prompt.spec import Spec
from engine.tasks import TASKS
from engine.tasks.pictures import StoredPicture
from engine.tasks.txt2img import Variation

OF_REQUESTS = frozenset({name for task in TASKS.values() for name in task.__dataclass_fields__})


def spec_of(task: str = "txt2img", note: str = "", compare: Any = None, **values: Any) -> Spec:
    """A grid of a request's values; a picture may be named by its sha256 alone."""
    if isinstance(values.get("init_image"), str):
        values["init_image"] = StoredPicture(sha256=values["init_image"])
    links = tuple(Variation(seed=seed, strength=share) for seed, share in values.pop("variations", ()))
    request = TASKS[task](**{"num_images": 4, "variations": links, **values})
    return Spec(request=request, note=note, compare=compare)


def spec_in(changes: dict[str, Any], **defaults: Any) -> Spec:
    """The spec that a job's `changes` speak of, which are taken out of them."""
    names = [name for name in changes if name in OF_REQUESTS | {"task", "note", "compare"}]
    return spec_of(**{**defaults, **{name: changes.pop(name) for name in names}})
