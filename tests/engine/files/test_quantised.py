"""Weights in fewer bits: painted as the same numbers in full would be, or told by name with what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine import Engine, ModelUnloadable, Txt2Img
from engine.models import catalog, whole
from engine.models.files import gguf_header, quantised
from engine.models.memory import ladder, sizes
from tests.engine import conftest, zoo
from tests.engine.files.original_layout import save_original

Tensors = Mapping[str, torch.Tensor]
Writer = Callable[[Tensors, Path], None]
WEIGHTS = "diffusion_pytorch_model.safetensors"
Q8 = gguf.GGMLQuantizationType.Q8_0


async def painted(model: Path) -> bytes:
    async with Engine(str(model)) as engine:
        request = Txt2Img(prompt="a red boat", width=64, height=64, num_inference_steps=2, seed=7, guidance_scale=4.0)
        return (await engine.submit(request).result())[0].tobytes()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def z_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.build(tmp_path_factory.mktemp("zoo"), ["z-image"])["z-image"]


def with_weights(folder: Path, out: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> Path:
    """The folder with other numbers in its transformer's matrices."""
    shutil.copytree(folder, out)
    file = out / "transformer" / WEIGHTS
    tensors = load_file(file)
    save_file({name: change(each) if is_matrix(name, each) else each for name, each in tensors.items()}, file)
    return out


def is_matrix(name: str, tensor: torch.Tensor) -> bool:
    return name.endswith(".weight") and tensor.dim() == 2 and tensor.shape[1] % 32 == 0


def to_fp8(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scale = tensor.abs().max() / 448  # the largest number that E4M3 has
    return (tensor / scale).to(torch.float8_e4m3fn), scale


def from_fp8(tensor: torch.Tensor) -> torch.Tensor:
    small, scale = to_fp8(tensor)
    return small.float() * scale


def save_scaled(tensors: Tensors, file: Path, scale_name: str) -> None:
    found: dict[str, torch.Tensor] = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}
    for name, tensor in tensors.items():
        found[name] = tensor
        if is_matrix(name, tensor):
            found[name], found[name.removesuffix(".weight") + scale_name] = to_fp8(tensor)
            found[name.removesuffix(".weight") + ".scale_input"] = torch.ones(())
    save_file(found, file)


def save_gguf(tensors: Tensors, file: Path) -> None:
    writer = gguf.GGUFWriter(str(file), "lumina2")
    writer.add_string("general.name", "a small one")
    writer.add_array("some.list", ["a", "b"])
    writer.add_array("some.numbers", [1, 2, 3])
    for name, tensor in tensors.items():
        array = tensor.float().numpy()
        if is_matrix(name, tensor):
            writer.add_tensor(name, gguf.quants.quantize(array, Q8), raw_dtype=Q8)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def through_q8(tensor: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(tensor.float().numpy(), Q8), Q8))


@pytest.mark.parametrize("scale_name", [".scale_weight", ".weight_scale"])
async def test_scaled_fp8_is_multiplied_by_its_scales(z_image: Path, tmp_path: Path, scale_name: str) -> None:
    file = tmp_path / "tune.safetensors"
    save_scaled(load_file(z_image / "transformer" / WEIGHTS), file, scale_name)
    shutil.copytree(z_image, tmp_path / "tune")
    expected = await painted(with_weights(z_image, tmp_path / "expected", from_fp8))
    assert await painted(file) == expected != await painted(z_image)


async def test_a_scaled_checkpoint_too(tmp_path: Path, folders: dict[str, Path]) -> None:
    """Of Stable Diffusion, with its text encoder inside; a scale for each row."""
    plain, file = tmp_path / "plain.safetensors", tmp_path / "scaled.safetensors"
    save_original(conftest.sd1(), plain)
    tensors, found = load_file(plain), dict[str, torch.Tensor]()
    for name, tensor in tensors.items():
        found[name] = tensor
        if is_matrix(name, tensor):
            scale = tensor.abs().amax(dim=1).clamp_min(1e-6) / 448
            found[name] = (tensor / scale[:, None]).to(torch.float8_e4m3fn)
            found[name.removesuffix(".weight") + ".scale_weight"] = scale
            tensors[name] = found[name].float() * scale[:, None]
    save_file(found, file)
    save_file(tensors, plain)
    for each in (plain, file):
        shutil.copytree(folders["sd1"], each.with_suffix(""))
    assert await painted(file) == await painted(plain) != await painted(folders["sd1"])


async def test_a_gguf_is_painted_with_as_it_is(z_image: Path, tmp_path: Path) -> None:
    file = tmp_path / "tune.gguf"
    save_gguf(load_file(z_image / "transformer" / WEIGHTS), file)
    shutil.copytree(z_image, tmp_path / "tune")
    assert whole.of_file(file) == ""
    assert whole.read_header(file).metadata["general.name"] == "a small one"
    shapes = {name: tuple(each.shape) for name, each in load_file(z_image / "transformer" / WEIGHTS).items()}
    assert whole.read_header(file).shapes == shapes
    expected = await painted(with_weights(z_image, tmp_path / "expected", through_q8))
    one, other = (np.frombuffer(each, np.uint8).astype(int) for each in (await painted(file), expected))
    assert np.abs(one - other).max() <= 2, "a block's scale is kept in half precision"
    async with Engine(str(file)) as engine:
        await engine.submit(Txt2Img(prompt="a", width=64, height=64, num_inference_steps=1)).result()
        (model,) = (await engine.inspect()).models
    async with Engine(str(z_image)) as engine:
        await engine.submit(Txt2Img(prompt="a", width=64, height=64, num_inference_steps=1)).result()
        (full,) = (await engine.inspect()).models
    assert model.weights_bytes < full.weights_bytes
    planned = ladder.need(sizes.of(file), ladder.WHOLE, 4).resident
    assert planned * 0.9 < model.weights_bytes < planned * 1.1, "its headers tell how large it is"


@pytest.mark.parametrize(("name", "write"), [("tune.safetensors", save_gguf), ("tune.gguf", save_file)])
async def test_a_file_is_what_its_header_says(z_image: Path, tmp_path: Path, name: str, write: Writer) -> None:
    """Not what it's called."""
    tensors = load_file(z_image / "transformer" / WEIGHTS)
    write(tensors, tmp_path / "right")
    (tmp_path / "right").rename(tmp_path / name)
    shutil.copytree(z_image, tmp_path / "tune")
    picture = np.frombuffer(await painted(tmp_path / name), np.uint8).astype(int)
    like = with_weights(z_image, tmp_path / "expected", through_q8) if write is save_gguf else z_image
    assert np.abs(picture - np.frombuffer(await painted(like), np.uint8).astype(int)).max() <= 2


def test_ggufs_that_can_not_be_used_say_why(z_image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, cut, other = tmp_path / "good.gguf", tmp_path / "cut.gguf", tmp_path / "other.gguf"
    save_gguf(load_file(z_image / "transformer" / WEIGHTS), good)
    cut.write_bytes(good.read_bytes()[:200])
    save_gguf({"blk.0.attn_q.weight": torch.zeros(32, 32)}, other)
    for file, says in ((cut, "cut off"), (other, "something else than a transformer")):
        with pytest.raises(ModelUnloadable, match=says):
            catalog.describe(catalog.source("x", str(file)))
    assert "has" in whole.of_file(_shortened(good, tmp_path / "short.gguf"))
    strange = bytearray(good.read_bytes())
    monkeypatch.setattr(gguf_header, "BLOCKS", {k: v for k, v in gguf_header.BLOCKS.items() if v[0] != "Q8_0"})
    good.write_bytes(strange)
    with pytest.raises(ModelUnloadable, match="take one of Q4_0"):
        catalog.describe(catalog.source("x", str(good)))
    monkeypatch.undo()
    monkeypatch.setattr(quantised, "has", lambda module: False)
    with pytest.raises(ModelUnloadable, match="pip install gguf"):
        catalog.describe(catalog.source("x", str(good)))


def _shortened(file: Path, out: Path) -> Path:
    out.write_bytes(file.read_bytes()[:-8])
    return out


def test_hostile_ggufs_end_soon(tmp_path: Path) -> None:
    """Whatever the counts and lengths say, nothing is read or reserved beyond the file."""
    start = b"GGUF\x03\x00\x00\x00"
    huge = (1 << 63).to_bytes(8, "little")
    for number, rest in enumerate((b"", huge * 2, (1).to_bytes(8, "little") * 2 + huge, b"\x00" * 8 + huge)):
        file = tmp_path / f"{number}.gguf"
        file.write_bytes(start + rest)
        header = whole.read_header(file)
        assert (header.gguf, header.file_bytes, header.shapes) == (True, 0, {})
    for cut in range(0, 400, 7):
        file.write_bytes((start + bytes(range(256)) * 2)[:cut])
        whole.read_header(file)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [("x.weight.absmax", "bitsandbytes"), ("x.wscales", "Nunchaku"), ("x.weight_scale_2", "NVFP4")],
)
def test_what_is_packed_is_told_by_name(tmp_path: Path, tensor: str, says: str) -> None:
    save_file(
        {"double_blocks.0.img_attn.qkv.weight": torch.zeros(1), tensor: torch.zeros(1)}, tmp_path / "x.safetensors"
    )
    with pytest.raises(ModelUnloadable, match=f"{says}.*take its fp8, GGUF or bf16 file"):
        catalog.describe(catalog.source("x", str(tmp_path / "x.safetensors")))


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("bitsandbytes_4bit", "pip install bitsandbytes"),
        ("torchao", "pip install torchao"),
        ("magic", "'magic', which"),
    ],
)
def test_a_quantised_folder_names_what_it_needs(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, says: str
) -> None:
    """Also where that is installed, which is then another's."""
    monkeypatch.setattr(quantised, "has", lambda module: False)
    folder = tmp_path / "small"
    shutil.copytree(folders["flux"], folder)
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "quantization_config": {"quant_method": method}}))
    engine = Engine(str(folders["sd1"]), models={"small": str(folder)})
    (left_out,) = engine.left_out()
    assert says in left_out.reason
    assert left_out.reason.startswith("in transformer, it is quantised by")
