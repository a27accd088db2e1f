"""Every option and function that a `Fix:` names exists."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import typer

import onecycle
from onecycle import errors

SOURCE = Path(onecycle.__file__).parent
ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
OUTSIDE_OPTIONS = {"--upgrade": "pip"}
OUTSIDE = {
    "FullyShardedDataParallelPlugin": "accelerate", "Path": "pathlib", "astype": "NumPy, pandas", "drop": "pandas",
    "DataFrame": "pandas", "read_excel": "pandas", "read_json": "pandas", "to_csv": "pandas", "write_table": "pyarrow",
    "forward": "torch", "requires_grad_": "torch", "item": "torch", "squeeze": "torch", "list_models": "timm",
    "len": "Python", "list": "Python", "sorted": "Python", "str": "Python",
    "main": "the user's own function", "from_": "from_...(): any of the constructors",
}  # fmt: skip


def fixes() -> Iterator[tuple[str, str]]:
    """Yield where each error is raised, and its fix; what is filled in is left out."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in ERRORS:
                for part in [*node.args[2:3], *(one.value for one in node.keywords if one.arg in ("fix", "shell_fix"))]:
                    yield f"{path.relative_to(SOURCE)}:{node.lineno}", words(part)


def words(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(words, parts))
        case ast.BinOp(left=left, right=right):
            return words(left) + words(right)
        case ast.IfExp(body=body, orelse=other):
            return f"{words(body)} {words(other)}"
        case _:
            return "\0"


def test_options_and_functions_that_a_fix_names_exist() -> None:
    shell = typer.main.get_command(importlib.import_module("onecycle.cli.app").app)
    commands = [shell, *shell.commands.values()]  # type: ignore[attr-defined]
    options = {option for one in commands for each in one.params for option in (*each.opts, *each.secondary_opts)}
    functions = {
        node.name
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    found = list(fixes())
    named = [(where, name) for where, fix in found for name in re.findall(r"(?<![\w-])--[a-z][a-z-]*", fix)]
    called = [(where, name) for where, fix in found for name in re.findall(r"([A-Za-z_]\w*)(?:\.\.\.)?\(", fix)]
    assert len(found) > 500
    assert len(named) > 20
    assert len(called) > 80
    assert [one for one in named if one[1] not in options | OUTSIDE_OPTIONS.keys()] == []
    assert [one for one in called if one[1] not in functions | OUTSIDE.keys()] == []
