"""What the tests of readers share: tiny photographs, files made in code, one call to read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from conceptset.findings import Finding, Problems
from conceptset.formats.base import Format, ReadContext
from conceptset.formats.coco import FORMAT
from conceptset.io.catalogue import ImageCatalogue
from conceptset.records import ImageRecord

Read = Callable[..., tuple[list[ImageRecord], list[Finding]]]


def save_image(path: Path, size: tuple[int, int], orientation: int = 1) -> None:
    """A grey image of (height, width), with an EXIF orientation if that is not 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (size[1], size[0]), 128)
    if orientation == 1:
        image.save(path)
        return
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)


def read_file(
    path: Path, images: Path, on_error: str = "collect", label: str | None = None
) -> tuple[list[ImageRecord], list[Finding]]:
    return read_as(FORMAT, path, images, on_error=on_error, label=label)


def read_as(
    reader: Format,
    path: Path,
    images: Path,
    *,
    on_error: str = "collect",
    label: str | None = None,
    beside: str = "",
    workspace: Path | None = None,
) -> tuple[list[ImageRecord], list[Finding]]:
    """What any reader makes of a file or directory."""
    problems = Problems(on_error)  # type: ignore[arg-type]
    catalogue = ImageCatalogue(images, workspace)
    context = ReadContext(catalogue, problems, label or path.name, beside)
    records = list(reader.read(path, context))
    return records, problems.findings


@pytest.fixture
def read_format() -> Read:
    """Reads with any reader, see `read_as`."""
    return read_as


@pytest.fixture
def read_path() -> Read:
    """Reads a file that exists: (path, image root, on_error) -> (records, findings)."""
    return read_file


@pytest.fixture
def save() -> Callable[..., None]:
    """Writes a blank image: (path, (height, width), orientation)."""
    return save_image


@pytest.fixture
def read_coco(tmp_path: Path) -> Read:
    """Writes a document as `a.json` and reads it; images are made unless `sizes` is empty.

    A document may be JSON text. The default photograph is a.png, 6 high and 8 wide.
    """

    def read(
        document: object,
        sizes: dict[str, tuple[int, int]] | None = None,
        on_error: str = "collect",
    ) -> tuple[list[ImageRecord], list[Finding]]:
        root = tmp_path / "images"
        root.mkdir(exist_ok=True)
        for name, size in ({"a.png": (6, 8)} if sizes is None else sizes).items():
            save_image(root / name, size)
        path = tmp_path / "a.json"
        text = document if isinstance(document, str) else json.dumps(document)
        path.write_text(text, encoding="utf-8")
        return read_file(path, root, on_error)

    return read


@pytest.fixture
def document() -> Callable[..., dict[str, object]]:
    """A COCO document of one image (a.png, 6 x 8) with the annotations given."""

    def make(*annotations: object, **changes: object) -> dict[str, object]:
        return {
            "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}],
            "categories": [{"id": 0, "name": "door"}, {"id": 7, "name": "wall"}],
            "annotations": [
                {"id": i, "image_id": 1, "category_id": 0} | annotation
                if isinstance(annotation, dict)
                else annotation
                for i, annotation in enumerate(annotations)
            ],
        } | changes

    return make
