"""The training loop that every network shares: optimizer, learning rate, EMA, workers, checkpoints.

Random numbers depend on (seed, worker, step) alone, so a resumed run takes the steps that an unbroken one would have.

Several workers take steps of their own and average their weights every few of them (local SGD, Stich 2018,
arXiv:1805.09767), so that no step waits for the slower one, or sends all gradients. They go on from the first one's
checkpoint, optimizer and all.
"""

import copy
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from engine.mini.train.config import StageConfig

CHECKPOINT_EVERY_S = 120.0
REPORT_EVERY_STEPS = 50
MEET_EVERY_STEPS = 10


@dataclass(frozen=True, slots=True)
class Rng:
    """The random numbers of one step of one worker."""

    choice: random.Random
    torch: torch.Generator

    @classmethod
    def of(cls, seed: int, worker: int, step: int) -> "Rng":
        """Make the generators of a step."""
        choice = random.Random(f"{seed} {worker} {step}")
        return cls(choice, torch.Generator().manual_seed(choice.getrandbits(62)))


Loss = Callable[[int, Rng], Tensor]


class Loop:
    """One training run over a network, resumed from `folder` if it holds a checkpoint.

    Attributes:
        ema: the moving average of the weights (Polyak & Juditsky 1992), which is what ships.
    """

    def __init__(
        self, network: nn.Module, config: StageConfig, folder: Path, *, seed: int = 0, minutes: float | None = None
    ) -> None:
        """Prepare a run; with `minutes` the schedule follows the clock instead of the number of samples."""
        self.network, self.config, self.folder = network, config, folder
        self.ema = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._seed, self._minutes = seed, minutes
        self._weights = [p for p in network.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._weights, config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=True
        )
        self._rank, self._workers = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self._step, self._elapsed_s = 0, 0.0
        self._resume()
        self._met = self._progress()

    def run(self, loss: Loss, on_checkpoint: Callable[[nn.Module], None] | None = None) -> nn.Module:
        """Train to the end and return the averaged weights."""
        self.network.train()
        batch = self.config.batch // self._workers
        tick = saved = time.monotonic()
        recent: list[float] = []
        while (progress := self._agreed()) < 1:
            value = loss(batch, Rng.of(self._seed, self._rank, self._step))
            value.backward()  # type: ignore[no-untyped-call]
            self._update(progress)
            recent.append(float(value.detach()))
            now = time.monotonic()
            self._elapsed_s, tick = self._elapsed_s + now - tick, now
            if self._step % REPORT_EVERY_STEPS == 0:
                self._report(progress, recent)
                recent.clear()
            if now - saved > CHECKPOINT_EVERY_S:
                saved = now
                self._checkpoint(on_checkpoint)
        self._checkpoint(on_checkpoint)
        return self.ema

    def _progress(self) -> float:
        if self._minutes is not None:
            return self._elapsed_s / 60 / self._minutes
        return self._step * self.config.batch / self.config.samples

    def _learning_rate(self, progress: float) -> float:
        """Warm up linearly, hold, and fall linearly to zero over the last `decay_share`."""
        warm = min(1.0, (self._step + 1) / self.config.warmup_steps)
        return self.config.learning_rate * warm * min(1.0, (1 - progress) / self.config.decay_share)

    def _update(self, progress: float) -> None:
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate(progress)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._step += 1
        self._update_ema()

    @torch.no_grad()
    def _update_ema(self) -> None:
        decay = min(self.config.ema, (self._step + 5) / (self._step + 50))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.network.parameters()), 1 - decay)
        for mine, theirs in zip(self.ema.buffers(), self.network.buffers(), strict=True):
            mine.copy_(theirs)

    def _agreed(self) -> float:
        """Return the progress, of several workers that of the first when they last met: their clocks differ."""
        if self._workers == 1:
            return self._progress()
        if self._step % MEET_EVERY_STEPS == 0:
            self._average_weights()
            progress = torch.tensor([self._progress()])
            dist.broadcast(progress, 0)
            self._met = float(progress)
        return self._met

    @torch.no_grad()
    def _average_weights(self) -> None:
        flat = torch.cat([weight.flatten() for weight in self._weights])
        dist.all_reduce(flat)
        flat /= self._workers
        means = torch.split(flat, [weight.numel() for weight in self._weights])
        for weight, mean in zip(self._weights, means, strict=True):
            weight.copy_(mean.view_as(weight))

    def _report(self, progress: float, recent: list[float]) -> None:
        if self._rank:
            return
        samples, mean = self._step * self.config.batch, sum(recent) / len(recent)
        rate = self._learning_rate(progress)
        print(f"{samples} samples {progress:.1%} loss {mean:.4f} lr {rate:.1e} {self._elapsed_s:.0f} s", flush=True)

    def _checkpoint(self, on_checkpoint: Callable[[nn.Module], None] | None) -> None:
        if self._rank:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "network": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self._step,
            "elapsed_s": self._elapsed_s,
        }
        torch.save(state, self.folder / "last.part")
        (self.folder / "last.part").rename(self.folder / "last.pt")
        if on_checkpoint:
            on_checkpoint(self.ema)

    def _resume(self) -> None:
        if not (self.folder / "last.pt").exists():
            return
        state = torch.load(self.folder / "last.pt", map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.ema.load_state_dict(state["ema"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._step, self._elapsed_s = state["step"], state["elapsed_s"]


def join_workers(rank: int, workers: int, meeting_file: Path) -> None:
    """Connect the processes that train one network together, one CPU thread each."""
    if workers > 1:
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method=f"file://{meeting_file}", rank=rank, world_size=workers)
