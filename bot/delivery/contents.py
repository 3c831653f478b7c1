"""What a job's last message holds, cut down step by step where Discord refuses it. Knows no requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from discord.ui import LayoutView

from bot.delivery.image_tools import DoesNotFit, Upload
from bot.jobs.records import Job
from bot.languages.speech import N_, _
from bot.threads.pools import PICTURES

HIDDEN_WORDS = N_("Discord's filter blocks this prompt here, so it isn't shown.")


class Contents:
    """A message and its file.

    Args:
        view: makes the message for a job and its file, a fresh one for each try.
        picture: makes the file, of at most so many bytes, with or without the prompt inside; runs in a worker thread.
            None = a message without a file.
        words: whether the prompt may stand in the file.
    """

    def __init__(
        self,
        job: Job,
        view: Callable[[Job, Upload | None], LayoutView],
        picture: Callable[[int, bool], Upload] | None = None,
        limit_bytes: int = 0,
        *,
        words: bool = True,
    ) -> None:
        self._job, self._view, self._picture, self._limit_bytes = job, view, picture, limit_bytes
        self._words = words
        self._upload: Upload | None = None

    async def make(self) -> tuple[LayoutView, Upload | None]:
        """The message as it should be tried now. Raises: DoesNotFit."""
        if self._picture is not None and self._upload is None:
            self._upload = await PICTURES.run_always(self._picture, self._limit_bytes, self._words)
        return self._view(self._job, self._upload), self._upload

    async def shrink(self) -> bool:
        """Halve the file; False when it can't be any smaller."""
        if self._picture is None or self._upload is None:
            return False
        try:
            most = len(self._upload.data) // 2
            self._upload = await PICTURES.run_always(self._picture, most, self._words)
            self._limit_bytes = most
        except DoesNotFit:
            return False
        return True

    def hide_words(self) -> bool:
        """Leave the prompt out, in the file too; False when it is left out already."""
        if not self._job.spec.prompt and not self._job.spec.negative_prompt:
            return False
        self._job = without_words(self._job)
        self._words, self._upload = False, None
        return True


def without_words(job: Job) -> Job:
    """The job as a message shows it that must not quote its prompt."""
    return replace(job, spec=job.spec.evolve(prompt="", negative_prompt="", note=_(HIDDEN_WORDS)))
