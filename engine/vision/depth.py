"""How near things are, for ControlNets: any depth model of transformers."""

from __future__ import annotations

import torch
import transformers
from PIL import Image

from engine.vision.loading import Reader, reader

FAR = ("glpn", "zoedepth", "depth_pro", "prompt_depth_anything")  # these tell how far things are, the others how near


def estimator(location: str, device: torch.device) -> Reader:
    """Depth Anything, DPT (MiDaS), ZoeDepth, GLPN or another."""
    return reader(transformers.AutoModelForDepthEstimation, location, device, words=False)


def nearness(eyes: Reader, image: Image.Image) -> Image.Image:
    """The nearest white, the farthest black, as RGB of the picture's size: what MiDaS's maps are like."""
    told = eyes.model(pixel_values=eyes.see([image])).predicted_depth[:, None].float()
    told = torch.nn.functional.interpolate(told, size=(image.height, image.width), mode="bicubic")[0, 0]
    config = eyes.model.config
    if config.model_type in FAR or getattr(config, "depth_estimation_type", "") == "metric":
        told = -told
    low, high = told.min(), told.max()
    grey = ((told - low) / (high - low).clamp(min=torch.finfo(torch.float32).tiny) * 255).round()
    return Image.fromarray(grey.to("cpu", torch.uint8).numpy()).convert("RGB")
