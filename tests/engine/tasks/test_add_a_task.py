"""The worked example of docs/architecture.md: a task in one file, which everything else takes as it is."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot.config import Settings
from bot.delivery.titles import job_title
from bot.errors import BadInput
from bot.ledger.limits import default_terms
from bot.orders.drafts import price_mc, resolve
from bot.prompt import request_json
from bot.prompt.parser import Draft
from bot.prompt.spec import Spec
from engine import tasks as registry
from engine.api.errors import InvalidRequest
from engine.fake import MINI, FakeEngine
from engine.tasks.pictures import StoredPicture

ROOT = Path(__file__).parents[3]
MOST_FILES = 5  # that a new task may touch


def example() -> str:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return page.split("## Example: add a task")[1].split("\n## ")[0]


@pytest.fixture
def poster(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The task, added as the page says: its file, and its line in the registry."""
    (code,) = re.findall(r"```python\n(.*?)```", example(), re.S)
    module = types.ModuleType("engine.tasks.poster")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "poster.py", "exec"), module.__dict__)
    tasks = {**registry.TASKS, module.Poster.task: module.Poster}
    monkeypatch.setattr(registry, "TASKS", tasks)
    monkeypatch.setattr(request_json, "TASKS", tasks)
    return module.Poster


def test_it_touches_few_files_that_exist() -> None:
    rows = re.findall(r"^\| `([\w/.]+)` \|", example(), re.M)
    assert 0 < len(rows) <= MOST_FILES
    new = "engine/tasks/poster.py"
    assert [path for path in rows if not (ROOT / path).is_file()] == [new]


async def test_it_is_ordered_priced_named_stored_and_painted(poster: Any) -> None:
    picture = Image.linear_gradient("L").resize((128, 128))
    stored = StoredPicture(sha256="ab" * 32, size=picture.size)
    terms = default_terms(Settings(_env_file=None))  # type: ignore[call-arg]
    spec = resolve(Draft(prompt="a boat"), (MINI,), terms, 7, poster(prompt="", init_image=stored, colours=4))
    assert (spec.task, spec.strength, spec.inputs) == ("poster", 0.6, (stored.sha256,))
    assert price_mc(spec, MINI) == 2000  # half of the steps: int(4 x 0.6)
    assert job_title(spec.task, spec) == "Poster (4 colours)"
    again = Spec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    request = again.request.loaded({stored.sha256: picture})
    assert len(request.arguments(MINI)["image"].getcolors()) <= 4
    async with FakeEngine() as engine:
        assert len(await engine.submit(request).result()) == spec.num_images


def test_it_refuses_what_it_cannot_do(poster: Any) -> None:
    stored = StoredPicture(sha256="ab" * 32, size=(64, 64))
    with pytest.raises(InvalidRequest, match="Use 2 to 64"):
        poster(prompt="", init_image=stored, colours=1)
    words = types.SimpleNamespace(tasks=frozenset({"txt2img"}))
    assert not poster.suits(words)
    terms = default_terms(Settings(_env_file=None))  # type: ignore[call-arg]
    with pytest.raises(BadInput, match=r"0\.01 to 1"):
        resolve(Draft(prompt="x", strength=2.0), (MINI,), terms, 7, poster(prompt="", init_image=stored))
