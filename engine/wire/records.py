"""Records as plain values and back, by the types of their fields. Knows no message; never trusts a peer.

`Plain` takes frozen dataclasses, tuples, mappings, pictures, bytes and errors; `Rich` makes them again where a type
asks for them, and raises `Malformed` for whatever isn't of that type. Which class is made follows from the type alone,
so a peer can choose among those that a field allows, and nothing else.
"""

from __future__ import annotations

import math
import types
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from PIL import Image

from engine.api import errors
from engine.api.errors import EngineError
from engine.api.events import Preview
from engine.wire import pictures
from engine.wire.frames import Buffer, Malformed
from engine.wire.pictures import Form

T = TypeVar("T")
IS = "is"  # which of several classes a record is of
MAX_DEPTH = 32
ERRORS: Mapping[str, type[EngineError]] = {
    kind.__name__: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EngineError)
}


# ---------------------------------------------------------------- out
@dataclass(slots=True)
class Plain:
    """Makes records plain. `form`: how pictures are sent. `attachments`: what isn't text, as it was found."""

    form: Form = "raw"
    attachments: list[Buffer] = field(default_factory=list)

    def of(self, value: Any) -> Any:
        """A record's plain value. Raises: TypeError for what can't be sent."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if isinstance(value, Mapping):
            return {str(key): self.of(each) for key, each in value.items()}
        if isinstance(value, frozenset):
            return sorted(self.of(each) for each in value)
        if isinstance(value, tuple | list):
            return [self.of(each) for each in value]
        return self._special(value)

    def _special(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return self._attached(value)
        if isinstance(value, Image.Image):
            return self._picture(value, self.form)
        if isinstance(value, EngineError):
            return {IS: type(value).__name__, "code": value.code, "text": str(value)}
        names = _names(cast(Hashable, type(value)))
        if isinstance(value, Preview):
            picture = self._picture(value.image, "webp" if self.form == "png" else self.form)
            return {IS: "Preview"} | {n: picture if n == "image" else self.of(getattr(value, n)) for n in names or ()}
        if names is not None:
            return {IS: type(value).__name__} | {name: self.of(getattr(value, name)) for name in names}
        raise TypeError(f"a {type(value).__name__} can't be sent")

    def _picture(self, image: Image.Image, form: Form) -> dict[str, Any]:
        image = pictures.sendable(image) if form != "webp" else image.convert("RGB")
        data = pictures.encoded(image, form)
        return {"form": form, "mode": image.mode, "size": list(image.size), "data": self._attached(data)}

    def _attached(self, data: Buffer) -> int:
        self.attachments.append(data)
        return len(self.attachments) - 1


# ---------------------------------------------------------------- in
@dataclass(slots=True)
class Rich:
    """Makes records of plain values. `attachments`: of the frame that they came in."""

    attachments: Sequence[Buffer] = ()
    _depth: int = 0

    def of(self, kind: Any, value: Any) -> Any:
        """The value as one of that type. Raises: Malformed; EngineError where a record itself refuses its values."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Malformed("it is nested too deeply")
        try:
            return self._of(kind, value)
        finally:
            self._depth -= 1

    def _of(self, kind: Any, value: Any) -> Any:
        if kind is Any:
            return self._anything(value)
        if kind in (str, int, float, bool):
            return _scalar(kind, value)
        origin = get_origin(kind)
        if origin is Literal:
            if isinstance(value, str | int) and value in get_args(kind):
                return value
            raise Malformed("a word is none of those that are allowed")
        if origin in (Union, types.UnionType):
            return self._one_of(get_args(kind), value)
        if origin is not None:
            return self._many(origin, get_args(kind), value)
        return self._special(kind, value)

    def _special(self, kind: Any, value: Any) -> Any:
        if kind is bytes:
            return bytes(self._attachment(value))
        if kind is Image.Image:
            return self._picture(value)
        if isinstance(kind, type) and issubclass(kind, EngineError):
            return _error(value)
        if isinstance(kind, type) and is_dataclass(kind):
            return self._record(kind, value)
        raise Malformed(f"nothing of the type {kind} can come")

    def _record(self, kind: type[T], value: Any) -> T:
        """Fields that are missing have their default, for the peer is older; unknown ones are left out, it is newer."""
        if not isinstance(value, dict) or value.get(IS, kind.__name__) != kind.__name__:
            raise Malformed(f"this is no {kind.__name__}")
        known = _types(cast(Hashable, kind))
        given = {name: self.of(known[name][0], each) for name, each in value.items() if name in known}
        if missing := [name for name, (_, needed) in known.items() if needed and name not in given]:
            raise Malformed(f"a {kind.__name__} has no {missing[0]}")
        try:
            return kind(**given)
        except (TypeError, ValueError, AssertionError) as error:
            raise Malformed(f"this makes no {kind.__name__} ({type(error).__name__})") from None

    def _one_of(self, kinds: tuple[Any, ...], value: Any) -> Any:
        if value is None and type(None) in kinds:
            return None
        named = value.get(IS) if isinstance(value, dict) else None
        if named is None or isinstance(named, str):
            kind = _by_name(kinds).get(named)
            if kind is not None:
                return self.of(kind, value)
        raise Malformed("this is none of what may come here")

    def _many(self, origin: Any, args: tuple[Any, ...], value: Any) -> Any:
        if isinstance(origin, type) and issubclass(origin, Mapping):
            if not isinstance(value, dict):
                raise Malformed("this is no table")
            return {_scalar(str, key): self.of(args[1], each) for key, each in value.items()}
        if not isinstance(value, list):
            raise Malformed("this is no list")
        if origin is tuple and (len(args) != 2 or args[1] is not Ellipsis):
            if len(args) != len(value):
                raise Malformed("a list is too long or too short")
            return tuple(self.of(kind, each) for kind, each in zip(args, value, strict=True))
        if origin not in (tuple, frozenset, Sequence):
            raise Malformed(f"nothing of the type {origin} can come")
        found = tuple(self.of(args[0], each) for each in value)
        return frozenset(found) if origin is frozenset else found

    def _anything(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.of(Any, each) for each in value]
        if isinstance(value, dict):
            return {_scalar(str, key): self.of(Any, each) for key, each in value.items()}
        return _scalar(str, value) if isinstance(value, str) else value

    def _picture(self, value: Any) -> Image.Image:
        if not isinstance(value, dict):
            raise Malformed("this is no picture")
        size = self.of(tuple[int, int], value.get("size"))
        form, mode = _scalar(str, value.get("form")), _scalar(str, value.get("mode"))
        return pictures.decoded(self._attachment(value.get("data")), form, mode, size)

    def _attachment(self, number: Any) -> Buffer:
        if type(number) is not int or not 0 <= number < len(self.attachments):
            raise Malformed("there is no such attachment")
        return self.attachments[number]


def _scalar(kind: Any, value: Any) -> Any:
    if kind is float and type(value) is int and abs(value) < 2**63:
        return float(value)
    if type(value) is not kind:
        raise Malformed(f"this is no {kind.__name__}")
    if kind is str and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a pair: no database and no file takes it
            raise Malformed("a text has half a character") from None
    if kind is int and abs(value) >= 2**63:
        raise Malformed("a number is too large")
    return value


def _error(value: Any) -> EngineError:
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise Malformed("this is no error")
    kind = ERRORS.get(str(value.get(IS)), EngineError)
    return kind(value["text"].encode(errors="replace").decode() or "Something went wrong.")


@lru_cache(maxsize=256)
def _by_name(kinds: tuple[Any, ...]) -> Mapping[str | None, Any]:
    """Which of several types a value is of, by the name that comes with it. Without one: the first plain type."""
    found: dict[str | None, Any] = {}
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, EngineError):
            found |= {name: kind for name in {kind.__name__, *ERRORS} if name not in found}
        elif isinstance(kind, type) and is_dataclass(kind):
            found.setdefault(kind.__name__, kind)
        elif kind is not type(None):
            found.setdefault(None, kind)
    return found


@lru_cache(maxsize=256)
def _names(kind: Any) -> tuple[str, ...] | None:
    """Of a record's fields; None for what is no record."""
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else None


@lru_cache(maxsize=256)
def _types(kind: Any) -> Mapping[str, tuple[Any, bool]]:
    """By field: its type, and whether it has no default."""
    hints = get_type_hints(kind)
    return {
        each.name: (hints[each.name], each.default is MISSING and each.default_factory is MISSING)
        for each in fields(kind)
    }
