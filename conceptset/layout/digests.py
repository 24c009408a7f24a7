"""One digest for many files: how a manifest seals the maps and the photographs of a set."""

from __future__ import annotations

from collections.abc import Mapping

from conceptset.io.tables import digest


def digest_of_files(digests: Mapping[str, str]) -> str:
    r"""SHA-256 over the sorted lines `digest  path\n` of the files.

    Args:
        digests: SHA-256 of each file, by its path relative to `images/`.

    >>> digest_of_files({})[:8]
    'e3b0c442'
    """
    lines = sorted(f"{value}  {path}\n" for path, value in digests.items())
    return digest("".join(lines).encode("utf-8"))
