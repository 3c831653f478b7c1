"""What diffusers' pipelines take and can do, read from its source: importing them would load torch."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

_INPUT = re.compile(r"""InputParam(?:\.template)?\(\s*(?:name=)?["'](\w+)["'](?:[^()]*?default=([\d.]+))?""")
_GUIDER = re.compile(r"""FrozenDict\(\{\s*"guidance_scale": ([\d.]+)([^}]*)\}""")
TEMPLATE_STEPS = 50  # of blocks that name none, as diffusers' template of the input has it
_CONTROLNET = re.compile(r"ControlNet(Union)?")
REQUIRED = object()  # stands for "no default"
_MAPPING = re.compile(r"_?AUTO_(\w+?)(_DECODER)?_PIPELINES_MAPPING")
_TASKS = {"TEXT2IMAGE": "txt2img", "IMAGE2IMAGE": "img2img", "INPAINT": "inpaint"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How a pipeline is called.

    Attributes:
        takes: its call's parameters with their defaults (`REQUIRED` where there is none).
        name: of its family in diffusers' Auto classes, such as `stable-diffusion-xl`; "" = it is in none.
        tasks: the Auto classes that can make one of its kind: `txt2img`, `img2img`, `inpaint`; or `video`, `audio`.
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
    """What a modular pipeline takes, by what its blocks' code names; None when diffusers has no such class."""
    folder = _root() / "modular_pipelines"
    start = f"class {class_name}("
    files = folder.rglob("modular_pipeline.py")
    home = next((path.parent for path in files if start in path.read_text(encoding="utf-8")), None)
    if home is None or home == folder:
        return None
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(home.glob("*.py")))
    takes = {match[1]: _number(match[2]) for match in _INPUT.finditer(code)}
    if "num_inference_steps" in takes:
        takes["num_inference_steps"] = takes["num_inference_steps"] or TEMPLATE_STEPS
    guided = {"guider": _guidance(code)} if '"guider"' in code else {}
    return Signature(
        takes=MappingProxyType({"prompt": REQUIRED, **takes, **guided}),
        name=f"modular-{home.name.replace('_', '-')}",
        tasks=frozenset({"video"} if "num_frames" in takes else {"txt2img"}),
        scheduler="FlowMatch" if "FlowMatch" in code else "",
    )


def _guidance(code: str) -> float | None:
    """The guidance that blocks begin with: 1 where it is off at first."""
    match = _GUIDER.search(code)
    if match is None:
        return None
    return 1.0 if '"enabled": False' in match[2] else float(match[1])


def _number(text: str | None) -> float | int | None:
    return None if text is None else float(text) if "." in text else int(text)


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
