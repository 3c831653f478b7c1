"""The recipe's mechanism on toy tensors: noise, targets, resuming, packing of numbers into latents."""

import copy
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as processes
import torch.nn.functional as F
from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionPipeline
from torch import Tensor, nn

from engine.mini import MODEL_DIR
from engine.mini.judge import Reading, wilson
from engine.mini.train import precision
from engine.mini.train.captions import caption
from engine.mini.train.config import FINE_PX, PICTURE_PX, RECIPES, StageConfig
from engine.mini.train.data import LatentDataset, foreground
from engine.mini.train.diffusion import SHARES, TIMES, add_noise, loss_weight, stratified_timesteps
from engine.mini.train.loop import Loop, Rng, join_workers
from engine.mini.train.networks.checker import NOTHING, UNSURE, centre_map, label, load_checker, train_checker
from engine.mini.train.networks.crisp import CrispLoss, softer
from engine.mini.train.networks.layout import LOGITS, layout_loss, targets
from engine.mini.train.networks.unet import UnetLoss, describe
from engine.mini.train.networks.vae import FinerLoss, new_vae, psnr, random_pictures, refined, whiten
from engine.mini.train.scenes import Scene, Thing
from engine.mini.train.stages import STAGES, Job, denoiser
from engine.mini.words import THINGS

ROOT = Path(__file__).parents[2]
CONFIG = StageConfig(samples=160, batch=8, learning_rate=0.05, warmup_steps=2)
STAR = Scene(style="flat", scene="plain", things=(Thing(kind="star", colour="red", x=0.25, y=0.5, radius=0.2),))


def noise(batch: int, rng: Rng) -> Tensor:
    return torch.randn(batch, 4, generator=rng.torch)


def test_velocity_and_noisy_latents_give_back_the_clean_ones() -> None:
    clean, dirt, timesteps = torch.randn(6, 4, 8, 8), torch.randn(6, 4, 8, 8), torch.arange(0, 1000, 170)
    noisy, velocity = add_noise(clean, dirt, timesteps)
    signal = add_noise(torch.ones_like(clean), torch.zeros_like(clean), timesteps)[0]
    torch.testing.assert_close(signal * noisy - (1 - signal**2).sqrt() * velocity, clean, atol=1e-4, rtol=1e-4)


def test_timesteps_cover_the_whole_schedule() -> None:
    timesteps = stratified_timesteps(1000, torch.Generator().manual_seed(0))
    assert timesteps.min() < 10
    assert timesteps.max() > 980
    for time, share in zip(TIMES, SHARES, strict=True):
        assert (timesteps < 1000 * time).float().mean() == pytest.approx(share, abs=0.01)


def test_easy_timesteps_weigh_little() -> None:
    early, middle, late = loss_weight(torch.tensor([0, 300, 999])).tolist()
    assert early < 0.01 < middle <= late == pytest.approx(1)


def test_a_resumed_run_takes_the_same_steps(tmp_path: Path) -> None:
    def run(folder: Path, samples: int) -> Tensor:
        torch.manual_seed(0)
        network = nn.Linear(4, 1)
        config = replace(CONFIG, samples=samples, decay_share=1e-9)
        Loop(network, config, folder).run(lambda batch, rng: (network(noise(batch, rng)) - 1).square().mean())
        return network.weight.detach()

    run(tmp_path / "broken", 80)
    torch.testing.assert_close(run(tmp_path / "broken", 160), run(tmp_path / "whole", 160))


def test_training_lowers_the_loss_and_averages_the_weights(tmp_path: Path) -> None:
    network = nn.Linear(4, 1)
    loop = Loop(network, replace(CONFIG, samples=4000), tmp_path)
    ema = loop.run(lambda batch, rng: (network(noise(batch, rng)) - 1).square().mean())
    error = (ema(noise(256, Rng.of(1, 0, 0))) - 1).square().mean()
    assert error < 0.1
    assert (tmp_path / "last.pt").exists()


def work(rank: int, folder: Path) -> None:
    """Train beside another process, from other weights, and leave what came of it."""
    join_workers(rank, 2, folder / "meeting")
    torch.manual_seed(rank)
    network = nn.Linear(4, 1)
    loop = Loop(network, replace(CONFIG, samples=4000), folder / str(rank))
    loop.run(lambda batch, rng: (network(noise(batch, rng)) - 1).square().mean())
    torch.save(network.state_dict(), folder / f"{rank}.pt")


def test_workers_come_to_the_same_weights(tmp_path: Path) -> None:
    processes.spawn(work, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call,attr-defined]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert torch.equal(first["weight"], second["weight"])
    network = nn.Linear(4, 1)
    network.load_state_dict(first)
    assert (network(noise(256, Rng.of(1, 0, 0))) - 1).square().mean() < 0.1
    assert [path.name for path in tmp_path.glob("*/last.pt")] == ["last.pt"], "the first one's"


def test_labels_say_where_a_thing_is() -> None:
    kinds, colours, whole = label(STAR)
    assert kinds[8, 4] == THINGS.index("star")
    assert kinds[0, 15] == NOTHING
    assert colours[8, 4] == 0
    assert colours[0, 15] == UNSURE
    assert whole.tolist() == [0, 0, UNSURE]
    assert foreground([STAR])[0, 0, 8, 4]
    assert not foreground([STAR])[0, 0, 8, 14]


def test_a_layout_is_told_at_both_resolutions() -> None:
    answers = targets([STAR], "cpu")
    assert {size: tuple(kinds.shape) for size, (kinds, _) in answers.items()} == {16: (1, 16, 16), 8: (1, 8, 8)}
    assert answers[8][0][0, 4, 2] == THINGS.index("star")
    assert answers[8][0][0, 0, 7] == NOTHING


def test_a_sure_and_right_reader_has_no_loss() -> None:
    kinds, colours = targets([STAR], "cpu")[8]
    logits = torch.zeros(1, LOGITS, 8, 8)
    logits.scatter_(1, kinds.clamp(min=0)[:, None], 50.0)
    logits.scatter_(1, NOTHING + 1 + colours.clamp(min=0)[:, None], 50.0)
    assert layout_loss(logits, (kinds, colours)) < 1e-3 < layout_loss(-logits, (kinds, colours))


def test_every_weight_of_the_noise_predictor_and_of_its_text_encoder_learns(tmp_path: Path) -> None:
    job = Job(device="cpu", out=tmp_path, start=MODEL_DIR, workers=1, minutes=None)
    network = denoiser(job)
    data = LatentDataset.__new__(LatentDataset)
    data.scenes = [replace(STAR, background="white")]
    data.latents = np.random.default_rng(0).normal(size=(1, 4, 16, 16)).astype(np.float16)
    UnetLoss(network, job.tokenizer(), data, "cpu")(4, Rng.of(0, 0, 0)).backward()
    idle = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_captions_leave_things_out_only_where_the_noise_shows_them() -> None:
    rng, cat = Rng.of(0, 0, 0), Thing(kind="cat", colour="blue", x=0.75)
    pair = replace(STAR, background="white", things=(*STAR.things, cat))
    for scene in (pair, replace(pair, place="left")):
        seen, hidden = ([describe(rng, scene, timestep) for _ in range(300)] for timestep in (300, 700))
        assert 0.05 < seen.count("") / 300 < 0.15
        assert 0.35 < sum(("star" in text) != ("blue" in text) for text in seen) / 300 < 0.55
        assert all("star" in text and "blue" in text for text in hidden if text)


def test_captions_leave_out_where_a_thing_is_only_where_the_noise_shows_it() -> None:
    rng, corner = Rng.of(0, 0, 0), replace(STAR, background="white", place="top")
    seen, hidden = ([text for _ in range(300) if (text := describe(rng, corner, time))] for time in (300, 700))
    assert 0.5 < sum("top" in text for text in seen) / len(seen) < 0.8
    assert all("top" in text for text in hidden)


def test_a_thing_with_a_place_keeps_it_in_company(rng: random.Random) -> None:
    cat = Thing(kind="cat", colour="blue", x=0.5)
    scene = replace(STAR, background="white", things=(*STAR.things, cat), place="top left")
    told = [caption(rng, scene) for _ in range(100)]
    assert all(
        re.search(r"star (in|at) the top left", text) and "cat" in text.replace("kitten", "cat") for text in told
    )
    assert {text.index("star") < text.index("blue") for text in told} == {True, False}


def test_equal_things_are_counted_by_their_centres() -> None:
    star = STAR.things[0]
    row = replace(STAR, things=tuple(replace(star, x=(x + 0.5) / 32, y=16.5 / 32) for x in (5, 16, 26)))
    dots = centre_map(row).numpy()
    stars = np.full((16, 16), THINGS.index("star"))
    reading = Reading(
        kinds=stars, named=stars, colours=np.zeros((12, 16, 16)), peaks=dots > 0.95, scene="plain", style="flat"
    )
    assert reading.count("star") == 3
    assert reading.count("moon") == 0


def test_a_checker_goes_on_from_the_one_that_it_starts_from(tmp_path: Path) -> None:
    config, before = replace(CONFIG, samples=2, batch=2, learning_rate=1e-6), load_checker(MODEL_DIR / "checker")
    for start, same in ((MODEL_DIR / "checker", True), (None, False)):
        after = train_checker(config, tmp_path / str(same), "cpu", seed=0, start=start)
        assert torch.allclose(after.cells.weight, before.cells.weight, atol=1e-3) == same


def test_whitening_changes_latents_but_not_pictures() -> None:
    torch.manual_seed(0)
    vae, pictures = new_vae().eval(), random_pictures(2, Rng.of(0, 0, 0).choice, PICTURE_PX)
    before = psnr(vae, pictures)
    whiten(vae, pictures=12, seed=0)
    with torch.inference_mode():
        means = vae.encode(random_pictures(4, Rng.of(0, 0, 1).choice, PICTURE_PX)).latent_dist.mean
    assert psnr(vae, pictures) == pytest.approx(before, abs=0.05)
    assert 0.5 < float(means.std()) < 2


def test_a_refined_autoencoder_starts_where_the_coarse_one_is() -> None:
    torch.manual_seed(0)
    coarse = new_vae().eval()
    fine, pictures = refined(coarse).eval(), random_pictures(2, Rng.of(0, 0, 0).choice, FINE_PX)
    with torch.inference_mode():
        latents = coarse.encode(F.avg_pool2d(pictures, 2)).latent_dist.mean
        assert fine.encode(pictures).latent_dist.mean.shape == latents.shape
        doubled = F.interpolate(coarse.decode(latents).sample, scale_factor=2)
        drawn = fine.decode(latents).sample
    assert float((drawn - doubled).square().mean()) < 0.1 * float(doubled.var())


def test_a_refined_autoencoder_learns_the_coarse_ones_code() -> None:
    torch.manual_seed(0)
    coarse = new_vae()
    loss = FinerLoss(refined(coarse), coarse, "cpu")
    loss(1, Rng.of(0, 0, 0)).backward()
    fine = loss.fine
    assert all(weight.grad is not None for weight in (fine.quant_conv.weight, fine.decoder.conv_out.weight))
    assert all(weight.grad is None for weight in coarse.parameters())


def test_a_crisp_decoder_keeps_its_latents() -> None:
    torch.manual_seed(0)
    old = new_vae()
    vae, painted = copy.deepcopy(old), torch.randn(4, 4, 16, 16)
    loss = CrispLoss(vae, old, painted, "cpu")
    critic = copy.deepcopy(loss.critic.state_dict())
    loss(4, Rng.of(0, 0, 0)).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in vae.decoder.parameters())
    assert all(weight.grad is None for weight in [*vae.encoder.parameters(), *vae.quant_conv.parameters()])
    assert any(not torch.equal(critic[name], weight) for name, weight in loss.critic.state_dict().items())


def test_a_soft_edge_costs_and_a_sharp_one_elsewhere_does_not() -> None:
    step = torch.full((1, 3, 64, 64), -1.0)
    step[..., 30:] = 1.0
    ramp = (torch.linspace(-1, 1, 7)).expand(1, 3, 64, 7)
    soft = step.clone()
    soft[..., 27:34] = ramp
    assert softer(step.roll(2, 3), step) == softer(step, soft) == 0
    assert softer(soft, step) > 0.01
    assert softer(torch.full_like(step, 0.3), step) == 0, "what is plain isn't soft"


def test_a_critic_learns_to_tell_drawn_pictures_from_blurred_ones() -> None:
    torch.manual_seed(0)
    vae = new_vae()
    loss = CrispLoss(vae, copy.deepcopy(vae), torch.randn(4, 4, 16, 16), "cpu")
    for step in range(12):
        loss(2, Rng.of(0, 0, step))
    drawn = random_pictures(4, Rng.of(1, 0, 0).choice, PICTURE_PX)
    with torch.inference_mode():
        blurred = vae.decode(torch.randn(4, 4, 16, 16)).sample
        assert loss.critic(drawn).mean() > loss.critic(blurred).mean()


def test_the_recipe_runs_from_nothing_in_one_go(tmp_path: Path) -> None:
    """In two steps a stage, as its user would; plain diffusers loads what comes out, and an adapter on it."""
    command = [sys.executable, "-m", "engine.mini.train", "all", "--preset", "short", "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--workers", "1", "--out", str(tmp_path)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line[3:] for line in done.stdout.splitlines() if line.startswith("== ")] == list(STAGES)
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "model", local_files_only=True)
    pipeline.load_lora_weights(tmp_path / "adapters" / "cactus")
    editor = StableDiffusionInstructPix2PixPipeline.from_pretrained(tmp_path / "editor", local_files_only=True)
    (picture,) = pipeline("a cactus", num_inference_steps=2, output_type="np").images
    (changed,) = editor("make it blue", image=picture, num_inference_steps=2, output_type="np").images
    for each in (picture, changed):
        assert each.shape == (FINE_PX, FINE_PX, 3)
        assert np.isfinite(each).all()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_recipe_trains_at_least_a_few_steps(device: str) -> None:
    recipe = RECIPES[device]
    for stage in (
        recipe.vae,
        recipe.finer,
        recipe.crisp,
        recipe.clip,
        recipe.unet,
        recipe.checker,
        recipe.adapter,
        recipe.edit,
    ):
        assert stage.samples // stage.batch > 5 * stage.warmup_steps


def test_intervals_hold_the_rate() -> None:
    low, high = wilson(9, 10)
    assert 0.55 < low < 0.9 < high < 1
    assert wilson(0, 10)[0] == 0


@pytest.mark.parametrize("able", [True, False])
def test_a_processor_without_bfloat16_trains_in_float32(able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: able)
    with precision.mixed("cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if able else torch.float32)
