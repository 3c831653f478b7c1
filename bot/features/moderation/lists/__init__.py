"""Lists of words as text: what servers import and export, and the files that several servers share. Knows no Discord.

A line is a word, or a word, a comma and its rule (`block`, `age` or `flag`); `#` begins a remark. Lists that ship stand
beside this file, those of who runs the bot in the folder `word-lists` of the data directory; theirs go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bot.errors import BadInput, NotFound, said
from bot.features.moderation.store import BlockedWord, WordAction
from bot.features.moderation.word_filter import pattern
from bot.languages.speech import later
from bot.prompt.text import quoted

FOLDER = "word-lists"
MAX_BYTES = 1024 * 1024
MAX_WORDS = 10_000  # of a shared list
RULES: dict[str, WordAction] = {"block": "block", "age": "age", "flag": "flag"}
Version = tuple[int, int]


def read(data: bytes, rule: WordAction, most: int) -> dict[str, WordAction]:
    """Words as they're kept, with their rules; `rule` for those that name none.

    Raises: BadInput, naming the first line that can't be used.
    """
    try:
        lines = data[:MAX_BYTES].decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise BadInput("That isn't a text file. Write one word a line, as UTF-8.") from None
    found: dict[str, WordAction] = {}
    for number, line in enumerate(lines, 1):
        word, _, named = line.partition("#")[0].rpartition(",") if "," in line.partition("#")[0] else _alone(line)
        if not word.strip():
            continue
        if named.strip() and named.strip().lower() not in RULES:
            raise BadInput(
                "Line {number}: there's no rule {named}. Use {rules}.",
                number=number,
                named=quoted(named.strip()),
                rules=", ".join(RULES),
            )
        try:
            found[pattern(word)] = RULES.get(named.strip().lower(), rule)
        except BadInput as error:
            raise BadInput("Line {number}: {error}", number=number, error=later(said, error)) from None
    if len(data) > MAX_BYTES or len(found) > most:
        raise BadInput("A list can hold {most:,} words here. Split it, or leave some out.", most=most)
    return found


def _alone(line: str) -> tuple[str, str, str]:
    return line.partition("#")[0], "", ""


def written(words: Iterable[BlockedWord]) -> bytes:
    """Words as `read` takes them."""
    return "".join(f"{word.word},{word.action}\n" for word in words).encode()


class SharedLists:
    """The files that servers attach by their names."""

    def __init__(self, data_dir: Path) -> None:
        self._folders = (data_dir / FOLDER, Path(__file__).parent)

    def names(self) -> list[str]:
        """What can be attached, in order of the alphabet."""
        return sorted({path.stem for folder in self._folders for path in folder.glob("*.txt")})

    def words(self, name: str, rule: WordAction) -> dict[str, WordAction]:
        """The words of a list. Raises: NotFound, BadInput."""
        return read(self._path(name).read_bytes(), rule, MAX_WORDS)

    def version(self, name: str) -> Version | None:
        """What changes with a list's file; None when there is none."""
        try:
            stat = self._path(name).stat()
        except (NotFound, OSError):
            return None
        return stat.st_mtime_ns, stat.st_size

    def _path(self, name: str) -> Path:
        found = next(self._files(name), None)
        if found is None:
            known = ", ".join(self.names())
            if not known:
                raise NotFound("There are no lists.")
            raise NotFound("There's no list {name}. There are: {known}.", name=quoted(name), known=known)
        return found

    def _files(self, name: str) -> Iterator[Path]:
        """Only by the names there are: a name is never made part of a path."""
        return (path for folder in self._folders for path in sorted(folder.glob("*.txt")) if path.stem == name)
