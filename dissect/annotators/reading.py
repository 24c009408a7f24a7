"""What a run says of its annotators, read again; needs neither pandas nor torch."""

from __future__ import annotations

from pydantic import ValidationError

from conceptset.errors import LayoutError
from conceptset.io.tables import read_json
from dissect.annotators.document import AnnotatorReport
from dissect.state import RunLayout


def read_report(layout: RunLayout) -> AnnotatorReport | None:
    """annotators.json; None where a run has none.

    Raises:
        LayoutError: It breaks the schema.
    """
    if not layout.comparison.is_file():
        return None
    try:
        return AnnotatorReport.model_validate(read_json(layout.comparison))
    except ValidationError as error:
        first = error.errors()[0]
        raise LayoutError(
            first["msg"], path=layout.comparison, pointer="/" + "/".join(map(str, first["loc"]))
        ) from error
