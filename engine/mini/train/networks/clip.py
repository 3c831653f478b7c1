"""A tiny CLIP that ranks pictures by how well they match a prompt (Radford et al. 2021, arXiv:2103.00020).

Contrastive learning on toy captions finds colours and scenes first and binding last, so every caption comes with a hard
negative: the same scene with one thing changed (Yuksekgonul et al. 2022, arXiv:2210.01936). Two teachers are dropped
afterwards: a head that names what is under each patch, and one decoder that must sketch the layout from a picture's
vector and from its caption's alike, so that both say who is where.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from engine.mini.train.captions import OPPOSITE, caption
from engine.mini.train.config import CAPTION_TOKENS, PICTURE_PX, StageConfig
from engine.mini.train.data import to_tensor
from engine.mini.train.loop import Loop, Rng
from engine.mini.train.networks.checker import CELLS, NOTHING, UNSURE, label
from engine.mini.train.precision import mixed
from engine.mini.train.render import render
from engine.mini.train.scenes import PLACE_AT, Diet, Scene, Thing, training_scene
from engine.mini.words import COLOURS, SCENES, STYLES, THINGS

PATCH_PX = 16
PATCHES = PICTURE_PX // PATCH_PX
WIDTH, PROJECTION = 128, 96
AUXILIARY_WEIGHT = 0.6
EMPTY_WEIGHT = 0.2  # most patches are empty and need little thought
WARMEST = 100.0  # logit scale, as in CLIP


def new_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Build an untrained CLIP: text 4 x 128, vision 6 x 128 over 16-px patches."""
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    shared = {"hidden_size": WIDTH, "num_attention_heads": 4, "hidden_act": "quick_gelu", "projection_dim": PROJECTION}
    text = {"vocab_size": len(tokenizer), "intermediate_size": 384, "num_hidden_layers": 4, **ends, **shared}
    text |= {"max_position_embeddings": CAPTION_TOKENS, "pad_token_id": tokenizer.pad_token_id}
    vision = {"intermediate_size": 512, "num_hidden_layers": 6, "image_size": PICTURE_PX, "patch_size": PATCH_PX}
    return CLIPModel(CLIPConfig(text_config=text, vision_config={**vision, **shared}, projection_dim=PROJECTION))


def altered(rng: random.Random, scene: Scene) -> tuple[Scene, str]:
    """Change one thing that the caption tells, and name what was changed."""
    kinds = ["colour", "kind", "scene", "style"]
    if len(scene.things) > 1 and not scene.count:
        kinds += ["swap"] * 3
    kinds += ["relation"] * 3 if scene.relation in OPPOSITE else []
    kinds += ["count"] * 2 if scene.count else []
    kinds += ["place"] * 2 if scene.place else []
    what = rng.choice(kinds)
    return _ALTERATIONS[what](rng, scene), what


def _other(rng: random.Random, options: Sequence[str], current: str | None) -> str:
    return rng.choice([option for option in options if option != current])


def _recoloured(rng: random.Random, scene: Scene) -> Scene:
    old = rng.choice(scene.things)
    new = _other(rng, list(COLOURS), old.colour)
    return _changed(scene, old, replace(old, colour=new))


def _renamed(rng: random.Random, scene: Scene) -> Scene:
    old = rng.choice(scene.things)
    return _changed(scene, old, replace(old, kind=_other(rng, THINGS, old.kind)))


def _changed(scene: Scene, old: Thing, new: Thing) -> Scene:
    """Replace every thing that is called like `old`: counted things change together."""
    things = [
        replace(thing, kind=new.kind, colour=new.colour)
        if (thing.kind, thing.colour) == (old.kind, old.colour)
        else thing
        for thing in scene.things
    ]
    return replace(scene, things=tuple(things))


def _moved(rng: random.Random, scene: Scene) -> Scene:
    if scene.background and rng.random() < 0.7:
        return replace(scene, background=_other(rng, list(COLOURS), scene.background))
    return replace(scene, scene=_other(rng, SCENES[1:], scene.scene), background=None)


def _swapped(rng: random.Random, scene: Scene) -> Scene:
    first, second, *rest = scene.things
    if rng.random() < 0.6 or not scene.relation:
        pair = replace(first, colour=second.colour), replace(second, colour=first.colour)
    else:
        pair = replace(first, kind=second.kind), replace(second, kind=first.kind)
    return replace(scene, things=(*pair, *rest))


def _opposed(rng: random.Random, scene: Scene) -> Scene:
    assert scene.relation is not None
    return replace(scene, relation=OPPOSITE[scene.relation])


_ALTERATIONS: dict[str, Callable[[random.Random, Scene], Scene]] = {
    "colour": _recoloured,
    "kind": _renamed,
    "scene": _moved,
    "swap": _swapped,
    "style": lambda rng, scene: replace(scene, style=_other(rng, STYLES, scene.style)),
    "relation": _opposed,
    "count": lambda rng, scene: replace(scene, count=rng.choice([n for n in (2, 3, 4) if n != scene.count])),
    "place": lambda rng, scene: replace(scene, place=_other(rng, list(PLACE_AT), scene.place)),
}


class RankerWithHeads(nn.Module):
    """A CLIP with the heads that only training needs."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip
        cells = NOTHING + 1 + len(COLOURS)
        self.patches = nn.Linear(WIDTH, cells)
        self.sketch = nn.Sequential(
            nn.Linear(PROJECTION, 256), nn.GELU(), nn.Linear(256, PATCHES**2 * cells), nn.Unflatten(1, (-1, cells))
        )
        self.whole = nn.Linear(WIDTH, len(SCENES) + len(STYLES))


def embed_text(clip: CLIPModel, tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Return unit vectors: (B, 96)."""
    encoded = tokenizer(texts, padding=True, truncation=True, max_length=CAPTION_TOKENS, return_tensors="pt")
    pooled = clip.text_model(**encoded.to(clip.device)).pooler_output
    return F.normalize(clip.text_projection(pooled).float(), dim=-1)


def embed_pictures(clip: CLIPModel, pictures: Tensor) -> Tensor:
    """Return unit vectors of pictures (B, 3, 128, 128) in -1..1: (B, 96)."""
    pooled = clip.vision_model(pixel_values=pictures.to(clip.device, clip.dtype)).pooler_output
    return F.normalize(clip.visual_projection(pooled).float(), dim=-1)


def contrastive_loss(scale: Tensor, pictures: Tensor, texts: Tensor, negatives: Tensor) -> Tensor:
    """Return CLIP's symmetric loss, with hard negatives among the texts only."""
    logits = scale * pictures @ torch.cat([texts, negatives]).T
    truth = torch.arange(len(pictures), device=logits.device)
    return (F.cross_entropy(logits, truth) + F.cross_entropy(logits[:, : len(truth)].T, truth)) / 2


class ClipLoss:
    """The loss of a random batch of fresh pictures and captions."""

    def __init__(self, model: RankerWithHeads, tokenizer: CLIPTokenizer, device: str) -> None:
        self._model, self._tokenizer, self._device = model, tokenizer, device

    def __call__(self, batch: int, rng: Rng) -> Tensor:
        """Return the contrastive loss and the teachers'."""
        scenes = [training_scene(rng.choice, Diet()) for _ in range(batch)]
        captions = [caption(rng.choice, scene) for scene in scenes]
        negatives = [caption(rng.choice, altered(rng.choice, scene)[0]) for scene in scenes]
        pictures = to_tensor([render(scene, rng.choice.getrandbits(32)) for scene in scenes]).to(self._device)
        clip, model = self._model.clip, self._model
        kinds, colours, whole = (torch.stack(p).to(self._device) for p in zip(*map(patch_labels, scenes), strict=True))
        with mixed(self._device):
            seen = clip.vision_model(pixel_values=pictures)
            images = F.normalize(clip.visual_projection(seen.pooler_output).float(), dim=-1)
            texts = embed_text(clip, self._tokenizer, captions + negatives)
            layouts = [model.patches(seen.last_hidden_state[:, 1:]), model.sketch(images), model.sketch(texts[:batch])]
            known = model.whole(seen.pooler_output)
        scale = clip.logit_scale.exp().clamp(max=WARMEST)
        contrast = contrastive_loss(scale, images, texts[:batch], texts[batch:])
        taught = torch.stack([patch_loss(logits, kinds, colours) for logits in layouts]).sum()
        return contrast + AUXILIARY_WEIGHT * (taught + 0.3 * whole_loss(known, whole))


def patch_loss(logits: Tensor, kinds: Tensor, colours: Tensor) -> Tensor:
    """Return the cross-entropy of what patches (B, 64, 41) show."""
    kind_logits, colour_logits = torch.split(logits.float().flatten(0, 1), [NOTHING + 1, len(COLOURS)], -1)
    weights = torch.ones(NOTHING + 1, device=logits.device)
    weights[NOTHING] = EMPTY_WEIGHT
    named = F.cross_entropy(kind_logits, kinds.flatten(), weight=weights)
    return named + 0.6 * F.cross_entropy(colour_logits, colours.flatten())


def whole_loss(logits: Tensor, whole: Tensor) -> Tensor:
    """Return the cross-entropy of scene and style."""
    scenes, styles = torch.split(logits.float(), [len(SCENES), len(STYLES)], -1)
    return F.cross_entropy(scenes, whole[:, 0]) + F.cross_entropy(styles, whole[:, 1])


def patch_labels(scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    """Return labels like `checker.label`, one per 16-px patch: a thing wins over a rim, a rim over nothing."""
    kinds, colours, whole = label(scene)
    fold = CELLS // PATCHES
    blocks = kinds.view(PATCHES, fold, PATCHES, fold).transpose(1, 2).flatten(2)
    unsure, thing = (blocks == UNSURE).any(-1), torch.where(blocks == UNSURE, NOTHING, blocks).amin(-1)
    kinds = torch.where((thing == NOTHING) & unsure, UNSURE, thing)
    colours = colours.view(PATCHES, fold, PATCHES, fold).transpose(1, 2).flatten(2).amax(-1)
    return kinds.flatten(), colours.flatten(), whole


def train_clip(
    clip: CLIPModel,
    tokenizer: CLIPTokenizer,
    config: StageConfig,
    folder: Path,
    device: str,
    *,
    seed: int,
    minutes: float | None = None,
) -> None:
    """Train a ranker and save its averaged weights without the heads."""
    torch.manual_seed(seed)
    model = RankerWithHeads(clip).to(device)
    ema = Loop(model, config, folder, seed=seed, minutes=minutes).run(ClipLoss(model, tokenizer, device))
    assert isinstance(ema, RankerWithHeads)
    ema.clip.save_pretrained(folder)
