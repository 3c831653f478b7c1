"""Faithful upscales by super-resolution models: small ones with random weights, run as their own libraries run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from transformers import CLIPTextModel

from engine import Engine, ImageReady, InvalidRequest, Progress, Txt2Img, Upscale
from engine.upscale import superres
from tests.engine.conftest import clip_config, clip_tokenizer, euler, vae

SIZE = (40, 24)


def picture(size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def swin2sr(folder: Path, upscale: int) -> str:
    torch.manual_seed(0)
    config = transformers.Swin2SRConfig(
        embed_dim=16, depths=[1, 1], num_heads=[2, 2], image_size=32, window_size=8, upscale=upscale
    )
    transformers.Swin2SRForImageSuperResolution(config).save_pretrained(folder)
    return str(folder)


def unet(**extra: Any) -> Any:
    torch.manual_seed(2)
    return diffusers.UNet2DConditionModel(
        block_out_channels=(16, 32),
        layers_per_block=1,
        sample_size=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
        norm_num_groups=8,
        cross_attention_dim=32,
        **extra,
    ).eval()


def x4(folder: Path) -> str:
    parts = {"text_encoder": CLIPTextModel(clip_config()).eval(), "tokenizer": clip_tokenizer()}
    four = diffusers.AutoencoderKL(  # such a pipeline's VAE enlarges four times
        block_out_channels=(8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=8,
        scaling_factor=0.08333,
    ).eval()
    diffusers.StableDiffusionUpscalePipeline(
        vae=four,
        **parts,
        unet=unet(in_channels=7, num_class_embeds=100),
        low_res_scheduler=diffusers.DDPMScheduler(),
        scheduler=diffusers.DDIMScheduler(),
        max_noise_level=99,
    ).save_pretrained(folder)
    return str(folder)


def latent(folder: Path) -> str:
    diffusers.StableDiffusionLatentUpscalePipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(clip_config()).eval(),
        tokenizer=clip_tokenizer(),
        unet=unet(in_channels=8, out_channels=5, time_cond_proj_dim=160),
        scheduler=euler(),
    ).save_pretrained(folder)
    return str(folder)


async def enlarged(folders: dict[str, Path], upscaler: str, request: Upscale, **settings: Any) -> ImageReady:
    async with Engine(str(folders["sd1"]), upscaler=upscaler, **settings) as engine:
        assert "super_resolution" in engine.abilities()
        events = [event async for event in engine.submit(request)]
    (ready,) = (event for event in events if isinstance(event, ImageReady))
    assert any(isinstance(event, Progress) for event in events)
    return ready


def own(folder: str, image: Image.Image) -> Image.Image:
    """The same picture from transformers alone; sides are multiples of the window."""
    model = transformers.Swin2SRForImageSuperResolution.from_pretrained(folder)
    pixels = torch.from_numpy(np.array(image, np.float32) / 255).permute(2, 0, 1)[None]
    with torch.no_grad():
        found = model(pixel_values=pixels).reconstruction[0]
    return Image.fromarray((found.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())


async def test_swin2sr_makes_what_transformers_makes(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = swin2sr(tmp_path / "my-swin", 2)
    ready = await enlarged(folders, folder, Upscale(init_image=picture()))
    assert ready.image.tobytes() == own(folder, picture()).tobytes()
    assert (ready.recipe.request["resampling"], ready.recipe.model) == ("my-swin", "my-swin")


async def test_it_is_never_kept_in_fewer_bits(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = swin2sr(tmp_path / "my-swin", 2)
    ready = await enlarged(folders, folder, Upscale(init_image=picture()), memory_mib=0.01)  # where nothing fits
    assert ready.image.tobytes() == own(folder, picture()).tobytes()


async def test_two_passes_and_one_too_many_both_end_at_the_scale(folders: dict[str, Path], tmp_path: Path) -> None:
    twice = await enlarged(folders, folder := swin2sr(tmp_path / "two", 2), Upscale(init_image=picture(), scale=4))
    assert twice.image.tobytes() == own(folder, own(folder, picture())).tobytes()
    once = await enlarged(folders, folder := swin2sr(tmp_path / "four", 4), Upscale(init_image=picture(), scale=2))
    expected = own(folder, picture()).resize((80, 48), Image.Resampling.LANCZOS)
    assert once.image.tobytes() == expected.tobytes()


async def test_a_larger_picture_is_made_of_tiles_without_a_seam(folders: dict[str, Path], tmp_path: Path) -> None:
    folder, image = swin2sr(tmp_path / "swin", 2), picture((200, 136))
    ready = await enlarged(folders, folder, Upscale(init_image=image))
    assert ready.image.size == (400, 272)
    off = np.abs(np.asarray(ready.image).astype(int) - np.asarray(own(folder, image)))
    assert off.mean() < 2  # its attention windows lie otherwise in a tile


@pytest.mark.parametrize(("build", "scale"), [(x4, 4), (x4, 2), (latent, 2)])
async def test_the_upscalers_of_diffusers_work(
    folders: dict[str, Path], tmp_path: Path, build: Any, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(superres, "STEPS", 3)
    folder = build(tmp_path / "upscaler")
    request = Upscale(init_image=picture(), scale=scale, seed=3)
    ready, again = [await enlarged(folders, folder, request) for _ in range(2)]
    assert ready.image.size == (SIZE[0] * scale, SIZE[1] * scale)
    assert ready.image.tobytes() == again.image.tobytes()
    assert np.asarray(ready.image).std() > 1


async def test_lanczos_and_creative_stay_what_they_are(folders: dict[str, Path], tmp_path: Path) -> None:
    async with Engine(str(folders["sd1"]), upscaler=swin2sr(tmp_path / "swin", 2)) as engine:
        (plain,) = await engine.submit(Upscale(init_image=picture(), resampling="lanczos")).result()
        assert plain.tobytes() == picture().resize((80, 48), Image.Resampling.LANCZOS).tobytes()
        (creative,) = await engine.submit(Upscale(init_image=picture(), mode="creative", seed=1)).result()
        with pytest.raises(InvalidRequest, match="no upscaler 'gone'"):
            engine.submit(Upscale(init_image=picture(), resampling="gone"))
        await engine.submit(Txt2Img(prompt="a", seed=1, num_inference_steps=1, width=64, height=64)).result()
    assert creative.size == (80, 48)


def test_another_model_is_refused_by_name(folders: dict[str, Path], tmp_path: Path) -> None:
    for location, why in ((folders["sd1"], "no Swin2SR"), (tmp_path / "nowhere", "no file, folder or hub id")):
        engine = Engine(str(folders["sd1"]), upscaler=str(location))
        (left_out,) = engine.left_out()
        assert (left_out.kind, left_out.name) == ("setting", "upscaler")
        assert why in left_out.reason
        assert "super_resolution" not in engine.abilities()
