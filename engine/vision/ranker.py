"""How well pictures match words: CLIP's cosine (Radford et al. 2021, arXiv:2103.00020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import transformers
from PIL import Image

from engine.vision.loading import Reader, reader

MAX_WORDS = 75  # as many as a CLIP reads at once, at the most
TEXTS_AT_ONCE = 256  # keeps memory flat however many phrases are tried


def ranker(location: str, device: torch.device) -> Reader:
    return reader(transformers.CLIPModel, location, device)


def of_texts(eyes: Reader, texts: list[str]) -> torch.Tensor:
    """Unit vectors of texts: (B, D)."""
    clip, parts = eyes.model, []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        pooled = clip.text_model(**eyes.read(texts[start : start + TEXTS_AT_ONCE])).pooler_output
        parts.append(F.normalize(clip.text_projection(pooled).float(), dim=-1))
    return torch.cat(parts)


def of_pictures(eyes: Reader, images: list[Image.Image]) -> torch.Tensor:
    """Unit vectors of pictures: (B, D)."""
    pooled = eyes.model.vision_model(pixel_values=eyes.see(images)).pooler_output
    return F.normalize(eyes.model.visual_projection(pooled).float(), dim=-1)


def scores(eyes: Reader, text: str, images: list[Image.Image]) -> list[float]:
    """The cosine of each picture with the text, -1..1."""
    return (of_pictures(eyes, images) @ of_texts(eyes, [text])[0]).tolist()


def weights(eyes: Reader, text: str) -> list[tuple[str, float]]:
    """How far the text's vector moves without each of its words, as a share of the farthest; in their order."""
    words = text.split()[:MAX_WORDS]
    if not words:
        return []
    without = [" ".join(words[:at] + words[at + 1 :]) for at in range(len(words))]
    whole, *others = of_texts(eyes, [" ".join(words), *without])
    moved = [max(0.0, 1.0 - float(whole @ other)) for other in others]
    farthest = max(moved) or 1.0
    return [(word, round(far / farthest, 4)) for word, far in zip(words, moved, strict=True)]
