"""Easel without Discord: the same bot in a simulated server, for trying it in a browser and for tests."""

from bot.demo.simulation import Stage, run, stage

__all__ = ["Stage", "run", "stage"]
