"""What was done to a picture, in the words people know. Pure; knows no database."""

from __future__ import annotations

from bot.jobs.records import Job, JobKind
from bot.languages.speech import N_, _, engine_words
from bot.prompt.spec import Spec

FINISH = "finish"  # kind of a job that paints a picture of a board in full
MEANING = "meaning"  # kind of a job that paints the idea of a picture anew
_NAMED = {FINISH: N_("Finished version"), MEANING: N_("New picture of the same idea")}
ARROWS = {"left": "⬅️", "right": "➡️", "up": "⬆️", "down": "⬇️"}


def title(job: Job) -> str:
    """ "Zoom Out 2x of picture 3 of #12"; nothing for what was painted from words."""
    what = job_title(job.kind, job.spec)
    return what and f"{what}{_whence(job)}"


def job_title(kind: JobKind, spec: Spec) -> str:
    """ "Zoom Out 2x"; nothing for what is painted from words."""
    if kind == "vary":
        return _("Variation {detail}", detail=engine_words(spec.request.detail)).strip()
    return _(_NAMED[kind]) if kind in _NAMED else engine_words(spec.request.title)


def _whence(job: Job) -> str:
    if job.spec.request.shares:
        return ""
    if job.parent_job_id is not None:
        job_number = job.parent_job_id
        if job.parent_number:
            return _(" of picture {number} of #{job}", number=job.parent_number, job=job_number)
        return _(" of #{job}", job=job_number)
    return _(" of a deleted picture") if job.parent_image_id else _(" of an uploaded picture")


def is_exact(spec: Spec) -> bool:
    """Whether nothing is painted, so that no words and no seed matter."""
    return not spec.request.paints


def is_painted_from_noise(spec: Spec) -> bool:
    """Whether no picture's pixels are in it, so that its words and noise give its neighbours too."""
    return spec.request.paints and spec.request.noise_strength is None
