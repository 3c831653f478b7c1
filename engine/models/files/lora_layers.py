"""Which layers a LoRA changes, and how many of them a model has, by names and shapes alone. Knows no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Shapes = Mapping[str, tuple[int, ...]]
ENOUGH = 0.9  # of its layers; with fewer a LoRA is one for another model, or for a part of it only
SOME = 0.5  # with fewer than that it can't be one for this model
# What stands before a layer's name: diffusers' and peft's parts, kohya's, the original implementations'.
_BEFORE = re.compile(
    r"^(?:base_model[._]model[._])?"
    r"(?:lora_unet_|lora_transformer_|lycoris_|transformer\.|unet\.|diffusion_model\.|model\.diffusion_model\.)?"
)
_DOWN = re.compile(r"[._](?:lora[._](?:A|down)|lora\.down|lora_linear_layer\.down)(?:\.default)?\.weight$")
_TEXT = re.compile(r"^(?:lora_te\d?_|lora_prior_te_|text_encoder|text_encoders\.|te\d?_)")
_KOHYA_TEXT = re.compile(r"lora_te\d?_")
_PRODUCT = re.compile(r"\.(?:hada_w\d|lokr_w\d|dora_scale|lora_magnitude_vector)")  # a LoHa, LoKr or DoRA
_UP = (
    *(".lora_B.weight", ".lora_B.default.weight", ".lora_up.weight", ".lora.up.weight", ".hada_w1_a"),
    *(".lokr_w1", ".lokr_w1_a"),
)
_HADA, _KRON = ".hada_w1_b", re.compile(r"\.lokr_w2(?:_b)?$")
# Of which a product's factors don't tell how wide what they read is: their pixels are among it.
_CONVOLUTION = re.compile(r"(?:conv\w*|in_layers[._]2|out_layers[._]3|[._]op|skip_connection)$")
# The original implementations of FLUX and SD3, of Lumina 2 and Z-Image: an attention's first three layers in one.
_ORIGINAL = ("double_blocks_", "single_blocks_", "joint_blocks_")
_FUSED = re.compile(
    r"(?:double|joint)_blocks_(?P<number>\d+)_(?P<stream>img|txt|x|context)(?:_block)?_attn_(?P<part>qkv|proj)$"
)
# What else FLUX.1 and FLUX.2 call by the same names: how many times wider one side is than the other tells them apart.
_FLUX = re.compile(r"(?:double|single)_blocks_(\d+)_(linear[12]|(?:img|txt)_mlp_[02])$")
_ALONE, _BOTH = "single_transformer_blocks_{}_", "transformer_blocks_{}_"
_OF_FLUX = {
    ("linear1", 7): f"{_ALONE}attn_to_q",
    ("linear2", 5): f"{_ALONE}proj_out",
    ("img_mlp_0", 4): f"{_BOTH}ff_net_0_proj",
    ("img_mlp_2", 4): f"{_BOTH}ff_net_2",
    ("txt_mlp_0", 4): f"{_BOTH}ff_context_net_0_proj",
    ("txt_mlp_2", 4): f"{_BOTH}ff_context_net_2",
    ("linear1", 9): f"{_ALONE}attn_to_qkv_mlp_proj",
    ("linear2", 4): f"{_ALONE}attn_to_out",
    ("img_mlp_0", 6): f"{_BOTH}ff_linear_in",
    ("img_mlp_2", 3): f"{_BOTH}ff_linear_out",
    ("txt_mlp_0", 6): f"{_BOTH}ff_context_linear_in",
    ("txt_mlp_2", 3): f"{_BOTH}ff_context_linear_out",
}
_FUSED_ALONE = re.compile(r"attn_(qkv|out)$")
_PLACES = {
    **dict.fromkeys((("img", "qkv"), ("x", "qkv")), "to_q"),
    **dict.fromkeys((("txt", "qkv"), ("context", "qkv")), "add_q_proj"),
    **dict.fromkeys((("img", "proj"), ("x", "proj"), ("x", "out")), "to_out_0"),
    **dict.fromkeys((("txt", "proj"), ("context", "proj")), "to_add_out"),
}
_HALVES = (  # of what is multiplied to make a layer's change: neither says anything without the other
    *(("lora_A", "lora_B"), ("lora_down", "lora_up"), ("lora.down", "lora.up")),
    *(("lora_linear_layer.down", "lora_linear_layer.up"), ("hada_w1_a", "hada_w1_b"), ("hada_w2_a", "hada_w2_b")),
    *(("hada_w1_b", "hada_w2_b"), ("lokr_w1_a", "lokr_w1_b"), ("lokr_w2_a", "lokr_w2_b")),
)
_OTHER_KINDS = (
    (re.compile(r"\.oft_(?:blocks|diag)|\.oft_R"), "an OFT"),
    (re.compile(r"\.diff$"), "a full difference of weights, not a LoRA"),
)


Layers = frozenset[tuple[str, int]]  # of a denoiser: each one's name without punctuation, and how wide what it reads is


def share_in(model: Layers, lora: Layers) -> float:
    """The part of a LoRA's layers that a model has, 0..1."""
    return len(lora & model) / len(lora) if lora else 0.0


def reads(shapes: Shapes) -> Mapping[str, int]:
    """The denoiser's layers that a LoRA's file names, as it spells them, and how wide what each reads is."""
    found = (_read(name, shape, shapes) for name, shape in shapes.items() if len(shape) > 1 and not _TEXT.match(name))
    return dict(each for each in found if each is not None)


def _read(name: str, shape: tuple[int, ...], shapes: Shapes) -> tuple[str, int] | None:
    if match := _DOWN.search(name):
        return name[: match.start()], shape[1]
    layer = name.rpartition(".")[0]
    if _CONVOLUTION.search(layer):
        return None
    if name.endswith(_HADA):
        return layer, shape[1]
    if _KRON.search(name):
        other = shapes.get(f"{layer}.lokr_w1") or shapes.get(f"{layer}.lokr_w1_b")
        return (layer, shape[1] * other[1]) if other else None
    return None


def of_lora(shapes: Shapes) -> Layers:
    """The layers that a LoRA's file names, however it spells them; of the original implementations' the known ones."""
    named = ((named_here(name, _writes(name, shapes), width), width) for name, width in reads(shapes).items())
    return frozenset((name, width) for name, width in named if not name.startswith(_ORIGINAL))


def _writes(layer: str, shapes: Shapes) -> int:
    """How wide what a LoRA's layer gives is; 0 where nothing tells."""
    first = next((shape[0] for end in _UP if (shape := shapes.get(f"{layer}{end}"))), 0)
    other = shapes.get(f"{layer}.lokr_w2") or shapes.get(f"{layer}.lokr_w2_a") or (1,)
    return first * other[0]


def is_product(name: str) -> bool:
    """Whether a tensor of that name is a LoHa's, a LoKr's or a DoRA's, of which diffusers would leave a part out."""
    return _PRODUCT.search(name) is not None


def is_read_in_part(names: Iterable[str]) -> bool:
    """Whether diffusers can't read what it changes in a text encoder: by `out_proj` alone it knows whose names the
    others are."""
    text = [name for name in names if _KOHYA_TEXT.match(name)]
    return any("_self_attn_" in name for name in text) and not any("_out_proj" in name for name in text)


def of_model(shapes: Shapes) -> Layers:
    """The layers of a denoiser's own weights."""
    named = ((name.removesuffix(".weight"), shape) for name, shape in shapes.items() if name.endswith(".weight"))
    return frozenset((named_here(name, *shape[:2]), shape[1]) for name, shape in named if len(shape) > 1)


def of_flux1() -> Layers:
    """The layers of the published FLUX.1, for one that isn't here."""
    wide = 3072
    both = ("attn_to_q", "attn_to_k", "attn_to_v", "attn_to_out_0", "ff_net_0_proj", "norm1_linear")
    words = ("attn_add_q_proj", "attn_add_k_proj", "attn_add_v_proj", "attn_to_add_out", "ff_context_net_0_proj")
    alone = ("attn_to_q", "attn_to_k", "attn_to_v", "proj_mlp", "norm_linear")
    return frozenset(
        (
            *((_BOTH.format(n) + each, wide) for n in range(19) for each in (*both, *words, "norm1_context_linear")),
            *((_BOTH.format(n) + each, 4 * wide) for n in range(19) for each in ("ff_net_2", "ff_context_net_2")),
            *((_ALONE.format(n) + each, wide) for n in range(38) for each in alone),
            *((_ALONE.format(n) + "proj_out", 5 * wide) for n in range(38)),
        )
    )


def other_kind(names: Iterable[str]) -> str:
    """What a file is that looks like a LoRA and can't be used as one; "" for what can."""
    known = tuple(names)
    return next((what for pattern, what in _OTHER_KINDS if any(pattern.search(name) for name in known)), "")


def halves(names: Iterable[str]) -> int:
    """How many tensors of a LoRA are there without the other half."""
    known = frozenset(names)
    pairs = (*_HALVES, *((two, one) for one, two in _HALVES))
    return sum(name.replace(one, two) not in known for name in known for one, two in pairs if one in name)


def named_here(name: str, writes: int = 0, reads: int = 1) -> str:
    """A layer's name as diffusers has it, folded; where the original implementations have several in one, the first."""
    name = folded(name).replace("_attention_", "_attn_")
    if match := _FUSED.match(name):
        place = _PLACES[match["stream"], match["part"]]
        return f"transformer_blocks_{match['number']}_attn_{place}"
    if match := _FLUX.match(name):
        larger, smaller = max(writes, reads), max(1, min(writes, reads))
        return _OF_FLUX.get((match[2], larger // smaller), name).format(match[1])
    return _FUSED_ALONE.sub(lambda match: f"attn_{_PLACES['x', match[1]]}", name)


def folded(name: str) -> str:
    """A layer's name as all tools agree on it: `to_out.0` and `to_out_0`, with or without a processor."""
    return _BEFORE.sub("", name).replace("processor.", "").replace(".", "_")
