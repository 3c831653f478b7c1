"""A worker in words, for whoever runs the bot. Pure."""

from __future__ import annotations

from bot.prompt.text import shown, visible
from engine.backend import EngineStatus, WorkerStatus


def of_one_engine(status: EngineStatus) -> WorkerStatus:
    """The one engine of a bot, as if it were one of several."""
    held, free = (int(status.facts.get(name, 0)) for name in ("memory_bytes", "free_bytes"))
    return WorkerStatus(
        name=status.device,
        problem=str(status.facts.get("lost", "")),
        up="lost" not in status.facts,
        loaded=status.loaded,
        running=status.running,
        queued=status.queued,
        memory_bytes=held,
        free_bytes=free,
    )


def state(worker: WorkerStatus) -> str:
    """What it does."""
    if not worker.up:
        return "drained" if worker.drained else f"away: {visible(worker.problem)[:200]}"
    work = f"running {worker.running} · queued {worker.queued} · done {worker.done}"
    return f"draining · {work}" if worker.drained else work


def memory(worker: WorkerStatus) -> str:
    """What it holds; "" for nothing that is known."""
    sizes = {"held": worker.memory_bytes, "free": worker.free_bytes}
    told = [f"{size / 1e9:.1f} GB {what}" for what, size in sizes.items() if size]
    return " · ".join([*([f"in memory: {visible(', '.join(worker.loaded))}"] if worker.loaded else []), *told])


def ends(worker: WorkerStatus) -> str:
    """How often it failed, and why the last time; "" for never."""
    if not worker.ends:
        return ""
    times = "once" if worker.ends == 1 else f"{worker.ends} times"
    return f"gone {times}: {visible(worker.last_end)[:200]}"


def line(worker: WorkerStatus) -> str:
    """All of it in one line of a terminal."""
    return " · ".join(filter(None, [state(worker), memory(worker), ends(worker)]))


def paragraph(worker: WorkerStatus) -> str:
    """All of it for a message."""
    known = f"can paint with: {', '.join(worker.models)}" if worker.models else ""
    small = [memory(worker), known, ends(worker)]
    head = f"**{shown(worker.name, 60)}** {shown(state(worker), 300)}"
    return "\n".join([head, *(f"-# {shown(each, 300)}" for each in small if each)])
