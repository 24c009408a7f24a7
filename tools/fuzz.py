#!/usr/bin/env python3
"""Coverage-guided fuzzing of the readers: whatever the bytes, only our own errors come out.

    python tools/fuzz.py coco --seeds FOLDER --seconds 600
    python tools/fuzz.py --list

Needs `pip install atheris`, which is no dependency of the project: it exists for few platforms.
Every input is written into a folder with a few photographs; then the format looks at it, names its
images and reads it under each policy, and every shape is filled. What ends with anything but a
`ConceptsetError`, takes longer than 10 s or more than 1 GiB is a failure: atheris stops and leaves
the input as `crash-*`, which the same command with that file as last argument repeats.

A format that reads a directory gets several files in one input, separated by a line `--8<--`.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["conceptset"]):
    from conceptset.errors import ConceptsetError
    from conceptset.findings import Problems
    from conceptset.formats import format_named, formats
    from conceptset.formats.base import Candidate, Format, ReadContext
    from conceptset.io import archives
    from conceptset.io.catalogue import ImageCatalogue
    from conceptset.raster import rasterize

    formats()  # loads every reader while imports are watched

from PIL import Image

# Seeds come from other images: their names and sizes are made those of the playground's.
FITTING = (
    (rb'("(?:file_name|filename|imagePath)"\s*:\s*)"[^"]*"', rb'\1"a.png"'),
    (rb'("(?:height|imageHeight)"\s*:\s*)[0-9.]+', rb"\g<1>6"),
    (rb'("(?:width|imageWidth)"\s*:\s*)[0-9.]+', rb"\g<1>8"),
    (rb'(<image [^>]*name=)"[^"]*"', rb'\1"a.png"'),
    (rb'(<image [^>]*width=)"[^"]*"', rb'\1"8"'),
    (rb'(<image [^>]*height=)"[^"]*"', rb'\1"6"'),
    (rb"(<filename>)[^<]*", rb"\1a.png"),
    (rb"(<(?:nrows|height)>)[^<]*", rb"\g<1>6"),
    (rb"(<(?:ncols|width)>)[^<]*", rb"\g<1>8"),
)
SEPARATOR = b"\n--8<--\n"
PHOTOGRAPHS = {"a.png": (6, 8), "b/c.png": (8, 6), "frame_000000.png": (6, 8), "a.jpg": (6, 8)}


@dataclass(frozen=True)
class Target:
    """What one fuzz run feeds.

    Attributes:
        format: The reader; empty for archives.
        files: The files whose bytes come from the fuzzer.
        source: The file or directory that is read.
        suffixes: Endings of seed files.
    """

    format: str
    files: tuple[str, ...]
    source: str = "."
    suffixes: tuple[str, ...] = ()


TARGETS = {
    "coco": Target("coco", ("s.json",), "s.json", (".json",)),
    "cvat": Target("cvat", ("s.xml",), "s.xml", (".xml",)),
    "cvat-backup": Target("cvat", ("task.json", "annotations.json", "data/manifest.jsonl")),
    "labelme": Target("labelme", ("s.json",), "s.json", (".json",)),
    "labelme-xml": Target("labelme-xml", ("s.xml",), "s.xml", (".xml",)),
    "darwin": Target("darwin", ("s.json",), "s.json", (".json",)),
    "masks": Target("masks", ("classes.txt", "masks/a.png")),
    "binary-masks": Target("binary-masks", ("a_door.png", "a_wall.jpg")),
    "image-folders": Target("image-folders", ("labels_joint_anno.txt",)),
    "ade20k": Target("ade20k", ("a.json", "a_seg.png", "a_parts_1.png", "a_atr.txt")),
    "broden": Target(
        "broden",
        ("index.csv", "label.csv", "category.csv", "c_object.csv", "images/a_object.png"),
    ),
    "archive": Target("", ("s.zip",), "s.zip", (".zip", ".tar", ".tgz")),
}


def main() -> None:
    """Parse our options, hand the rest to the fuzzer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", nargs="?", choices=sorted(TARGETS))
    parser.add_argument("input", nargs="*", help="repeat these inputs only")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("--seeds", type=Path, help="folder of files to begin with")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--runs", type=int, default=-1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.list or options.target is None:
        print("\n".join(sorted(TARGETS)))
        return
    target = TARGETS[options.target]
    with tempfile.TemporaryDirectory(prefix="conceptset-fuzz-") as name:
        folder = Path(name)
        corpus = folder / "corpus"
        corpus.mkdir()
        for number, data in enumerate(_seeds(target, options.seeds)):
            (corpus / f"{number:05}").write_bytes(_fitted(data))
        work = _playground(folder / "work")
        arguments = [
            sys.argv[0],
            f"-max_total_time={options.seconds}",
            f"-runs={options.runs}",
            f"-seed={options.seed}",
            "-max_len=65536",
            "-timeout=10",
            "-rss_limit_mb=1024",
            "-print_final_stats=1",
            *(options.input or [str(corpus)]),
        ]
        atheris.Setup(arguments, lambda data: _try(target, work, data))
        atheris.Fuzz()


def _seeds(target: Target, folder: Path | None) -> Iterator[bytes]:
    """What to begin with: files of a folder that are small enough, or empty ones."""
    yield SEPARATOR.join(b"" for _ in target.files)
    if folder is None:
        return
    if len(target.files) > 1:
        for path in sorted(folder.rglob(Path(target.files[0]).name)):
            found = [path.parent / name for name in target.files]
            yield SEPARATOR.join(one.read_bytes() if one.is_file() else b"" for one in found)
        return
    for path in sorted(folder.rglob("*")):
        if path.suffix in target.suffixes and path.stat().st_size < 65536:
            yield path.read_bytes()


def _fitted(data: bytes) -> bytes:
    for pattern, replacement in FITTING:
        data = re.sub(pattern, replacement, data)
    return data


def _playground(folder: Path) -> Path:
    for name, (height, width) in PHOTOGRAPHS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height), (90, 120, 30)).save(path)
    return folder


def _try(target: Target, folder: Path, data: bytes) -> None:
    pieces = data.split(SEPARATOR, len(target.files) - 1)
    for name, piece in zip(target.files, pieces, strict=False):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(piece)
    for name in target.files[len(pieces) :]:
        (folder / name).unlink(missing_ok=True)
    source = folder / target.source
    if not target.format:
        with tempfile.TemporaryDirectory() as out, contextlib.suppress(ConceptsetError):
            archives.unpack(source, Path(out))
        return
    reader = format_named(target.format)
    reader.detect(Candidate(source))
    with contextlib.suppress(ConceptsetError):
        for _, _ in zip(range(200), reader.image_names(source), strict=False):
            pass
    for policy in ("raise", "collect"):
        with contextlib.suppress(ConceptsetError):
            _read(reader, source, folder, Problems(policy))  # type: ignore[arg-type]


def _read(reader: Format, source: Path, folder: Path, problems: Problems) -> None:
    with tempfile.TemporaryDirectory() as workspace:
        context = ReadContext(ImageCatalogue(folder, Path(workspace)), problems, "source")
        for record in reader.read(source, context):
            for region in record.regions:
                if region.geometry is not None:
                    with contextlib.suppress(ConceptsetError):
                        rasterize(region.geometry, record.size)
    assert all(finding.hint for finding in problems.findings)


if __name__ == "__main__":
    main()
