"""Tiny pipelines of families whose edges are unlike the four big ones': other autoencoders, encoders, arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.engine import conftest as big

CHAT = (
    "{% for m in messages %}{{m['role']}} {% if m['content'] is string %}{{m['content']}}{% else %}"
    "{% for c in m['content'] %}{{c['text']}}{% endfor %}{% endif %} {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)
VOCABULARY = 512
FLUX2 = ("scheduler", "vae", "text_encoder", "tokenizer", "transformer")


def tokenizer(longest: int = 512, *, chat: bool = False) -> Any:
    words = ["<pad>", "</s>", "<unk>", "<bos>", "a", "red", "blue", "boat", "under", "the", "moon"]
    words += [f"w{number}" for number in range(VOCABULARY - len(words))]
    raw = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        bos_token="<bos>",
        model_max_length=longest,
    )
    made.chat_template = CHAT if chat else None
    return made


def t5() -> Any:
    config = transformers.T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    return transformers.T5EncoderModel(config).eval()


def gemma() -> Any:
    config = transformers.Gemma2Config(
        head_dim=16,
        hidden_size=8,
        intermediate_size=64,
        num_attention_heads=2,
        num_hidden_layers=2,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        attn_implementation="eager",
        sliding_window=64,
        pad_token_id=0,
        bos_token_id=3,
        eos_token_id=1,
    )
    return transformers.Gemma2Model(config).eval()


def qwen3(layers: int, model: Any) -> Any:
    config = transformers.Qwen3Config(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        vocab_size=VOCABULARY,
        max_position_embeddings=512,
    )
    return model(config).eval()


def deep_vae() -> Any:
    """Eight pixels a latent, for families that round small sizes up to large ones."""
    levels = 4
    return diffusers.AutoencoderKL(
        block_out_channels=(8,) * levels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.18,
    ).eval()


def pixart() -> Any:
    """Eight channels come out where four go in; its negative prompt must not be None."""
    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=32,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=3,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=24,
        out_channels=8,
        attention_bias=True,
        activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000,
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        norm_eps=1e-6,
    )
    return diffusers.PixArtSigmaPipeline(
        tokenizer=tokenizer(32),
        text_encoder=t5(),
        vae=deep_vae(),
        transformer=transformer.eval(),
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    )


def lumina2() -> Any:
    transformer = diffusers.Lumina2Transformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        hidden_size=24,
        num_layers=2,
        num_attention_heads=3,
        num_kv_heads=1,
        multiple_of=16,
        norm_eps=1e-5,
        scaling_factor=1.0,
        axes_dim_rope=[4, 2, 2],
        cap_feat_dim=8,
    )
    return diffusers.Lumina2Pipeline(
        transformer=transformer.eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=6.0),
        vae=big.vae(4, shift=0.06),
        text_encoder=gemma(),
        tokenizer=tokenizer(256),
    )


def z_image() -> Any:
    """Its transformer takes lists of latents, and calls the timestep `t`."""
    transformer = diffusers.ZImageTransformer2DModel(
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        norm_eps=1e-5,
        qk_norm=True,
        cap_feat_dim=16,
        rope_theta=256.0,
        t_scale=1000.0,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 64, 64],
    ).eval()
    for token in (transformer.x_pad_token, transformer.cap_pad_token):
        torch.nn.init.ones_(token)  # published as weights; empty memory otherwise
    return diffusers.ZImagePipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=big.vae(16, shift=0.1159),
        text_encoder=qwen3(3, transformers.Qwen3Model),
        tokenizer=tokenizer(chat=True),
        transformer=transformer,
    )


def qwen_image() -> Any:
    """Its autoencoder is one of videos: no scaling factor, and a dimension more."""
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"}
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "vocab_size": VOCABULARY,
            "rope_scaling": rope,
            "rope_theta": 1e6,
        },
        vision_config={"depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16},
        vision_end_token_id=5,
        vision_start_token_id=6,
        vision_token_id=7,
    )
    return diffusers.QwenImagePipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=vae.eval(),
        text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=tokenizer(1024),
        transformer=transformer.eval(),
    )


def chroma() -> Any:
    """Packed latents, as Flux has them, under another name."""
    transformer = diffusers.ChromaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=[4, 4, 8],
        approximator_hidden_dim=32,
        approximator_layers=1,
        approximator_num_channels=16,
    )
    return diffusers.ChromaPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=big.vae(4, shift=0.06),
        text_encoder=t5(),
        tokenizer=tokenizer(64),
        transformer=transformer.eval(),
        image_encoder=None,
        feature_extractor=None,
    )


def kandinsky3() -> Any:
    """Its autoencoder is called `movq`."""
    unet = diffusers.Kandinsky3UNet(
        in_channels=4,
        time_embedding_dim=4,
        groups=2,
        attention_head_dim=4,
        layers_per_block=3,
        block_out_channels=(32, 64),
        cross_attention_dim=4,
        encoder_hid_dim=32,
    )
    movq = diffusers.VQModel(
        block_out_channels=[32, 64],
        down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=8,
        norm_type="spatial",
        num_vq_embeddings=12,
        up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
        vq_embed_dim=4,
    )
    return diffusers.Kandinsky3Pipeline(
        tokenizer=tokenizer(128),
        text_encoder=t5(),
        unet=unet.eval(),
        scheduler=diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        movq=movq.eval(),
    )


def flux2_transformer(*, guidance_embeds: bool) -> Any:
    return diffusers.Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=256,
        axes_dims_rope=[4, 4, 4, 4],
        guidance_embeds=guidance_embeds,
    ).eval()


def flux2_klein() -> Any:
    """Its latents are normalised by running statistics; no scaling factor."""
    transformer = flux2_transformer(guidance_embeds=False)
    vae = diffusers.AutoencoderKLFlux2(
        sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return diffusers.Flux2KleinPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=vae.eval(),
        text_encoder=qwen3(28, transformers.Qwen3ForCausalLM),
        tokenizer=tokenizer(chat=True),
        transformer=transformer.eval(),
        is_distilled=True,
    )


def flux2() -> Any:
    """FLUX.2 dev: its encoder sees pictures too, and its guidance is distilled."""
    text = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 31,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 512,
        "model_type": "mistral",
    }
    seeing = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
        "model_type": "pixtral",
    }
    config = transformers.Mistral3Config(text_config=text, vision_config=seeing, image_token_index=10)
    klein = flux2_klein()
    parts = {name: part for name, part in klein.components.items() if name in FLUX2}
    parts["transformer"] = flux2_transformer(guidance_embeds=True)
    parts["text_encoder"] = transformers.Mistral3ForConditionalGeneration(config).eval()
    return diffusers.Flux2Pipeline(**{**parts, "tokenizer": tokenizer(chat=True)})


def flux_kontext() -> Any:
    return diffusers.FluxKontextPipeline(**big.flux().components)


def auraflow() -> Any:
    transformer = diffusers.AuraFlowTransformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=4,
        num_mmdit_layers=1,
        num_single_dit_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        out_channels=4,
        pos_embed_max_size=1024,
    )
    config = transformers.UMT5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    return diffusers.AuraFlowPipeline(
        tokenizer=tokenizer(32),
        text_encoder=transformers.UMT5EncoderModel(config).eval(),
        vae=big.vae(),
        transformer=transformer.eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=1.73),
    )


def sana() -> Any:
    """Another autoencoder, and sizes that are rounded to a table's; five levels keep that quick."""
    levels = 5
    vae = diffusers.AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock",) * levels,
        decoder_block_types=("ResBlock",) * levels,
        encoder_block_out_channels=(8,) * levels,
        decoder_block_out_channels=(8,) * levels,
        encoder_qkv_multiscales=((),) * levels,
        decoder_qkv_multiscales=((),) * levels,
        encoder_layers_per_block=(1,) * levels,
        decoder_layers_per_block=[1] * levels,
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    transformer = diffusers.SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=16,
    )
    return diffusers.SanaPipeline(
        tokenizer=tokenizer(300),
        text_encoder=gemma(),
        vae=vae.eval(),
        transformer=transformer.eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


BUILDERS: dict[str, Callable[[], Any]] = {
    "pixart": pixart,
    "lumina2": lumina2,
    "z-image": z_image,
    "qwen-image": qwen_image,
    "chroma": chroma,
    "kandinsky3": kandinsky3,
    "flux2-klein": flux2_klein,
    "flux2": flux2,
    "flux-kontext": flux_kontext,
    "auraflow": auraflow,
    "sana": sana,
}


def build(root: Path, names: Iterable[str] = ()) -> dict[str, Path]:
    """All of them, or those named, as folders below `root`."""
    chosen = tuple(names) or tuple(BUILDERS)
    for name in chosen:
        torch.manual_seed(0)
        BUILDERS[name]().save_pretrained(root / name)
    return {name: root / name for name in chosen}
