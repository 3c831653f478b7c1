"""What paints: the device, tried; and every file that is configured, its header and size read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.cli.checks.finding import Check
from bot.config import Settings, vision_options
from engine import mini
from engine.api.errors import InvalidSetup
from engine.fleet import building, cards, judging
from engine.models import catalog
from engine.models.memory import plan
from engine.models.memory.ladder import Room
from engine.models.upscalers import known
from engine.runtime.options import Finding, Reading
from engine.vision import options as vision

if TYPE_CHECKING:
    from engine.device.probe import DeviceReport

MORE = "{} comes with: .venv/bin/python -m pip install '.[{}]'"
NO_JUDGE = f"No model judges pictures. {MORE.format('open_nsfw', 'safety')}"
SMALL_MIB = 512  # of graphics memory that nobody uses: less is hardly enough for Mini


def device(settings: Settings) -> Iterator[Check]:
    """Compute something on it. This loads PyTorch, which takes seconds."""
    if not cards.are_here(settings.device):
        yield _elsewhere(settings)
        return
    try:
        from engine.device import before_torch  # noqa: F401
        from engine.device.probe import probe
    except ImportError as error:
        yield Check("device", "bad", f"PyTorch can't be loaded ({error}). Install Easel again: python3 install.py")
        return
    found, bad = [], []
    for name in cards.named(settings.device):
        try:
            found.append(probe(name, settings.dtype))
        except InvalidSetup as error:
            bad.append(f"EASEL_DEVICE is {settings.device}. {error}")
    for each in found:
        yield from _told(each)
    for sentence in bad:  # of several, the others go on without it
        yield Check("device", "bad", sentence, vital=not found)


def _elsewhere(settings: Settings) -> Check:
    if reason := building.trouble(settings.device, others=settings.lets_workers_in or bool(settings.engines)):
        return Check("device", "bad", f"{reason}.")
    return Check("device", "ok", "this machine paints nothing itself: workers and other engines do.")


def _told(found: DeviceReport) -> Iterator[Check]:
    memory = f"{found.free_mib:,} of {found.total_mib:,} MiB free" if found.free_mib else f"{found.total_mib:,} MiB"
    facts = [found.name, memory, found.dtype, found.runtime, f"driver {found.driver}" if found.driver else ""]
    yield Check("device", "ok", f"{found.device} computes: {', '.join(filter(None, facts))}.")
    if found.hint:
        yield Check("device", "note", found.hint)
    if 0 < found.free_mib < SMALL_MIB:
        yield Check("device", "note", "Hardly any graphics memory is free: another program uses it.")


def files(settings: Settings) -> Iterator[Check]:
    """Look at every model, LoRA, embedding, ControlNet, IP-Adapter, upscaler, and what looks at pictures."""
    if not cards.are_here(settings.device):
        yield from _judge_alone(settings)
        return
    reading = Reading()
    reading.files(
        settings.model,
        settings.models,
        loras=settings.loras,
        embeddings=settings.embeddings,
        ip_adapters=settings.ip_adapters,
        controlnets=settings.controlnets,
        upscaler=known.chosen(settings.upscaler, settings.device),
        sight=vision_options(settings),
    )
    vital = ("model", catalog.key_of(settings.model)), ("setting", "safety")
    for found in reading.findings:
        yield _check(found, vital=(found.kind, found.name) in vital)
    if settings.upscaler == known.AUTO and not known.chosen(settings.upscaler, settings.device):
        yield Check("upscaler", "note", f"Upscales are made by Lanczos. {MORE.format('Real-ESRGAN', 'upscaler')}")
    if settings.safety == vision.AUTO and not vision.is_installed():
        yield Check("safety", "note", NO_JUDGE)


def _judge_alone(settings: Settings) -> Iterator[Check]:
    """What judges pictures where nothing is painted: only what needs no PyTorch can."""
    sight = vision_options(settings)
    if judging.alone(sight) is not None:
        yield Check("safety", "ok", f"{sight.judge} judges pictures of engines that judge none themselves.")
    elif sight.judge:
        sentence = (
            f"{sight.judge} needs PyTorch, so it judges nothing here; set it where the workers are, or open-nsfw."
        )
        yield Check("safety", "note", sentence)
    elif settings.safety == vision.AUTO:
        yield Check("safety", "note", NO_JUDGE)


def memory(settings: Settings) -> Iterator[Check]:
    """How each model on this disk would be kept, with what is free now."""
    if not cards.are_here(settings.device):
        return
    try:
        from engine.device.memory import DeviceMemory
        from engine.device.probe import probe

        found = probe(cards.named(settings.device)[0], settings.dtype)
    except (ImportError, InvalidSetup):
        return  # which the device's own check has told
    device = DeviceMemory.named(found.device)
    room = Room.of_setting(settings.memory << 20) if settings.memory else Room.of_free(device.free_bytes())
    for source in Reading().models(settings.model, settings.models).values():
        if source.on_disk is not None:
            planned = plan.of(source, plan.ITEMSIZES[found.dtype], room, own_memory=device.own)
            yield Check("memory", "ok", f"{source.key}: {planned}; there is room for {room.budget / 1e9:.1f} GB.")


def compiled(settings: Settings) -> Iterator[Check]:
    """Compile something small, where models are to be compiled; this takes seconds more."""
    if not settings.compile or not cards.are_here(settings.device):
        return
    try:
        from engine.device import compiler
        from engine.device.probe import probe

        found = probe(cards.named(settings.device)[0], settings.dtype)
    except (ImportError, InvalidSetup):
        return  # which the device's own check has told
    if reason := compiler.trouble(found.device):
        sentence = f"Nothing can be compiled on {found.device} ({reason}), so models run as they are."
        yield Check("compile", "note", sentence)
    else:
        yield Check("compile", "ok", "Models are compiled; their first picture of each size takes longer.")


def _check(found: Finding, *, vital: bool) -> Check:
    what = found.name if found.kind == "setting" else f"{found.kind} {found.name}"
    if found.problem:
        return Check(what, "bad", f"{found.location}: {found.problem}.", vital=vital)
    if found.later:
        return Check(what, "note", f"{found.location} is downloaded from the hub when it is first needed.")
    built_in = {mini.MODEL: "Easel Mini, built in.", mini.EDITOR: "Easel Mini's editor, built in."}
    return Check(what, "ok", built_in.get(found.location, found.location))
