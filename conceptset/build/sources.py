"""From the SOURCE arguments to annotation files, each with its format and its photographs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptset.errors import SourceError, UnsafeError, UsageError
from conceptset.formats import detect, format_named
from conceptset.formats.base import Candidate, Detection, Format
from conceptset.io.catalogue import ImageCatalogue, guess_root
from conceptset.io.tables import read_table
from conceptset.layout.names import MANIFEST
from conceptset.parsing.values import quoted

_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Source:
    """One annotation file or directory that will be read.

    Attributes:
        path: Where it lies.
        label: What messages and origins call it: relative to what the user named.
        format: Its reader.
        catalogue: Its photographs.
    """

    path: Path
    label: str
    format: Format
    catalogue: ImageCatalogue


def find_sources(
    paths: Sequence[Path], *, format_name: str | None, images: Path | None
) -> list[Source]:
    """The annotation files that the arguments name.

    A directory is read as a whole if a format takes it so, else every file in it that some format
    takes, sorted by path.

    Raises:
        SourceError: One does not exist or no format takes it; every format's reason is given.
        UsageError: Several formats take it, or the photographs cannot be found.
    """
    catalogues: dict[Path, ImageCatalogue] = {}
    sources: list[Source] = []
    for path in paths:
        for file, reader in _readable(path, format_name):
            label = path.name if file == path else f"{path.name}/{file.relative_to(path)}"
            root = images or _image_root(file, reader, below=path if path.is_dir() else None)
            key = root.resolve()
            catalogue = catalogues.setdefault(key, ImageCatalogue(root))
            sources.append(Source(file, label.replace(os.sep, "/"), reader, catalogue))
    seen: set[Path] = set()
    for source in sources:
        if source.path.resolve() in seen:
            raise UsageError("is named twice among the sources", path=source.path)
        seen.add(source.path.resolve())
    return sources


def _readable(path: Path, format_name: str | None) -> list[tuple[Path, Format]]:
    if not path.exists():
        raise SourceError("does not exist", path=path)
    if format_name is not None:
        reader = format_named(format_name)
        if not path.is_dir() or reader.detect(Candidate(path)).matches:
            return [(path, reader)]
        found = [(file, reader) for file in _files(path) if reader.detect(Candidate(file)).matches]
        if not found:
            raise SourceError(f"holds no {reader.title} annotations", path=path)
        return found
    reader_of_path = _choose(path, detect(path))
    if reader_of_path is not None:
        return [(path, reader_of_path)]
    if not path.is_dir():
        reasons = "; ".join(f"{d.format}: {', '.join(d.reasons)}" for d in detect(path))
        raise SourceError(
            f"is of no known annotation format ({reasons})",
            path=path,
            hint="'conceptset detect' says more; --format NAME chooses a reader.",
        )
    chosen = [(file, _choose(file, detect(file))) for file in _files(path)]
    found = [(file, reader) for file, reader in chosen if reader is not None]
    if not found:
        raise SourceError(
            f"none of its {len(chosen)} files is of a known annotation format",
            path=path,
            hint="'conceptset detect FILE' says what is missing.",
        )
    return found


def passed_over(paths: Sequence[Path], found: Sequence[Source]) -> int:
    """How many files in the named directories look like annotations and were not taken.

    One that is cut short would otherwise cost an annotator without a word.
    """
    taken = {source.path for source in found}
    folders = [path for path in paths if path.is_dir() and path not in taken]
    return sum(
        file not in taken and file.suffix.lower() != ".csv"
        for folder in folders
        for file in _files(folder)
    )


def _files(folder: Path) -> list[Path]:
    """What could be annotations below a folder, sorted; not what a concept set consists of."""
    found = []
    for directory, folders, files in os.walk(folder):
        if MANIFEST in files:
            folders.clear()
            continue
        suffixes = (".json", ".xml", ".csv", ".jsonl")
        found += [Path(directory, name) for name in files if name.lower().endswith(suffixes)]
    return sorted(found)


def _choose(path: Path, detections: list[Detection]) -> Format | None:
    matches = [detection.format for detection in detections if detection.matches]
    if len(matches) > 1:
        raise UsageError(
            f"could be {' or '.join(matches)}", path=path, hint="Choose with --format NAME."
        )
    return format_named(matches[0]) if matches else None


def _image_root(file: Path, reader: Format, *, below: Path | None) -> Path:
    """The folder that the names in the annotations are relative to."""
    names = list(reader.image_names(file))
    sample = names[:: max(1, len(names) // _SAMPLE)]
    home = file.parent
    parents = [home, home.parent] + ([below] if below is not None else [])
    candidates = [
        candidate
        for folder in parents
        for candidate in (folder / "images", folder / "Images", folder)
    ]
    candidates.append(home.parent.parent / "Images")  # LabelMe has Annotations/FOLDER/ beside it
    part = file.stem.rpartition("_")[2]
    candidates += [folder / "images" / part for folder in parents]
    root = guess_root(sample, candidates)
    if root is not None:
        return root
    for candidate in candidates:
        if candidate.is_dir() and sample:
            catalogue = ImageCatalogue(candidate)
            if any(_is_there(catalogue, name) for name in sample):
                return candidate
    raise SourceError(
        f"names {len(names)} images, such as {quoted(sample[0])}; none of them was found"
        if sample
        else "names no image",
        path=file,
        hint="Give the folder of the photographs with --images DIR.",
    )


def _is_there(catalogue: ImageCatalogue, name: str) -> bool:
    try:
        return isinstance(catalogue.locate(name), str)
    except UnsafeError:  # the reader reports it, image by image
        return False


class AnnotatorTable:
    """Who drew the files that do not say: `--annotator-from file | folder | CSV`."""

    def __init__(self, rule: str | None) -> None:
        self._rule = rule
        self._table: dict[str, str] = {}
        if rule in (None, "file", "folder"):
            return
        path = Path(str(rule))
        if not path.is_file():
            raise UsageError(
                f"--annotator-from is {rule!r}; file, folder or a CSV (file,annotator) was expected"
            )
        table = read_table(path)
        if not {"file", "annotator"} <= set(table.header):
            raise UsageError("needs the columns file,annotator", path=path, pointer="line 1")
        for line, record in table.records():
            name = record["annotator"].strip()
            if self._table.setdefault(record["file"].strip(), name) != name:
                raise UsageError(
                    f"names two annotators for {record['file']!r}",
                    path=path,
                    pointer=f"line {line}",
                )

    def name_of(self, source: Source) -> str | None:
        """The annotator of a file by the rule, None where the rule is silent."""
        if self._rule is None:
            return None
        if self._rule == "file":
            return source.path.stem
        if self._rule == "folder":
            return Path(os.path.abspath(source.path)).parent.name  # noqa: PTH100 - keeps links
        for key in (source.label, source.path.name, source.path.stem):
            if key in self._table:
                return self._table[key]
        raise UsageError(
            f"--annotator-from {Path(self._rule).name} has no row for {source.label}",
            hint="Its column file holds the path below the source, or the file's name.",
        )
