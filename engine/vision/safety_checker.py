"""Judges of pictures: open_nsfw, diffusers' safety checker, or any image classifier of transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image

from engine.api.safety import FINE, Verdict
from engine.models.files import parts
from engine.vision.loading import Reader, config_of, reader
from engine.vision.open_nsfw import OpenNsfw
from engine.vision.options import OPEN_NSFW

Judge = Callable[[Image.Image], Verdict]
CHECKER = "StableDiffusionSafetyChecker"
UNSAFE = 0.5  # of the probability: as many models' cards do


def judge(location: str, labels: Sequence[str], device: torch.device) -> Judge:
    """The judge of that name, or that a folder holds. Raises: OSError, ValueError and what loading raises."""
    if location == OPEN_NSFW:
        return OpenNsfw(threads=torch.get_num_threads())
    config = config_of(location)
    if CHECKER in (config.get("architectures") or ()):
        return checker(location, "", device)
    if not config:  # a whole pipeline: its checker lies in a folder of its own
        return checker(location, "safety_checker", device)
    return classifier(location, labels, device)


def checker(location: str, part: str, device: torch.device) -> Judge:
    """diffusers' own: CLIP's picture against 17 concepts it does not name; published for sexual content."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    where = {"local_files_only": True}
    model = parts.load(Path(location).name, StableDiffusionSafetyChecker, location, subfolder=part)
    pictures = transformers.AutoImageProcessor.from_pretrained(location, subfolder=_extractor(location, part), **where)
    eyes = Reader(model=model.eval().to(device), pictures=pictures, words=None, device=device)

    def look(image: Image.Image) -> Verdict:
        nothing = [np.zeros((1, 1, 3))]  # it would paint flagged pictures black; we only want its opinion
        _, (flagged,) = eyes.model(clip_input=eyes.see([image]), images=nothing)
        return Verdict(flagged=True, reason="sexual content") if flagged else FINE

    return look


def _extractor(location: str, part: str) -> str:
    """Where its image processor is: beside it in a pipeline, with it when it stands alone."""
    beside = Path(location).expanduser() / "feature_extractor"
    return "feature_extractor" if part or beside.is_dir() else ""


def classifier(location: str, labels: Sequence[str], device: torch.device) -> Judge:
    """Any classifier: a picture is unsafe when the unsafe labels together are more likely than not."""
    eyes = reader(transformers.AutoModelForImageClassification, location, device, words=False)
    names: dict[int, str] = eyes.model.config.id2label
    wanted = {label.casefold() for label in labels}
    unsafe = [number for number, name in names.items() if name.casefold() in wanted]
    if not unsafe:
        raise ValueError(f"none of the unsafe labels is one of its labels: {', '.join(names.values())}"[:180])
    several = eyes.model.config.problem_type == "multi_label_classification"

    def look(image: Image.Image) -> Verdict:
        logits = eyes.model(pixel_values=eyes.see([image])).logits[0].float()
        shares = logits.sigmoid() if several else logits.softmax(-1)
        likely = shares[unsafe].max() if several else shares[unsafe].sum()
        if float(likely) < UNSAFE:
            return FINE
        return Verdict(flagged=True, reason=names[max(unsafe, key=lambda number: float(shares[number]))])

    return look
