"""Tiny pipelines of the kinds in diffusers' text-to-image table that few people have. All paint alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import torch
import transformers

from tests.engine import conftest as big
from tests.engine import zoo
from tests.engine.editing import editors
from tests.engine.table import kolors, two_stages

FLOW = diffusers.FlowMatchEulerDiscreteScheduler


def lumina() -> Any:
    transformer = diffusers.LuminaNextDiT2DModel(
        sample_size=32,
        hidden_size=16,
        num_layers=2,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=16,
        cross_attention_dim=8,
    )
    config = transformers.GemmaConfig(
        head_dim=4,
        hidden_size=8,
        intermediate_size=37,
        num_attention_heads=2,
        num_hidden_layers=2,
        num_key_value_heads=2,
        vocab_size=zoo.VOCABULARY,
    )
    return diffusers.LuminaPipeline(
        transformer=transformer.eval(),
        scheduler=FLOW(),
        vae=big.vae(),
        text_encoder=transformers.GemmaModel(config).eval(),
        tokenizer=zoo.tokenizer(256),
    )


def prx() -> Any:
    transformer = diffusers.PRXTransformer2DModel(
        patch_size=1,
        in_channels=4,
        context_in_dim=8,
        hidden_size=8,
        mlp_ratio=2.0,
        num_heads=2,
        depth=1,
        axes_dim=[2, 2],
    )
    module = transformers.T5GemmaModuleConfig(
        vocab_size=zoo.VOCABULARY,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
        max_position_embeddings=256,
        layer_types=["full_attention"],
        query_pre_attn_scalar=4,
    )
    vae = zoo.deep_vae()
    vae.register_to_config(shift_factor=0.1)
    config = transformers.T5GemmaConfig(encoder=module, decoder=module, is_encoder_decoder=False)
    encoder = transformers.models.t5gemma.modeling_t5gemma.T5GemmaEncoder(config.encoder)
    return diffusers.PRXPipeline(
        transformer=transformer.eval(),
        scheduler=FLOW(shift=3.0),
        text_encoder=encoder.eval(),
        tokenizer=zoo.tokenizer(64),
        vae=vae,
        default_sample_size=256,
    )


def ideogram4() -> Any:
    """Two transformers: one for words, one for none."""

    def transformer() -> Any:
        return diffusers.Ideogram4Transformer2DModel(
            in_channels=16,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            intermediate_size=32,
            adaln_dim=16,
            llm_features_dim=16 * 13,
            mrope_section=(4, 2, 2),
        ).eval()

    return diffusers.Ideogram4Pipeline(
        scheduler=FLOW(),
        vae=zoo.BUILDERS["flux2-klein"]().vae,
        text_encoder=seeing_qwen3(36),
        tokenizer=zoo.tokenizer(1024, chat=True),
        transformer=transformer(),
        unconditional_transformer=transformer(),
    )


def seeing_qwen3(layers: int, kind: Any = None) -> Any:
    text = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": layers,
        "num_attention_heads": 1,  # Ideogram pads every prompt to 2048 tokens
        "num_key_value_heads": 1,
        "head_dim": 8,
        "vocab_size": zoo.VOCABULARY,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1]},
    }
    seeing = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    config = transformers.Qwen3VLConfig(text_config=text, vision_config={**seeing, "deepstack_visual_indexes": [0]})
    return (kind or transformers.Qwen3VLModel)(config).eval()


class Qwen3VLProcessor(transformers.Qwen3VLProcessor):  # type: ignore[misc]
    """Transformers' own without its reader of videos, which wants torchvision and is never asked here."""

    __module__ = transformers.Qwen3VLProcessor.__module__
    __init__ = editors.Qwen2VLProcessor.__init__


def reading_qwen3(layers: int, largest: int = 128) -> tuple[Any, Any]:
    """An encoder, and the processor before it, which shows it pictures of at most `largest` pixels a side."""
    encoder = seeing_qwen3(layers, transformers.Qwen3VLForConditionalGeneration)
    words = zoo.tokenizer(1024, chat=True)
    words.add_special_tokens({"additional_special_tokens": list(editors.TOKENS)})
    encoder.resize_token_embeddings(len(words))
    picture, start, end = words.convert_tokens_to_ids([editors.PICTURE, editors.START, editors.END])
    for config in (encoder.config, encoder.model.config):
        config.image_token_id, config.vision_start_token_id, config.vision_end_token_id = picture, start, end
    looks = transformers.Qwen2VLImageProcessor(patch_size=16, min_pixels=32 * 32, max_pixels=largest * largest)
    chat = zoo.CHAT.replace(
        "c['text']", f"'{editors.START}{editors.PICTURE}{editors.END}' if c['type'] == 'image' else c['text']"
    )
    return encoder, Qwen3VLProcessor(looks, words, chat_template=chat)


def nucleusmoe() -> Any:
    transformer = diffusers.NucleusMoEImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
        moe_enabled=False,
        capacity_factors=[8.0],
    )
    encoder, processor = reading_qwen3(9)
    return diffusers.NucleusMoEImagePipeline(
        transformer=transformer.eval(),
        scheduler=FLOW(),
        vae=zoo.BUILDERS["qwen-image"]().vae,
        text_encoder=encoder,
        processor=processor,
    )


def qwenimage21() -> Any:
    """Its pictures have an alpha channel; a picture to change is read on a megapixel."""
    vae = diffusers.AutoencoderKLQwenImage21(
        base_dim=4,
        decoder_base_dim=4,
        z_dim=4,
        num_res_blocks=1,
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    transformer = diffusers.QwenImage21Transformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        context_in_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    encoder, processor = reading_qwen3(2, 1024)
    return diffusers.QwenImage21Pipeline(
        scheduler=FLOW(), vae=vae.eval(), text_encoder=encoder, processor=processor, transformer=transformer.eval()
    )


def _z_control(kind: str) -> Callable[[], Any]:
    def made() -> Any:
        pipe = zoo.BUILDERS["z-image"]()
        net = diffusers.ZImageControlNetModel(
            control_layers_places=[0],
            control_refiner_layers_places=[0],
            control_in_dim=33 if kind.endswith("InpaintPipeline") else 16,
            add_control_noise_refiner="control_noise_refiner",
            dim=32,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
        )
        return getattr(diffusers, kind)(**pipe.components, controlnet=net.eval())

    return made


def z_image_omni() -> Any:
    """It sees pictures through SigLIP."""
    pipe = zoo.BUILDERS["z-image"]()
    config = {name: value for name, value in pipe.transformer.config.items() if not name.startswith("_")}
    transformer = diffusers.ZImageTransformer2DModel(**{**config, "siglip_feat_dim": 16})
    for name, weight in transformer.named_parameters():
        if name.endswith("pad_token"):
            torch.nn.init.ones_(weight)
    siglip = transformers.Siglip2VisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, patch_size=16, num_patches=16
    )
    return diffusers.ZImageOmniPipeline(
        **{**pipe.components, "transformer": transformer.eval()},
        siglip=transformers.Siglip2VisionModel(siglip).eval(),
        siglip_processor=transformers.Siglip2ImageProcessorPil(max_num_patches=16),
    )


def qwenimage_controlnet() -> Any:
    pipe = zoo.BUILDERS["qwen-image"]()
    config = pipe.transformer.config
    taken = (
        "patch_size",
        "in_channels",
        "out_channels",
        "attention_head_dim",
        "num_attention_heads",
        "joint_attention_dim",
    )
    net = diffusers.QwenImageControlNetModel(
        **{name: config[name] for name in taken}, num_layers=1, axes_dims_rope=tuple(config["axes_dims_rope"])
    )
    return diffusers.QwenImageControlNetPipeline(**pipe.components, controlnet=net.eval())


def _glm_writer() -> Any:
    """Writes tokens of the picture."""
    config = transformers.GlmImageConfig(
        text_config={
            "vocab_size": zoo.VOCABULARY + 192,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "vision_vocab_size": 128,
            "rope_parameters": {"mrope_section": (4, 2, 2), "rope_type": "default", "rope_theta": 1e4},
            "pad_token_id": 0,
            "eos_token_id": 1,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "num_heads": 2,
            "image_size": 32,
            "patch_size": 8,
            "intermediate_size": 32,
        },
        vq_config={"embed_dim": 32, "num_embeddings": 128, "latent_channels": 32},
    )
    writer = transformers.GlmImageForConditionalGeneration(config).eval()
    writer.generation_config.eos_token_id = None  # or chance ends the picture early
    return writer


def glm_image() -> Any:
    """A language model writes tokens of the picture first."""
    transformer = diffusers.GlmImageTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        text_embed_dim=32,
        time_embed_dim=16,
        condition_dim=8,
        prior_vq_quantizer_codebook_size=128,
    )
    vae = zoo.deep_vae()
    vae.register_to_config(latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    words = zoo.tokenizer(512, chat=True)
    names = {"image_token": "<|image|>", "grid_bos_token": "<sop>", "grid_eos_token": "<eop>"}
    words.add_special_tokens({"additional_special_tokens": list(names.values())})
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words.backend_tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        bos_token="<bos>",
        extra_special_tokens=names,
    )
    looks = transformers.GlmImageImageProcessorPil()
    processor = transformers.GlmImageProcessor(looks, words, chat_template=zoo.CHAT)
    return diffusers.GlmImagePipeline(
        tokenizer=transformers.ByT5Tokenizer(),
        processor=processor,
        text_encoder=zoo.t5(),
        vision_language_encoder=_glm_writer(),
        vae=vae,
        transformer=transformer.eval(),
        scheduler=FLOW(),
    )


def _helios(kind: str) -> Callable[[], Any]:
    def made() -> Any:
        transformer = diffusers.HeliosTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=12,
            text_dim=32,
            ffn_dim=32,
            num_layers=1,
            rope_dim=(4, 4, 4),
        )
        vae = diffusers.AutoencoderKLWan(
            base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        )
        return getattr(diffusers, kind)(
            tokenizer=zoo.tokenizer(),
            text_encoder=zoo.t5(),
            vae=vae.eval(),
            scheduler=diffusers.HeliosScheduler(stage_range=[0, 1], stages=1, use_dynamic_shifting=True),
            transformer=transformer.eval(),
        )

    return made


BUILDERS: dict[str, Callable[[], Any]] = {
    **two_stages.BUILDERS,
    "lumina": lumina,
    "prx": prx,
    "ideogram4": ideogram4,
    "nucleusmoe-image": nucleusmoe,
    "qwenimage21": qwenimage21,
    "qwenimage-controlnet": qwenimage_controlnet,
    "z-image-controlnet": _z_control("ZImageControlNetPipeline"),
    "z-image-controlnet-inpaint": _z_control("ZImageControlNetInpaintPipeline"),
    "z-image-omni": z_image_omni,
    "glm_image": glm_image,
    "helios": _helios("HeliosPipeline"),
    "helios-pyramid": _helios("HeliosPyramidPipeline"),
    "kolors": kolors.pipeline,
    "kolors-pag": lambda: kolors.pipeline("KolorsPAGPipeline", pag_applied_layers="mid"),
}
