"""Ten models on a card that holds two: every job ends painted or with its own sentence, never over budget."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, EngineError, Img2Img, ModelTooLarge, OutOfMemory, Txt2Img
from engine.diffusion.preview import Throttle
from engine.models.memory import ladder, sizes
from engine.models.memory.ladder import Room
from tests.engine.conftest import sd1
from tests.engine.memory.small_card import SmallCard, install

SIDE = 64
BASES = ("sd1", "sdxl", "sd3", "flux")
MEMBERS = 10


def ask(**changes: Any) -> Txt2Img:
    facts = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 2, "guidance_scale": 5.0}
    return Txt2Img(**{**facts, "width": SIDE, "height": SIDE, **changes})


def need(folder: Path) -> int:
    return ladder.need(sizes.of(folder), ladder.WHOLE, itemsize=4).resident


def card_for(budget: int, **activations: float) -> SmallCard:
    """A card that leaves so much for weights."""
    return SmallCard(int(budget / ladder.WEIGHTS_SHARE) + 1, activations)


def ten(folders: dict[str, Path]) -> dict[str, str]:
    """Ten models, of which some are the same but for their name."""
    return {f"{BASES[number % 4]}-{number}": str(folders[BASES[number % 4]]) for number in range(MEMBERS)}


@pytest.fixture(autouse=True)
def _no_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which would decode whenever there is time for it."""
    monkeypatch.setattr(Throttle, "open", lambda self: False)


async def end_of(engine: Engine, request: Txt2Img, user: str) -> bytes | EngineError:
    try:
        return b"".join(image.tobytes() for image in await engine.submit(request, user=user).result())
    except EngineError as error:
        return error


async def test_ten_members_ask_for_ten_models(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a single attempt that does not fit: sizes are known, and nothing in use is let go."""
    models = ten(folders)
    budget = max(need(folder) for folder in folders.values()) + need(folders["sd1"])
    card = install(card_for(budget), monkeypatch)
    async with Engine(str(folders["sd1"]), models=models, mode="fast") as engine:
        asked = [ask(model=key, num_images=2, num_inference_steps=1) for key in models]
        painted = await asyncio.gather(*(end_of(engine, each, each.model or "") for each in asked))
        told = await engine.inspect()
    assert not [end for end in painted if isinstance(end, EngineError)]
    assert card.raised == []
    assert need(folders["sd1"]) < card.weights_most <= Room.of_free(card.capacity).budget
    assert {model.memory for model in told.models} == {"whole"}
    same = {end for end, each in zip(painted, asked, strict=True) if (each.model or "").startswith("sd1")}
    assert len(same) == 1, "whatever was evicted and loaded between"
    gc.collect()
    assert card.weights() == 0, "nothing is left when the engine has closed"


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_runs_out_of_memory_costs_one_job_at_most(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """At load, in encode, in the denoiser, in the VAE, at random, on a card that is a little too small as well."""
    models, dice = ten(folders), random.Random(seed)
    card = install(card_for(int(1.3 * need(folders["flux"])), denoise=30.0, decode=60.0), monkeypatch)
    card.full = lambda what: dice.random() < {"load": 0.02, "bring": 0.02}.get(what, 0.15)
    async with Engine(str(folders["sd1"]), models=models, mode="fast") as engine:
        asked = [ask(model=key, seed=number, num_images=1 + number % 2) for number, key in enumerate(models)]
        ends = await asyncio.gather(*(end_of(engine, each, str(each.seed)) for each in asked))
        card.full = lambda what: False
        assert isinstance(await end_of(engine, ask(), "last"), bytes), "the engine goes on"
        assert {model.images for model in (await engine.inspect()).models} == {0}
    assert card.raised
    errors = [end for end in ends if isinstance(end, EngineError)]
    assert {type(error) for error in errors} <= {OutOfMemory, ModelTooLarge}
    assert len(errors) < len(ends) / 2
    gc.collect()
    assert card.weights() == 0


# ---------------------------------------------------------------- at load
async def test_a_load_that_does_not_fit_is_tried_without_idle_models_and_then_in_a_smaller_way(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = install(card_for(4 * need(folders["flux"])), monkeypatch)
    async with Engine(str(folders["sd1"]), models={"flux": str(folders["flux"])}) as engine:
        await engine.submit(ask()).result()
        left = iter([True])
        card.full = lambda what: what == "load" and next(left, False)
        expected = await end_of(engine, ask(model="flux"), "")
        assert isinstance(expected, bytes)
        assert [model.key for model in (await engine.inspect()).models] == ["flux"], "sd1 was idle, and made room"
        await engine.submit(ask()).result()
    async with Engine(str(folders["flux"])) as engine:
        left = iter([True])
        card.full = lambda what: what == "load" and next(left, False)
        assert await end_of(engine, ask(), "") == expected, "kept elsewhere, its numbers are the same"
        assert (await engine.inspect()).models[0].memory in ("encoders leave", "offload")


async def test_a_model_that_fits_in_no_way_is_told_and_others_go_on(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = install(card_for(4 * need(folders["flux"])), monkeypatch)
    async with Engine(str(folders["sd1"]), models={"flux": str(folders["flux"])}) as engine:
        await engine.submit(ask()).result()
        card.full = lambda what: what == "load"
        told = await end_of(engine, ask(model="flux"), "")
        card.full = lambda what: False
        assert isinstance(told, ModelTooLarge)
        assert "flux" in str(told)
        assert isinstance(await end_of(engine, ask(), ""), bytes)
        gc.collect()
        assert card.weights() == (await engine.inspect()).models[0].weights_bytes, "what failed has left nothing"


async def test_a_model_that_needs_room_waits_for_those_in_use_and_is_not_overtaken(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {"sdxl": str(folders["sdxl"])}
    card = install(card_for(int(1.2 * need(folders["sdxl"]))), monkeypatch)
    async with Engine(str(folders["sd1"]), models=models) as engine:
        await engine.submit(ask()).result()
        order: list[str] = []

        async def one(name: str, request: Txt2Img) -> None:
            assert isinstance(await end_of(engine, request, name), bytes)
            order.append(name)

        first = asyncio.create_task(one("running", ask(num_inference_steps=20)))
        await asyncio.sleep(0)
        while (await engine.inspect()).models[0].images == 0:
            pass
        waits = asyncio.create_task(one("waits", ask(model="sdxl", num_inference_steps=2)))
        await engine.inspect()
        late = [asyncio.create_task(one(f"late {n}", ask(num_inference_steps=8, seed=n))) for n in range(4)]
        await asyncio.gather(first, waits, *late)
    assert order.index("waits") < order.index("late 3")
    assert card.raised == []


# ---------------------------------------------------------------- while painting
@pytest.mark.parametrize("what", ["encode", "denoise", "decode"])
async def test_a_call_that_does_not_fit_gets_room_bit_by_bit(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """First without idle models, then without text encoders, then block by block: the picture is the same."""
    install(card_for(9 * need(folders["sdxl"])), monkeypatch)  # a processor rounds by where in a file weights lie
    async with Engine(str(folders["sdxl"])) as engine:
        expected = await end_of(engine, ask(), "")
    card = install(card_for(2 * need(folders["sdxl"])), monkeypatch)
    async with Engine(str(folders["sdxl"]), models={"sd1": str(folders["sd1"])}) as engine:
        await engine.submit(ask(model="sd1")).result()
        await engine.submit(ask(prompt="another")).result()
        left = iter([True] * 3)
        card.full = lambda kind: kind == what and next(left, False)
        assert await end_of(engine, ask(), "") == expected
        (kept,) = (await engine.inspect()).models
        assert kept.key == "sdxl"
        assert "offload" in kept.memory
        card.full = lambda kind: kind == what
        told = await end_of(engine, ask(seed=8, prompt="a third"), "")
        card.full = lambda kind: False
        assert isinstance(told, OutOfMemory)
        assert await end_of(engine, ask(), "") == expected


async def test_a_large_picture_is_decoded_and_encoded_in_tiles(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left beside the weights is enough for a tile, and not for the whole."""
    side, whole = 128, 0.5 * need(folders["sd1"])
    latents, pixels = 4 * (side // 2) ** 2, 3 * side**2
    card = card_for(need(folders["sd1"]), **{"decode": whole / latents, "encode a picture": whole / pixels})
    install(card, monkeypatch)
    large = {"width": side, "height": side}
    async with Engine(str(folders["sd1"])) as engine:
        assert isinstance(await end_of(engine, ask(**large), ""), bytes)
        assert "decode" in card.raised
        picture = (await engine.submit(ask(**large)).result())[0]
        edit = Img2Img(prompt="a boat", seed=1, num_inference_steps=2, guidance_scale=5.0, init_image=picture, **large)
        assert isinstance(await end_of(engine, edit, ""), bytes)
        assert "encode a picture" in card.raised
    assert not sd1().vae.use_tiling
