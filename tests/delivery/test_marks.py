"""The invisible mark and the signature: there when they should be, whatever a picture went through, and only then."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bot.cli.main import main
from bot.config import Settings
from bot.delivery.marks import Marks
from bot.demo.simulation import Stage
from bot.errors import UserError
from engine.api import metadata
from engine.imaging import watermark
from tests.delivery.test_provenance import file_of
from tests.e2e.conftest import studio, unhurried
from tests.e2e.screen import paint, press

__all__ = ["studio", "unhurried"]
HAS_C2PA = importlib.util.find_spec("c2pa") is not None and importlib.util.find_spec("cryptography") is not None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0, watermark=True)  # type: ignore[call-arg]


def photo(seed: int, side: int = 512) -> Image.Image:
    """Noise with a photograph's spectrum, 1/f, and a few shapes."""
    dice = np.random.default_rng(seed)
    around = np.fft.fftfreq(side)
    frequency = np.hypot(around[:, None], around)
    frequency[0, 0] = 1
    noise = np.fft.ifft2(np.fft.fft2(dice.normal(size=(side, side))) / frequency).real
    grey = (noise / noise.std() * 40 + 128).clip(0, 255).astype(np.uint8)
    return shapes(dice, Image.fromarray(grey).convert("RGB"))


def drawing(seed: int, side: int = 512) -> Image.Image:
    dice = np.random.default_rng(seed)
    return shapes(dice, Image.new("RGB", (side, side), colour(dice)))


def colour(dice: np.random.Generator) -> tuple[int, ...]:
    return tuple(int(value) for value in dice.integers(0, 256, 3))


def shapes(dice: np.random.Generator, image: Image.Image) -> Image.Image:
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = (int(value) for value in dice.integers(0, image.width, 2))
        draw.ellipse((x, y, x + image.width // 4, y + image.width // 5), fill=colour(dice))
    return image


def through(image: Image.Image, form: str, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, form, quality=quality)
    return Image.open(out).convert("RGB")


def half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


PICTURES = [make(seed) for make in (photo, drawing) for seed in range(3)]


@pytest.mark.parametrize("number", range(len(PICTURES)))
def test_the_mark_survives_what_happens_to_pictures_and_is_not_seen(number: int) -> None:
    plain = PICTURES[number]
    assert abs(watermark.score(plain)) < watermark.SURE
    marked = watermark.embed(plain)
    assert watermark.embed(marked) is marked or watermark.score(marked) < 2 * watermark.SURE
    for seen in (
        marked,
        half(marked),
        through(marked, "WEBP", 60),
        through(half(marked), "WEBP", 60),
        through(marked, "JPEG", 50),
    ):
        assert watermark.found(seen)
    error = (np.asarray(plain, dtype=float) - np.asarray(marked, dtype=float)) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 37  # dB


def test_pictures_without_it_score_by_chance() -> None:
    """About a standard normal deviate, so that the threshold says how often it is wrong."""
    scores = [watermark.score(make(seed, 128)) for make in (photo, drawing) for seed in range(40)]
    assert max(map(abs, scores)) < 4.5
    assert 0.6 < float(np.std(scores)) < 1.4


async def test_singles_and_grids_carry_it(studio: Stage) -> None:
    grid = await paint(studio, "a red boat")
    for message in (grid, (await press(studio, grid, "U2")).response):
        assert watermark.found(Image.open(io.BytesIO(file_of(studio, message))).convert("RGB"))


# ---------------------------------------------------------------- signing
@pytest.mark.skipif(not HAS_C2PA, reason="the extra c2pa is not installed")
def test_a_certificate_of_ones_own_signs_every_format(tmp_path: Path) -> None:
    import c2pa

    assert main(["certificate", "--name", "A server", "--to", str(tmp_path)]) == 0
    assert main(["certificate", "--name", "A server", "--to", str(tmp_path)]) == 2
    marks = Marks(certificate=tmp_path / "easel-certificate.pem", key=tmp_path / "easel-key.pem")
    assert (tmp_path / "easel-key.pem").stat().st_mode & 0o077 == 0
    marks.check()
    formats: dict[str, Any] = {"png": "PNG", "webp": "WEBP", "jpg": "JPEG"}
    for suffix, form in formats.items():
        plain = metadata.encode(PICTURES[0], form, None)
        signed = marks.signed(plain, suffix, None)
        assert 0 < len(signed) - len(plain) < marks.room_bytes
        assert Image.open(io.BytesIO(signed)).tobytes() == Image.open(io.BytesIO(plain)).tobytes()
        told = json.loads(c2pa.Reader(formats_type(suffix), io.BytesIO(signed)).json())
        assert told["validation_state"] == "Valid"
        assert metadata.TRAINED in json.dumps(told)


def formats_type(suffix: str) -> str:
    return {"png": "image/png", "webp": "image/webp", "jpg": "image/jpeg"}[suffix]


def test_what_cannot_be_signed_is_told_before_and_sent_all_the_same(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    with pytest.raises(UserError, match="needs both"):
        Marks(certificate=broken).check()
    marks = Marks(certificate=broken, key=broken)
    with pytest.raises(UserError):
        marks.check()
    data = metadata.encode(PICTURES[0], "PNG", None)
    assert marks.signed(data, "png", None) == data


def test_marks_of_a_file_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(metadata.encode(watermark.embed(PICTURES[0]), "PNG", None))
    assert main(["marks", str(file)]) == 0
    said = capsys.readouterr().out
    assert "trainedAlgorithmicMedia" in said
    assert "watermark: found" in said
