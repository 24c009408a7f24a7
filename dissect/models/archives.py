"""Archives of torch looked into before torch opens them: what they are, and what code they hold.

`torch.export.load` unpickles tensors of own classes and custom objects (`use_pickle`,
`custom_obj_`, `opaque_obj_`); it unpickles sample inputs and old forms of weights when they hold
more than tensors; it loads machine code of AOTInductor, evaluates expressions of symbolic sizes
as Python, and looks up operators by any dotted name below torch. Only a program that needs none
of that is safe to open.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from conceptset.errors import UnsafeError, printable
from dissect.errors import ModelError
from dissect.models.checkpoint import check_only_tensors

Form = Literal["script", "program", "other"]

_LARGEST_JSON = 256 << 20
_OLD = "serialized_exported_program.json"  # of releases before 2.8, which have no folder
_DATA = re.compile(
    r"data/weights/weight_\d+|data/constants/tensor_\d+|archive_format|archive_version|byteorder"
    r"|version|\.data/\w+|\.format_version|\.storage_alignment|extra/.*|extra_files/.*"
)
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|torchvision|higher_order)\.\w+(\.\w+)?|_operator\.[a-z]+_?|math\.[a-z]+"
)
_NAME = re.compile(r"[^\W\d]\w*")
_ARITHMETIC = "0123456789 .,+-*/%()<>=!&|~"
_HARMLESS = re.compile(r"'[a-z]{1,4}\d+'|'[\d.]+'|\b[a-z_]+=(?:True|False|\d+)\b")
_SYMBOL = re.compile(r"[a-z]{1,4}\d+")
_FUNCTIONS = frozenset(  # of torch.utils._sympy.functions, and sympy's own for the same
    [
        *("FloorDiv", "ModularIndexing", "Where", "PythonMod", "Mod", "CleanDiv", "CeilToInt"),
        *("FloorToInt", "CeilDiv", "LShift", "RShift", "PowByNatural", "FloatPow", "FloatTrueDiv"),
        *("IntTrueDiv", "IsNonOverlappingAndDenseIndicator", "TruncToFloat", "TruncToInt"),
        *("RoundToInt", "RoundDecimal", "ToFloat", "Identity", "Max", "Min", "Abs", "Integer"),
        *("Rational", "Float", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "Mul"),
        *("Equality", "Unequality", "LessThan", "GreaterThan", "StrictLessThan"),
        *("StrictGreaterThan", "Symbol", "Piecewise", "ExprCondPair", "Tuple"),
        *("Add", "Pow", "floor", "ceiling", "oo", "int_oo", "True", "False", "true", "false"),
    ]
)


def form_of(path: Path) -> Form:
    """What a file is, by the names in its archive: TorchScript, a torch.export program, or else."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [member.filename for member in archive.infolist()]
    except (OSError, zipfile.BadZipFile, ValueError):
        return "other"
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        return "script"
    if "archive_format" in inner or _OLD in names:
        return "program"
    return "other"


def check_program(data: bytes, path: Path, *, allow_pickle: bool) -> None:
    """Refuse a program of torch.export that opening would run code of.

    Args:
        data: The file.
        path: Its name, for messages.
        allow_pickle: Only look whether it is such a program.

    Raises:
        ModelError: It is none.
        UnsafeError: It holds code and `allow_pickle` is not set.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [one.filename for one in archive.infolist() if not one.is_dir()]
            if not any(name.endswith(("/archive_format", _OLD)) for name in names):
                raise ModelError(
                    "is an archive, but no program of torch.export",
                    path=path,
                    hint="A file that torch.export.save wrote was expected.",
                )
            reason = None if allow_pickle else next(_code(archive, names), None)
    except (zipfile.BadZipFile, ValueError, KeyError, RuntimeError, RecursionError) as error:
        raise ModelError(
            f"is no program of torch.export ({printable(str(error), 120)})",
            path=path,
            hint="The file is broken or cut short, or something else.",
        ) from error
    if reason is not None:
        raise UnsafeError(
            f"opening the program could run code that it holds: {reason}",
            path=path,
            hint="--allow-pickle opens it all the same and runs that code with your rights: only "
            "for files whose origin you trust.",
        )


def _code(archive: zipfile.ZipFile, names: list[str]) -> Iterator[str]:
    """Everything in a program that opening it could run, in words."""
    if len({name.lower() for name in names}) < len(names):
        yield "two of its members have one name"  # torch, which ignores case, may read the other
    for name in names:
        shown = printable(name, 80)
        inner = (name if _OLD in names else name.partition("/")[2]).lower()
        if inner.startswith("data/aotinductor/"):
            yield f"{shown} is machine code"
        elif inner.endswith(".pt"):
            try:
                check_only_tensors(archive.read(name))
            except ValueError:
                yield f"{shown} is a pickle that does more than hold tensors"
        elif inner.endswith(".json") or inner.startswith("models/"):
            yield from (f"{shown} {what}" for what in _code_in_json(archive, name))
        elif not _DATA.fullmatch(inner):
            yield f"{shown} is nothing that a program of tensors needs"


def _code_in_json(archive: zipfile.ZipFile, name: str) -> Iterator[str]:
    if archive.getinfo(name).file_size > _LARGEST_JSON:
        raise ValueError(f"{name} is larger than {_LARGEST_JSON >> 20} MiB")
    for one in _objects(json.loads(archive.read(name))):
        if one.get("use_pickle"):
            yield "says that a tensor is pickled"
        symbols = one.get("range_constraints")
        texts = [one["expr_str"]] if "expr_str" in one else []
        texts += list(symbols) if isinstance(symbols, dict) else []
        for text in texts:
            if not _is_expression(text):
                yield f"has the expression {printable(str(text), 60)!r}"
        if "target" in one and "inputs" in one and not _OPERATOR.fullmatch(str(one["target"])):
            yield f"calls {printable(str(one['target']), 60)}"


def _objects(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """Every object in a JSON document."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            yield one
            stack += one.values()
        elif isinstance(one, list):
            stack += one


def _is_expression(text: object) -> bool:
    """Whether a text is arithmetic of symbols: evaluated, it can do nothing else.

    >>> _is_expression("Max(Integer(1), s0//2)"), _is_expression("__import__('os')")
    (True, False)
    """
    if not isinstance(text, str):
        return False
    bare = _HARMLESS.sub("0", text)
    names = _NAME.findall(bare)
    return _NAME.sub("0", bare).strip(_ARITHMETIC) == "" and all(
        name in _FUNCTIONS or _SYMBOL.fullmatch(name) for name in names
    )
