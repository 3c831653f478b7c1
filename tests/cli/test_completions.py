"""What shells complete is what the parser knows."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bot.__main__ import main
from bot.cli.completions import SHELLS, script
from bot.cli.main import build_parser


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_its_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    subprocess.run([shell, "-n"], input=script(build_parser(), shell), text=True, check=True)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["easel", "im"], ["imagine"]),
        (["easel", "imagine", "--ste"], ["--steps"]),
        (["easel", "upscale", "--mode", "cr"], ["creative"]),
    ],
)
def test_bash_completes_commands_options_and_values(words: list[str], offered: list[str]) -> None:
    line = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _easel; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(
        ["bash"], input=script(build_parser(), "bash") + line, text=True, capture_output=True, check=True
    )
    assert done.stdout.split() == offered


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completions", "zsh"]) == 0
    assert "imagine" in capsys.readouterr().out
