"""The packages as text and syntax trees; nothing here imports them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

PACKAGES = ("conceptset", "dissect")


@dataclass(frozen=True)
class Import:
    """One imported module, and the line that does it; `by_name`: with importlib."""

    target: str
    names: tuple[str, ...]
    line: int
    by_name: bool = False


@dataclass(frozen=True)
class Module:
    """One source file of ours.

    Attributes:
        name: Dotted; a package goes by its own name.
        path: Relative to the repository.
    """

    name: str
    path: Path
    text: str

    @property
    def package(self) -> str:
        """conceptset or dissect."""
        return self.name.partition(".")[0]

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    def at(self, node: ast.AST) -> str:
        """Where a node stands, for a message."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"

    def called(self) -> Iterator[tuple[str, ast.Call]]:
        """Every call whose function is a dotted name, with that name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and (name := dotted(node.func)):
                yield name, node

    def imports(self, known: frozenset[str]) -> list[Import]:
        """What the file imports, in functions and under TYPE_CHECKING too.

        `from a import b` is an import of `a.b` where that is a module of ours.
        """
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [Import(alias.name, (), node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.at(node)}: relative import"
                names = [alias.name for alias in node.names]
                inner = [name for name in names if f"{node.module}.{name}" in known]
                found += [Import(f"{node.module}.{name}", (), node.lineno) for name in inner]
                if rest := tuple(name for name in names if name not in inner):
                    found.append(Import(str(node.module), rest, node.lineno))
        for name, call in self.called():
            if name.endswith("import_module") and isinstance(call.args[0], ast.Constant):
                found.append(Import(str(call.args[0].value), (), call.lineno, by_name=True))
        return found


def dotted(node: ast.expr) -> str:
    """`a.b.c` of such an expression, empty for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


@pytest.fixture(scope="session")
def modules(repository: Path) -> dict[str, Module]:
    """Every module of both packages, by name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((repository / package).rglob("*.py")):
            relative = path.relative_to(repository)
            parts = relative.with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, relative, path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def imports(modules: dict[str, Module]) -> dict[str, list[Import]]:
    """What every module imports, by name."""
    known = frozenset(modules)
    return {name: module.imports(known) for name, module in modules.items()}
