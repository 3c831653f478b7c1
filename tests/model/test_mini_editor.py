"""The editor's recipe: changes of scenes, their words, pairs of pictures, the loss, and the judge. Trains nothing."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTokenizer

from engine.mini import MODEL_DIR
from engine.mini.obedience import Case, held_out_case, judge
from engine.mini.train.config import PairConfig
from engine.mini.train.editing.changes import KINDS, Change, View, base_view, changed, made, undone, unseen
from engine.mini.train.editing.instructions import instruction
from engine.mini.train.editing.pairs import PairDataset, family, write_shard
from engine.mini.train.loop import Rng
from engine.mini.train.networks.editor import CHANGED_WEIGHT, EditLoss, pixel_weights, with_picture
from engine.mini.train.networks.layout import LayoutHeads
from engine.mini.train.render import render, render_kept
from engine.mini.train.scenes import Scene, Thing
from engine.mini.train.stages import text_encoder

CAT, STAR = Thing(kind="cat", colour="blue", x=0.27), Thing(kind="star", colour="red", x=0.73)
PAIR = View.of(Scene(style="flat", scene="plain", background="white", things=(CAT, STAR)))


def found(kind: str, number: int = 0) -> tuple[View, Change, View]:
    rng = random.Random(f"{kind} {number}")
    while (change := made(rng, kind, view := base_view(rng))) is None:
        pass
    return view, *change


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_change_does_not_name_stays_as_it_is(kind: str) -> None:
    for number in range(30):
        before, change, after = found(kind, number)
        if kind not in ("backdrop", "style"):
            assert (after.scene.background, after.scene.style) == (before.scene.background, before.scene.style)
        if kind in ("colour", "kind", "place", "size"):
            pairs = list(zip(before.scene.things, after.scene.things, strict=True))
            others = [i for i in range(len(pairs)) if change.subject not in (None, i)]
            assert all(pairs[i][0] == pairs[i][1] for i in others)
            assert any(one != other for one, other in pairs)
        assert before != after
        assert all(thing.radius < thing.x < 1 - thing.radius for thing in after.scene.things)


@pytest.mark.parametrize("kind", ["colour", "kind", "size", "backdrop", "style", "add", "swap"])
def test_the_way_back_leads_to_the_same_scene(kind: str) -> None:
    for number in range(20):
        before, change, after = found(kind, number)
        back = undone(change, before.scene)
        assert back is not None
        again = changed(after, back).scene
        for one, other in zip(again.things, before.scene.things, strict=True):
            assert (one.kind, one.colour) == (other.kind, other.colour)
            assert (one.x, one.y, one.radius) == pytest.approx((other.x, other.y, other.radius))
        assert (again.scene, again.background, again.style) == (
            before.scene.scene,
            before.scene.background,
            before.scene.style,
        )


def test_instructions_are_said_in_many_words() -> None:
    rng = random.Random(0)
    said = {kind: {instruction(rng, c, b.scene) for b, c, _ in (found(kind, n) for n in range(40))} for kind in KINDS}
    assert all(len(texts) > 4 for texts in said.values())


def test_a_thing_looks_the_same_whatever_else_changes() -> None:
    without = changed(PAIR, Change(kind="remove", subject=0))
    both, alone = (np.asarray(render_kept(view.scene, view.numbers, 5)) for view in (PAIR, without))
    assert np.array_equal(both[:, 64:], alone[:, 64:])
    assert not np.array_equal(both[:, :64], alone[:, :64])


def test_ordinary_pictures_are_drawn_as_before() -> None:
    """With one source of chance: pictures, and what was learned from them, stay what they were."""
    tinted = [np.asarray(render(PAIR.scene, seed, 32)).astype(int)[16, 8] for seed in range(3)]
    assert [list(map(int, pixel)) for pixel in tinted] == [[47, 107, 223], [59, 104, 219], [52, 116, 217]]


def test_pairs_show_nothing_held_out_and_every_kind(tmp_path: Path) -> None:
    rng = random.Random(0)
    families = [family(rng, 4) for _ in range(60)]
    assert {step.change.kind for each in families for step in each.steps} == set(KINDS)
    for each in families:
        assert not any(unseen(each.views[0], view) for view in each.views)
    vae = AutoencoderKL.from_pretrained(MODEL_DIR / "vae")
    write_shard(tmp_path, PairConfig(shards=1, families=2, changes=1), 0, vae)
    data = PairDataset(tmp_path)
    assert len(data.latents) == len(data.scenes) >= 3
    step = data.draw(random.Random(0), 1)[0]
    assert data.pictures([step.before, step.after]).shape == (2, 4, 16, 16)


def editor() -> nn.ModuleDict:
    unet = with_picture(UNet2DConditionModel.from_pretrained(MODEL_DIR / "unet", dtype=torch.float32))
    return nn.ModuleDict(
        {"unet": unet, "text_encoder": text_encoder(MODEL_DIR / "text_encoder"), "heads": LayoutHeads(unet)}
    )


@torch.inference_mode()
def test_the_editor_starts_as_the_noise_predictor_that_it_was_made_from() -> None:
    old, new = UNet2DConditionModel.from_pretrained(MODEL_DIR / "unet", dtype=torch.float32), editor()["unet"]
    noisy, words, time = torch.randn(2, 4, 16, 16), torch.randn(2, 40, 128), torch.tensor([10, 900])
    seen = torch.cat([noisy, torch.randn_like(noisy)], 1)
    torch.testing.assert_close(new(seen, time, words).sample, old(noisy, time, words).sample, atol=1e-4, rtol=1e-4)
    assert with_picture(new) is new


def test_what_changes_counts_most_of_a_picture() -> None:
    scene = replace(PAIR.scene, things=PAIR.scene.things[:1])
    given = torch.zeros(1, 4, 16, 16)
    clean = given.clone()
    clean[..., 2, 3] = 1.0  # far from the thing, say, where a second one was added
    weights = pixel_weights([scene], [scene], given, clean)[0, 0]
    assert weights.mean().item() == pytest.approx(1)
    assert weights.argmax().item() == 2 * 16 + 3
    assert weights[2, 3] / weights.min() == pytest.approx(CHANGED_WEIGHT)


def test_hard_changes_are_drawn_more_often(tmp_path: Path) -> None:
    write_shard(
        tmp_path, PairConfig(shards=1, families=12, changes=4), 0, AutoencoderKL.from_pretrained(MODEL_DIR / "vae")
    )
    drawn = Counter(step.change.kind for step in PairDataset(tmp_path).draw(random.Random(0), 3000))
    assert drawn["add"] > 2 * drawn["remove"]
    assert drawn["swap"] > 2 * drawn["backdrop"]


def test_every_weight_of_the_editor_learns(tmp_path: Path) -> None:
    vae, network = AutoencoderKL.from_pretrained(MODEL_DIR / "vae"), editor()
    write_shard(tmp_path, PairConfig(shards=1, families=1, changes=2), 0, vae)
    loss = EditLoss(network, CLIPTokenizer.from_pretrained(MODEL_DIR / "tokenizer"), PairDataset(tmp_path), "cpu")
    loss(4, Rng.of(0, 0, 0)).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@pytest.mark.parametrize("kind", ["colour", "count", "backdrop", "remove"])
def test_the_judge_knows_a_change_from_none_and_from_another(kind: str) -> None:
    vae, case = AutoencoderKL.from_pretrained(MODEL_DIR / "vae").eval(), held_out_case(kind, 1)
    assert case == held_out_case(kind, 1)
    assert unseen(case.before, case.after)
    right = judge(vae, case, case.picture(case.after))
    painted = {"right": right.after, "idle": right.before, "wrong": (*right.others, right.before)[0]}
    assert {name for name, pixels in painted.items() if replace(right, painted=pixels).obeyed} == {"right"}
    assert right.drift is None or right.drift < 1


def test_what_was_to_stay_is_measured() -> None:
    before = replace(PAIR, scene=replace(PAIR.scene, style="flat"))
    after = changed(before, Change(kind="colour", subject=0, value="green"))
    case = Case(kind="colour", text="make the cat green", before=before, after=after, others=(), seed=1)
    vae = AutoencoderKL.from_pretrained(MODEL_DIR / "vae").eval()
    darker = case.picture(after).point(lambda value: max(0, value - 20))
    assert judge(vae, case, darker).drift == pytest.approx(20, abs=2)
