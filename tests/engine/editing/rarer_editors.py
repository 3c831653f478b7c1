"""Tiny pipelines that change a picture as words say, of families that share no steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import torch
import transformers

from tests.engine import zoo
from tests.engine.editing import editors
from tests.engine.table import rarer

WAN: dict[str, Any] = {"base_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
BRIAS_VOCABULARY = 128_001  # the number of its first token is written in diffusers' code


def _wan(channels: int, **more: Any) -> Any:
    norm = {"latents_mean": [0.0] * channels, "latents_std": [1.0] * channels}
    return diffusers.AutoencoderKLWan(z_dim=channels, **{**WAN, **more}, **norm).eval()


def longcat() -> Any:
    parts = editors._seeing_qwen()
    transformer = diffusers.LongCatImageTransformer2DModel(
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=[4, 6, 6],
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=16,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.1,
        scaling_factor=0.4,
    )
    return diffusers.LongCatImageEditPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae.eval(),
        text_encoder=parts["text_encoder"],
        tokenizer=parts["tokenizer"],
        text_processor=parts["processor"],
        transformer=transformer.eval(),
    )


def _joy(kind: str) -> Any:
    encoder, processor = rarer.reading_qwen3(2)
    transformer = getattr(diffusers, f"{kind}Transformer3DModel")(
        in_channels=4, hidden_size=32, num_attention_heads=2, text_dim=16, num_layers=1, rope_dim_list=[4, 6, 6]
    )
    return getattr(diffusers, f"{kind}Pipeline")(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=_wan(4),
        text_encoder=encoder,
        tokenizer=processor.tokenizer,
        transformer=transformer.eval(),
        processor=processor,
    )


def _dreamlite(kind: str) -> Any:
    encoder, processor = rarer.reading_qwen3(2)
    unet = diffusers.DreamLiteUNetModel(
        block_out_channels=(8, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=8,
        ff_mult=2,
        addition_embed_type=None,
    )
    vae = diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    )
    torch.nn.init.constant_(vae.decoder.layers[-1].bias, 0.5)  # or chance paints in black, nearly all alike
    torch.nn.init.normal_(vae.decoder.layers[-1].weight)
    return getattr(diffusers, kind)(
        text_encoder=encoder,
        tokenizer=processor.tokenizer,
        processor=processor,
        vae=vae.eval(),
        unet=unet.eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    )


def bria_edit() -> Any:
    config = transformers.SmolLM3Config(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        vocab_size=BRIAS_VOCABULARY,
        pad_token_id=0,
        bos_token_id=BRIAS_VOCABULARY - 1,
        eos_token_id=1,
    )
    transformer = diffusers.BriaFiboTransformer2DModel(
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=[4, 6, 6],
        text_encoder_dim=16,
    )
    return diffusers.BriaFiboEditPipeline(
        transformer=transformer.eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=_wan(4, in_channels=12, out_channels=12, patch_size=2, is_residual=True, scale_factor_spatial=16),
        text_encoder=transformers.SmolLM3ForCausalLM(config).eval(),
        tokenizer=zoo.tokenizer(1024),
    )


def bria_2() -> Any:
    encoder, processor = rarer.reading_qwen3(36)
    transformer = diffusers.BriaFibo2Transformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        cap_feat_dim=48,
        injection_layer_ids=(0, 0, 1, 1, 1),
        perceiver_num_layers=1,
        min_num_gist_tokens=4,
        max_num_gist_tokens=8,
        gist_step=4,
        axes_dims=(4, 6, 6),
        axes_lens=(2048, 64, 64),
    )
    return diffusers.BriaFibo2Pipeline(
        transformer=transformer.eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=zoo.flux2_klein().vae,
        text_encoder=encoder,
        processor=processor,
    )


def klein_kv() -> Any:
    return diffusers.Flux2KleinKVPipeline(**zoo.flux2_klein().components)


BUILDERS: dict[str, Callable[[], Any]] = {
    "z-image-omni": rarer.z_image_omni,
    "qwenimage21": rarer.qwenimage21,
    "flux2-klein-kv": klein_kv,
    "longcat": longcat,
    "joyimage": lambda: _joy("JoyImageEdit"),
    "joyimage-plus": lambda: _joy("JoyImageEditPlus"),
    "dreamlite": lambda: _dreamlite("DreamLitePipeline"),
    "dreamlite-mobile": lambda: _dreamlite("DreamLiteMobilePipeline"),
    "bria-edit": bria_edit,
    "bria-2": bria_2,
}
