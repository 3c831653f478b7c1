"""The editor's weights that ship: their size, and that they do as they are told through the engine."""

import pytest

from engine import Edit, Engine, mini
from engine.mini.obedience import held_out_case, judge, load
from engine.mini.train.editing.changes import KINDS

pytestmark = pytest.mark.skipif(not mini.EDITOR_DIR.is_dir(), reason="Mini's editor isn't trained yet")


def test_what_ships_is_small_and_has_no_paths_of_whoever_trained_it() -> None:
    files = [file for file in mini.EDITOR_DIR.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 15 * 2**20
    assert {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= {file.parent.name for file in files}
    assert not [file for file in files if file.suffix == ".json" and "_name_or_path" in file.read_text("utf-8")]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_ships_obeys_more_often_than_not(kind: str) -> None:
    """Rates by kind are in docs/models/mini.md; five instructions tell only whether it has learned them at all."""
    vae = load(mini.EDITOR_DIR).vae
    cases = [held_out_case(kind, number) for number in range(5)]
    async with Engine("mini", threads=1) as engine:
        asked = [
            Edit(prompt=each.text, images=(each.picture(each.before),), model="mini-edit", seed=each.seed)
            for each in cases
        ]
        painted = [(await engine.submit(request).result())[0] for request in asked]
    assert sum(judge(vae, case, image).obeyed for case, image in zip(cases, painted, strict=True)) >= 3
