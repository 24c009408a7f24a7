"""Archives we do not trust, unpacked member by member: zip, tar and gzipped tar.

Everything about an archive can lie: names, sizes, counts, checksums. Nothing is written outside
the target, nothing but plain files is written, and no more than the limits allow. Archives inside
archives stay as they are.
"""

from __future__ import annotations

from pathlib import Path

from conceptset.io.archives.kinds import archive_stem, has_archive_name, is_archive, kind_of
from conceptset.io.archives.members import MAX_BYTES, MAX_MEMBERS, MAX_RATIO, Progress, Unpacking
from conceptset.io.archives.tarred import unpack_tar
from conceptset.io.archives.zipped import unpack_zip

__all__ = [
    "MAX_BYTES",
    "MAX_MEMBERS",
    "MAX_RATIO",
    "archive_stem",
    "has_archive_name",
    "is_archive",
    "unpack",
]


def unpack(archive: Path, target: Path, progress: Progress = lambda _done, _total: None) -> None:
    """Write every file of an archive below `target`, which is created.

    The shadow files that macOS adds are left out. A folder without a file does not appear.

    Args:
        archive: Known by its content: zip, tar or gzipped tar.
        target: A directory that does not exist.
        progress: Told (done, total) members; the total is 0 where it is not known.

    Raises:
        SourceError: It is no such archive, encrypted, cut short or damaged.
        UnsafeError: A member leaves the target, is a link or a device, or has the name of another
            one; or there are more members, more bytes or a higher ratio than the limits allow.
        OutputError: The target cannot be written.
    """
    kind = kind_of(archive)
    unpacking = Unpacking(archive, target, progress)
    if kind == "zip":
        unpack_zip(unpacking)
    else:
        unpack_tar(unpacking, gzipped=kind == "gzip")
