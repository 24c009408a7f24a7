"""The published schemas: of what stands in a concept set, and of documents of higher floors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from conceptset.consistency.document import ConsistencyReport
from conceptset.layout import schemas

_MODELS: dict[str, type[BaseModel]] = {"consistency": ConsistencyReport}


def schema_names() -> tuple[str, ...]:
    """The names that `schema` knows, sorted.

    >>> "consistency" in schema_names(), "manifest" in schema_names()
    (True, True)
    """
    return tuple(sorted({*schemas.schema_names(), *_MODELS}))


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one row or document.

    >>> schema("consistency")["$id"]
    'conceptset:v1/consistency'

    Raises:
        UsageError: There is no such schema.
    """
    return schemas.schema(name, more=_MODELS)
