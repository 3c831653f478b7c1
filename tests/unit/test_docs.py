"""The documents are code: what they promise exists, and what exists is in them."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from bot.cli import serve
from bot.cli.main import build_parser
from bot.cli.parsers import EDITS
from bot.config import OLD_NAMES, Settings
from bot.features.operations.metrics import Metrics
from bot.process import FAILED, MISCONFIGURED
from bot.prompt import flags
from bot.store.clock import ManualClock

ROOT = Path(__file__).parents[2]
TEST_COMMAND = "python3 install.py test && .venv/bin/pytest"
PAGES = ["README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
MORE = {"EASEL_KILLS", *(f"EASEL_{name}" for name in OLD_NAMES)}  # of tests, and what is still read
DEMO_COMMAND = "python3 install.py demo && .venv/bin/easel demo"
PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]
MEMBERS = sorted(path.stem for path in (ROOT / "docs" / "members").glob("*.md"))


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def defaults() -> dict[str, str]:
    """Every key with its default, as one writes it into `.env`."""
    found = {}
    for name, setting in Settings.model_fields.items():
        value = setting.default
        plain = json.dumps(value) if isinstance(value, (bool, dict)) else str(value)
        plain = ", ".join(value) if isinstance(value, tuple) else plain
        found[f"EASEL_{name.upper()}"] = "" if isinstance(value, SecretStr) else plain
    return found


def commands() -> list[str]:
    (choices,) = (action.choices for action in build_parser()._actions if isinstance(action.choices, dict))
    return list(choices)


def test_env_example_is_every_setting_with_its_default() -> None:
    assert dict(re.findall(r"^#?(EASEL_\w+)=(.*)$", text(".env.example"), re.M)) == defaults()


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_a_page_names_is_one(page: str) -> None:
    named = set(re.findall(r"\bEASEL_[A-Z0-9_]+\b", text(page)))
    assert named - set(defaults()) - MORE == set()


def test_every_figure_is_listed() -> None:
    named = set(re.findall(r"`(easel_\w+)`", text("docs/self-hosting.md")))
    there = {family.name for family in Metrics(ManualClock()).registry.collect()}
    assert named == {name for name in there if name.startswith("easel_")}


def test_the_exit_codes_are_the_ones_it_ends_with() -> None:
    sentence = text("docs/self-hosting.md").split("Its exit code says what to do:")[1].split("; the sentence")[0]
    assert {int(number) for number in re.findall(r"\b(\d+) \w", sentence)} == {0, FAILED, MISCONFIGURED}


def test_configuration_is_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(EASEL_\w+)` \| (?:`(.*?)`|empty) \| (.+) \|$", text("docs/configuration.md"), re.M)
    assert {key: default for key, default, _ in rows} == defaults()
    for name, setting in Settings.model_fields.items():
        meaning = next(meaning for key, _, meaning in rows if key == f"EASEL_{name.upper()}")
        assert meaning.startswith(setting.description or "?")


def test_every_command_and_flag_is_documented() -> None:
    page = text("docs/commands.md")
    assert [name for name in commands() if not re.search(rf"^\| `easel {name}( [A-Z]+)?` \|", page, re.M)] == []
    assert [flag.name for flag in flags.FLAGS.values() if f"`--{flag.name}" not in page] == []


def test_every_option_of_imagine_and_the_edits_is_documented() -> None:
    (choices,) = (action.choices for action in build_parser()._actions if isinstance(action.choices, dict))
    actions = [action for name in ("imagine", *EDITS) for action in choices[name]._actions]
    options = {option for action in actions for option in action.option_strings} - {"-h", "--help"}
    page = text("docs/commands.md")
    assert [option for option in options if f"`{option}`" not in page and f"`{option} " not in page] == []


def test_the_readme_commands_are_the_ones_that_are_run() -> None:
    assert {TEST_COMMAND, DEMO_COMMAND} <= set(text("README.md").splitlines())
    assert text(".ci/run").splitlines()[-1] == TEST_COMMAND
    assert TEST_COMMAND in text(".github/workflows/ci.yml")
    assert DEMO_COMMAND in text("docs/quickstart.md")
    assert "python3 install.py $*" in text("Makefile")


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text(page))
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("language", MEMBERS)
def test_the_members_page_says_the_same_in_every_language(language: str) -> None:
    ours, english = text(f"docs/members/{language}.md"), text("docs/members/en.md")
    for kind in (r"`[^`]+`", r"^#+ ", r"^\|", r"\*\*[UV]\d\*\*"):  # what is typed; headings; rows; buttons
        assert sorted(re.findall(kind, ours, re.M)) == sorted(re.findall(kind, english, re.M))
    assert {f"[{name}]" for name in re.findall(r"\[(.+?)\]\(", english)} <= {f"[{name}]" for name in links(ours)}


def links(page: str) -> set[str]:
    """The names of a page's links, with the language it is in, which is no link there."""
    return {*re.findall(r"\[(.+?)\]\(", page), *re.findall(r"\*\*(\w+)\*\*", page)}


def test_the_container_needs_no_build_extensions() -> None:
    dockerfile = text("Dockerfile")
    assert "<<" not in dockerfile
    assert not re.search(r"COPY .*--(link|exclude)|--mount", dockerfile)
    assert "install.py run" in dockerfile
    assert "requirements.lock" in dockerfile
    assert "USER 10001:10001" in dockerfile
    assert "HEALTHCHECK" in dockerfile


def test_pytorch_is_a_layer_of_its_own() -> None:
    """An update of Easel must not download it again: it is copied before and apart from everything that changes."""
    copies = re.findall(r"^COPY --from=(\w+) (\S+) ", text("Dockerfile"), re.M)
    assert copies == [("torch", "/opt/easel"), ("packages", "/opt/packages"), ("packages", "/opt/app")]
    torch_stage = text("Dockerfile").split("\nFROM ")[1]
    assert "bot" not in torch_stage
    assert "--only torch" in torch_stage


def test_compose_mounts_models_and_runs_as_any_user() -> None:
    compose = text("compose.yaml")
    for part in ("/models:ro", "${PUID:-10001}:${PGID:-10001}", "data:/data", "read_only: true", "cap_drop: [ALL]"):
        assert part in compose
    asked = set(re.findall(r"\$\{(\w+):-", compose + text("compose.gpu.yaml") + text("compose.rocm.yaml")))
    page = text("docs/self-hosting.md")
    assert {name for name in asked if name not in page} == set()


def test_a_release_pushes_what_the_page_names() -> None:
    workflow, page = text(".github/workflows/release.yml"), text("docs/self-hosting.md")
    suffixes = re.findall(r'torch: (\w+), suffix: "(.*?)"', workflow)
    assert suffixes == [("cpu", ""), ("cuda", "-cuda")]
    assert "-cuda" in page
    assert "digest" in workflow


def test_stopping_gets_the_time_it_may_need() -> None:
    """What a service manager kills earlier would be painted again."""
    needed_s = Settings.model_fields["shutdown_grace_s"].default + serve.STOPPING_S
    stops = [
        *re.findall(r"stop_grace_period: (\d+)s", text("compose.yaml")),
        *re.findall(r"TimeoutStopSec=(\d+)", text("docs/self-hosting.md")),
    ]
    assert len(stops) == 2
    assert all(int(seconds) > needed_s for seconds in stops)


def test_a_service_is_not_started_again_for_what_only_a_person_mends() -> None:
    assert f"RestartPreventExitStatus={MISCONFIGURED}" in text("docs/self-hosting.md")


def typed(page: str) -> list[list[str]]:
    """The `easel` commands in a page's code blocks, as a shell hands them over."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text(page), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    found = [match[1] for line in lines for match in re.finditer(r"(?:^|&& )(?:\.venv/bin/)?easel ([^&\n]+)", line)]
    inside = [match[1] for line in lines for match in re.finditer(r"(?:exec|run --rm) easel (?:easel )?(.+)$", line)]
    return [shlex.split(command, comments=True) for command in (*found, *inside)]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_the_pages_can_be_typed(page: str) -> None:
    for words in typed(page):
        _, extra = build_parser().parse_known_args(words)
        assert not extra or words[0] in ("imagine", *EDITS), words


def test_the_pages_have_commands_to_type() -> None:
    assert ["restore", "/mnt/nas/easel.zip"] in typed("docs/self-hosting.md")
    assert ["backup"] in typed("docs/self-hosting.md")


@pytest.mark.parametrize("path", [*sorted(ROOT.glob("compose*.yaml")), *sorted(ROOT.glob(".github/workflows/*.yml"))])
def test_compose_and_workflows_are_yaml(path: Path) -> None:
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.name.startswith("compose"):
        assert set(read["services"]) == {"easel"}
    for job in read.get("jobs", {}).values():
        assert job["runs-on"]
        assert all("uses" in step or "run" in step for step in job["steps"])
