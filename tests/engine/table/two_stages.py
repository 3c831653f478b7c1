"""Tiny pipelines that paint in two stages: one makes what stands for a picture, another the picture along it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import transformers
from diffusers.pipelines.deprecated import wuerstchen as old
from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP
from tokenizers.processors import TemplateProcessing

from tests.engine import conftest as big
from tests.engine import menagerie, zoo


def _clip() -> Any:
    return transformers.CLIPTextModelWithProjection(big.clip_config()).eval()


def cascade() -> Any:
    """A prior of latents that few pixels make, and a decoder that paints along them."""
    prior = diffusers.models.StableCascadeUNet(
        conditioning_dim=32,
        block_out_channels=(32, 32),
        num_attention_heads=(2, 2),
        down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1),
        clip_image_in_channels=768,
        clip_text_in_channels=32,
        clip_text_pooled_in_channels=32,
        switch_level=(False,),
    )
    layers = ("SDCascadeResBlock", "SDCascadeTimestepBlock")
    decoder = diffusers.models.StableCascadeUNet(
        in_channels=4,
        out_channels=4,
        conditioning_dim=32,
        block_out_channels=(16, 32),
        num_attention_heads=(-1, 2),
        down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1),
        down_blocks_repeat_mappers=(1, 1),
        up_blocks_repeat_mappers=(1, 1),
        block_types_per_layer=(layers, (*layers, "SDCascadeAttnBlock")),
        clip_text_pooled_in_channels=32,
        effnet_in_channels=16,
        dropout=(0.0, 0.0),
        patch_size=2,
    )
    return diffusers.StableCascadeCombinedPipeline(
        tokenizer=big.clip_tokenizer(),
        text_encoder=_clip(),
        decoder=decoder.eval(),
        scheduler=diffusers.DDPMWuerstchenScheduler(),
        vqgan=_paella(),
        prior_prior=prior.eval(),
        prior_text_encoder=_clip(),
        prior_tokenizer=big.clip_tokenizer(),
        prior_scheduler=diffusers.DDPMWuerstchenScheduler(),
    )


def _paella() -> Any:
    return old.PaellaVQModel(bottleneck_blocks=1, embed_dim=16, num_vq_embeddings=8).eval()


def wuerstchen() -> Any:
    decoder = old.WuerstchenDiffNeXt(
        c_cond=32,
        c_hidden=[16],
        nhead=[2],
        blocks=[1],
        level_config=["CT"],
        inject_effnet=[False],
        clip_embd=32,
        dropout=0.0,
    )
    return diffusers.WuerstchenCombinedPipeline(
        tokenizer=big.clip_tokenizer(),
        text_encoder=transformers.CLIPTextModel(big.clip_config()).eval(),
        decoder=decoder.eval(),
        scheduler=diffusers.DDPMWuerstchenScheduler(),
        vqgan=_paella(),
        prior_tokenizer=big.clip_tokenizer(),
        prior_text_encoder=transformers.CLIPTextModel(big.clip_config()).eval(),
        prior_prior=old.WuerstchenPrior(c_in=16, c=32, c_cond=32, depth=1, nhead=2, dropout=0.0).eval(),
        prior_scheduler=diffusers.DDPMWuerstchenScheduler(),
    )


def kandinsky() -> Any:
    """Kandinsky 2.1: its words go through a CLIP of many languages, too."""
    later = menagerie.BUILDERS["kandinsky22"]()
    unet = diffusers.UNet2DConditionModel.from_config(
        {**later.unet.config, "addition_embed_type": "text_image", "encoder_hid_dim_type": "text_image_proj"}
    )
    config = MCLIPConfig(
        transformerDimSize=32,
        imageDimSize=32,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        vocab_size=zoo.VOCABULARY,
    )
    prior = {name: part for name, part in later.components.items() if name.startswith("prior_")}
    return diffusers.KandinskyCombinedPipeline(
        text_encoder=MultilingualCLIP(config).eval(),
        tokenizer=_ended(zoo.tokenizer(77)),
        unet=unet.eval(),
        scheduler=later.scheduler,
        movq=later.movq,
        **prior,
    )


def _ended(words: Any) -> Any:
    """With an end after every text, so that no words at all are a token, too."""
    words.backend_tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return words


BUILDERS: dict[str, Callable[[], Any]] = {"cascade": cascade, "wuerstchen": wuerstchen, "kandinsky": kandinsky}
