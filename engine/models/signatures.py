"""What diffusers' pipelines take and can do, read from its source: importing them would load torch."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

TEMPLATE_STEPS = 50  # of blocks that name none, as diffusers' template of the input has it
_CONTROLNET = re.compile(r"ControlNet(Union)?")
UNASKED = frozenset({"video", "audio", "edits"})  # what others make, of which nobody can ask for any
REQUIRED = object()  # stands for "no default"
_MAPPING = re.compile(r"_?AUTO_(\w+?)(_DECODER)?_PIPELINES_MAPPING")
_TASKS = {"TEXT2IMAGE": "txt2img", "IMAGE2IMAGE": "img2img", "INPAINT": "inpaint"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How a pipeline is called.

    Attributes:
        takes: its call's parameters with their defaults (`REQUIRED` where there is none).
        name: of its family in diffusers' Auto classes, such as `stable-diffusion-xl`; "" = it is in none.
        tasks: the Auto classes that can make one of its kind: `txt2img`, `img2img`, `inpaint`; or one of `UNASKED`.
        sample_size: latents a side when it is told no size, where that is a number in its code.
        scheduler: the class of noise scheduler that its code names. components: what it is made of, by name.
        optional: those of them that it can do without.
    """

    takes: Mapping[str, Any]
    scheduler: str = ""
    components: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    name: str = ""
    tasks: frozenset[str] = frozenset()
    sample_size: int | None = None

    def default(self, name: str) -> Any:
        """A parameter's default; None where it has none, or is not taken."""
        found = self.takes.get(name)
        return None if found is REQUIRED else found


@functools.cache
def of(class_name: str) -> Signature | None:
    """The signature of a pipeline class; None when diffusers has none of that name."""
    path = _place(class_name)
    if path is None:
        return None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    methods = {node.name: node for node in body.body if isinstance(node, ast.FunctionDef)}
    name = next((name for name, classes in _families().items() if class_name in classes), "")
    return Signature(
        takes=MappingProxyType(_parameters(methods.get("__call__"))),
        name=name,
        tasks=frozenset(task for task, table in _auto().items() if name in table),
        sample_size=_sample_size(methods.get("__init__")),
        scheduler=_scheduler(methods.get("__init__")),
        components=frozenset(_parameters(methods.get("__init__"))),
        optional=frozenset(_optional(body)),
    )


@functools.cache
def of_modular(class_name: str) -> Signature | None:
    """What a modular pipeline takes, by its blocks' code; None when diffusers has no such class."""
    folder = _root() / "modular_pipelines"
    start = f"class {class_name}("
    files = folder.rglob("modular_pipeline.py")
    home = next((path.parent for path in files if start in path.read_text(encoding="utf-8")), None)
    if home is None or home == folder:
        return None
    known = _definitions(home)
    nodes = _reached(known, class_name)
    given = _given(nodes, {name for _, name in known})
    takes = _inputs(nodes, given)
    if "num_inference_steps" in takes and takes["num_inference_steps"] is None:
        takes["num_inference_steps"] = TEMPLATE_STEPS
    guider = next((call for call in _calls(nodes, "ComponentSpec") if _first(call) == "guider"), None)
    guided = {} if guider is None else {"guider": _guidance(guider, given)}
    return Signature(
        takes=MappingProxyType({"prompt": REQUIRED, **takes, **guided}),
        name=f"modular-{home.name.replace('_', '-')}",
        tasks=_modular_tasks(nodes, takes),
        scheduler="FlowMatch" if any("FlowMatch" in name for node in nodes for name in _names(node)) else "",
    )


Known = Mapping[tuple[str, str], ast.stmt]  # by module and name


def _definitions(home: Path) -> Known:
    """What a folder's modules define."""
    found: dict[tuple[str, str], ast.stmt] = {}
    for path in sorted(home.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else ()
            names = [node.name] if isinstance(node, ast.ClassDef | ast.FunctionDef) else map(ast.unparse, targets)
            found.update({(path.name, name): node for name in names})
    return found


def _seek(known: Known, name: str, module: str) -> tuple[str, str] | None:
    """Where a name that a module uses is defined: there, else in one of its siblings."""
    return next((at for at in ((module, name), *known) if at[1] == name and at in known), None)


def _reached(known: Known, class_name: str) -> Sequence[ast.AST]:
    """The code of the blocks that a pipeline begins with, and of what they name in turn; not that of its siblings."""
    wanted = [(_first_blocks(known, class_name), "")]
    seen, found = set[tuple[str, str]](), list[ast.AST]()
    while wanted:
        at = _seek(known, *wanted.pop(0))
        if at is None or at in seen or at[1].endswith("ModularPipeline"):
            continue
        seen.add(at)
        own = _members(known, at)
        found += own
        wanted += [(name, at[0]) for node in own for name in _names(node)]
    return found


def _members(known: Known, at: tuple[str, str]) -> Sequence[ast.AST]:
    """What a class has, with what it inherits and doesn't say itself; anything else as it is."""
    node = known[at]
    if not isinstance(node, ast.ClassDef):
        return [node]
    found = list(node.body)
    for base in (place for each in node.bases if (place := _seek(known, ast.unparse(each), at[0]))):
        said = {_name_of(each) for each in found}
        found += [each for each in _members(known, base) if isinstance(each, ast.stmt) and _name_of(each) not in said]
    return found


def _name_of(node: ast.stmt) -> str:
    return ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else str(getattr(node, "name", ""))


def _names(node: ast.AST) -> Sequence[str]:
    return [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]


def _first_blocks(known: Known, class_name: str) -> str:
    at = _seek(known, class_name, "modular_pipeline.py")
    named = (each for each in (_members(known, at) if at else ()) if isinstance(each, ast.Assign))
    blocks = (each.value for each in named if _name_of(each) == "default_blocks_name")
    return next((str(value.value) for value in blocks if isinstance(value, ast.Constant)), "")


def _calls(nodes: Iterable[ast.AST], name: str) -> Iterator[ast.Call]:
    """Where one of a class is made, in whichever way."""
    every = (each for node in nodes for each in ast.walk(node) if isinstance(each, ast.Call))
    made = ((each, each.func.value if isinstance(each.func, ast.Attribute) else each.func) for each in every)
    return (each for each, of in made if isinstance(of, ast.Name) and of.id == name)


def _first(call: ast.Call) -> str:
    """What a call names: its first argument, or that called `name`."""
    named = [*call.args[:1], *(each.value for each in call.keywords if each.arg == "name")]
    return str(named[0].value) if named and isinstance(named[0], ast.Constant) else ""


def _given(nodes: Iterable[ast.AST], blocks: Container[str]) -> Mapping[str, Any]:
    """What blocks are made with: the defaults of their own code, or what is said where one is made."""
    every = [each for node in nodes for each in ast.walk(node)]
    made = (each for each in every if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    found = {name: value for each in made for name, value in _parameters(each).items()}
    for call in (each for each in every if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)):
        if call.func.id in blocks:  # type: ignore[attr-defined]
            found.update({each.arg: _value(each.value) for each in call.keywords if each.arg in found})
    return found


def _inputs(nodes: Iterable[ast.AST], given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of blocks with their defaults, as far as those are numbers."""
    found: dict[str, Any] = {}
    for call in _calls(nodes, "InputParam"):
        value = next((each.value for each in call.keywords if each.arg == "default"), None)
        said = None if value is None else _said(value, given)
        number = said if isinstance(said, int | float) else None
        if name := _first(call):
            found[name] = number if found.get(name) is None else found[name]
    return found


def _guidance(guider: ast.Call, given: Mapping[str, Any]) -> float | None:
    """The guidance that blocks begin with: 1 where it is off at first."""
    config = next((each for each in ast.walk(guider) if isinstance(each, ast.Dict)), None)
    known = {} if config is None else _literal(config, given)
    if known.get("enabled") is False:
        return 1.0
    return float(known["guidance_scale"]) if known.get("guidance_scale") is not None else None


def _literal(node: ast.Dict, given: Mapping[str, Any]) -> dict[str, Any]:
    pairs = zip(node.keys, node.values, strict=True)
    return {str(key.value): _said(value, given) for key, value in pairs if isinstance(key, ast.Constant)}


def _said(node: ast.expr, given: Mapping[str, Any]) -> Any:
    """A value in a block's code, which may be what the block was made with."""
    return given.get(node.attr) if isinstance(node, ast.Attribute) else _value(node)


def _modular_tasks(nodes: Iterable[ast.AST], takes: Mapping[str, Any]) -> frozenset[str]:
    """What its blocks make: pictures, of words alone or not; or something else."""
    outputs = {_first(call) for call in _calls(nodes, "OutputParam")}
    if "images" not in outputs or "num_frames" in takes:
        return frozenset({"video"})
    ways = [
        set(_literal(way, {}))
        for node in nodes
        for each in ast.walk(node)
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "_workflow_map"
        for way in ast.walk(each.value)
        if isinstance(way, ast.Dict) and all(isinstance(value, ast.Constant) for value in way.values)
    ]
    of_words = {"prompt"} in ways if ways else "image" not in takes
    return frozenset({"txt2img"} if of_words else {"edits"})


@functools.cache
def is_library(name: str) -> bool:
    """Whether parts of that library can be loaded: diffusers', transformers', or of one of diffusers' pipelines."""
    rooms = (_root() / "pipelines", _root() / "pipelines" / "deprecated")
    return name in ("diffusers", "transformers") or (name.isidentifier() and any((at / name).is_dir() for at in rooms))


def plain(class_name: str) -> str:
    """The class of the same kind that takes no ControlNet; itself, when it is one or there is none."""
    other = _CONTROLNET.sub("", class_name)
    return other if of(other) is not None else class_name


def class_for(signature: Signature, task: str) -> str:
    """The pipeline class that diffusers' Auto class of a task makes of one of its kind; "" when there is none."""
    return _auto().get(task, {}).get(signature.name, "")


def names(task: str) -> frozenset[str]:
    """The kinds of pipelines that diffusers' Auto classes know for a task."""
    return frozenset(_auto().get(task, {}))


def led_tasks(name: str) -> frozenset[str]:
    """The tasks of diffusers' Auto classes that know a kind of pipeline by that name."""
    return frozenset(task for task, table in _auto().items() if name in table)


def _parameters(call: ast.FunctionDef | None) -> dict[str, Any]:
    if call is None:
        return {}
    arguments = [*call.args.posonlyargs, *call.args.args][1:]
    defaults = [REQUIRED] * (len(arguments) - len(call.args.defaults)) + [_value(each) for each in call.args.defaults]
    named = {argument.arg: value for argument, value in zip(arguments, defaults, strict=True)}
    for argument, default in zip(call.args.kwonlyargs, call.args.kw_defaults, strict=True):
        named[argument.arg] = REQUIRED if default is None else _value(default)
    return named


def _value(node: ast.expr) -> Any:
    """What a default is; tuples may be added and repeated, as in `(7.0,) * 45 + (3.0,) * 3`. None = nobody can tell."""
    if isinstance(node, ast.BinOp):
        one, other = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Add) and isinstance(one, tuple) and isinstance(other, tuple):
            return one + other
        if isinstance(node.op, ast.Mult) and isinstance(one, tuple) and isinstance(other, int):
            return one * other
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _optional(body: ast.ClassDef) -> Iterator[str]:
    for node in body.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_optional_components":
            yield from _value(node.value) or ()


def _sample_size(init: ast.FunctionDef | None) -> int | None:
    for node in ast.walk(init) if init is not None else ():
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            value = node.value
            if node.targets[0].attr == "default_sample_size" and isinstance(value, ast.Constant):
                return int(str(value.value))
    return None


def _scheduler(init: ast.FunctionDef | None) -> str:
    named = (each for each in (init.args.args if init is not None else ()) if each.arg == "scheduler")
    return next((ast.unparse(each.annotation) for each in named if each.annotation is not None), "")


@functools.cache
def _root() -> Path:
    spec = find_spec("diffusers")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _place(class_name: str) -> Path | None:
    """The file of a pipeline class, in the folder that the Auto classes import it from, else anywhere."""
    start = f"class {class_name}("
    folders = (_root() / "pipelines" / _folders().get(class_name, ""), _root() / "pipelines")
    files = (path for folder in folders for path in folder.rglob("pipeline_*.py"))
    return next((path for path in files if start in path.read_text(encoding="utf-8")), None)


@functools.cache
def _auto_source() -> ast.Module:
    return ast.parse((_root() / "pipelines" / "auto_pipeline.py").read_text(encoding="utf-8"))


@functools.cache
def _folders() -> Mapping[str, str]:
    """The folder of each pipeline class that the Auto classes know."""
    imports = (node for node in ast.walk(_auto_source()) if isinstance(node, ast.ImportFrom))
    return {alias.name: node.module for node in imports if node.level == 1 and node.module for alias in node.names}


@functools.cache
def _auto() -> Mapping[str, Mapping[str, str]]:
    """diffusers' own tables behind its Auto classes: task -> name -> pipeline class."""
    tables: dict[str, dict[str, str]] = {}
    for table, pairs in _tables():
        match = _MAPPING.fullmatch(table)
        if match and not match[2]:
            tables.setdefault(_task(match[1]), {}).update(pairs)
    return tables


@functools.cache
def _families() -> Mapping[str, frozenset[str]]:
    """Every name in the tables, with the pipeline classes behind it."""
    found: dict[str, frozenset[str]] = {}
    for table, pairs in _tables():
        for name, pipeline in pairs.items() if _MAPPING.fullmatch(table) else ():
            found[name] = found.get(name, frozenset()) | {pipeline}
    return found


@functools.cache
def _tables() -> tuple[tuple[str, Mapping[str, str]], ...]:
    """What is assigned at the top: `TABLE = OrderedDict([(name, Class), ...])` and `TABLE[name] = Class`."""
    found: list[tuple[str, Mapping[str, str]]] = []
    for node in ast.walk(_auto_source()):
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name):
            found.append((target.id, dict(_pairs(node.value))))  # type: ignore[attr-defined]
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            value = node.value  # type: ignore[attr-defined]
            if isinstance(target.slice, ast.Constant) and isinstance(value, ast.Name):
                found.append((target.value.id, {str(target.slice.value): value.id}))
    return tuple(found)


def _task(name: str) -> str:
    return _TASKS.get(name) or ("audio" if name.endswith("AUDIO") else "video")


def _pairs(table: ast.expr) -> Iterator[tuple[str, str]]:
    for node in ast.walk(table):
        if isinstance(node, ast.Tuple) and len(node.elts) == 2:
            name, pipeline = node.elts
            if isinstance(name, ast.Constant) and isinstance(pipeline, ast.Name):
                yield str(name.value), pipeline.id
