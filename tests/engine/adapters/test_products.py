"""LoHa, LoKr and DoRA paint what a model paints whose weights were changed by their formulas, written out here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine import Engine, ModelUnloadable
from tests.engine.adapters.test_adapters import ask, lora, own, painted
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

RANK, ALPHA = 3, 2.0
Weights = dict[str, torch.Tensor]
Formula = Callable[[torch.Tensor, Weights, float], torch.Tensor]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape) * 0.2


def loha(weight: torch.Tensor) -> Weights:
    high, wide = weight.shape[0], weight[0].numel()
    parts = {f"hada_w{n}_a": noise(high, RANK) for n in (1, 2)} | {f"hada_w{n}_b": noise(RANK, wide) for n in (1, 2)}
    return {**parts, "alpha": torch.tensor(ALPHA)}


def loha_of(weight: torch.Tensor, f: Weights, strength: float) -> torch.Tensor:
    change = torch.zeros(weight.shape[0], weight[0].numel())
    for row in range(RANK):  # every pair of the two products' summands
        for other in range(RANK):
            change += torch.outer(
                f["hada_w1_a"][:, row] * f["hada_w2_a"][:, other], f["hada_w1_b"][row] * f["hada_w2_b"][other]
            )
    return weight + strength * ALPHA / RANK * change.reshape(weight.shape)


def loha_tucker(weight: torch.Tensor) -> Weights:
    high, wide, *kernel = weight.shape
    found = {}
    for n in (1, 2):
        found |= {
            f"hada_t{n}": noise(RANK, RANK, *kernel),
            f"hada_w{n}_a": noise(RANK, high),
            f"hada_w{n}_b": noise(RANK, wide),
        }
    return found


def loha_tucker_of(weight: torch.Tensor, f: Weights, strength: float) -> torch.Tensor:
    change = torch.ones_like(weight)
    for n in (1, 2):
        grown = torch.tensordot(f[f"hada_w{n}_a"].T, f[f"hada_t{n}"], dims=1)  # (out, r, k, k)
        change = change * torch.tensordot(grown, f[f"hada_w{n}_b"], dims=([1], [0])).movedim(-1, 1)
    return weight + strength * change


def lokr(weight: torch.Tensor) -> Weights:
    high, wide = weight.shape[0], weight.shape[1]
    rest = weight[0, 0].numel()
    parts = {"lokr_w2_a": noise(high // 4, RANK), "lokr_w2_b": noise(RANK, wide // 2 * rest)}
    return {"lokr_w1": noise(4, 2), **parts, "alpha": torch.tensor(ALPHA)}


def lokr_of(weight: torch.Tensor, f: Weights, strength: float) -> torch.Tensor:
    second = (f["lokr_w2_a"] @ f["lokr_w2_b"]).reshape(weight.shape[0] // 4, weight.shape[1] // 2, *weight.shape[2:])
    change = torch.cat([torch.cat([each * second for each in row], dim=1) for row in f["lokr_w1"]])
    return weight + strength * ALPHA / RANK * change


def lokr_whole(weight: torch.Tensor) -> Weights:
    """Without a rank its alpha means nothing."""
    high, wide, *kernel = weight.shape
    return {"lokr_w1": noise(4, 2), "lokr_w2": noise(high // 4, wide // 2, *kernel), "alpha": torch.tensor(7.0)}


def lokr_whole_of(weight: torch.Tensor, f: Weights, strength: float) -> torch.Tensor:
    return weight + strength * torch.cat(
        [torch.cat([each * f["lokr_w2"] for each in row], dim=1) for row in f["lokr_w1"]]
    )


def dora(axis: int) -> Callable[[torch.Tensor], Weights]:
    def made(weight: torch.Tensor) -> Weights:
        flat, kernel = weight.dim() == 2, [1] * (weight.dim() - 2)
        down = noise(RANK, *weight.shape[1:])
        size = [weight.shape[0], 1] if axis == 0 else [1, weight.shape[1]]
        return {
            "lora_down.weight": down,
            "lora_up.weight": noise(weight.shape[0], RANK, *kernel),
            "dora_scale": torch.rand(size if flat else [*size, 1, 1]) * 3 + 0.5,
            "alpha": torch.tensor(ALPHA),
        }

    return made


def dora_of(weight: torch.Tensor, f: Weights, strength: float) -> torch.Tensor:
    product = f["lora_up.weight"].reshape(-1, RANK) @ f["lora_down.weight"].reshape(RANK, -1)
    changed = weight + strength * ALPHA / RANK * product.reshape(weight.shape)
    axes = [axis for axis in range(weight.dim()) if f["dora_scale"].shape[axis] == 1 or axis > 1]
    factor = f["dora_scale"] / changed.square().sum(axes, keepdim=True).sqrt()
    return changed * (strength * (factor - 1) + 1)


def kohya(weight: torch.Tensor) -> Weights:
    """A plain one, which diffusers reads; but not in a text encoder of which it changes queries alone."""
    up = noise(weight.shape[0], RANK, *[1] * (weight.dim() - 2))
    return {"lora_down.weight": noise(RANK, *weight.shape[1:]), "lora_up.weight": up, "alpha": torch.tensor(ALPHA)}


def kohya_of(weight: torch.Tensor, f: Weights, strength: float) -> torch.Tensor:
    product = f["lora_up.weight"].reshape(-1, RANK) @ f["lora_down.weight"].reshape(RANK, -1)
    return weight + strength * ALPHA / RANK * product.reshape(weight.shape)


KINDS: dict[str, tuple[Callable[[torch.Tensor], Weights], Formula]] = {
    "loha": (loha, loha_of),
    "lokr": (lokr, lokr_of),
    "lokr-whole": (lokr_whole, lokr_whole_of),
    "dora-rows": (dora(0), dora_of),
    "dora-columns": (dora(1), dora_of),
    "kohya": (kohya, kohya_of),
}
STRENGTHS = (1, 0.6, 1, 0.6, 1.4, 0.6)
ENDS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.2", "conv1", "q_proj")


def changed(pipe: Any) -> Iterator[tuple[str, torch.nn.Module]]:
    """The layers that these files change, by their names in kohya's files."""
    for prefix, part in (("lora_unet", pipe.unet), ("lora_te_text_model", pipe.text_encoder)):
        for name, layer in part.named_modules():
            if name.endswith(ENDS):
                yield f"{prefix}_{name.removeprefix('text_model.').replace('.', '_')}", layer


def make(folder: Path, out: Path, kind: str) -> dict[str, Weights]:
    """A random file of a kind; its factors by layer."""
    torch.manual_seed(11)
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    layers = {}
    for name, layer in changed(pipe):
        first = loha_tucker if kind == "loha" and "conv1" in name else KINDS[kind][0]
        layers[name] = first(layer.weight.detach())
    save_file({f"{name}.{end}": t.contiguous() for name, each in layers.items() for end, t in each.items()}, out)
    return layers


def own_with(folder: Path, kind: str, layers: dict[str, Weights], strength: float) -> Image.Image:
    """The same picture from diffusers, with the weights changed by the formula."""
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    for name, layer in changed(pipe):
        formula = loha_tucker_of if "hada_t1" in layers[name] else KINDS[kind][1]
        layer.weight.data = formula(layer.weight.data, layers[name], strength)
    return painted(pipe, "a red boat")


@pytest.fixture(scope="module")
def made(
    folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, dict[str, Weights]]]:
    root = tmp_path_factory.mktemp("products")
    return {
        kind: (str(root / f"{kind}.safetensors"), make(folders["sd1"], root / f"{kind}.safetensors", kind))
        for kind in KINDS
    }


async def test_alone_and_together(
    folders: dict[str, Path], made: dict[str, tuple[str, dict[str, Weights]]], tmp_path: Path
) -> None:
    """Of any kind, at any weight; the model itself stays what it is."""
    folder, files = folders["sd1"], {kind: path for kind, (path, _) in made.items()}
    files["ink"] = str(lora(folder, "sd1", tmp_path / "ink", 2))
    asked = [ask(f"a red boat <lora:{kind}:{strength}>") for kind, strength in zip(KINDS, STRENGTHS, strict=True)]
    async with Engine(str(folder), loras=files) as engine:
        assert set(engine.models()[0].loras) == files.keys()
        assert engine.models()[0].lora_shares == ()
        alone = [(await engine.submit(request).result())[0] for request in asked]
        plain = (await engine.submit(ask("a red boat")).result())[0]
        both = (await engine.submit(ask("a red boat <lora:ink> <lora:loha>")).result())[0]
    for request, image in zip(asked, alone, strict=True):
        kind, strength = request.prompt.partition("<lora:")[2].rstrip(">").split(":")
        expected = own_with(folder, kind, made[kind][1], float(strength))
        assert difference(image, expected) <= ROUNDING, request.prompt
        assert difference(image, plain) > 0.01, f"{kind} must have done something"
    assert difference(plain, own(folder, "a red boat", {})) == 0.0
    assert difference(both, alone[0]) > 0.01, "beside a plain LoRA both count"
    async with Engine(str(folder), loras=files, mode="fast") as engine:
        tickets = [
            engine.submit(request, user=str(number)) for number, request in enumerate([*asked, ask("a red boat")])
        ]
        crowd = [(await ticket.result())[0] for ticket in tickets]
    assert max(difference(one, other) for one, other in zip([*alone, plain], crowd, strict=True)) <= ROUNDING


async def test_kohyas_names_of_sdxl(folders: dict[str, Path], tmp_path: Path) -> None:
    """Its files call the blocks as the original implementation does."""
    torch.manual_seed(4)
    pipe = diffusers.AutoPipelineForText2Image.from_pretrained(folders["sdxl"])
    pipe.set_progress_bar_config(disable=True)
    place = next(
        name
        for name, _ in pipe.unet.named_modules()
        if name.endswith("attn2.to_k") and name.startswith("down_blocks.1.")
    )
    layer = pipe.unet.get_submodule(place)
    rest = place.partition("transformer_blocks.")[2].replace(".", "_")
    first = 1 + pipe.unet.config.layers_per_block + 1  # the first convolution, and the block before
    factors = loha(layer.weight.detach())
    file = tmp_path / "x.safetensors"
    save_file(
        {f"lora_unet_input_blocks_{first}_1_transformer_blocks_{rest}.{end}": t for end, t in factors.items()}, file
    )
    async with Engine(str(folders["sdxl"]), loras={"x": str(file)}) as engine:
        image = (await engine.submit(ask("a red boat <lora:x>")).result())[0]
        plain = (await engine.submit(ask("a red boat")).result())[0]
    layer.weight.data = loha_of(layer.weight.data, factors, 1.0)
    assert difference(image, painted(pipe, "a red boat")) <= ROUNDING
    assert difference(image, plain) > 0


async def test_one_of_other_layers_is_that_jobs_failure(folders: dict[str, Path], tmp_path: Path) -> None:
    wide = 32
    factors = loha(torch.zeros(wide, wide))
    save_file({f"lora_unet_elsewhere_attn2_to_k.{end}": t for end, t in factors.items()}, tmp_path / "x.safetensors")
    async with Engine(str(folders["sd1"]), loras={"x": str(tmp_path / "x.safetensors")}) as engine:
        with pytest.raises(ModelUnloadable, match="none of the layers"):
            await engine.submit(ask("a red boat <lora:x>")).result()
        (image,) = await engine.submit(ask("a red boat")).result()
    assert difference(image, own(folders["sd1"], "a red boat", {})) == 0.0
