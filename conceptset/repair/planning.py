"""What is to be done about each photograph, and what everything is called afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from conceptset.consensus import COMPARES_SEGMENTS, METHODS
from conceptset.layout import names
from conceptset.records import first_sessions
from conceptset.repair.files import Names
from conceptset.repair.ledger import Ledger
from conceptset.repair.pictures import MapName, MaskName, PictureTask
from conceptset.repair.rows import Entry, Listing
from conceptset.repair.writing import Old

_BY_PIXEL = set(METHODS) - set(COMPARES_SEGMENTS)  # need no more than the maps


class Planner:
    """Makes one task per photograph."""

    def __init__(self, old: Old, ledger: Ledger) -> None:
        self.old = old
        self.ledger = ledger
        self.names = Names(ours=old.ours, taken=old.files.names)
        self.owners: dict[str, str] = {}  # label map to the first photograph that names it

    def tasks(self) -> dict[str, PictureTask]:
        """The tasks by the old name of the photograph, sorted."""
        self._complete_root()
        images = sorted({image for rows in self.old.listings.values() for image in rows})
        return {image: self._task(image) for image in images}

    @property
    def method(self) -> str:
        """How the root's labels are formed; empty where nothing says so."""
        return "" if self.old.manifest is None else self.old.manifest.consensus

    @property
    def without_voice(self) -> frozenset[str]:
        """Folders of models among persons, who decide nothing."""
        models = frozenset(one.folder for one in self.old.annotators if one.kind == "model")
        return models if len(models) < len(self.old.annotators) else frozenset()

    def _complete_root(self) -> None:
        """Give the root the rows that only annotators have, where nobody has to be asked."""
        root, people = self.old.listings[""], self.old.annotators
        missing = {
            image: folder
            for folder, rows in reversed(self.old.listings.items())
            for image in rows
            if folder and folder not in self.without_voice and image not in root
        }
        method = self.method
        followed = {one.name for one in people}.difference(METHODS)
        if not missing or (len(people) > 1 and method in followed):
            return
        for image, folder in sorted(missing.items()):
            if len(people) == 1:
                root[image] = self.old.listings[folder][image]
                self.ledger.changed("ANN004", "rows of index.csv taken from the one annotator")
            elif method not in _BY_PIXEL:
                text = f"{image} is not in {names.INDEX}, and its labels are formed by {method!r}"
                self.ledger.lost(
                    "ANN004",
                    f"{text}; the photograph is left out",
                    self.old.listings[folder][image].path,
                )
                for rows in self.old.listings.values():
                    rows.pop(image, None)

    def _task(self, image: str) -> PictureTask:
        new = self.names.of_photograph(image)
        if new != image:
            self.ledger.changed("LAY019", "photographs renamed, with all that goes with them")
        here = {folder: rows[image] for folder, rows in self.old.listings.items() if image in rows}
        maps = self._map_names(image, new, here)
        cells = {
            folder: {
                category: [
                    MapName(entry.map, maps.get(entry.map, ""), entry.number) for entry in entries
                ]
                for category, entries in listing.cells.items()
                if entries
            }
            for folder, listing in here.items()
        }
        stated = [listing.map_size for listing in here.values() if listing.map_size is not None]
        return PictureTask(
            image,
            new,
            stated[0] if stated else None,
            cells,
            dict(self._masks(image, new, here)),
            () if "" in here else tuple(self._voters(here)),
            self.method,
        )

    def _map_names(self, image: str, new: str, here: Mapping[str, Listing]) -> dict[str, str]:
        """Old name to new of every map of a photograph."""
        result: dict[str, str] = {}
        for folder, listing in here.items():
            for category, entries in listing.cells.items():
                maps = [entry for entry in entries if entry.map]
                for place, entry in enumerate(maps, start=1):
                    if entry.map in result:
                        continue
                    wanted = None
                    if new != image and self.old.ours:
                        plane = place if len(maps) > 1 else None
                        wanted = _map_name(new, category, plane, folder)
                    result[entry.map] = self._map_name(entry, image, listing, wanted)
        return result

    def _map_name(self, entry: Entry, image: str, listing: Listing, wanted: str | None) -> str:
        owner = self.owners.setdefault(entry.map, image)
        if owner != image:
            text = f"the map {entry.map} belongs to {owner} already; {image} has its own copy now"
            self.ledger.doubtful("IDX011", text, listing.path, listing.line)
            return self.names.of_copy(wanted or entry.map)
        return self.names.of_map(entry.map, wanted)

    def _masks(
        self, image: str, new: str, here: Mapping[str, Listing]
    ) -> Iterator[tuple[tuple[str, str], MaskName]]:
        """The masks of a photograph that exist, by index and category."""
        if not self.old.ours:
            return
        for folder in here:
            for category, renamed in self.old.categories.items():
                old = _mask(image, category, folder)
                if old in self.old.files.names:
                    yield (folder, renamed), MaskName(old, _mask(new, renamed, folder))

    def _voters(self, here: Iterable[str]) -> Iterator[str]:
        """Folders of those who decide together: every person once, by the first session."""
        if len(self.old.annotators) < 2:
            return
        asked = [
            one
            for one in self.old.annotators
            if one.folder in here and one.folder not in self.without_voice
        ]
        for place in first_sessions((one.name, one.session) for one in asked):
            yield asked[place].folder

    def tell_left_behind(self, tasks: Mapping[str, PictureTask]) -> None:
        """Count the files below images/ that nothing in the new set came from."""
        used = {task.old for task in tasks.values()}
        for task in tasks.values():
            used.update(mask.old for mask in task.masks.values())
            used.update(
                entry.old
                for cells in task.cells.values()
                for entries in cells.values()
                for entry in entries
            )
        for name in self.old.files.names - used:
            code = "LAY015" if ".partial-" in name else "LAY011"
            self.ledger.changed(code, "files that nothing names left behind")


def _map_name(new: str, category: str, plane: int | None, folder: str) -> str:
    path = PurePosixPath(new)
    directory = folder.split("/")[1] if folder else None
    return names.label_map(str(path.parent), path.stem, category, plane=plane, directory=directory)


def _mask(image: str, category: str, folder: str) -> str:
    source, _, last = image.rpartition("/")
    stem = last.rpartition(".")[0]
    if not folder:
        return names.undecided_mask(source, stem, category)
    return names.ignore_mask(source, stem, category, folder.split("/")[1])
