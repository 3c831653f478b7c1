"""The wire form: what goes in comes out to the last bit, and nothing that a peer sends does more than be refused."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import tracemalloc
from dataclasses import replace
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import pytest
from PIL import Image

from engine.api.errors import EngineError, InvalidRequest, ModelTooLarge, QueueFull
from engine.api.events import Event, Failed, Finished, ImageReady, Loading, Preview, Progress, Queued, Started
from engine.api.inspection import Forwards, Inspection, LoadedModel
from engine.api.left_out import LeftOut
from engine.api.metadata import encode_png
from engine.api.model_info import About
from engine.api.safety import Verdict
from engine.backend import EngineStatus
from engine.fake import MINI, paint, recipe_of
from engine.tasks import TASKS, resolve
from engine.tasks.blend import Blend
from engine.tasks.edit import Edit
from engine.tasks.inpaint import Inpaint
from engine.tasks.pictures import Guide, Reference
from engine.tasks.txt2img import Txt2Img, Variation
from engine.wire import messages, pictures
from engine.wire.frames import MAX_FRAME, Malformed, joined, parted
from engine.wire.links import FIRST_BYTES, Gone, Link, SocketWire
from engine.wire.messages import (
    Answer,
    Cancel,
    Close,
    Hello,
    Message,
    Need,
    Question,
    Refused,
    SentPicture,
    Setup,
    State,
    Submit,
    Told,
    packed,
    unpacked,
)
from engine.wire.pictures import Form
from engine.wire.records import ERRORS, Rich

PICTURE = paint(5, 96, 64)
ABLE = replace(MINI, family="sdxl", controlnets=("edges",), image_prompts=True)
FRAMES = 10_000


def sent(message: Message, form: Form = "raw") -> Any:
    return unpacked(b"".join(bytes(part) for part in packed(message, form)))


def request(**changes: Any) -> Txt2Img:
    return resolve.complete(Txt2Img(prompt="a red boat", seed=3, **changes), ABLE)


def ready(image: Image.Image) -> ImageReady:
    recipe = replace(recipe_of(request(), 0), adapters={"waves": "ab" * 32}, versions={"torch": "2", "é": "☃"})
    return ImageReady(index=1, image=image, seed=4, recipe=recipe, flagged=True, reason="so “it” is")


# ---------------------------------------------------------------- there and back
EVENTS: tuple[Event, ...] = (
    Queued(position=3, eta_s=None),
    Queued(position=0, eta_s=1.5),
    Loading(model="flux", stage="download", done_bytes=5, total_bytes=30_000_000_000),
    Started(),
    Progress(step=3, steps=20),
    Finished(wait_s=0.25, run_s=3.0),
)
MESSAGES: tuple[Message, ...] = (
    Hello(protocol=1, version="0.1.0"),
    Refused(text="{no} 'way'"),
    Setup(engine="easel", options={"models": {"a": "/b"}, "threads": 1, "memory": None, "list": [1, 2.5, True]}),
    State(
        status=EngineStatus(
            device="cuda", loaded=("mini",), facts={"rounds": 7, "lost": "x"}, memory={"mini": "whole"}
        ),
        models=(replace(MINI, loras=("a", "b"), about=(About(name="mini", thumbnail=b"\xff\xd8\x00"),)),),
        left_out=(LeftOut(kind="LoRA", name="x", reason="it is none"),),
        abilities=frozenset({"describe", "rank"}),
    ),
    Submit(job=7, request={"task": "txt2img", "prompt": "☃"}, user="1", weight=0.5, lane="relax"),
    Need(job=7, sha256s=("ab" * 32,)),
    Cancel(job=7),
    Question(number=1, subject="inspect"),
    Answer(number=1, prompts=("a", "b"), weights=(("a", 0.5), ("b", 1.0)), verdict=Verdict(flagged=True, reason="r")),
    Answer(
        number=2,
        inspection=Inspection(
            models=(LoadedModel(key="m", weights_bytes=5, images=1, adapters={"a": "b"}, variants=()),),
            forwards={"denoise": Forwards(count=1, rows=8, most_rows=8, most_joined=4)},
        ),
    ),
    Close(grace_s=2.0),
    *(Told(job=1, event=event) for event in EVENTS),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_each_message_comes_out_as_it_went_in(message: Message) -> None:
    assert sent(message) == message


def test_no_kind_of_message_is_left_out_here() -> None:
    shown = {type(message) for message in MESSAGES} | {SentPicture}
    assert shown == set(get_args(Message))


@pytest.mark.parametrize("form", ["raw", "png"])
@pytest.mark.parametrize("mode", [*pictures.MODES, "P", "CMYK", "I;16"])
def test_a_picture_keeps_every_bit(form: Form, mode: str) -> None:
    image = PICTURE.convert("L").convert(mode) if mode == "I;16" else PICTURE.convert(mode)
    kept = sent(SentPicture(sha256="0", image=image), form).image
    if mode in pictures.MODES:
        assert (kept.mode, kept.size, kept.tobytes()) == (image.mode, image.size, image.tobytes())
    assert kept.convert("RGB").tobytes() == image.convert("RGB").tobytes()
    assert pictures.sha256_of(kept) == pictures.sha256_of(pictures.sendable(image))


@pytest.mark.parametrize("form", ["raw", "png"])
def test_a_finished_picture_becomes_the_same_file(form: Form) -> None:
    event = ready(PICTURE)
    kept = sent(Told(job=1, event=event), form).event
    assert replace(kept, image=event.image) == event
    assert encode_png(kept.image, kept.recipe) == encode_png(event.image, event.recipe)


def test_a_preview_is_small_on_a_network_and_raw_beside() -> None:
    """Making three kilobytes of it takes longer than copying it does."""
    event = Preview(index=2, image=paint(1, 256, 256), flagged=True)
    kept = sent(Told(job=1, event=event), "png").event
    assert (kept.index, kept.flagged, kept.image.size) == (2, True, (256, 256))
    assert sum(memoryview(part).nbytes for part in packed(Told(job=1, event=event), "png")) < 6000
    assert sent(Told(job=1, event=event), "raw").event.image.tobytes() == event.image.tobytes()


@pytest.mark.parametrize("kind", ERRORS.values())
def test_errors_keep_their_code_and_their_sentence(kind: type[EngineError]) -> None:
    error = kind("What {it} says.")
    kept = sent(Told(job=1, event=Failed(error=error))).event.error
    assert (type(kept), str(kept), kept.code, kept.retryable) == (kind, str(error), kind.code, kind.retryable)


def test_an_error_that_a_newer_worker_knows_is_still_one() -> None:
    kept = unpacked(b"".join(joined({"is": "Told", "job": 1, "event": {"is": "Failed", "error": NEW}})))
    assert isinstance(kept, Told)
    assert isinstance(kept.event, Failed)
    assert (type(kept.event.error), str(kept.event.error)) == (EngineError, "Too hot.")


NEW = {"is": "EngineError", "code": "too_hot", "text": "Too hot."}


def test_what_a_newer_peer_adds_is_passed_over() -> None:
    assert unpacked(b"".join(joined({"is": "Cancel", "job": 3, "why": {"is": "Reason"}}))) == Cancel(job=3)


# ---------------------------------------------------------------- requests
MASK = Image.new("L", (96, 64), 0)
MASK.paste(255, (10, 10, 40, 40))
REQUESTS: tuple[Txt2Img, ...] = (
    request(),
    request(variations=(Variation(seed=5, strength=0.25),), best_of=4, num_images=2, tiling=True, weird=0.5),
    request(controls=(Guide(image=PICTURE, controlnet="edges", conditioning_scale=0.5),)),
    request(references=(Reference(image=PICTURE, weight=0.5, use="style", part=(0.0, 0.5, 1.0, 1.0)),)),
    Inpaint(prompt="a cat", init_image=PICTURE, mask=MASK, strength=0.5, fill="blur", seed=1, width=96, height=64),
    Blend(prompt="", images=(PICTURE, MASK.convert("RGB")), seed=1),
    Edit(prompt="make it blue", images=(PICTURE, PICTURE), seed=1),
)


def painted_anew(asked: Txt2Img) -> Txt2Img:
    """The request as the worker gets it."""
    packet = messages.parcel(asked)
    plain = sent(Submit(job=1, request=packet.request, user="", weight=1.0, lane="fast")).request
    come = messages.request_of(plain)
    assert set(messages.stored_in(come)) == set(packet.pictures)
    return come.loaded(
        {name: sent(SentPicture(sha256=name, image=each)).image for name, each in packet.pictures.items()}
    )


@pytest.mark.parametrize("asked", REQUESTS, ids=lambda asked: asked.task)
def test_a_request_comes_as_it_was_asked(asked: Txt2Img) -> None:
    come = painted_anew(asked)
    assert type(come) is type(asked)
    assert resolve.to_json(come) == resolve.to_json(asked)


def test_one_picture_is_sent_once_however_often_it_is_named() -> None:
    packet = messages.parcel(Edit(prompt="x", images=(PICTURE, PICTURE.copy()), seed=1))
    assert len(packet.pictures) == 1


@pytest.mark.parametrize(
    "changes",
    [{"task": "rm -rf"}, {"task": ["txt2img"]}, {"width": "512"}, {"width": 7}, {"prompt": None}, {"variations": [1]}],
)
def test_a_request_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((Malformed, InvalidRequest)):
        messages.request_of({**messages.parcel(request()).request, **changes})


# ---------------------------------------------------------------- hostile peers
def test_ten_thousand_broken_frames_are_refused() -> None:
    """Bits turned, cut off, doubled, and JSON of other shapes: each is a message or `Malformed`, whatever the peer."""
    dice = random.Random(20)
    good = [b"".join(bytes(part) for part in packed(message, "raw")) for message in MESSAGES]
    good += [
        b"".join(bytes(part) for part in packed(Told(job=1, event=event), form))
        for event in (ready(paint(1, 16, 16)), Preview(index=0, image=paint(1, 16, 16)))
        for form in ("raw", "png")
    ]
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(FRAMES):
            try:
                unpacked(broken(dice, dice.choice(good)))
            except Malformed:
                refused += 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused > FRAMES / 2
    assert most < 16 << 20


def broken(dice: random.Random, frame: bytes) -> bytes:
    match dice.randrange(5):
        case 0:
            return frame[: dice.randrange(len(frame))]
        case 1:
            at = dice.randrange(len(frame))
            return frame[:at] + dice.randbytes(dice.randrange(1, 9)) + frame[at:]
        case 2:
            return dice.randbytes(dice.randrange(64))
        case 3:
            said, attached = parted(frame)
            return b"".join(joined(twisted(dice, said), [bytes(each) for each in attached]))
    changed = bytearray(frame)
    for _ in range(dice.randrange(1, 6)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def twisted(dice: random.Random, value: Any) -> Any:
    """The same with one thing in it replaced by something that has no business there."""
    strange: tuple[Any, ...] = (
        None,
        -1,
        2**70,
        1e308,
        "",
        "\ud800".encode("utf-16", "surrogatepass").hex(),
        [],
        {},
        True,
    )
    if isinstance(value, dict) and value and dice.random() < 0.9:
        name = dice.choice([*value])
        return {**value, name: twisted(dice, value[name])}
    if isinstance(value, list) and value and dice.random() < 0.9:
        at = dice.randrange(len(value))
        return [*value[:at], twisted(dice, value[at]), *value[at + 1 :]]
    return dice.choice(strange)


@pytest.mark.parametrize(
    "head",
    [
        b"[" * 100_000,
        b'{"sizes":[],"said":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"sizes":[],"said":NaN}',
        b'{"sizes":[],"said":' + b"9" * 5000 + b"}",
        b'{"sizes":[-1],"said":1}',
        b'{"sizes":[1e9],"said":1}',
        b'{"sizes":[],"said":{"is":"Refused","text":"\\ud800"}}',
        b'{"sizes":[],"said":{"is":"Popen","args":["id"]}}',
        b'{"sizes":[],"said":{"is":"Setup","engine":"easel"}}',
        b"\x80\x04\x95\x10\x00cos\nsystem\n",
    ],
)
def test_a_head_that_was_made_to_hurt_is_refused(head: bytes) -> None:
    with pytest.raises(Malformed):
        unpacked(struct.pack(">I", len(head)) + head)


def test_a_picture_that_says_to_be_huge_takes_no_memory() -> None:
    for size in ([100_000, 100_000], [65_536, 1], [0, 5], [8193, 8193]):
        picture = {"form": "png", "mode": "RGB", "size": size, "data": 0}
        with pytest.raises(Malformed, match="larger"):
            unpacked(b"".join(joined({"is": "SentPicture", "sha256": "0", "image": picture}, [b"x"])))


def test_a_picture_that_lies_about_its_size_is_refused() -> None:
    data = pictures.encoded(PICTURE, "png")
    picture = {"form": "png", "mode": "RGB", "size": [96, 65], "data": 0}
    with pytest.raises(Malformed, match="another size"):
        unpacked(b"".join(joined({"is": "SentPicture", "sha256": "0", "image": picture}, [data])))


# ---------------------------------------------------------------- sockets
async def linked() -> tuple[Link, SocketWire, socket.socket]:
    """A link, and the other end of its socket as a peer of any kind has it."""
    here, there = socket.socketpair()
    there.setblocking(False)
    wire = await SocketWire.over(here)
    return Link(wire, "raw"), wire, there


async def test_large_and_small_messages_keep_their_order() -> None:
    here, there = socket.socketpair()
    one, other = Link(await SocketWire.over(here), "raw"), Link(await SocketWire.over(there), "raw")
    large = paint(1, 2048, 1024)

    async def speak() -> None:
        for number in range(5):
            await one.send(Cancel(job=number))
            await one.send(SentPicture(sha256=str(number), image=large))

    task = asyncio.create_task(speak())
    for number in range(5):
        assert await other.receive() == Cancel(job=number)
        come = await other.receive()
        assert isinstance(come, SentPicture)
        assert come.image.tobytes() == large.tobytes()
    await task
    one.close()
    with pytest.raises(Gone):
        await other.receive()
    with pytest.raises(Gone):
        await other.send(Cancel(job=1))
    other.close()
    await asyncio.sleep(0)


async def test_a_length_without_bytes_takes_no_memory() -> None:
    link, wire, peer = await linked()
    loop = asyncio.get_running_loop()
    tracemalloc.start()
    await loop.sock_sendall(peer, struct.pack(">I", MAX_FRAME) + b"x" * 1000)
    await asyncio.sleep(0.05)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * FIRST_BYTES
    peer.close()
    with pytest.raises(Gone):
        await link.receive()
    wire.close()


@pytest.mark.parametrize("length", [0, 3, MAX_FRAME + 1, 2**32 - 1])
async def test_a_length_that_no_frame_has_ends_the_connection(length: int) -> None:
    link, _, peer = await linked()
    await asyncio.get_running_loop().sock_sendall(peer, struct.pack(">I", length))
    with pytest.raises(Malformed):
        await link.receive()
    peer.close()


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_fields_of_every_task_have_types_that_can_be_sent(task: type[Txt2Img]) -> None:
    """A field of another type would be found only when somebody uses it."""
    for kind in get_type_hints(task).values():
        if get_origin(kind) is not ClassVar:
            with pytest.raises(Malformed, match=r"^(?!nothing of the type)"):
                Rich().of(kind, object())


def test_a_full_queue_and_a_large_model_are_told_apart() -> None:
    for error in (QueueFull(retry_after_s=3.0), ModelTooLarge(name="x")):
        assert str(sent(Told(job=1, event=Failed(error=error))).event.error) == str(error)
