"""What no module of ours does, read from the syntax trees."""

from __future__ import annotations

import ast
import re

import pytest

MAX_LINES = 400
# Longer modules, each with the reason why it is not cut.
LONG: dict[str, str] = {}

# The one place that opens a checkpoint.
LOADS_CHECKPOINTS = "dissect.models.checkpoint"

# Who talks to the user and reads the environment.
SPEAKS = ("conceptset.cli", "conceptset.present", "dissect.cli")

# Catches everything without raising: the module and the reason.
CATCHES_ALL: dict[str, str] = {}

VAGUE = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common)$")

# Names of the forensic packages that share the namespace `dissect`.
FORENSIC = {
    *("apfs", "archive", "btrfs", "cim", "clfs", "cobaltstrike", "cramfs", "cstruct", "database"),
    *("esedb", "etl", "eventlog", "evidence", "executable", "extfs", "fat", "ffs", "fve", "hfs"),
    *("hypervisor", "jffs", "ntfs", "ole", "qnxfs", "regf", "shellitem", "sql", "squashfs"),
    *("target", "thumbcache", "util", "vmfs", "volume", "xfs"),
}


def speaks(name: str) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in SPEAKS)


def test_docstring_and_annotations_import(modules):
    wrong = []
    for module in modules.values():
        if not ast.get_docstring(module.tree):
            wrong.append(f"{module.path}: no docstring")
        only_docstring = len(module.tree.body) <= 1
        if not only_docstring and "from __future__ import annotations\n" not in module.text:
            wrong.append(f"{module.path}: no `from __future__ import annotations`")
    assert wrong == []


def test_length(modules):
    lengths = {name: module.text.count("\n") for name, module in modules.items()}
    over = {name: length for name, length in lengths.items() if length > MAX_LINES}
    assert {name: over[name] for name in over.keys() - LONG.keys()} == {}
    assert LONG.keys() - over.keys() == set(), "no longer long: take it off the list"


def test_names(modules):
    parts = {(name, part) for name in modules for part in name.split(".")}
    assert [name for name, part in sorted(parts) if VAGUE.search(part)] == []
    tops = {name.split(".")[1] for name in modules if name.startswith("dissect.")}
    assert tops & FORENSIC == set()


def test_packages_have_init(modules):
    folders = {module.path.parent for module in modules.values()}
    assert [str(folder) for folder in folders if ".".join(folder.parts) not in modules] == []


@pytest.mark.parametrize("folder", ["schemas", "tools", "tests"])
def test_folders_around_the_packages_are_no_packages(repository, folder):
    assert not (repository / folder / "__init__.py").exists()


def test_torch_load(modules):
    wrong = []
    for module in modules.values():
        for name, call in module.called():
            if name != "torch.load":
                continue
            if module.name != LOADS_CHECKPOINTS:
                wrong.append(f"{module.at(call)}: torch.load outside {LOADS_CHECKPOINTS}")
            if "weights_only" not in {keyword.arg for keyword in call.keywords}:
                wrong.append(f"{module.at(call)}: torch.load without weights_only")
        wrong += [
            f"{module.at(node)}: write torch.load, so that it can be found"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").partition(".")[0] == "torch"
            and "load" in {alias.name for alias in node.names}
        ]
    assert wrong == []


def test_nothing_unpickles_by_the_back_door(modules):
    """numpy and pandas unpickle when they are allowed to."""
    wrong = []
    for module in modules.values():
        for name, call in module.called():
            if name.split(".")[-1] in ("read_pickle", "to_pickle"):
                wrong.append(f"{module.at(call)}: {name}")
            if name in ("np.load", "numpy.load"):
                given = {keyword.arg: keyword.value for keyword in call.keywords}
                value = given.get("allow_pickle")
                if not (isinstance(value, ast.Constant) and value.value is False):
                    wrong.append(f"{module.at(call)}: {name} without allow_pickle=False")
    assert wrong == []


def test_no_code_from_text(modules):
    wrong = [
        f"{module.at(call)}: {name}"
        for module in modules.values()
        for name, call in module.called()
        if name in ("eval", "exec", "os.system") or "shell" in {k.arg for k in call.keywords}
    ]
    assert wrong == []


def test_only_the_command_line_prints(modules):
    wrong = [
        f"{module.at(call)}: {name}"
        for module in modules.values()
        if not speaks(module.name)
        for name, call in module.called()
        if name in ("print", "sys.stdout.write", "sys.stderr.write")
    ]
    assert wrong == []


def test_only_the_command_line_reads_the_environment(modules):
    wrong = [
        module.at(node)
        for module in modules.values()
        if not speaks(module.name)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in ("environ", "getenv", "environb", "putenv")
    ]
    assert wrong == []


def names_caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {kind.id for kind in kinds if isinstance(kind, ast.Name)}


def raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(inner, ast.Raise) for inner in ast.walk(handler))


def test_nothing_swallows_every_exception(modules):
    wrong = [
        f"{module.at(node)}: catches everything and does not raise"
        for module in modules.values()
        if module.name not in CATCHES_ALL
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and names_caught(node) & {"Exception", "BaseException"}
        and not raises(node)
    ]
    assert wrong == []
