"""Tiny pipelines that paint alone: the rest of diffusers' text-to-image table, as far as configs can build it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.models.attention_processor import AttnAddedKVProcessor

from tests.engine import conftest as big
from tests.engine import zoo

FLOW = diffusers.FlowMatchEulerDiscreteScheduler


def lcm() -> Any:
    parts = _without_safety(big.sd1().components)
    parts |= {"unet": big.unet(time_cond_proj_dim=16), "scheduler": diffusers.LCMScheduler()}
    return diffusers.LatentConsistencyModelPipeline(**parts, requires_safety_checker=False)


def _without_safety(parts: dict[str, Any]) -> dict[str, Any]:
    return {**parts, "safety_checker": None, "feature_extractor": None, "image_encoder": None}


def sd_pag() -> Any:
    """It changes its denoiser's processors while it paints."""
    parts = _without_safety(big.sd1().components)
    return diffusers.StableDiffusionPAGPipeline(**parts, requires_safety_checker=False, pag_applied_layers="mid")


def sd_controlnet() -> Any:
    """A folder that was saved with a ControlNet in it."""
    parts = _without_safety(big.sd1().components)
    net = diffusers.ControlNetModel.from_unet(parts["unet"])
    return diffusers.StableDiffusionControlNetPipeline(**parts, controlnet=net, requires_safety_checker=False)


def hunyuan() -> Any:
    transformer = diffusers.HunyuanDiT2DModel(
        sample_size=32,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        in_channels=4,
        cross_attention_dim=32,
        cross_attention_dim_t5=32,
        pooled_projection_dim=16,
        hidden_size=24,
        activation_fn="gelu-approximate",
        text_len=77,
        text_len_t5=256,
    )
    bert = transformers.BertConfig(
        vocab_size=zoo.VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37
    )
    return diffusers.HunyuanDiTPipeline(
        vae=zoo.deep_vae(),
        text_encoder=transformers.BertModel(bert).eval(),
        tokenizer=zoo.tokenizer(77),
        transformer=transformer.eval(),
        scheduler=diffusers.DDPMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        text_encoder_2=zoo.t5(),
        tokenizer_2=zoo.tokenizer(256),
    )


def cogview3() -> Any:
    transformer = diffusers.CogView3PlusTransformer2DModel(
        patch_size=2,
        in_channels=4,
        num_layers=1,
        attention_head_dim=4,
        num_attention_heads=2,
        out_channels=4,
        text_embed_dim=32,
        time_embed_dim=8,
        condition_dim=2,
        pos_embed_max_size=32,
        sample_size=32,
    )
    return diffusers.CogView3PlusPipeline(
        tokenizer=zoo.tokenizer(224),
        text_encoder=zoo.t5(),
        vae=big.vae(),
        transformer=transformer.eval(),
        scheduler=diffusers.CogVideoXDDIMScheduler(),
    )


def cogview4() -> Any:
    transformer = diffusers.CogView4Transformer2DModel(
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=4,
        num_attention_heads=4,
        out_channels=4,
        text_embed_dim=32,
        time_embed_dim=8,
        condition_dim=4,
    )
    glm = transformers.GlmConfig(
        hidden_size=32,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        vocab_size=zoo.VOCABULARY,
        pad_token_id=0,
        bos_token_id=3,
        eos_token_id=1,
    )
    return diffusers.CogView4Pipeline(
        tokenizer=zoo.tokenizer(1024),
        text_encoder=transformers.GlmModel(glm).eval(),
        vae=big.vae(),
        transformer=transformer.eval(),
        scheduler=FLOW(base_shift=0.25, max_shift=0.75, base_image_seq_len=256, use_dynamic_shifting=True),
    )


def kandinsky22() -> Any:
    """Two pipelines in one, each with a scheduler of its own."""
    unet = diffusers.UNet2DConditionModel(
        in_channels=4,
        out_channels=8,
        addition_embed_type="image",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(32, 64),
        layers_per_block=1,
        encoder_hid_dim=32,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=32,
        attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
    )
    prior = diffusers.PriorTransformer(num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1)
    torch.nn.init.ones_(prior.clip_std)
    vision = transformers.CLIPVisionConfig(
        hidden_size=32,
        image_size=224,
        projection_dim=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=1,
        patch_size=14,
    )
    return diffusers.KandinskyV22CombinedPipeline(
        unet=unet.eval(),
        scheduler=diffusers.DDIMScheduler(
            beta_schedule="linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        movq=zoo.kandinsky3().movq,
        prior_prior=prior.eval(),
        prior_image_encoder=transformers.CLIPVisionModelWithProjection(vision).eval(),
        prior_text_encoder=transformers.CLIPTextModelWithProjection(big.clip_config()).eval(),
        prior_tokenizer=big.clip_tokenizer(),
        prior_scheduler=diffusers.UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", clip_sample=True, clip_sample_range=10.0
        ),
        prior_image_processor=transformers.CLIPImageProcessorPil(),
    )


def deepfloyd() -> Any:
    """It paints pixels, without an autoencoder."""
    unet = diffusers.UNet2DConditionModel(
        sample_size=32,
        layers_per_block=1,
        block_out_channels=[32, 64],
        down_block_types=["ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"],
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=["SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"],
        in_channels=3,
        out_channels=6,
        cross_attention_dim=32,
        encoder_hid_dim=32,
        attention_head_dim=8,
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
    )
    unet.set_attn_processor(AttnAddedKVProcessor())
    scheduler = diffusers.DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", thresholding=True, variance_type="learned_range"
    )
    return diffusers.IFPipeline(
        tokenizer=zoo.tokenizer(77),
        text_encoder=zoo.t5(),
        unet=unet.eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )


def krea2() -> Any:
    transformer = diffusers.Krea2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=32,
        timestep_embed_dim=8,
        text_hidden_dim=16,
        num_text_layers=3,
        text_num_attention_heads=2,
        text_num_key_value_heads=1,
        text_intermediate_size=16,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1,
        axes_dims_rope=(4, 2, 2),
        rope_theta=1000.0,
    )
    config = transformers.Qwen3VLConfig(
        text_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "vocab_size": zoo.VOCABULARY,
        },
        vision_config={"depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16},
    )
    return diffusers.Krea2Pipeline(
        transformer=transformer.eval(),
        vae=zoo.qwen_image().vae,
        scheduler=FLOW(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, max_image_seq_len=6400),
        text_encoder=transformers.Qwen3VLModel(config).eval(),
        tokenizer=zoo.tokenizer(1024, chat=True),
        text_encoder_select_layers=(0, 1, 2),
    )


def ovis() -> Any:
    transformer = diffusers.OvisImageTransformer2DModel(
        patch_size=1,
        in_channels=16,
        out_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 4, 8),
    )
    return diffusers.OvisImagePipeline(
        scheduler=FLOW(),
        vae=big.vae(4, shift=0.06),
        text_encoder=zoo.qwen3(2, transformers.Qwen3Model),
        tokenizer=zoo.tokenizer(chat=True),
        transformer=transformer.eval(),
    )


BUILDERS: dict[str, Callable[[], Any]] = {
    "lcm": lcm,
    "sd-pag": sd_pag,
    "sd-controlnet": sd_controlnet,
    "hunyuan": hunyuan,
    "cogview3": cogview3,
    "cogview4": cogview4,
    "kandinsky3": zoo.kandinsky3,
    "kandinsky22": kandinsky22,
    "deepfloyd": deepfloyd,
    "krea2": krea2,
    "ovis": ovis,
}


def build(root: Path, names: Iterable[str]) -> dict[str, Path]:
    """Those named, as folders below `root`."""
    for name in names:
        torch.manual_seed(0)
        BUILDERS[name]().save_pretrained(root / name)
    return {name: root / name for name in names}
