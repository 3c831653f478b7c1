"""LoRAs in prompts on Discord: shown, painted, refused with a sentence, allowed by role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.config import Settings
from bot.demo.simulation import Stage, stage
from engine.fake import MINI, FakeEngine
from tests.e2e.screen import paint, words

INFO = replace(MINI, loras=("waves", "ink"), embeddings=("dawn",), small_world=True)


@pytest.fixture
async def lora_studio(tmp_path: Path) -> AsyncIterator[Stage]:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", min_free_mib=0)
    async with stage(settings, make_engine=lambda: FakeEngine((INFO,))) as running:
        yield running
        await running.idle()
        assert await running.app.store.problems() == []


async def says(studio: Stage, command: str, who: str = "Ann", **options: object) -> str:
    return words((await studio.members[who].slash(studio.channel, command, **options)).response)


async def test_a_lora_is_shown_painted_and_allowed_by_role(lora_studio: Stage) -> None:
    studio = lora_studio
    listed = (await says(studio, "models")).replace("\\", "")
    assert "LoRAs, used as <lora:name:0.8> in the prompt: waves, ink" in listed
    assert "Words it has learned: dawn" in listed
    shown = await paint(studio, "a red boat at dawn <lora:waves:0.8>")
    assert "does not know" not in words(shown)
    assert "Did you mean" in await says(studio, "imagine", prompt="a boat <lora:wave:1>")
    everyone = studio.guild.default_role
    assert "no LoRA 'oil'" in await says(studio, "admin quota", "Ada", role=everyone, loras="oil")
    assert "LoRAs ink" in await says(studio, "admin quota", "Ada", role=everyone, loras="Ink")
    refusal = await says(studio, "imagine", prompt="a boat <lora:waves:0.8>")
    assert "You can't use the LoRA waves here. You can use: ink" in refusal.replace("\\", "")
    assert "no LoRAs" in await says(studio, "admin quota", "Ada", role=everyone, loras="none")
    assert "all LoRAs" in await says(studio, "admin quota", "Ada", role=everyone, loras="*")
    await paint(studio, "a boat <lora:waves:0.8>")
