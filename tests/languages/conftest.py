"""The whole bot in the simulated Discord, as for the end-to-end tests."""

from __future__ import annotations

from tests.e2e.conftest import settings, studio, unhurried

__all__ = ["settings", "studio", "unhurried"]
