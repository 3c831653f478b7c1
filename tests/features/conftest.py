"""The whole bot in the simulated Discord, as for the end-to-end tests."""

from tests.e2e.conftest import settings, studio, unhurried

__all__ = ["settings", "studio", "unhurried"]
