"""The file in which a running bot says every 15 s how it is, and `easel doctor --health`, which reads it.

Containers ask twice a minute, for ever: so this imports nothing that is large, and reads settings by itself.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping

NAME = "heartbeat"
MAX_AGE_S = 60.0  # it is written every 15 s
DEFAULT_DIR = "easel-data"
KEY = "EASEL_DATA_DIR"
_IN_FILE = re.compile(rf"^\s*(?:export\s+)?{KEY}\s*=\s*(.*?)\s*$", re.IGNORECASE | re.MULTILINE)


def write(folder: str | os.PathLike[str], problems: Mapping[str, str], now_s: float) -> None:
    """Say how the bot is: a sentence for each part that is not well. Raises: OSError."""
    path = os.path.join(folder, NAME)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump({"at": now_s, "problems": dict(problems)}, file)
    os.replace(f"{path}.new", path)


def report(folder: str | os.PathLike[str] | None = None) -> int:
    """Print how the running bot is; the exit code, 0 = well."""
    healthy, sentence = read(data_dir() if folder is None else folder)
    print(sentence)
    return 0 if healthy else 1


def read(folder: str | os.PathLike[str]) -> tuple[bool, str]:
    """Whether the bot of a data folder is well, and what to say of it."""
    try:
        with open(os.path.join(folder, NAME), encoding="utf-8") as file:
            said = json.load(file)
        age_s, problems = time.time() - float(said["at"]), dict(said["problems"])
    except FileNotFoundError:
        return False, f"There is no heartbeat in {folder}: the bot is not running, or still starting."
    except (OSError, ValueError, KeyError, TypeError) as error:
        return False, f"The heartbeat in {folder} can't be read ({error})."
    when = f"The last heartbeat was {age_s:.0f} s ago."
    if not -MAX_AGE_S <= age_s <= MAX_AGE_S:
        return False, f"{when} The bot is not running, or hangs."
    if problems:
        return False, f"{when} {' '.join(f'{part}: {problem}' for part, problem in problems.items())}"
    return True, f"{when} All is well."


def data_dir() -> str:
    """The data folder, as `bot.config.Settings` finds it: the environment, then `.env`, then the default."""
    given = next((value for key, value in os.environ.items() if key.upper() == KEY), "") or _in_file()
    return os.path.expanduser(given or DEFAULT_DIR)


def _in_file() -> str:
    try:
        with open(".env", encoding="utf-8-sig") as file:
            found = _IN_FILE.findall(file.read())
    except (OSError, ValueError):
        return ""
    value = found[-1] if found else ""
    if value[:1] in ("'", '"'):
        return str(value[1:].split(value[0])[0])
    return str(re.split(r"\s#", value)[0].strip())
