"""Whose drawings are whose: where the files do not say, or spell one person in two ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from conceptset.errors import UsageError, printable
from conceptset.io.tables import read_table
from conceptset.parsing.values import quoted
from conceptset.records import Person


@dataclass(frozen=True, slots=True)
class Called:
    """What an annotation file is called, for `--annotator-from`.

    Attributes:
        stem: Its name without the ending; of the only file in an archive, and of a directory that
            is read as a whole, the archive's or directory's own.
        folder: The folder that holds it; of a directory that is read as a whole its own name.
        keys: What a CSV may call it, most precise first: its path, its name, or a folder, source or
            archive that it is in.
    """

    stem: str
    folder: str
    keys: tuple[str, ...]


NAMELESS = Called("", "", ())


class AnnotatorTable:
    """Who drew the files that do not say: `--annotator-from file | folder | CSV`.

    Raises:
        UsageError: It is none of these, or the CSV contradicts itself.
        SourceError: The CSV cannot be read.
    """

    def __init__(self, rule: str | None) -> None:
        self._rule = rule
        self._table: dict[str, tuple[str, int]] = {}
        self._used: set[str] = set()
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
            file = record["file"].strip().replace("\\", "/").removeprefix("./")
            if self._table.setdefault(file, (name, line))[0] != name:
                raise UsageError(
                    f"names two annotators for {record['file']!r}",
                    path=path,
                    pointer=f"line {line}",
                )

    def person_of(self, called: Called) -> Person | None:
        """The annotator of a file by the rule, None where the rule is silent.

        Raises:
            UsageError: The CSV has no row for the file.
        """
        if self._rule is None:
            return None
        if self._rule in ("file", "folder"):
            return Person.parse(called.stem if self._rule == "file" else called.folder)
        known = [key for key in called.keys if key in self._table]
        self._used.update(known)
        if not known:
            raise UsageError(
                f"--annotator-from {Path(self._rule).name} has no row for {called.keys[0]}",
                hint="Its column file holds the path below the source, the file's name, or a "
                "folder or source around it.",
            )
        name = self._table[known[0]][0]
        return Person.parse(name) if name else None

    def notes(self) -> list[str]:
        """What to tell of rows that no file was looked up by."""
        unused = [(key, line) for key, (_, line) in self._table.items() if key not in self._used]
        if not unused:
            return []
        key, line = unused[0]
        rows = "1 row matches" if len(unused) == 1 else f"{len(unused)} rows match"
        return [
            f"--annotator-from {Path(str(self._rule)).name}: {rows} no file, such as "
            f"{quoted(key)} (line {line})"
        ]


class Aliases:
    """Two spellings of one person: `--alias OLD=NEW`.

    Args:
        names: Old to new; both may name a session (`ada#2`).
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {str(Person.parse(old)): Person.parse(new) for old, new in names.items()}
        self._met: dict[Person, Person] = {}

    def person(self, met: Person) -> Person:
        """Who somebody is, by the name that a file or an option has.

        An alias of the very session comes before one of the name alone, which keeps the session.
        """
        if met not in self._met:
            known = Person.parse(str(met))
            new = self._names.get(str(known))
            if new is None and known.name in self._names:
                new = Person(self._names[known.name].name, known.session)
            self._met[met] = known if new is None else new
        return self._met[met]

    def notes(self) -> list[str]:
        """What to tell of old names that nobody has."""
        met = {Person.parse(str(person)) for person in self._met}
        known = {str(person) for person in met} | {person.name for person in met}
        names = sorted(printable(name) for name in {person.name for person in met} if name)
        others = ", ".join(names[:8]) or "no names"
        return [
            f"--alias {printable(old)}={printable(str(new))}: nobody is called {quoted(old)}; "
            f"there are {others}"
            for old, new in self._names.items()
            if old not in known
        ]
