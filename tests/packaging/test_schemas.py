"""The published schemas are what the models say."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import jsonschema
import pytest

from conceptset.errors import UsageError
from conceptset.findings import Finding, Severity
from conceptset.layout.models import AnnotatorRow
from conceptset.layout.schemas import schema, schema_names


@pytest.fixture(scope="module")
def tool(repository: Path):
    """tools/make_schemas.py as a module."""
    path = repository / "tools" / "make_schemas.py"
    spec = importlib.util.spec_from_file_location("make_schemas", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def schemas_in(tool, tmp_path, monkeypatch):
    """Runs the tool on a folder of its own; returns the exit code."""
    folder = tmp_path / "v1"
    monkeypatch.setattr(tool, "FOLDER", folder)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["make_schemas.py", *arguments])
        return tool.main()

    return folder, run


def test_files_equal_models(tool):
    assert tool.differences(tool.FOLDER, tool.expected_files()) == []


def test_check_sees_every_kind_of_difference(schemas_in, capsys):
    folder, run = schemas_in
    assert run("--check") == 1
    assert run() == 0
    assert run("--check") == 0
    (folder / "manifest.schema.json").write_bytes(b"{}\n")
    (folder / "finding.schema.json").unlink()
    (folder / "old.schema.json").write_bytes(b"{}\n")
    capsys.readouterr()
    assert run("--check") == 1
    said = capsys.readouterr().out
    for phrase in (
        "finding.schema.json is missing",
        "old.schema.json belongs",
        "manifest.schema.j",
    ):
        assert phrase in said
    assert run() == 0
    assert run("--check") == 0


def test_files_are_sorted_json_with_identity(tool):
    for name, data in tool.expected_files().items():
        document = json.loads(data)
        assert document["$id"] == f"conceptset:v1/{name.removesuffix('.schema.json')}"
        assert (
            data
            == (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)).encode() + b"\n"
        )


def test_are_valid_schemas(tool):
    for _, document in tool.all_schemas():
        jsonschema.Draft202012Validator.check_schema(document)


def test_names():
    assert schema_names() == tuple(sorted(schema_names()))
    assert {"finding", "manifest", "index-row", "segment-row"} <= set(schema_names())


@pytest.mark.parametrize(
    ("name", "hint"), [("manifset", "Did you mean manifest"), ("zzz", "Known: annotator-row")]
)
def test_unknown_name(name, hint):
    with pytest.raises(UsageError, match=f"no schema '{name}'.*{hint}"):
        schema(name)


def test_holds_what_we_write_and_refuses_the_rest():
    finding = Finding(
        code="SEG001", severity=Severity.ERROR, message="m", path="a.png", pixel=(0, 1), hint="h"
    )
    validator = jsonschema.Draft202012Validator(schema("finding"))
    validator.validate(finding.model_dump(mode="json"))
    assert not validator.is_valid(finding.model_dump(mode="json") | {"more": 1})
    row = AnnotatorRow(
        annotator="ada", session=1, kind="person", directory="ada", images=1, segments=0
    )
    validator = jsonschema.Draft202012Validator(schema("annotator-row"))
    validator.validate(row.model_dump(mode="json"))
    assert not validator.is_valid(row.model_dump(mode="json") | {"session": 0})
