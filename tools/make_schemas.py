"""Writes schemas/v1/*.schema.json from the pydantic models; with --check it only compares."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conceptset.io.tables import format_json
from conceptset.layout.schemas import VERSION, schema_of
from conceptset.published import schema, schema_names

FOLDER = Path(__file__).resolve().parent.parent / "schemas" / VERSION

# conceptset must not know dissect, so what dissect writes is added here: name -> module:model
OF_DISSECT = {
    "run": "dissect.state:Run",
    "run-annotators": "dissect.annotators.document:AnnotatorReport",
    "run-comparison": "dissect.compare.document:Comparison",
}


def all_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every published schema with its name."""
    for name in schema_names():
        yield name, schema(name)
    for name, place in OF_DISSECT.items():
        module, _, attribute = place.partition(":")
        yield name, schema_of(name, getattr(importlib.import_module(module), attribute))


def expected_files() -> dict[str, bytes]:
    """File name to the bytes it must have."""
    return {f"{name}.schema.json": format_json(document) for name, document in all_schemas()}


def differences(folder: Path, expected: dict[str, bytes]) -> list[str]:
    """What in `folder` is not as expected, one phrase each."""
    present = {path.name: path.read_bytes() for path in folder.glob("*")}
    missing = [f"{name} is missing" for name in sorted(expected.keys() - present.keys())]
    surplus = [f"{name} belongs to no model" for name in sorted(present.keys() - expected.keys())]
    changed = [
        f"{name} differs from its model"
        for name in sorted(expected.keys() & present.keys())
        if expected[name] != present[name]
    ]
    return missing + surplus + changed


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 on a difference")
    arguments = parser.parse_args()
    expected = expected_files()
    found = differences(FOLDER, expected)
    if arguments.check:
        for line in found:
            print(f"schemas/{VERSION}/{line}")
        if found:
            print("Run python tools/make_schemas.py to bring them up to date.")
        return 1 if found else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*"):
        if path.name not in expected:
            path.unlink()
    for name, data in expected.items():
        (FOLDER / name).write_bytes(data)
    print(f"{len(expected)} schemas in schemas/{VERSION}, {len(found)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
