"""Every error this project raises on purpose.

    ConceptsetError                 70  base; catch this to catch all of ours
    |-- UsageError                   2  an option, an argument or their combination
    |   |-- ConfigError              2  a configuration file
    |   `-- TaxonomyError            2  a taxonomy file
    |-- SourceError                  3  input that cannot be read
    |   |-- AnnotationError          3  one bad annotation, under --on-error raise
    |   |-- ImageError               3  a photograph or a mask
    |   |-- LayoutError              3  a concept set that breaks the layout
    |   `-- UnsafeError              3  input refused as unsafe
    |-- OutputError                  3  output that cannot be written
    |-- ClusterError                 3  a cluster that cannot be reached or lost the work
    `-- IncompleteError              4  a run that can be resumed

`dissect.errors` adds its own below these. The number is the exit code of the command line. Bad
*data* that does not stop the work is a `conceptset.findings.Finding` instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class ConceptsetError(Exception):
    """Base of all our errors.

    Args:
        message: What happened and what was expected, without the place.
        path: The file or directory concerned.
        pointer: Where inside the file: a JSON pointer, `line 7`, a column name.
        hint: What the reader of the message can do about it.
    """

    exit_code: ClassVar[int] = 70

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        pointer: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.pointer = pointer
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Travels between processes as it is, whatever its class takes as arguments."""
        return _revived, (type(self), self.args, vars(self))

    def __str__(self) -> str:
        place = "" if self.path is None else printable(str(self.path))
        if self.pointer:
            place = f"{place} {printable(self.pointer)}" if place else printable(self.pointer)
        text = f"{place}: {self.message}" if place else self.message
        if not self.hint:
            return text
        return f"{text}{'' if text.endswith('.') else '.'} {self.hint}"


def _revived(
    kind: type[ConceptsetError], args: tuple[object, ...], state: dict[str, object]
) -> ConceptsetError:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class UsageError(ConceptsetError):
    """An option or argument that cannot be used as given."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file that cannot be used."""


class TaxonomyError(UsageError):
    """A taxonomy file that contradicts itself or cannot be read."""


class SourceError(ConceptsetError):
    """Input that cannot be read."""

    exit_code = 3


class AnnotationError(SourceError):
    """One bad annotation, raised under the policy `raise`. Carries the finding's code."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        path: str | Path | None = None,
        pointer: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, path=path, pointer=pointer, hint=hint)
        self.code = code


class ImageError(SourceError):
    """A photograph or mask that is missing, broken or of the wrong size."""


class LayoutError(SourceError):
    """A concept set whose files break the layout."""


class UnsafeError(SourceError):
    """Input refused because reading it could do harm."""


class OutputError(ConceptsetError):
    """Output that cannot be written."""

    exit_code = 3


class ClusterError(ConceptsetError):
    """A cluster that cannot be reached, does not see our files, or lost the work too often."""

    exit_code = 3


class IncompleteError(ConceptsetError):
    """Work that stopped half-way and can be resumed."""

    exit_code = 4


def printable(text: str, limit: int = 300) -> str:
    r"""The text with control and direction-changing characters escaped, cut to `limit` characters.

    Names and paths come from files we do not trust; in a message they must not move the cursor
    or reverse the line.

    >>> printable("a\nb\u202e")
    'a\\nb\\u202e'
    """
    shown = text
    if not text.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
