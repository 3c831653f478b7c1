"""Easel's image engine: requests in, events and pictures out. Importing it never imports torch."""

from engine.api.errors import (
    DeviceLost,
    EngineClosed,
    EngineError,
    EngineFault,
    InvalidRequest,
    InvalidSetup,
    ModelTooLarge,
    ModelUnloadable,
    OutOfMemory,
    QueueFull,
    RenderFailed,
    UnknownModel,
    UnknownScheduler,
)
from engine.api.events import (
    Cancelled,
    Event,
    Failed,
    Finished,
    ImageReady,
    Loading,
    Preview,
    Progress,
    Queued,
    Started,
    Terminal,
)
from engine.api.inspection import Forwards, Inspection, LoadedModel
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo
from engine.api.recipe import Recipe
from engine.api.safety import ImageGate, Verdict
from engine.backend import Backend, EngineStatus, Ticket
from engine.runtime.engine import Engine
from engine.tasks.blend import Blend
from engine.tasks.control import Control
from engine.tasks.edit import Edit
from engine.tasks.img2img import Img2Img
from engine.tasks.inpaint import Inpaint
from engine.tasks.outpaint import Outpaint
from engine.tasks.pictures import Guide, Reference
from engine.tasks.txt2img import MAX_IMAGES, MAX_SEED, MAX_SIDE_PX, MAX_STEPS, Txt2Img, Variation
from engine.tasks.upscale import Upscale

__all__ = [
    "MAX_IMAGES",
    "MAX_SEED",
    "MAX_SIDE_PX",
    "MAX_STEPS",
    "Backend",
    "Blend",
    "Cancelled",
    "Control",
    "DeviceLost",
    "Edit",
    "Engine",
    "EngineClosed",
    "EngineError",
    "EngineFault",
    "EngineStatus",
    "Event",
    "Failed",
    "Finished",
    "Forwards",
    "Guide",
    "ImageGate",
    "ImageReady",
    "Img2Img",
    "Inpaint",
    "Inspection",
    "InvalidRequest",
    "InvalidSetup",
    "LeftOut",
    "LoadedModel",
    "Loading",
    "ModelInfo",
    "ModelTooLarge",
    "ModelUnloadable",
    "OutOfMemory",
    "Outpaint",
    "Preview",
    "Progress",
    "QueueFull",
    "Queued",
    "Recipe",
    "Reference",
    "RenderFailed",
    "Started",
    "Terminal",
    "Ticket",
    "Txt2Img",
    "UnknownModel",
    "UnknownScheduler",
    "Upscale",
    "Variation",
    "Verdict",
]
