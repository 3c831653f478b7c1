"""What a library raised, as one job's failure. The device's own errors are nobody's job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from torch import nn

from engine.api.errors import (
    EngineError,
    ModelTooLarge,
    ModelUnloadable,
    OutOfMemory,
    RenderFailed,
    first_line,
    said_by,
)
from engine.device import devices

T = TypeVar("T")
log = logging.getLogger(__name__)


def attempt(work: Callable[[], T]) -> T | Exception:
    """What `work` returns, or what it raised. Raises: the device's own errors; nothing on it can be trusted then.

    The edge between the engine and everything it serves: pipelines, modules, files and judges may raise whatever they
    like, and it must cost the one job (or question, or file) for which they were called.
    """
    try:
        return work()
    except Exception as error:  # an outer edge, and the only one between one job and the others: see above
        if devices.is_device_error(error):
            raise
        return error


def failure(error: Exception, what: str) -> EngineError:
    """An error as a job's failure, safe to show; `what` goes into the log."""
    if isinstance(error, EngineError):
        return error
    if devices.is_out_of_memory(error):
        return OutOfMemory()
    log.warning(what, exc_info=error)
    return RenderFailed(reason=first_line(error))


def loaded(name: str, load: Callable[[], T]) -> T:
    """What `load` gives. Raises: ModelUnloadable, whatever was wrong with the files of `name`."""
    found = attempt(load)
    if not isinstance(found, Exception):
        return found
    if isinstance(found, EngineError):
        raise found
    if devices.is_out_of_memory(found):
        forget(found)
        raise ModelTooLarge(name=name)
    log.warning("cannot load %s", name, exc_info=found)
    raise ModelUnloadable(name=name, reason=_never_filled(found) or first_line(found)) from found


def too_few(what: str, there: int, needed: int) -> str:
    """What is wrong with weights of which some are missing, as a sentence's end."""
    return f"of {what} only {there:,} of {needed:,} tensors are there; download it again, or take another copy"


def _never_filled(error: Exception) -> str:
    """How much of a module had no weights, where that is what a library stumbled over: it keeps that to itself."""
    trace = error.__traceback__ if "meta tensor" in said_by(error) else None
    while trace is not None:
        for value in tuple(trace.tb_frame.f_locals.values()):
            if isinstance(value, nn.Module) and (told := unfilled(value)):
                return told
        trace = trace.tb_next
    return ""


def unfilled(module: nn.Module) -> str:
    """How much of a module had no weights, as a sentence's end; "" when all of it had."""
    tensors = tuple(module.parameters())
    missing = sum(each.is_meta for each in tensors)
    return too_few(type(module).__name__, len(tensors) - missing, len(tensors)) if missing else ""


def forget(error: BaseException | None) -> None:
    """Drop the frames of an error and of those behind it before trying again: they hold what filled the memory."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
