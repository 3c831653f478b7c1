"""Easel without Discord: the same bot in a simulated server, for trying it in a browser and for tests."""

from bot.demo.serve import demo, run
from bot.demo.simulation import Stage, stage

__all__ = ["Stage", "demo", "run", "stage"]
