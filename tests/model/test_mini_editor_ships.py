"""The editor's weights that ship: their size, and that they do as they are told through the engine."""

import numpy as np

from engine import Edit, Engine, Txt2Img, mini
from engine.mini.obedience import Grid, held_out_case, judge, load
from engine.mini.train.editing.changes import KINDS


def test_what_ships_is_small_and_has_no_paths_of_whoever_trained_it() -> None:
    files = [file for file in mini.EDITOR_DIR.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 15 * 2**20
    assert {"unet", "vae", "text_encoder", "tokenizer", "scheduler"} <= {file.parent.name for file in files}
    assert not [file for file in files if file.suffix == ".json" and "_name_or_path" in file.read_text("utf-8")]


async def test_what_ships_obeys_as_the_card_says() -> None:
    """Rates by kind are in docs/models/mini.md; thirty instructions tell whether these are those weights."""
    vae = load(mini.EDITOR_DIR).vae
    cases = [held_out_case(kind, number) for kind in KINDS for number in range(3)]
    async with Engine("mini", threads=1) as engine:
        asked = [
            Edit(prompt=each.text, images=(each.picture(each.before),), model="mini-edit", seed=each.seed)
            for each in cases
        ]
        painted = [(await engine.submit(request).result())[0] for request in asked]
    assert sum(judge(vae, case, image).obeyed for case, image in zip(cases, painted, strict=True)) >= 20


async def test_what_ships_changes_what_mini_has_painted() -> None:
    """The boat's red goes, the house's sky darkens, and a moon that is removed is gone."""
    async with Engine("mini", threads=1) as engine:

        async def changed(prompt: str, instruction: str) -> tuple[Grid, Grid]:
            before = (await engine.submit(Txt2Img(prompt=prompt, seed=1)).result())[0]
            edit = Edit(prompt=instruction, images=(before,), model="mini-edit", seed=1)
            after = (await engine.submit(edit).result())[0]
            return np.asarray(before, np.float32), np.asarray(after, np.float32)

        def share(pixels: Grid, most: int, least: int) -> float:
            return float((pixels[..., most] > pixels[..., least] + 80).mean())

        before, after = await changed("a red boat under a yellow moon", "make the boat white")
        assert share(after[128:], 0, 2) < 0.3 * share(before[128:], 0, 2), "red below the horizon"
        before, after = await changed("a red boat under a yellow moon", "remove the moon")
        assert share(after[:128], 1, 2) < 0.2 * share(before[:128], 1, 2), "yellow in the sky"
        before, after = await changed("a white house", "make it night")
        assert after[:32].mean() < 0.4 * before[:32].mean(), "the sky"
