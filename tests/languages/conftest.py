"""The whole bot in the simulated Discord, as for the end-to-end tests."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import settings, studio, unhurried
from tests.languages.collecting import in_sources

__all__ = ["settings", "studio", "unhurried"]


@pytest.fixture(scope="session", autouse=True)
def files_are_read_once() -> None:
    """Before a bot runs, whose loop would stand still meanwhile."""
    in_sources()
