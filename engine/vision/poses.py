"""How people stand, for ControlNets: ViTPose (Xu et al. 2022, arXiv:2204.12484), and a detector that finds them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import transformers
from PIL import Image

from engine.imaging import skeletons
from engine.imaging.skeletons import Point
from engine.vision.loading import Reader, reader

PERSON = "person"  # as the detectors trained on COCO call it
SURE = 0.5  # that somebody stands there
SEEN = 0.3  # that a joint is where it's said to be
MOST = 10  # people, the surest first

Box = tuple[float, float, float, float]  # left, top, width, height in pixels


def estimator(location: str, device: torch.device) -> Reader:
    return reader(transformers.VitPoseForPoseEstimation, location, device, words=False)


def detector(location: str, device: torch.device) -> Reader:
    """RT-DETR, DETR, YOLOS or another one that knows people."""
    return reader(transformers.AutoModelForObjectDetection, location, device, words=False)


def people(eyes: Reader, image: Image.Image) -> list[Box]:
    """Where people are."""
    seen = eyes.pictures(images=[image.convert("RGB")], return_tensors="pt").to(eyes.device)
    (found,) = eyes.pictures.post_process_object_detection(
        eyes.model(**seen), threshold=SURE, target_sizes=[(image.height, image.width)]
    )
    names = eyes.model.config.id2label
    rows = zip(found["scores"].tolist(), found["labels"].tolist(), found["boxes"].tolist(), strict=True)
    sure = sorted(((score, box) for score, label, box in rows if names[label] == PERSON), reverse=True)[:MOST]
    return [(left, top, right - left, bottom - top) for _, (left, top, right, bottom) in sure]


def skeleton(eyes: Reader, image: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """Everybody's skeleton on black, as RGB of the picture's size."""
    if not boxes:
        return skeletons.drawn(image.size, [])
    places = [[list(box) for box in boxes]]
    seen = eyes.pictures(images=[image.convert("RGB")], boxes=places, return_tensors="pt").to(eyes.device)
    experts = getattr(eyes.model.config.backbone_config, "num_experts", 1)
    which = {"dataset_index": torch.zeros(len(boxes), dtype=torch.long, device=eyes.device)} if experts > 1 else {}
    (found,) = eyes.pictures.post_process_pose_estimation(eyes.model(**seen, **which), boxes=places)
    return skeletons.drawn(image.size, [_joints(each["keypoints"], each["scores"]) for each in found])


def _joints(places: torch.Tensor, scores: torch.Tensor) -> list[Point | None]:
    """COCO's 17 joints; None where one isn't seen."""
    rows = zip(places.tolist(), scores.flatten().tolist(), strict=True)
    return [(x, y) if score >= SEEN else None for (x, y), score in rows]
