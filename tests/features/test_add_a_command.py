"""The worked example of docs/architecture.md: a command in one folder and one line."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any

import pytest

from bot.app import App
from bot.config import Settings
from bot.demo.simulation import stage
from engine.fake import FakeEngine
from tests.e2e.screen import paint, picture, words

ROOT = Path(__file__).parents[2]
MOST_FILES = 4  # that a new command may touch


def example() -> str:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return page.split("## Example: add a command")[1].split("\n## ")[0]


def test_it_touches_few_files() -> None:
    rows = re.findall(r"^\| `([\w/.]+)` \|", example(), re.M)
    assert 0 < len(rows) <= MOST_FILES
    assert [path for path in rows if not (ROOT / path).is_file()] == ["bot/features/last/commands.py"]


async def test_it_works_as_it_stands_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("last")
    (code,) = re.findall(r"```python\n(.*?)```", example(), re.S)
    exec(compile(code, "commands.py", "exec"), vars(module))
    plain = App._install

    def with_the_line(app: Any) -> None:
        plain(app)
        module.install(app.client, app)

    monkeypatch.setattr(App, "_install", with_the_line)
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0)
    async with stage(settings, make_engine=FakeEngine) as studio:
        ann = studio.members["Ann"]
        none = await ann.slash(studio.channel, "last")
        assert "haven't made anything" in words(none.followups[-1])
        grid = await paint(studio, "a red boat")
        shown = (await ann.slash(studio.channel, "last")).response
        assert shown.ephemeral
        assert picture(studio, shown).tobytes() == picture(studio, grid).tobytes()
