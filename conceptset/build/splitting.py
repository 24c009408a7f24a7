"""Which part of the set an image belongs to: drawn from its identity, so nobody moves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import PurePosixPath


def draw_split(identity: str, shares: Mapping[str, str]) -> str:
    """The part that an identity falls into.

    The identity's hash is a point in [0, 1), the shares are laid end to end; other images have no
    say in it.

    >>> draw_split("a", {"train": "1"})
    'train'
    """
    point = Fraction(int(hashlib.sha256(f"split:{identity}".encode()).hexdigest(), 16), 2**256)
    end = Fraction(0)
    for name, share in shares.items():
        end += Fraction(share)
        if point < end:
            return name
    raise AssertionError("shares add up to 1")


def identity_of(key: str, sha256: str, split_by: str | None) -> str:
    """What the split of an image is drawn from: its bytes, or the sequence it belongs to.

    Args:
        key: Path below the image root.
        sha256: Digest of the file.
        split_by: A folder below the image root (`.` for the root itself); each of its sub-folders
            is one sequence and stays together. Images outside of it go by their bytes.

    >>> identity_of("day1/a.jpg", "ff", "."), identity_of("a.jpg", "ff", ".")
    ('folder day1', 'ff')
    """
    if split_by is None:
        return sha256
    folder = PurePosixPath(split_by.replace("\\", "/"))
    path = PurePosixPath(key)
    if not path.is_relative_to(folder):
        return sha256
    inner = path.relative_to(folder).parts
    return f"folder {folder / inner[0]}" if len(inner) > 1 else sha256
