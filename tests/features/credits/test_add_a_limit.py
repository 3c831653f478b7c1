"""The worked example of docs/architecture.md: a limit in two files, which everything else takes as it is."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from bot.errors import BadInput
from bot.ledger import limits
from bot.ledger.limits import MEMBER_LIMITS, MemberLimits
from bot.orders.actor import Actor
from bot.orders.drafts import resolve
from bot.prompt.parser import GRID, Draft
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import words
from tests.features.admin.test_panel import choose, open_panel

ROOT = Path(__file__).parents[3]
MOST_FILES = 3  # that a new limit may touch


def example() -> str:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return page.split("## Example: add a limit")[1].split("\n## ")[0]


def code() -> list[str]:
    return re.findall(r"```python\n(.*?)```", example(), re.S)


@pytest.fixture
def max_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row, added as the page says."""
    names: dict[str, Any] = {}
    exec(compile(code()[0], "limits.py", "exec"), vars(limits), names)
    row = names["max_images"]
    row.__set_name__(MemberLimits, "max_images")
    monkeypatch.setattr(MemberLimits, "max_images", row, raising=False)
    monkeypatch.setitem(MEMBER_LIMITS, "max_images", row)


def test_it_touches_few_files_that_exist() -> None:
    rows = re.findall(r"^\| `([\w/.]+)` \|", example(), re.M)
    assert 0 < len(rows) <= MOST_FILES
    assert all((ROOT / path).is_file() for path in rows)


@pytest.mark.usefixtures("max_images")
async def test_it_is_an_option_a_form_a_text_and_is_kept_and_enforced(tmp_path: Path) -> None:
    sku = {7: {"max_images": 8}}
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0, skus=sku)
    async with stage(settings, make_engine=FakeEngine) as studio:
        ada, everyone = studio.members["Ada"], studio.guild.default_role
        set_ = await ada.slash(studio.channel, "admin quota", role=everyone, max_images=2, max_steps=9)
        assert "up to 2 images" in words(set_.response)
        await studio.restart()
        message = await open_panel(studio, "Limits")
        await choose(studio, message, "s1:ali:0", everyone)
        shown = await choose(studio, message, f"s1:ali:{everyone.id}", ["max_images"])
        assert shown.modal["components"][0]["components"][0]["value"] == "2"
        await ada.submit_modal(shown, {"max_images": "3"})
        assert "up to 3 images" in words((await studio.members["Ann"].slash(studio.channel, "credits")).response)
        await _is_enforced(studio, 3)
        assert await studio.app.store.problems() == []


async def _is_enforced(studio: Stage, most: int) -> None:
    """The line of the page, run where it would stand."""
    guild_id = studio.guild.id
    actor = Actor(user_id=studio.members["Ann"].id, guild_id=guild_id, channel_id=1, role_ids=frozenset({guild_id}))
    terms = await studio.app.quotas.terms(actor)
    assert terms.values["max_images"] == most
    resolve(Draft(prompt="a boat"), (MINI,), terms, 1)
    names = {"BadInput": BadInput, "GRID": GRID, "terms": terms, "draft": Draft(prompt="a boat", num_images=most + 1)}
    with pytest.raises(BadInput, match=f"up to {most} images"):
        exec(textwrap.dedent(code()[1]), names)
