"""What the bot and a worker say to each other. Each is a record.

`PROTOCOL` counts changes that an older peer can't read.

bot                               worker
 Setup (to a process of its own) ─▶
 ◀── Hello, State again and again, at least every `BEAT_S`
 Picture, Submit ───────────────▶
 ◀── Told: each event of a job
 Cancel, Question, Close ───────▶
 ◀── Need (pictures it has no more), Answer
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from PIL import Image

from engine.api.errors import EngineError
from engine.api.events import Event
from engine.api.inspection import Inspection
from engine.api.left_out import LeftOut
from engine.api.model_info import ModelInfo
from engine.api.safety import Verdict
from engine.backend import Ability, EngineStatus
from engine.tasks import TASKS
from engine.tasks.pictures import Picture, StoredPicture, with_pictures
from engine.tasks.txt2img import Txt2Img
from engine.wire import pictures
from engine.wire.frames import Buffer, Malformed, joined, parted
from engine.wire.pictures import Form
from engine.wire.records import Plain, Rich

PROTOCOL = 1
BEAT_S = 1.0  # a worker that says nothing for several of these hangs, or is gone
Subject = Literal["describe", "weigh", "rewrite", "segment", "check", "inspect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The first word of a worker. `version`: of Easel."""

    protocol: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The last word to a worker that can't be used, for people."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a process that Easel started is to be: which engine, with which of its arguments."""

    engine: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a worker is. None where nothing has changed since the last one."""

    status: EngineStatus
    models: tuple[ModelInfo, ...] | None = None
    left_out: tuple[LeftOut, ...] | None = None
    abilities: frozenset[Ability] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPicture:
    """A picture that jobs will name by its hash."""

    sha256: str
    image: Image.Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Paint this. `request`: plain, with stored pictures in the place of pixels."""

    job: int
    request: Any
    user: str
    weight: float
    lane: str
    adults: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """These pictures of a job are here no more, or not yet."""

    job: int
    sha256s: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Stop a job; harmless when it has ended."""

    job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event of a job."""

    job: int
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something an engine is asked besides painting."""

    number: int
    subject: Subject
    image: Image.Image | None = None
    text: str = ""
    model: str = ""
    adults: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """To one question: what it asked for, or an error."""

    number: int
    error: EngineError | None = None
    prompts: tuple[str, ...] = ()
    weights: tuple[tuple[str, float], ...] = ()
    image: Image.Image | None = None
    verdict: Verdict | None = None
    inspection: Inspection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Take no more, let what runs finish for so long, and end."""

    grace_s: float


Message = Hello | Refused | Setup | State | SentPicture | Submit | Need | Cancel | Told | Question | Answer | Close


def packed(message: Message, form: Form) -> list[Buffer]:
    """A message's frame, in parts."""
    plain = Plain(form)
    return joined(plain.of(message), plain.attachments)


def unpacked(frame: Buffer) -> Message:
    """The message in a frame. Raises: Malformed."""
    said, attachments = parted(frame)
    try:
        message: Message = Rich(attachments).of(Message, said)
    except EngineError as error:  # a record that checks itself: this peer's engine would never have made it
        raise Malformed(str(error)) from None
    return message


# ---------------------------------------------------------------- requests
@dataclass(frozen=True, slots=True)
class Parcel:
    """A request without its pixels: plain, and its pictures by their hash."""

    request: Any
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)


def parcel(request: Txt2Img) -> Parcel:
    """Take a request apart, so that each of its pictures is sent once."""
    found: dict[str, Image.Image] = {}

    def stored(picture: Picture) -> Picture:
        if isinstance(picture, StoredPicture):
            return picture
        image = pictures.sendable(picture)
        sha256 = pictures.sha256_of(image)
        found[sha256] = image
        return StoredPicture(sha256=sha256, size=image.size)

    plain = Plain()
    values = {each.name: plain.of(with_pictures(getattr(request, each.name), stored)) for each in fields(request)}
    return Parcel({"task": request.task, **values}, found)


def request_of(plain: Any) -> Txt2Img:
    """The request, with stored pictures in the place of pixels. Raises: Malformed, EngineError."""
    name = plain.get("task") if isinstance(plain, dict) else None
    task = TASKS.get(name) if isinstance(name, str) else None
    if task is None:
        raise Malformed("this engine knows no such task")
    request: Txt2Img = Rich().of(task, plain)
    return request


def stored_in(request: Txt2Img) -> Sequence[str]:
    """The hashes of the pictures that have to be loaded."""
    return tuple({each.sha256: None for each in request.pictures if isinstance(each, StoredPicture)})
