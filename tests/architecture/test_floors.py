"""Data flows one way: which module may import which."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

# From the ground up. A module imports from its own floor or below.
FLOORS = {
    "conceptset": (
        ("errors", "findings"),
        ("records", "geometry", "taxonomy"),
        ("io",),
        ("parsing",),
        ("formats", "raster", "layout", "present", "consensus"),
        ("build", "validate", "repair", "merge", "consistency", "sampling", "browse", "export"),
        ("api", "published"),
        ("cli", "__main__"),
    ),
    "dissect": (
        ("errors", "compiling", "ordering"),
        ("ahead", "selecting", "scanlines", "labels", "photographs", "loader"),
        ("models", "forms", "outputs", "activations", "upsample", "receptive"),
        (
            "team",
            "heap",
            "tiles",
            "tile_kernels",
            "thresholds",
            "scanning",
            "keeping",
            "store",
            "tails",
        ),
        (
            "regions",
            "mask_kernels",
            "tally",
            "drawing",
            "rows",
            "row_spool",
            "counts",
            "top",
            "state",
            "shards",
        ),
        ("leaving_out", "voices", "hearing", "heard"),
        ("plan", "given", "job", "planning", "rundir"),
        ("scan", "pilot", "tallying", "runner", "parts"),
        ("entries", "cells", "percentiles", "resampled", "intervals"),
        ("totals", "analysis", "annotators", "writing", "finishing", "merging"),
        ("report", "compare"),
        ("api",),
        ("cli", "__main__"),
    ),
}

# The two packages' own __init__ are lazy: what they name is imported when somebody asks for it.
# From below, only these names may be taken from them.
LAZY = {"conceptset", "dissect"}
FROM_LAZY = {"__version__"}

# Siblings do not know each other: the members of a package, and which of them all may import.
SIBLINGS: dict[str, set[str]] = {
    "conceptset.formats": {"conceptset.formats.base"},
    "conceptset.validate.rules": set(),
}

# What dissect may take from conceptset.
SHARED = {
    *("errors", "findings", "geometry", "io", "layout", "present"),
    *("consensus", "consistency.intervals"),
}

# Everything below the first name keeps away from the others.
APART = {
    "conceptset": ("dissect", "torch", "torchvision", "numba", "safetensors", "timm"),
    "conceptset.formats": ("conceptset.raster", "PIL"),
    "conceptset.parsing": ("conceptset.raster", "PIL"),
}

# No module of ours knows the folders around the packages, nor code that unpickles.
NEVER = ("schemas", "tools", "tests", "pickle", "cPickle", "dill", "cloudpickle", "joblib")
NEVER += ("shelve", "marshal")


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def floor_of(name: str) -> int:
    package, _, rest = name.partition(".")
    if not rest:
        return -1
    top = rest.partition(".")[0]
    for height, floor in enumerate(FLOORS[package]):
        if top in floor:
            return height
    pytest.fail(f"{name} stands on no floor: add it to FLOORS in {Path(__file__).name}")


def member_of(name: str, package: str) -> str | None:
    """The direct member of a package that a module is or belongs to."""
    if not name.startswith(f"{package}."):
        return None
    return f"{package}.{name.removeprefix(package + '.').partition('.')[0]}"


def test_every_module_has_a_floor(modules):
    assert modules
    for name in modules:
        floor_of(name)


def test_no_import_from_a_higher_floor(imports):
    wrong = []
    for name, found in imports.items():
        if name in LAZY:
            continue
        for item in found:
            same = item.target.partition(".")[0] == name.partition(".")[0]
            if same and floor_of(item.target) > floor_of(name):
                wrong.append(f"{name}, line {item.line}: {item.target}")
    assert wrong == []


def test_only_the_version_comes_from_the_lazy_packages(imports):
    wrong = [
        f"{name}, line {item.line}: {', '.join(item.names)}"
        for name, found in imports.items()
        for item in found
        if item.target in LAZY and not set(item.names) <= FROM_LAZY
    ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(SIBLINGS))
def test_siblings_do_not_know_each_other(imports, package):
    wrong = []
    for name, found in imports.items():
        own = member_of(name, package)
        if own is None or own in SIBLINGS[package]:
            continue
        for item in found:
            allowed = {own, *SIBLINGS[package]}
            other = package if item.target == package else member_of(item.target, package)
            if other is not None and other not in allowed:
                wrong.append(f"{name}, line {item.line}: {item.target}")
    assert wrong == []


def test_dissect_takes_only_the_ground_floors_of_conceptset(imports):
    wrong = [
        f"{name}, line {item.line}: {item.target}"
        for name, found in imports.items()
        if within(name, "dissect")
        for item in found
        if item.target.startswith("conceptset.")
        and not any(within(item.target, f"conceptset.{name}") for name in SHARED)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(APART))
def test_kept_apart(imports, package):
    wrong = [
        f"{name}, line {item.line}: {item.target}"
        for name, found in imports.items()
        if within(name, package)
        for item in found
        if any(within(item.target, other) for other in APART[package])
    ]
    assert wrong == []


def test_never_imported(imports):
    wrong = [
        f"{name}, line {item.line}: {item.target}"
        for name, found in imports.items()
        for item in found
        if any(within(item.target, other) for other in NEVER)
    ]
    assert wrong == []


def test_no_cycle(imports):
    """Also none inside a floor, and none hidden in a function or under TYPE_CHECKING.

    A registry may load by name the modules that register with it.
    """
    graph = {
        name: {item.target for item in found if item.target in imports and not item.by_name}
        for name, found in imports.items()
        if name not in LAZY
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above[above.index(name) :], name))
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, (*above, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def test_third_parties_are_declared(imports, repository):
    """A package that is only there because another one needs it can vanish."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    declared = {
        name.partition(">")[0].strip()
        for name in project["dependencies"] + project["optional-dependencies"]["dissect"]
    }
    modules_of = {"pillow": "PIL"}
    known = {modules_of.get(name, name) for name in declared} | {"conceptset", "dissect"}
    optional = {"ray", "timm", "huggingface_hub"}
    wrong = [
        f"{name}, line {item.line}: {item.target}"
        for name, found in imports.items()
        for item in found
        if (top := item.target.partition(".")[0]) not in known | optional
        and top not in sys.stdlib_module_names
    ]
    assert wrong == []
