"""Names from files we do not trust, turned into paths and into safe file names."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from conceptset.errors import UnsafeError

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{name}{i}" for name in ("com", "lpt") for i in range(1, 10))]
)
MAX_NAME = 120


def relative_name(name: str) -> str:
    r"""The name as a clean relative path with forward slashes.

    Backslashes count as separators: annotation tools on Windows write them.

    Raises:
        UnsafeError: Absolute, with a drive letter or a scheme, with `..`, NUL or a newline, or
            empty.

    >>> relative_name("a\\b.jpg"), relative_name("./a//b.jpg")
    ('a/b.jpg', 'a/b.jpg')
    """
    if not name or "\x00" in name or len(name) > 2048:
        raise UnsafeError("the name is empty, too long or holds a NUL character", pointer=name[:80])
    if not name.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        raise UnsafeError("the name holds control characters", pointer=name)
    if len(name.encode()) > 2048 or any(len(p.encode()) > 255 for p in re.split(r"[\\/]", name)):
        raise UnsafeError(
            "the name, or a part of it, is longer than any file name", pointer=name[:80]
        )
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or PurePosixPath(name).is_absolute() or "://" in name:
        raise UnsafeError(
            "the name is an absolute path or an address, a path inside the image folder was "
            "expected",
            pointer=name,
        )
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise UnsafeError("the name leaves its folder with '..'", pointer=name)
    return "/".join(parts)


def resolve_inside(root: Path, name: str) -> Path:
    """The path of `name` below `root`, which need not exist.

    Raises:
        UnsafeError: As for `relative_name`, or a symbolic link on the way leads outside `root`.
    """
    path = root / relative_name(name)
    base, resolved = os.path.realpath(root), os.path.realpath(path)
    if os.path.islink(resolved):  # noqa: PTH114 - what stays a link after resolving is a loop
        raise UnsafeError("the path is a loop of symbolic links", path=path)
    if resolved != base and not resolved.startswith(base.rstrip(os.sep) + os.sep):
        raise UnsafeError(
            "a symbolic link leads out of its folder",
            path=path,
            hint="Copy the file into it, or name the folder that the link leads to.",
        )
    return path


def plain_size(path: Path) -> int:
    """Bytes of a plain file.

    Raises:
        OSError: It cannot be looked at.
        UnsafeError: It is a pipe, a device or a directory: reading it might never end.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise UnsafeError(
            "is no plain file", path=path, hint="Pipes, devices and directories are not read."
        )
    return state.st_size


def slug(text: str, fallback: str = "unnamed") -> str:
    """A file name made of `[A-Za-z0-9._-]` that says what `text` said.

    >>> slug("Ünal & Söhne"), slug("../.."), slug("")
    ('Unal-Sohne', 'unnamed', 'unnamed')
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = _UNSAFE.sub("-", ascii_text).strip("-.")[:MAX_NAME].rstrip("-.")
    if name.split(".")[0].lower() in _DEVICES:
        name = f"{name}-"
    return name or fallback


def unique_slugs(
    texts: Iterable[str], *, taken: Iterable[str] = (), fallback: str = "unnamed"
) -> list[str]:
    """A slug for each text, in order; a clash (ignoring case) gets `-2`, `-3`, ...

    >>> unique_slugs(["a b", "A-b", "annotators"], taken=["annotators"])
    ['a-b', 'A-b-2', 'annotators-2']
    """
    used = {name.lower() for name in taken}
    result = []
    for text in texts:
        base = slug(text, fallback)
        name, number = base, 1
        while name.lower() in used:
            number += 1
            name = f"{base}-{number}"
        used.add(name.lower())
        result.append(name)
    return result
