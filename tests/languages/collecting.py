"""Finds every sentence that is to be translated and keeps the catalogues in step: `make messages`.

A sentence is found where it's written: what `_`, `N_` and `ngettext` get, what errors are raised with, and the texts of
commands. A catalogue keeps its translations, loses what is gone, and gets an empty entry for what is new.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from discord import app_commands

from bot.config import Settings
from bot.demo.simulation import stage
from bot.languages.catalogue import ENGINE, FOLDER, catalogue
from bot.languages.speech import LANGUAGES
from engine.fake import FakeEngine

ROOT = Path(__file__).parents[2]
FUNCTIONS = {"_": 1, "N_": 1, "ngettext": 2}
PLURAL = {"fr": "n > 1", "pt-BR": "n > 1", **dict.fromkeys(("ja", "ko", "zh-CN"), "0")}  # else n != 1; Unicode CLDR
ROOTS = {"UserError", "EngineError"}
TOLD, TOLD_BY = ("label", "does", "advice"), ("title", "detail")  # what tasks say of themselves
ENGLISH_ALONE = {
    "bot/backup": "the terminal",
    "bot/cli": "the terminal",
    "bot/demo/serve.py": "the terminal",
    "bot/features/api": "what programs read, in English as of the API it's like",
    "bot/features/moderation/child_safety.py": "words that are looked for",
    "bot/features/stats/charts.py": "a picture, drawn with letters that aren't there for all languages",
    "bot/features/operations": "whoever runs the bot, in the language of its log",
    "bot/features/workers": "the terminal",
    "bot/upkeep": "the log",
}
"""Files and folders with who reads what they say: none of the members."""
Sentence = tuple[str, str]  # in English: of one and of many, or with "" or ENGINE as the second
Found = dict[Sentence, list[str]]  # where each is said


def collected(tree: app_commands.CommandTree[Any]) -> Found:
    """Every sentence with the files and commands that say it."""
    found: Found = {}
    for where, sentence in [*in_commands(tree), *in_sources()]:
        places = found.setdefault(sentence, [])
        if where not in places:
            places.append(where)
    return found


def in_commands(tree: app_commands.CommandTree[Any]) -> Iterator[tuple[str, Sentence]]:
    """The texts of commands, their options and choices, and the names of menus."""
    menus = [command for command in tree.get_commands() if isinstance(command, app_commands.ContextMenu)]
    yield from (("menu", (menu.name, "")) for menu in menus)
    for command in tree.walk_commands():
        where = f"/{command.qualified_name}"
        yield where, (command.description, "")
        for option in getattr(command, "parameters", ()):
            texts = [str(option.description), *(choice.name for choice in option.choices)]
            yield from ((where, (text, "")) for text in texts if any(map(str.isalpha, text)))


def told_in_english(where: str) -> bool:
    """Whether nobody but the terminal and programs reads what a file says."""
    return any(Path(where).is_relative_to(other) for other in ENGLISH_ALONE)


@cache
def in_sources() -> tuple[tuple[str, Sentence], ...]:
    """The sentences of the program's own files, in their order. Reading them all takes seconds: once is enough."""
    return tuple(_in_sources())


def _in_sources() -> Iterator[tuple[str, Sentence]]:
    trees = {path: ast.parse(path.read_text("utf-8")) for room in ("bot", "engine") for path in modules(room)}
    errors, constants = error_classes(trees.values()), constants_of(trees.values())
    for path, tree in trees.items():
        where = path.relative_to(ROOT).as_posix()
        for node in () if told_in_english(where) else ast.walk(tree):
            if where.startswith("bot/"):
                told = [each for each in sentences(node, errors) if has_words(each[0])]
            else:
                told = [(each, ENGINE) for each in engine_sentences(node, errors, constants) if has_words(each)]
            yield from ((where, sentence) for sentence in told)


def has_words(text: str) -> bool:
    """Whether there is something to translate beside the values."""
    return any(char.isalpha() for char in re.sub(r"\{[^{}]*\}", "", text))


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def error_classes(trees: Any) -> set[str]:
    """The names of all errors that are told people as they are."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    errors, before = set(ROOTS), 0
    while before != len(errors):
        before = len(errors)
        errors |= {
            each.name for each in classes if {base.id for base in each.bases if isinstance(base, ast.Name)} & errors
        }
    return errors


def sentences(node: ast.AST, errors: set[str]) -> Iterator[Sentence]:
    """What one place of the bot's files says."""
    if not isinstance(node, ast.Call):
        return
    name = called(node)
    words = [text for text in map(literal, node.args) if text is not None]
    if name in FUNCTIONS and len(words) >= FUNCTIONS[name]:
        yield words[0], words[1] if FUNCTIONS[name] == 2 else ""
    elif name in errors:
        many = next((literal(each.value) for each in node.keywords if each.arg == "many"), None)
        yield from [(words[0], many)] if many and words else [(text, "") for text in words if text]


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def engine_sentences(node: ast.AST, errors: set[str], constants: dict[str, str]) -> Iterator[str]:
    """What one place of the engine's files says: it knows no languages, so what it says is recognised by its words."""
    if isinstance(node, ast.Call) and called(node) in errors and node.args:
        yield template(node.args, constants)
    elif isinstance(node, ast.ClassDef) and node.name in errors and "{" in (doc := ast.get_docstring(node) or ""):
        yield re.sub(r":[^{}]*\}", "}", doc.partition("\n\n")[0])
    elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") in TOLD and node.value:
        yield template([node.value], constants)
    elif isinstance(node, ast.FunctionDef) and node.name in TOLD_BY:
        ends = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
        yield from (template([end], constants) for end in ends)


def template(parts: Iterable[ast.AST], constants: dict[str, str]) -> str:
    """A sentence with names in the place of its values; those of different values differ."""
    names: dict[str, str] = {}

    def told(node: ast.AST) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return "".join(map(told, node.values))
        value = node.value if isinstance(node, ast.FormattedValue | ast.Starred) else node
        name, same = name_of(value), ast.unparse(value)
        while names.setdefault(name, same) != same:
            name += "2"
        return constants.get(name, f"{{{name}}}")

    return " ".join(map(told, parts))


def name_of(node: ast.AST) -> str:
    """What a value is called: its last name."""
    names = [getattr(each, "attr", getattr(each, "id", "")) for each in ast.walk(node)]
    return next((name.strip("_") for name in names if name not in ("", "len", "join", "sorted", "str", "map")), "value")


def constants_of(trees: Iterable[ast.Module]) -> dict[str, str]:
    """The sentences that have names of their own."""
    found = {}
    for node in (each for tree in trees for each in tree.body if isinstance(each, ast.Assign)):
        parts = [literal(part) for part in getattr(node.value, "elts", [node.value])]
        if parts and all(isinstance(part, str) and " " in part for part in parts):
            found[name_of(node.targets[0])] = " ".join(filter(None, parts))
    return found


def literal(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def written(language: str, found: Found) -> str:
    """A language's catalogue, with what is translated already."""
    known = catalogue(language)
    rule = PLURAL.get(language, "n != 1")
    header = f"Language: {language}\nContent-Type: text/plain; charset=UTF-8\n"
    header += f"Plural-Forms: nplurals={1 if rule == '0' else 2}; plural={rule};\n"
    blocks = [f'msgid ""\nmsgstr {quoted(header)}']
    for (one, many), places in found.items():
        lines = [f"#: {' '.join(place.replace(' ', '_') for place in places)}"]
        if many == ENGINE:
            lines += [f"msgctxt {quoted(ENGINE)}", f"msgid {quoted(one)}"]
            lines.append(f"msgstr {quoted(known.engine.get(one, ''))}")
        elif many:
            forms = known.sentences.get(one, ("",) * (1 if rule == "0" else 2))
            lines += [f"msgid {quoted(one)}", f"msgid_plural {quoted(many)}"]
            lines += [f"msgstr[{number}] {quoted(form)}" for number, form in enumerate(forms)]
        else:
            lines += [f"msgid {quoted(one)}", f"msgstr {quoted(known.sentences.get(one, ('',))[0])}"]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


async def main() -> None:
    """Write all catalogues anew."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None, data_dir=Path(folder), min_free_mib=0)
        async with stage(settings, make_engine=FakeEngine) as studio:
            found = collected(studio.bot.tree)
    for language in sorted(set(LANGUAGES.values())):
        (FOLDER / f"{language}.po").write_text(written(language, found), "utf-8")


if __name__ == "__main__":
    asyncio.run(main())
