"""What was done to a picture, in the words people know. Pure; knows no database."""

from __future__ import annotations

from bot.jobs.records import Job, JobKind
from bot.prompt.spec import BlendEdit, ControlEdit, InpaintEdit, OutpaintEdit, Spec, UpscaleEdit

RESAMPLINGS = {"lanczos": "Lanczos"}
ARROWS = {"left": "⬅️", "right": "➡️", "up": "⬆️", "down": "⬇️"}


def title(job: Job) -> str:
    """ "Zoom Out 2x of #12"; nothing for what was painted from words."""
    what = job_title(job.kind, job.spec)
    return what and f"{what}{_whence(job)}"


def job_title(kind: JobKind, spec: Spec) -> str:
    """ "Zoom Out 2x"; nothing for what is painted from words."""
    edit = spec.edit
    if isinstance(edit, InpaintEdit):
        return "Vary (Region)"
    if isinstance(edit, OutpaintEdit):
        return outpainted(edit)
    if isinstance(edit, UpscaleEdit):
        how = "Creative" if edit.mode == "creative" else RESAMPLINGS.get(edit.resampling, edit.resampling)
        return f"Upscale {edit.scale}x ({how})"
    if isinstance(edit, BlendEdit):
        return f"Blend of {len(edit.images)} pictures"
    if isinstance(edit, ControlEdit):
        return followed(edit, varied=kind == "vary")
    return "Variation" if kind == "vary" else ""


def outpainted(edit: OutpaintEdit) -> str:
    """A pan, a zoom, or another proportion."""
    sides = {"left": edit.left, "right": edit.right, "up": edit.top, "down": edit.bottom}
    grown = [name for name, px in sides.items() if px]
    if len(grown) == 1:
        return f"Pan {grown[0]}"
    (width, height), (wide, high) = edit.source, edit.extended
    factor = min(wide / width, high / height)
    if factor < 1.02:
        return "Outpaint"
    return f"Zoom Out {round(factor, 2):g}x"


def followed(edit: ControlEdit, *, varied: bool = False) -> str:
    """ "Control (edges 0.8)"."""
    scale = "" if edit.scale == 1 else f" {round(edit.scale, 2):g}"
    prepared = ", as it is" if edit.prepared else ""
    return f"{'Variation' if varied else 'Control'} ({edit.controlnet}{scale}{prepared})"


def _whence(job: Job) -> str:
    if isinstance(job.spec.edit, BlendEdit):
        return ""
    if job.parent_job_id is not None:
        return f" of #{job.parent_job_id}"
    return " of a deleted picture" if job.parent_image_id else " of an uploaded picture"


def is_exact(spec: Spec) -> bool:
    """Whether nothing is painted, so that no words and no seed matter."""
    return isinstance(spec.edit, UpscaleEdit) and spec.edit.mode == "faithful"


def alone(spec: Spec) -> Spec:
    """The spec without what its deed says already, for the line of flags."""
    return spec.evolve(prompt="", negative_prompt="", init_image=None, strength=None, num_images=4, edit=None)
