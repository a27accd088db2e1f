"""The structure of the source: imports point one way, and the core is free of what belongs to one kind of input."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import onecycle

SOURCE = Path(onecycle.__file__).parent
# From the bottom to the top. What is in one row does not import each other.
LAYERS = [
    ("errors", "allocator", "disk", "imports", "notebook", "processes"),
    ("deprecation", "foreign_names", "figure"),
    ("registry", "calls", "given_items"),
    ("losses", "bundle"),
    ("data",),
    ("metrics",),
    ("inference",),
    ("train",),
    ("vision", "text"),
    ("runtime",),
    ("review",),
    ("ship",),
    ("recipes",),
    ("demo",),
    ("cli",),
    ("__main__",),
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# "linewidth" of a plot and "bandwidth" of a curve are other words.
# The right to write to the hub, which its users know as `token=`.
ACCESS_TOKEN = re.compile(r"token: str \| None|token: With the right to write|HF_TOKEN|token=token")
FOREIGN = re.compile(r"(?<![a-z])(pixel|token|height|width)s?(?![a-z])", re.IGNORECASE)
IMAGES = re.compile(r"image", re.IGNORECASE)


def module_name(path: Path) -> str:
    parts = ["onecycle", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imported_names(path: Path) -> Iterator[str]:
    """Yield the modules of onecycle that a file imports, wherever in it: in functions and for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "onecycle")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module and node.module.split(".")[0] == "onecycle":
                for name in node.names:
                    submodule = f"{node.module}.{name.name}"
                    yield submodule if submodule in MODULES else node.module


def import_graph() -> dict[str, set[str]]:
    """Return what each file imports. The package's own file is left out: it names the public parts of all others."""
    return {
        module: {name for name in imported_names(path) if name not in (module, "onecycle")}
        for module, path in MODULES.items()
        if module != "onecycle"
    }


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return the nodes of a cycle, the first one again at the end; empty where there is none."""
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> list[str]:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph.get(node, ())):
            if cycle := visit(other, [*trail, node]):
                return cycle
        done.add(node)
        return []

    return next((cycle for node in sorted(graph) if (cycle := visit(node, []))), [])


@pytest.mark.parametrize(
    ("graph", "cycle"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"]),
        ({"a": {"a"}}, ["a", "a"]),
    ],
)
def test_cycles_are_found(graph: dict[str, set[str]], cycle: list[str]) -> None:
    assert find_cycle(graph) == cycle


def test_no_file_is_in_a_cycle_of_imports() -> None:
    cycle = find_cycle(import_graph())
    assert not cycle, f"a cycle of imports: {' -> '.join(cycle)}"


def test_every_import_names_a_file_that_exists() -> None:
    lacking = {
        f"{module} imports {name}" for module, names in import_graph().items() for name in names - MODULES.keys()
    }
    assert not lacking, "\n".join(sorted(lacking))


def layer_of(module: str) -> str:
    return module.split(".")[1]


def test_every_file_is_in_a_layer() -> None:
    assert {layer_of(module) for module in import_graph()} <= LEVEL.keys()


def test_imports_point_from_higher_layers_to_lower_ones() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, names in import_graph().items()
        for name in sorted(names)
        if layer_of(name) != layer_of(module) and LEVEL[layer_of(name)] >= LEVEL[layer_of(module)]
    ]
    assert not wrong, "\n".join(wrong)


def files_of(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (SOURCE / package).rglob("*.py"))


def test_the_core_has_no_words_of_one_kind_of_input() -> None:
    """Neither in code nor in comments."""
    found = [
        f"{path.relative_to(SOURCE)}:{number}: {line.strip()}"
        for path in files_of("data", "train")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FOREIGN.search(ACCESS_TOKEN.sub("", line))
    ]
    assert not found, "\n".join(found)


def test_the_code_of_the_core_names_no_images() -> None:
    """Examples in docstrings and comments may."""
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {text}"
        for path in files_of("data", "train")
        for line, text in names_and_strings(path)
        if IMAGES.search(text)
    ]
    assert not found, "\n".join(found)


def names_and_strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the identifiers and strings of a file with their lines, without comments and docstrings."""
    docstrings = {
        node.body[0].lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None
    }
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in (tokenize.NAME, tokenize.STRING) and token.start[0] not in docstrings:
                yield token.start[0], token.string


def test_strings_and_names_are_told_from_docstrings_and_comments(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        '"""Docstring."""\n\n\ndef name(value):  # comment\n    """Two\n    lines."""\n    return "text"\n'
    )
    assert [text for _, text in names_and_strings(tmp_path / "x.py")] == ["def", "name", "value", "return", '"text"']
