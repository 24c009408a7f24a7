"""Where photographs came from and how the set was made: images.csv and the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue, TypeAdapter, ValidationError

from conceptset import __version__
from conceptset.errors import ConceptsetError, LayoutError
from conceptset.io.tables import read_json
from conceptset.layout import names
from conceptset.layout.models import ImageRow, Manifest, SourceEntry
from conceptset.repair.ledger import Ledger
from conceptset.repair.sheets import Sheet

_SETTINGS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
_SOURCES: TypeAdapter[list[SourceEntry]] = TypeAdapter(list[SourceEntry])
_LEFT_OUT: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, int])


class OldManifest:
    """What can still be read of a manifest.

    Attributes:
        settings: How the set was built; empty where that is lost.
        sources: What it was built from.
        left_out: What did not enter then.
        generator: What wrote it.
        document: The manifest, if all of it can be used.
    """

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self.settings: dict[str, JsonValue] = {}
        self.sources: list[SourceEntry] = []
        self.left_out: dict[str, int] = {}
        self.generator = f"conceptset {__version__}"
        self.document: Manifest | None = None
        path = root / names.MANIFEST
        if not path.is_file():
            text = "there is no manifest: how the set was made, and whether it was finished, is "
            ledger.lost("LAY002", f"{text}not known any more", names.MANIFEST)
            return
        try:
            document = read_json(path)
        except ConceptsetError as error:
            ledger.lost("LAY001", f"{error.message}; how the set was made is lost", names.MANIFEST)
            return
        if not isinstance(document, dict):
            text = "holds no JSON object; how the set was made is lost"
            ledger.lost("LAY001", text, names.MANIFEST)
            return
        version = document.get("schema_version")
        if isinstance(version, int) and version > Manifest.model_fields["schema_version"].default:
            raise LayoutError(
                f"has the schema version {version}, which is not known here",
                path=path,
                hint="Install a newer conceptset.",
            )
        self._take(document, ledger)

    def _take(self, document: Mapping[str, Any], ledger: Ledger) -> None:
        counts = document.get("counts")
        left_out = counts.get("left_out", {}) if isinstance(counts, dict) else {}
        for part, value, adapter in (
            ("settings", document.get("settings", {}), _SETTINGS),
            ("sources", document.get("sources", []), _SOURCES),
            ("left_out", left_out, _LEFT_OUT),
        ):
            try:
                setattr(self, part, adapter.validate_python(value))
            except ValidationError as error:
                text = f"{part}: {error.errors(include_url=False)[0]['msg']}; it is left out"
                ledger.lost("LAY001", text, names.MANIFEST, pointer=f"/{part}")
        if isinstance(document.get("generator"), str):
            self.generator = document["generator"]
        try:
            self.document = Manifest.model_validate(document)
        except ValidationError:
            ledger.changed("LAY001", "manifest completed")

    @property
    def consensus(self) -> str:
        """How the root's labels were formed; `majority` where nothing says so."""
        return str(self.settings.get("consensus", "majority"))


def find_origins(table: Sheet, images: Mapping[str, str], ledger: Ledger) -> dict[str, ImageRow]:
    """The rows of images.csv that can be used, by the photograph's old name.

    Args:
        table: images.csv.
        images: Every photograph of the set, old name to new.
        ledger: Where notes go.
    """
    columns = names.columns_of(names.IMAGES)
    found: dict[str, ImageRow] = {}
    for row in table.rows if table.has(*columns) else ():
        image = row.cells["image"]
        if image not in images:
            ledger.changed("LAY017", "rows of images.csv without a photograph taken out")
            continue
        try:
            one = ImageRow.model_validate({column: row.cells[column] for column in columns})
        except ValidationError:
            ledger.changed("LAY018", "rows of images.csv that hold no origin taken out")
            continue
        if image in found:
            ledger.changed("LAY018", "repeated rows of images.csv taken out")
        found.setdefault(image, one)
    return found


def own_origin(name: str, photograph: str) -> ImageRow:
    """The row of a photograph whose origin is lost: it stands for itself.

    Args:
        name: The photograph, relative to images/.
        photograph: Its digest.
    """
    source, _, last = name.rpartition("/")
    return ImageRow(image=name, source=source or "images", original=last, sha256=photograph)


def tell_lost_origins(lost: Sequence[str], table: Sheet, ledger: Ledger) -> None:
    """Report photographs whose origin is lost: once, where the whole table is."""
    what = "stands for itself now, with its own digest"
    if table.has(*names.columns_of(names.IMAGES)):
        for name in lost:
            ledger.lost("LAY017", f"where {name} came from is lost; it {what}", names.IMAGES)
    elif lost:
        code = "LAY004" if table.is_missing else "LAY005" if table.fault else "LAY006"
        text = f"where the {len(lost)} photographs came from is lost; each {what}"
        ledger.lost(code, text, names.IMAGES)
