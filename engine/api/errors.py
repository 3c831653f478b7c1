"""What can go wrong in generation, as sentences safe to show. Knows no torch, no Discord.

EngineError
├── InvalidRequest      the request cannot be done as written
├── UnknownModel        no such model is configured
├── UnknownScheduler    no such noise scheduler
├── ModelUnloadable     the model's files are missing, broken or not safe to read
│   └── ModelTooLarge   it does not fit into the device's memory
├── QueueFull           too much is waiting already
├── OutOfMemory         one image does not fit on the device
├── RenderFailed        the pipeline itself raised
├── InvalidSetup        the engine cannot be set up as it was told to
├── EngineFault         a mistake of the engine's own
├── DeviceLost          the device failed; the engine must be restarted
├── WorkerLost          the process or machine that painted is gone
├── GivenUp             painting it has stopped several workers
└── EngineClosed        the engine is shutting down
"""

from __future__ import annotations

import re
from contextlib import suppress


class EngineError(Exception):
    """Generation failed."""

    code = "engine"
    retryable = False

    def __init__(self, sentence: str = "", **facts: object) -> None:
        self.facts = facts
        template = sentence or (type(self).__doc__ or "").strip()
        super().__init__(template.format(**facts) if facts else template)


class InvalidRequest(EngineError):
    """{what} {mend}"""

    code = "invalid_request"

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what} {mend}".strip())


class UnknownModel(EngineError):
    """There is no model called '{name}'. Models here: {known}."""

    code = "unknown_model"


class UnknownScheduler(EngineError):
    """There is no scheduler called '{name}'. Schedulers here: {known}."""

    code = "unknown_scheduler"


class ModelUnloadable(EngineError):
    """The model '{name}' cannot be loaded: {reason}."""

    code = "model_unloadable"


class ModelTooLarge(ModelUnloadable):
    """The model '{name}' doesn't fit into the device's memory, not even in its smallest form."""


class QueueFull(EngineError):
    """The queue is full. Try again in {retry_after_s:.0f} s."""

    code, retryable = "queue_full", True


class OutOfMemory(EngineError):
    """This picture does not fit into the device's memory. Try a smaller size."""

    code = "out_of_memory"


class RenderFailed(EngineError):
    """The model failed on this picture ({reason})."""

    code, retryable = "render_failed", False


class InvalidSetup(EngineError):
    """The engine can't be set up like this: {reason}."""

    code, retryable = "invalid_setup", True  # by whoever runs it; the jobs are fine, and wait for that


class EngineFault(EngineError):
    """The engine made a mistake ({reason}). The job waits and starts again by itself."""

    code, retryable = "engine_fault", True


class DeviceLost(EngineError):
    """The graphics device failed. The job waits and starts again by itself."""

    code, retryable = "device_lost", True


class WorkerLost(EngineError):
    """The worker that was painting has stopped. The job waits and starts again by itself."""

    code, retryable = "worker_lost", True


class GivenUp(EngineError):
    """Each worker that painted this stopped, so it was given up. Try other settings."""

    code = "given_up"


class EngineClosed(EngineError):
    """Easel is restarting. The job waits and starts again by itself."""

    code, retryable = "engine_closed", True


_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/'\"`]+/)+(?=[^\s/])")  # members need not know where on a disk things are


def said_by(error: BaseException) -> str:
    """What an error says; its kind where that is nothing, or it fails to say it."""
    with suppress(Exception):
        if said := str(error).strip():
            return said
    return type(error).__name__


def first_line(error: BaseException) -> str:
    """What a library's error says, short enough for one sentence."""
    lines = [line.strip() for line in said_by(error).splitlines()]
    whole = " ".join(lines[: 1 + lines[0].endswith(":")])  # torch says in the next line what it found
    return _FOLDERS.sub("", whole)[:200].rstrip(".")


# What is wrong and how to mend it, where several backends refuse the same thing with InvalidRequest.
NO_CAPTIONER = "No model here can describe pictures.", "Whoever runs this bot can configure a captioner."
NO_SEGMENTER = (
    "No model here can find things in pictures by their name.",
    "Mark the region in another way; whoever runs this bot can configure a segmenter.",
)
NO_HELPER = "No model here can write prompts.", "Whoever runs this bot can configure a prompt helper."
NO_RANKER = (
    "Nothing here can tell which picture matches the prompt best.",
    "Leave 'best' out; whoever runs this bot can configure a ranker.",
)
NOTHING_THERE = "Nothing in the picture looks like that.", "Use another word for it, or mark the region in another way."
