"""Words that change from step to step, or are joined by AND, around a pipeline that knows one prompt. For the thread.

A pipeline guides one conditional row by one unconditional one. What stands in the denoiser's place gives each AND its
own row, of the words of that step, and gives back one row that the pipeline's guidance makes the same of: with uncond u
and parts c_i of weights w_i, u + sum w_i (c_i - u) (Liu et al. 2022, Compositional Visual Generation, eq. 11; A1111's
`CFGDenoiser.combine_denoised`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from engine.device.fibers import Stub
from engine.diffusion.embeddings import Embedded
from engine.diffusion.preview import StepWatch
from engine.diffusion.prompt_schedule import Part


@dataclass(frozen=True, slots=True)
class Words:
    """The parts of a prompt, the unwanted ones, and what each of their texts is to the model."""

    wanted: Sequence[Part]
    unwanted: Part
    embedded: Mapping[str, Embedded]
    without: Mapping[str, Embedded]

    def at(self, step: int, *, guided: bool) -> list[Embedded]:
        """Of each row: the unwanted words where it is guided, then the parts."""
        rows = [self.embedded[part.at(step)] for part in self.wanted]
        return [self.without[self.unwanted.at(step)], *rows] if guided else rows

    @property
    def weights(self) -> list[float]:
        return [part.weight for part in self.wanted]


class Conditioned(Stub):
    """Stands in for a UNet's stub: each of its calls reads the words of the step that is being made."""

    def __init__(self, unet: Stub, words: Words, watch: StepWatch) -> None:
        super().__init__(unet._module, "denoise")
        self.__dict__.update(_words=words, _watch=watch)

    def __call__(self, sample: torch.Tensor, time: Any, **kwargs: Any) -> Any:
        words: Words = self._words
        guided = sample.shape[0] == 2
        rows = words.at(self._watch.steps, guided=guided)
        lead = int(guided)

        def spread(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor) or leaf.dim() == 0 or leaf.shape[0] != sample.shape[0]:
                return leaf
            return torch.cat([leaf[:lead], leaf[-1:].expand(len(rows) - lead, *leaf.shape[1:])])

        named = pytree.tree_map(spread, kwargs)
        named["encoder_hidden_states"] = torch.cat([row.states for row in rows])
        if rows[0].pooled is not None:
            named["added_cond_kwargs"] = {
                **named["added_cond_kwargs"],
                "text_embeds": torch.cat([row.pooled for row in rows if row.pooled is not None]),
            }
        output, *rest = super().__call__(spread(sample), time, **named)
        return (_composed(output, words.weights, guided=guided), *rest)


def _composed(output: torch.Tensor, weights: Sequence[float], *, guided: bool) -> torch.Tensor:
    """The rows that the pipeline asked for."""
    if list(weights) == [1.0]:
        return output
    if not guided:  # there is nothing to measure from: the mean, by the weights
        return sum_of(output, weights) / (sum(weights) or 1.0)
    without = output[:1]
    return torch.cat([without, without + sum_of(output[1:] - without, weights)])


def sum_of(rows: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """The weighted sum of rows, (1, ...)."""
    factors = torch.tensor(weights, device=rows.device, dtype=rows.dtype)
    return (rows * factors.reshape(-1, *[1] * (rows.dim() - 1))).sum(0, keepdim=True)
