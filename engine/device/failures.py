"""What a library raised, as one job's failure. The device's own errors are nobody's job."""

from __future__ import annotations

import logging

from engine.api.errors import EngineError, RenderFailed
from engine.device import devices

log = logging.getLogger(__name__)


def failure(error: Exception, what: str) -> EngineError:
    """An error as one job's failure; `what` goes into the log. Raises: `error`, when the device itself is gone."""
    if devices.is_device_error(error):
        raise error
    if isinstance(error, EngineError):
        return error
    log.warning(what, exc_info=error)
    return RenderFailed(reason=(str(error).strip().splitlines() or [type(error).__name__])[0][:200])
