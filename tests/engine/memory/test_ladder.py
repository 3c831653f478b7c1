"""How models are kept when they don't fit whole: which way is chosen, and what the pictures are like then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

from engine import Engine, Txt2Img, mini
from engine.device.memory import bytes_of, tensors_of
from engine.models.memory import ladder, sizes
from engine.models.memory.ladder import RUNGS, Room, Rung
from engine.models.memory.shrink import SmallLinear, four_bit, shrink
from engine.models.memory.sizes import PartSize, Sizes
from tests.engine.memory.small_card import SmallCard, install

GIB = 1 << 30
SD15 = Sizes(
    denoiser=PartSize(numbers=860_000_000, small=800_000_000),
    encoders=PartSize(numbers=123_000_000, small=85_000_000),
    rest=PartSize(numbers=84_000_000),
)
SDXL = Sizes(
    denoiser=PartSize(numbers=2_567_000_000, small=2_500_000_000),
    encoders=PartSize(numbers=818_000_000, small=700_000_000),
    rest=PartSize(numbers=84_000_000),
)
FLUX = Sizes(
    denoiser=PartSize(numbers=11_900_000_000, small=11_700_000_000),
    encoders=PartSize(numbers=4_885_000_000, small=4_600_000_000),
    rest=PartSize(numbers=84_000_000),
)


def ask(**changes: Any) -> Txt2Img:
    facts = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 4, "guidance_scale": 4.0}
    return Txt2Img(**{**facts, "width": 64, "height": 64, **changes})


@pytest.mark.parametrize(
    ("model", "card_gib", "way"),
    [
        (SD15, 6, "whole"),
        (SDXL, 6, "fp8"),
        (SDXL, 8, "encoders leave"),
        (SDXL, 12, "whole"),
        (FLUX, 6, "offload"),
        (FLUX, 8, "offload"),
        (FLUX, 12, "4 bit, encoders leave"),
        (FLUX, 16, "4 bit"),
        (FLUX, 24, "fp8"),
        (FLUX, 48, "whole"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value)[:20],
)
def test_the_way_that_is_chosen_on_a_card(model: Sizes, card_gib: int, way: str) -> None:
    """With 0.5 GiB of it taken by the screen."""
    room = Room.of_free(int((card_gib - 0.5) * GIB))
    chosen = ladder.choose(model, 2, room, ladder.rungs(own_memory=True, movable=True))
    assert chosen.name == way
    needed = ladder.need(model, chosen, 2)
    assert needed.resident <= room.budget
    assert needed.peak <= room.peak


def test_sizes_are_told_by_the_headers_alone(folders: dict[str, Path]) -> None:
    for name, folder in folders.items():
        found, weights = sizes.of(folder), sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
        assert weights * 0.9 < found.numbers * 4 <= weights, name
        assert found.denoiser.small <= found.denoiser.numbers
        assert found.encoders.numbers > 0


# ---------------------------------------------------------------- pictures
async def painted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rung: Rung, request: Txt2Img, **options: Any
) -> tuple[Image.Image, str]:
    """A picture of a model that is kept so, and how its recipe says it was kept."""
    with monkeypatch.context() as patch:
        install(SmallCard(GIB), patch)
        patch.setattr(ladder, "choose", lambda *_: rung)
        async with Engine(str(folder), **options) as engine:
            events = [event async for event in engine.submit(request)]
            (kept,) = (await engine.inspect()).models
    assert kept.memory == rung.name
    planned = ladder.need(sizes.of(folder), rung, 4).resident
    assert rung.stream or planned * 0.9 < kept.weights_bytes < planned * 1.15, "what was planned is what it takes"
    (ready,) = (event for event in events if hasattr(event, "recipe"))
    return ready.image, ready.recipe.memory


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures' levels, in shares of 255."""
    levels = [np.asarray(image, np.float32) / 255 for image in (one, other)]
    return float(np.abs(levels[0] - levels[1]).mean())


def told_differences() -> dict[str, dict[str, float]]:
    """What docs/models.md says of each family's pictures, by the way that the model is kept, in shares of 255."""
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    _, table = page.split("How far pictures are from those of the whole model", 1)
    head, _, *rows = [line.strip("|").split("|") for line in table.split("\n\n")[1].splitlines()]
    figures = {row[0].strip(" `"): [float(cell.strip(" %")) / 100 for cell in row[1:]] for row in rows}
    names = [cell.strip() for cell in head[1:]]
    return {name: {way: each[at] for way, each in figures.items()} for at, name in enumerate(names)}


@pytest.mark.parametrize(
    ("family", "name"), {"sd1": "SD 1.x", "sdxl": "SDXL", "sd3": "SD3", "flux": "FLUX.1", "mini": "Mini"}.items()
)
async def test_where_weights_are_changes_nothing_and_fewer_bits_change_what_is_told(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, family: str, name: str
) -> None:
    folder, by_way = folders.get(family, mini.MODEL_DIR), told_differences()[name]
    whole, told = await painted(folder, monkeypatch, RUNGS[0], ask())
    assert told == "whole"
    for rung in RUNGS[1:]:
        picture, told = await painted(folder, monkeypatch, rung, ask())
        far = difference(whole, picture)
        assert told == rung.name
        said = by_way[rung.name.removesuffix(", encoders leave")] if rung.changes_pictures else 0.0
        assert far == pytest.approx(said, rel=0.25), rung.name  # processors round in different ways


@pytest.mark.parametrize("rung", [each for each in RUNGS if each.name in ("encoders leave", "fp8", "4 bit", "offload")])
async def test_a_lora_works_however_its_model_is_kept(monkeypatch: pytest.MonkeyPatch, rung: Rung) -> None:
    lora = next(iter(sorted(path.stem for path in mini.ADAPTERS_DIR.glob("*.safetensors"))), "")
    async with Engine("mini") as engine:
        lora = engine.models()[0].loras[0]
        plain, with_lora = [
            (await engine.submit(ask(prompt=f"a red boat{more}")).result())[0] for more in ("", f" <lora:{lora}:1>")
        ]
    kept, _ = await painted(mini.MODEL_DIR, monkeypatch, rung, ask(prompt=f"a red boat <lora:{lora}:1>"))
    assert difference(kept, with_lora) < difference(plain, with_lora) / 2


# ---------------------------------------------------------------- layers
def test_a_small_layer_computes_with_what_it_keeps() -> None:
    torch.manual_seed(0)
    for layer, sample in ((nn.Linear(96, 40), torch.randn(3, 96)), (nn.Conv2d(8, 12, 3), torch.randn(1, 8, 9, 9))):
        expected = layer(sample)
        for bits, most in ((8, 0.05), (4, 0.2)):
            module = nn.Sequential(type(layer)(**_shape(layer)))
            module[0].load_state_dict(layer.state_dict())
            shrink(module, bits)
            assert not any(name == "0.weight" for name, _ in module.named_parameters())
            far = (module(sample) - expected).abs().mean() / expected.abs().mean()
            assert 0 < far < most


def test_what_a_library_packed_is_counted_moved_and_left_as_it_is() -> None:
    """As torchao packs weights: a tensor that says it is one of another size, around those that hold the numbers."""
    packed = nn.Linear(32, 32)
    packed.weight = nn.Parameter(TwoTensor(torch.zeros(32, 32), torch.ones(32, 32)))  # type: ignore[no-untyped-call]
    module = nn.Sequential(packed, nn.Linear(32, 32))
    assert bytes_of(module) == 4 * (2 * 32 * 32 + 32 + 32 * 32 + 32)
    shrink(module, 8)
    assert [type(layer) for layer in module] == [nn.Linear, SmallLinear]
    assert torch.equal(tensors_of(module)[1], torch.ones(32, 32))


def _shape(layer: nn.Module) -> dict[str, Any]:
    if isinstance(layer, nn.Linear):
        return {"in_features": layer.in_features, "out_features": layer.out_features}
    assert isinstance(layer, nn.Conv2d)
    return {"in_channels": layer.in_channels, "out_channels": layer.out_channels, "kernel_size": 3}


def test_four_bits_keep_the_levels_exactly() -> None:
    from engine.models.memory.shrink import LEVELS, SmallLinear

    weight = torch.tensor(LEVELS).repeat(16, 8) * 3
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data = weight.clone()
    module = nn.Sequential(layer)
    shrink(module, 4)
    assert isinstance(module[0], SmallLinear)
    assert torch.allclose(module[0].weight, weight, atol=1e-6)
    stored, scales = four_bit(weight)
    assert stored.nbytes + scales.nbytes == pytest.approx(weight.numel() * ladder.FOUR_BIT_BYTES)
