"""Models and LoRAs as admins name them in a quota: by the keys of those that are loaded. Knows no Discord."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.errors import BadInput
from bot.languages.speech import N_, _, later
from bot.orders import drafts
from bot.prompt.text import quoted
from engine.api.model_info import ModelInfo


class LoadedNames:
    """The `Known` of the table of limits; `*` stands for all."""

    def __init__(self, loaded: Callable[[], Sequence[ModelInfo]]) -> None:
        self._loaded = loaded

    def models(self, names: list[str]) -> frozenset[str]:
        """The models' keys. Raises: BadInput."""
        known = self._loaded()
        return frozenset("*" if name == "*" else drafts.find_model(known, name).key for name in names)

    def loras(self, names: list[str]) -> frozenset[str]:
        """The LoRAs' keys. Raises: BadInput."""
        known = {key.casefold(): key for info in self._loaded() for key in info.loras}
        unknown = [name for name in names if name != "*" and name.casefold() not in known]
        if unknown:
            there = ", ".join(known.values()) or later(_, N_("none yet"))
            raise BadInput(
                "There is no LoRA {unknown}. Name some of these, or * for all: {there}.",
                unknown=quoted(", ".join(unknown)),
                there=there,
            )
        return frozenset(known.get(name.casefold(), name) for name in names)

    def matching(self, typed: str) -> list[str]:
        """A list of models with its last name completed, in every way there is."""
        *before, last = typed.split(",")
        keys = [info.key for info in self._loaded() if last.strip().lower() in info.key]
        return [",".join([*before, key]) for key in keys]
