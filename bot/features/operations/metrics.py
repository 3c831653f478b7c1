"""Figures for Prometheus: the queue, steps, deliveries, errors, memory, Discord. Counted here, read by `metrics_page`.

No figure has a member, a server or a prompt in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from bot.jobs.event_relay import Listener
from bot.jobs.outbox import Courier, Receipt, TryLater, Undeliverable
from bot.jobs.records import Job, OutboxEntry, StoredImage
from bot.store.clock import Clock
from engine.api.events import Cancelled, Event, Failed, Finished, Progress, Started
from engine.backend import WorkerStatus

WAIT_S = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)
STEP_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """Everything that is counted while the bot runs; `page` is the text that Prometheus reads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.wait_s = self._histogram("easel_queue_wait_seconds", "From the order to the first step.", WAIT_S, "lane")
        self.step_s = self._histogram("easel_step_seconds", "One denoising step of a job's images.", STEP_S)
        self.ended = self._counter(
            "easel_jobs", "Jobs that left the engine; a retried one counts each time.", "outcome"
        )
        self.deliveries = self._counter("easel_deliveries", "Tries to deliver.", "outcome")
        self.refusals = self._counter("easel_refusals", "What members were refused.", "code")
        self.errors = self._counter("easel_errors", "Errors in the log.", "logger")
        self.waiting = self._gauge("easel_jobs_waiting", "Jobs in the queue.", "lane")
        self.running = self._gauge("easel_jobs_running", "Jobs in the engine.")
        self.owed = self._gauge("easel_deliveries_owed", "Deliveries that are still to be made.")
        self.latency_s = self._gauge("easel_gateway_latency_seconds", "From a heartbeat at the gateway to its answer.")
        self.connected = self._gauge("easel_gateway_connected", "1 while every shard is connected.")
        self.servers = self._gauge("easel_servers", "Servers that the bot is in.")
        self.models = self._gauge("easel_models_loaded", "Models in memory.")
        self.device_bytes = self._gauge("easel_device_memory_bytes", "Memory of the device that Easel holds.")
        self.disk_bytes = self._gauge("easel_disk_free_bytes", "Free on the disk of the pictures.")
        self.pool_waiting = self._gauge("easel_pool_waiting", "Work that waits for a thread.", "pool")
        self.pool_busy = self._gauge("easel_pool_busy", "Threads that work.", "pool")
        self.up = self._gauge("easel_engine_up", "1 while the engine can paint.")
        self.worker_up = self._gauge("easel_worker_up", "1 while this worker takes jobs.", "worker")
        self.worker_jobs = self._gauge("easel_worker_jobs", "Jobs that this worker was given.", "worker")
        self.worker_ends = self._gauge("easel_worker_ends", "How often this worker was gone.", "worker")
        self.worker_drained = self._gauge("easel_worker_drained", "Whether it is to get no more jobs.", "worker")
        self.worker_bytes = self._gauge("easel_worker_memory_bytes", "Memory that this worker holds.", "worker")
        self._by_worker = (
            self.worker_up,
            self.worker_drained,
            self.worker_jobs,
            self.worker_ends,
            self.worker_bytes,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=buckets)

    def page(self) -> bytes:
        return generate_latest(self.registry)

    def show_workers(self, workers: Sequence[WorkerStatus]) -> None:
        """How the engine's workers are now; those that have left are shown no more."""
        for gauge in self._by_worker:
            gauge.clear()
        for worker in workers:
            self.worker_up.labels(worker.name).set(worker.up)
            self.worker_drained.labels(worker.name).set(worker.drained)
            self.worker_jobs.labels(worker.name).set(worker.running + worker.queued)
            self.worker_ends.labels(worker.name).set(worker.ends)
            self.worker_bytes.labels(worker.name).set(worker.memory_bytes)

    def listening(self, listener: Listener) -> Listener:
        """A listener that counts what it hears, and passes it on."""
        return _CountingListener(self, listener, self._clock)

    def carrying(self, courier: Courier) -> Courier:
        """A courier that counts how its tries end."""
        return _CountingCourier(self, courier)

    def refusing(self, count: Callable[[int, str], Awaitable[None]]) -> Callable[[int, str], Awaitable[None]]:
        """Count refusals here, too."""

        async def counting(guild_id: int, code: str) -> None:
            self.refusals.labels(code).inc()
            await count(guild_id, code)

        return counting

    def log_handler(self) -> logging.Handler:
        """A handler that counts the errors of each logger."""
        return _CountingHandler(self.errors)


class _CountingListener:
    def __init__(self, metrics: Metrics, listener: Listener, clock: Clock) -> None:
        self._metrics, self._listener, self._clock = metrics, listener, clock
        self._steps: dict[int, tuple[int, float]] = {}  # by job: steps that were done, and when

    async def on_event(self, job: Job, event: Event) -> None:
        self._count(job, event)
        await self._listener.on_event(job, event)

    def _count(self, job: Job, event: Event) -> None:
        now_s = time.perf_counter()
        if isinstance(event, Started):
            waited_ms = max(0, self._clock.now_ms() - job.created_at)  # clocks jump
            self._metrics.wait_s.labels(job.lane).observe(waited_ms / 1000)
            self._steps[job.id] = 0, now_s
        elif isinstance(event, Progress) and job.id in self._steps:
            step, at_s = self._steps[job.id]
            if event.step > step:
                self._metrics.step_s.observe((now_s - at_s) / (event.step - step))
                self._steps[job.id] = event.step, now_s
        elif isinstance(event, Finished | Failed | Cancelled):
            self._steps.pop(job.id, None)
            outcome = event.error.code if isinstance(event, Failed) else type(event).__name__.lower()
            self._metrics.ended.labels(outcome).inc()


class _CountingCourier:
    def __init__(self, metrics: Metrics, courier: Courier) -> None:
        self._outcomes, self._courier = metrics.deliveries, courier

    async def deliver(self, owed: OutboxEntry, job: Job, images: Sequence[StoredImage]) -> Receipt:
        outcome = "failed"
        try:
            receipt = await self._courier.deliver(owed, job, images)
            outcome = "delivered"
            return receipt
        except TryLater:
            outcome = "later"
            raise
        except Undeliverable:
            outcome = "undeliverable"
            raise
        finally:
            self._outcomes.labels(outcome).inc()


class _CountingHandler(logging.Handler):
    def __init__(self, errors: Counter) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        self._errors.labels(record.name).inc()
