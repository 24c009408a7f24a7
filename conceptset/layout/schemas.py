"""The JSON Schemas of what stands on disk, by name, generated from the models."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from conceptset.errors import UsageError
from conceptset.findings import Finding
from conceptset.layout.models import (
    AnnotatorRow,
    CategoryLabelRow,
    CategoryRow,
    ImageRow,
    IndexRow,
    LabelRow,
    Manifest,
    SegmentRow,
)
from conceptset.layout.samples import Sample

VERSION = "v1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MODELS: dict[str, type[BaseModel]] = {
    "annotator-row": AnnotatorRow,
    "category-label-row": CategoryLabelRow,
    "category-row": CategoryRow,
    "finding": Finding,
    "image-row": ImageRow,
    "index-row": IndexRow,
    "label-row": LabelRow,
    "manifest": Manifest,
    "sample": Sample,
    "segment-row": SegmentRow,
}
_NO_MORE: Mapping[str, type[BaseModel]] = MappingProxyType({})


def schema_names() -> tuple[str, ...]:
    """The names that `schema` knows, sorted.

    >>> schema_names()[:2]
    ('annotator-row', 'category-label-row')
    """
    return tuple(sorted(_MODELS))


def schema(name: str, *, more: Mapping[str, type[BaseModel]] = _NO_MORE) -> dict[str, Any]:
    """The JSON Schema of one row or document.

    Args:
        name: Of the schema.
        more: Models of higher floors that are published too, by name.

    >>> schema("manifest")["$id"]
    'conceptset:v1/manifest'

    Raises:
        UsageError: There is no such schema.
    """
    models = {**_MODELS, **more}
    if name not in models:
        near = difflib.get_close_matches(name, models, n=3, cutoff=0.5)
        shown = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(models)}."
        raise UsageError(f"there is no schema {name!r}", hint=shown)
    return schema_of(name, models[name])


def schema_of(name: str, model: type[BaseModel]) -> dict[str, Any]:
    """The published JSON Schema of a model, under the name it has in `schemas/`."""
    head = {"$schema": DIALECT, "$id": f"conceptset:{VERSION}/{name}"}
    return head | model.model_json_schema()
