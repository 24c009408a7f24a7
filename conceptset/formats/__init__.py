"""The known annotation formats: ours and those of third parties, found by entry point.

A distribution adds a format by naming an object that follows `conceptset.formats.base.Format`
under the entry point group `conceptset.formats`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from conceptset.errors import SourceError, UsageError, printable
from conceptset.formats.base import Candidate, Detection, Format

GROUP = "conceptset.formats"
_BUILT_IN = {
    "ade20k": "conceptset.formats.ade20k:FORMAT",
    "binary-masks": "conceptset.formats.masks:BINARY_MASKS",
    "broden": "conceptset.formats.broden:FORMAT",
    "coco": "conceptset.formats.coco:FORMAT",
    "cvat": "conceptset.formats.cvat:FORMAT",
    "darwin": "conceptset.formats.darwin:FORMAT",
    "image-folders": "conceptset.formats.masks:IMAGE_FOLDERS",
    "labelme": "conceptset.formats.labelme:FORMAT",
    "labelme-xml": "conceptset.formats.labelme_xml:FORMAT",
    "masks": "conceptset.formats.masks:MASKS",
}


@cache
def formats() -> dict[str, Format]:
    """All formats by name, sorted.

    Raises:
        UsageError: Two distributions register different formats under one name, or an entry
            point names something that is no format.
    """
    values = dict(_BUILT_IN)
    for point in entry_points(group=GROUP):
        if values.setdefault(point.name, point.value) != point.value:
            raise UsageError(
                f"two installed packages register the format {point.name!r}: "
                f"{values[point.name]} and {point.value}",
                hint="Uninstall one of them.",
            )
    found: dict[str, Format] = {}
    for name, value in sorted(values.items()):
        found[name] = _load(name, value)
    return found


def _load(name: str, value: str) -> Format:
    """The format that an entry point names.

    Raises:
        UsageError: It cannot be imported, is no format, or calls itself differently.
    """
    module, _, attribute = value.partition(":")
    try:
        candidate = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        if module.startswith("conceptset."):
            raise
        raise UsageError(
            f"the annotation format {name} = {value} of an installed package cannot be imported "
            f"({type(error).__name__}: {printable(str(error))})",
            hint="Correct or uninstall that package.",
        ) from error
    if isinstance(candidate, type):
        raise UsageError(
            f"the entry point {name} = {value} names a class, an object of it was expected",
            hint="Correct or uninstall the package that registers it.",
        )
    if not isinstance(candidate, Format) or candidate.name != name:
        raise UsageError(
            f"the entry point {name} = {value} is no annotation format of this name",
            hint="Correct or uninstall the package that registers it.",
        )
    return candidate


def format_named(name: str) -> Format:
    """The format called `name`.

    Raises:
        UsageError: There is none.
    """
    try:
        return formats()[name]
    except KeyError:
        raise UsageError(
            f"there is no format {name!r}", hint=f"Known: {', '.join(formats())}."
        ) from None


def detect(path: Path) -> tuple[Detection, ...]:
    """What every format says about a file or directory, matches first.

    Raises:
        SourceError: It does not exist.
    """
    if not path.exists():
        raise SourceError("does not exist", path=path)
    return ask(path, formats().values())


def ask(path: Path, readers: Iterable[Format]) -> tuple[Detection, ...]:
    """What some formats say about a file or directory, matches first; it is looked at once."""
    candidate = Candidate(path)
    found = [reader.detect(candidate) for reader in readers]
    return tuple(sorted(found, key=lambda one: (not one.matches, not one.on_request, one.format)))
