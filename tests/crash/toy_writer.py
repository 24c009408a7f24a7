"""A small program around conceptset.io.atomic: toy_writer [--overwrite | --file] OUT WORD."""

from __future__ import annotations

import sys
from pathlib import Path

from conceptset.errors import ConceptsetError
from conceptset.io.atomic import new_directory, write_file


def main() -> None:
    """Write a directory of three files, or with --file a single one."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    target, data = Path(words[0]), words[1].encode() * 1000
    try:
        if "--file" in sys.argv:
            write_file(target, data)
            return
        with new_directory(target, overwrite="--overwrite" in sys.argv) as folder:
            (folder / "a.bin").write_bytes(data)
            (folder / "below").mkdir()
            (folder / "below" / "b.bin").write_bytes(data[::-1])
            write_file(folder / "conceptset.json", data[:10])
    except ConceptsetError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
