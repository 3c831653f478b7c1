"""Upscaling networks: ncnn's format layer by layer, the weights that a package ships, and spandrel's files."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

from engine import Engine, ModelUnloadable, Upscale
from engine.device import cards
from engine.models.memory import sizes
from engine.models.upscalers import known, ncnn, networks

GRAPH = """7767517
11 14
Input            input   0 1 data
Split            split   1 2 data a b
Convolution      conv1   1 1 a c 0=4 1=3 4=1 5=1 6=108 9=2 -23310=1,2.000000e-01
PReLU            prelu   1 1 c d 0=4
Split            split2  1 3 d e f g
Concat           concat  2 1 e f h
Convolution      conv2   1 1 h i 0=4 1=1 5=0 6=32 9=1
Eltwise          sum     2 1 i g j 0=1 -23301=2,5.000000e-01,2.000000e+00
Convolution      conv3   1 1 j k 0=12 1=3 4=1 5=1 6=432
PixelShuffle     shuffle 1 1 k l 0=2
Interp           resize  1 1 b m 0=1 1=2.000000e+00 2=2.000000e+00
"""
ADDED = GRAPH.replace("11 14", "12 15") + "BinaryOp add 2 1 l m output\n"
SHIPPED = pytest.mark.skipif(importlib.util.find_spec(known.PACKAGE) is None, reason="the package isn't installed")
COLOURS = ("#e8d8b0", "#2050c0", "#101018", "#c03030")
SPANDREL = importlib.util.find_spec(known.READER) is not None


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))) / 4


def written(folder: Path, graph: str, parts: Sequence[tuple[torch.Tensor, bool]], tail: bytes = b"") -> Path:
    """A network's two files; of each tensor whether it is a convolution's, which ncnn marks and keeps in half."""
    (folder / "net.param").write_text(graph)
    data = b""
    for tensor, marked in parts:
        raw = tensor.numpy().astype(np.float16 if marked else np.float32).tobytes()
        data += (np.uint32(ncnn.HALF).tobytes() if marked else b"") + raw + b"\0" * (-len(raw) % 4)
    (folder / "net.bin").write_bytes(data + tail)
    return folder / "net.param"


def halved(*shape: int) -> torch.Tensor:
    return numbers(*shape).half().float()


def test_every_layer_is_what_torch_makes_of_it(tmp_path: Path) -> None:
    w1, b1, slope, w2, w3, b3 = (
        halved(4, 3, 3, 3),
        numbers(4),
        numbers(4),
        halved(4, 8, 1, 1),
        halved(12, 4, 3, 3),
        numbers(12),
    )
    parts = [(w1, True), (b1, False), (slope, False), (w2, True), (w3, True), (b3, False)]
    network = ncnn.Network(written(tmp_path, ADDED, parts))
    x = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    d = F.prelu(F.leaky_relu(F.conv2d(x, w1, b1, padding=1), 0.2), slope)
    j = 0.5 * F.relu(F.conv2d(torch.cat([d, d], 1), w2)) + 2 * d
    expected = F.pixel_shuffle(F.conv2d(j, w3, b3, padding=1), 2) + F.interpolate(x, scale_factor=2, mode="nearest")
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize(
    ("graph", "tail", "why"),
    [
        (ADDED.replace("7767517", "85"), b"", "no graph of ncnn"),
        (ADDED.removesuffix("BinaryOp add 2 1 l m output\n"), b"", "only its beginning"),
        (ADDED.replace("PReLU  ", "Sigmoid"), b"", "layer that can't be read: Sigmoid"),
        (ADDED, b"more", "4 bytes of its weights are left over"),
    ],
)
def test_what_is_no_such_network_is_refused(tmp_path: Path, graph: str, tail: bytes, why: str) -> None:
    shapes = [((4, 3, 3, 3), True), ((4,), False), ((4,), False), ((4, 8, 1, 1), True), ((12, 4, 3, 3), True)]
    parts = [(numbers(*shape), marked) for shape, marked in [*shapes, ((12,), False)]]
    with pytest.raises(ValueError, match=why):
        ncnn.Network(written(tmp_path, graph, parts, tail))


def drawing() -> Image.Image:
    """A flat drawing, four times as large as what is enlarged."""
    sand, blue, ink, red = COLOURS
    image = Image.new("RGB", (256, 256), sand)
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 50, 190, 200), blue, ink, 6)
    draw.polygon([(20, 240), (130, 90), (240, 240)], red)
    return image


def blur(image: Image.Image) -> float:
    """How much of the picture is none of the drawing's own colours, by more than 24 levels."""
    own = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in COLOURS])
    off = np.abs(np.asarray(image, int)[:, :, None] - own).max(-1).min(-1)
    return float((off > 24).mean())


@SHIPPED
async def test_shipped_weights_keep_colours_and_sharpen_edges(folders: dict[str, Path]) -> None:
    small = drawing().resize((64, 64), Image.Resampling.BOX)
    async with Engine(str(folders["sd1"]), upscaler="realesrgan-fast") as engine:
        [enlarged] = await engine.submit(Upscale(init_image=small, scale=4)).result()
        [twice] = await engine.submit(Upscale(init_image=small, scale=2)).result()
    assert enlarged.size == (256, 256)
    assert twice.size == (128, 128)
    assert blur(enlarged) < 0.85 * blur(small.resize((256, 256), Image.Resampling.LANCZOS))
    again = enlarged.resize((64, 64), Image.Resampling.BOX)
    assert np.abs(np.asarray(again, int) - np.asarray(small, int)).mean() < 5  # levels


@SHIPPED
@pytest.mark.parametrize(
    ("name", "millions"), [("realesrgan", 16.7), ("realesrgan-anime", 4.5), ("realesrgan-fast", 0.62)]
)
def test_every_shipped_network_is_read_to_its_last_byte(name: str, millions: float) -> None:
    source, facts = known.describe(name)
    network = ncnn.Network(Path(source.location))
    assert sum(each.numel() for each in network.parameters()) == pytest.approx(millions * 1e6, rel=0.02)
    assert sizes.of(Path(source.location)).denoiser.numbers == pytest.approx(millions * 1e6, rel=0.05)
    assert network(torch.rand(1, 3, 8, 8)).shape == (1, 3, 32, 32)
    assert (facts.name, facts.scale) == (name, 4)


@SHIPPED
def test_auto_takes_the_small_one_on_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert known.chosen("auto", "cpu") == "realesrgan-fast"
    assert known.chosen("auto", "cuda:1") == "realesrgan"
    monkeypatch.setattr(cards, "expected", lambda device: False)
    assert known.chosen("auto", "auto") == "realesrgan-fast"


def test_without_the_package_auto_is_lanczos_and_its_name_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "PACKAGE", "no_such_package")
    assert known.chosen("auto", "cpu") == known.chosen("off", "cpu") == known.chosen("lanczos", "cuda") == ""
    with pytest.raises(ModelUnloadable, match="no-such-package isn't installed"):
        known.describe("realesrgan")


def small_esrgan(path: Path) -> Path:
    """An ESRGAN's file, with random weights: one block of the published names and widths."""
    shapes: dict[str, tuple[int, ...]] = {"conv_first": (64, 3, 3, 3)}
    for dense in (1, 2, 3):
        for at in range(1, 6):
            shapes[f"body.0.rdb{dense}.conv{at}"] = (64 if at == 5 else 32, 64 + 32 * (at - 1), 3, 3)
    shapes |= dict.fromkeys(("conv_body", "conv_up1", "conv_up2", "conv_hr"), (64, 64, 3, 3))
    shapes["conv_last"] = (3, 64, 3, 3)
    weights = {f"{name}.weight": numbers(*shape) / 8 for name, shape in shapes.items()}
    torch.save(weights | {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}, path)
    return path


@pytest.mark.skipif(not SPANDREL, reason="spandrel isn't installed: it needs a torchvision of PyTorch's own build")
def test_a_file_that_spandrel_knows_makes_pictures_larger(tmp_path: Path) -> None:
    source, facts = known.describe(str(small_esrgan(tmp_path / "4x-mine.pth")))
    larger = networks.load(source, torch.float32)(Image.new("RGB", (20, 12), "red"))
    assert larger.size == (80, 48)
    assert facts.name == "4x-mine"


class Thief:
    def __reduce__(self) -> Any:
        return print, ("taken",)


def test_a_pickle_is_read_as_tensors_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Reading stops before spandrel is asked, so that it needn't be here."""
    monkeypatch.setitem(sys.modules, "spandrel", object())
    torch.save({"weight": Thief()}, tmp_path / "4x-bad.pth")
    with pytest.raises(Exception, match="Weights only load failed"):
        networks._of_spandrel(tmp_path / "4x-bad.pth")
    assert "taken" not in capsys.readouterr().out
