"""Bytes of one message: a JSON head, and what isn't text beside it. Knows no message; never trusts a peer.

    u32 length of the head | head: {"sizes": [of each attachment], "said": anything plain} | attachments

All numbers are big-endian. JSON can't name a class or a function, so whatever a peer sends stays data.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, NoReturn

MAX_HEAD = 4 << 20  # a few thousand LoRAs' names; JSON takes some twenty times its bytes once it's read
MAX_FRAME = 256 << 20  # the pixels of an 8192 x 8192 picture, and some room
MAX_ATTACHMENTS = 4096  # a model's list has a small picture for each model and LoRA that brings one
LENGTH = struct.Struct(">I")

Buffer = bytes | bytearray | memoryview


class Malformed(Exception):
    """What came is no message. The peer is of another kind, broken, or hostile: nothing more is read from it."""


def joined(said: Any, attachments: Sequence[Buffer] = ()) -> list[Buffer]:
    """A message's frame, in parts that are to be sent one behind the other."""
    sizes = [memoryview(each).nbytes for each in attachments]
    head = json.dumps({"sizes": sizes, "said": said}, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    encoded = head.encode()
    return [LENGTH.pack(len(encoded)) + encoded, *attachments]


def parted(frame: Buffer) -> tuple[Any, list[memoryview]]:
    """What a frame says, and its attachments, which are views of it. Raises: Malformed."""
    view = memoryview(frame)
    if view.nbytes < LENGTH.size:
        raise Malformed("the frame is cut off")
    (length,) = LENGTH.unpack_from(view)
    if length > min(MAX_HEAD, view.nbytes - LENGTH.size):
        raise Malformed("the frame's head is larger than it may be")
    head = _head(bytes(view[LENGTH.size : LENGTH.size + length]))
    sizes = head.get("sizes")
    if not isinstance(sizes, list) or len(sizes) > MAX_ATTACHMENTS or "said" not in head:
        raise Malformed("the frame's head is none")
    rest, attachments = view[LENGTH.size + length :], []
    for size in sizes:
        if type(size) is not int or not 0 <= size <= rest.nbytes:
            raise Malformed("an attachment is cut off")
        attachments.append(rest[:size])
        rest = rest[size:]
    if rest.nbytes:
        raise Malformed("there is more than the frame says")
    return head["said"], attachments


def _head(encoded: bytes) -> dict[str, Any]:
    try:
        head = json.loads(encoded.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, a number or a nesting without end
        raise Malformed(f"the frame's head can't be read ({type(error).__name__})") from None
    if not isinstance(head, dict):
        raise Malformed("the frame's head is no object")
    return head


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)
