"""Small concept sets, written from the contract and not by the code that builds real ones."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

IMAGE_SIZE = (8, 12)  # (height, width)
MAP_SIZE = (4, 6)
LETTERS = {".": 0, "c": 1, "d": 2, "h": 3, "s": 4, "b": 5}
NAMES = {1: "cat", 2: "dog", 3: "head", 4: "street", 5: "bus"}
FIXED = ["image", "split", "ih", "iw", "sh", "sw"]
LABEL_COLUMNS = ["number", "name", "category", "frequency", "coverage", "syns"]

CAT = ["cc....", "cc....", "......", "......"]
CAT_DOG = ["cc....", "cc..dd", "....dd", "......"]
DOG = ["......", "......", "......", "ddd..."]
HEAD = ["h.....", "......", "......", "......"]
BUS = ["....bb", "....bb", "......", "......"]


def grid(rows):
    return np.array([[LETTERS[letter] for letter in row] for row in rows])


class SmallSet:
    """Three photographs, the people `ada` and `bob`, and their consensus; change it, then write."""

    def __init__(self, people=("ada", "bob"), *, ours=True):
        self.ours = ours
        self.names = {n: name for n, name in NAMES.items() if ours or name != "bus"}
        self.categories = ["object", "part", "scene"]
        self.people = list(people) if ours else []
        self.files = {}
        self.maps = {}
        self.removed = []
        self.after = []
        self.after_seal = []
        self.manifest_changes = {}
        self.segments = {person: [] for person in self.people}
        self.indexes = {"": [], **{f"annotators/{person}/": [] for person in self.people}}
        self.originals = []
        self.tables = {}
        for number, (stem, split) in enumerate(
            [("a", "train"), ("b", "train"), ("c", "val")], start=1
        ):
            self.photograph(f"cam/{stem}.jpg", number)
            self.originals.append([f"cam/{stem}.jpg", "cam", f"{stem}.png", f"{number:064x}"])
            for folder in self.indexes:
                self.indexes[folder].append(self.row(f"cam/{stem}.jpg", split))
        self.draw("", 0, object=[CAT], part=[HEAD])
        self.draw("", 1, object=[CAT_DOG, DOG])
        self.draw("", 2, scene="4")
        if "ada" in self.people:
            for person in self.people:
                self.draw(f"annotators/{person}/", 0, object=[BUS if person == "bob" else CAT])
                self.draw(f"annotators/{person}/", 1, object=[CAT_DOG])
            self.draw("annotators/ada/", 0, object=[CAT], part=[HEAD])
            self.draw("annotators/ada/", 2, scene="4")
            self.flags("annotators/ada/cam/a_object_ignore.png")
            self.flags("consensus/cam/b_object_undecided.png")
            for person in self.people:
                self.segments[person] = [
                    segment("cam/a.jpg", 0, "cat"),
                    segment("cam/a.jpg", 1, "head", category="part", part_of=0),
                    segment("cam/b.jpg", 0, "dog"),
                ]
        self.count()

    def row(self, image, split):
        sides = dict(zip(("ih", "iw", "sh", "sw"), (*IMAGE_SIZE, *MAP_SIZE), strict=True))
        return {"image": image, "split": split, **sides}

    def photograph(self, name, seed, **save):
        pixels = np.random.default_rng(seed).integers(0, 256, (*IMAGE_SIZE, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", **save)
        self.files[f"images/{name}"] = stream.getvalue()

    def flags(self, name):
        pixels = np.zeros(MAP_SIZE, dtype=np.uint8)
        pixels[3, 5] = 255
        self.files[f"images/{name}"] = png(pixels)

    def draw(self, folder, place, **cells):
        """Give one row of one index its maps (lists of drawings) or labels (text)."""
        row = self.indexes[folder][place]
        stem = row["image"].rpartition(".")[0]
        for category, content in cells.items():
            if isinstance(content, str):
                row[category] = content
                continue
            names = []
            for plane, rows in enumerate(content, start=1):
                ending = "" if len(content) == 1 else f"_{plane}"
                names.append(f"{folder}{stem}_{category}{ending}.png")
                self.maps[names[-1]] = grid(rows)
            row[category] = ";".join(names)

    # figures, by plain loops

    def occurrences(self, folder):
        """{category: {number: {image: [fractions]}}} of an index."""
        found = {category: {} for category in self.categories}
        for row in self.indexes[folder]:
            for category in self.categories:
                for entry in (row.get(category) or "").split(";"):
                    if entry.isdigit():
                        shares = {int(entry): 1.0} if int(entry) else {}
                    elif entry in self.maps:
                        values, counts = np.unique(self.maps[entry], return_counts=True)
                        area = MAP_SIZE[0] * MAP_SIZE[1]
                        pairs = zip(values.tolist(), counts.tolist(), strict=True)
                        shares = {value: count / area for value, count in pairs if value}
                    else:
                        continue
                    for number, share in shares.items():
                        images = found[category].setdefault(number, {})
                        images.setdefault(row["image"], []).append(share)
        return found

    def count(self):
        """Write every table anew from the indexes and maps."""
        self.tables = {}
        everybody = [self.occurrences(folder) for folder in self.indexes]
        for folder in self.indexes:
            own = self.occurrences(folder)
            self._count_index(folder)
            self._count_labels(folder, own, everybody)
        if self.ours:
            self.tables["images.csv"] = [
                ["image", "source", "original", "sha256"],
                *map(list, self.originals),
            ]
            self.tables["annotators.csv"] = [
                ["annotator", "session", "kind", "directory", "images", "segments"],
                *(
                    [person, 1, "person", person, len(self.indexes[f"annotators/{person}/"]),
                     len(self.segments[person])]
                    for person in self.people
                ),
            ]  # fmt: skip

    def _count_index(self, folder):
        header = [*FIXED, *self.categories]
        rows = [[row.get(column, "") for column in header] for row in self.indexes[folder]]
        self.tables[f"{folder}index.csv"] = [header, *rows]

    def _count_labels(self, folder, own, everybody):
        places = 9 if self.ours else 6
        categories = []
        listed = {}
        for category in self.categories:
            frequency = {n: len(images) for n, images in own[category].items()}
            coverage = {
                n: sum(share for shares in images.values() for share in shares)
                for n, images in own[category].items()
            }
            if folder == "":
                for other in everybody:
                    for n, images in other[category].items():
                        if n not in own[category]:
                            frequency[n] = 0
                            coverage[n] = coverage.get(n, 0.0) + sum(map(sum, images.values()))
            listed[category] = frequency
            if not frequency:
                continue
            order = sorted(frequency, key=lambda n: (-frequency[n], n))
            self.tables[f"{folder}c_{category}.csv"] = [
                ["code", "number", "name", "frequency", "coverage"],
                *(
                    [code, n, self.names.get(n, "?"), frequency[n], f"{coverage[n]:.{places}f}"]
                    for code, n in enumerate(order, start=1)
                ),
            ]
            total = sum(frequency.values())
            categories.append([category, min(order), max(order), len(order), total])
        self.tables[f"{folder}category.csv"] = [
            ["name", "first", "last", "count", "frequency"],
            *categories,
        ]
        rows = []
        for number, name in sorted(self.names.items()):
            images = {i for c in self.categories for i in own[c].get(number, {})}
            total = sum(
                share
                for c in self.categories
                for shares in own[c].get(number, {}).values()
                for share in shares
            )
            text = ";".join(
                f"{c}({listed[c][number]})" for c in self.categories if number in listed[c]
            )
            rows.append([number, name, text, len(images), f"{total:.{places}f}", ""])
        self.tables[f"{folder}label.csv"] = [LABEL_COLUMNS, *rows]

    # small changes

    def cell(self, table, line, column):
        rows = self.tables[table]
        return rows[line - 1][rows[0].index(column)]

    def put(self, table, line, column, value):
        """Set the cell of a table by line (the header is line 1) and column."""
        rows = self.tables[table]
        rows[line - 1] = list(rows[line - 1])
        rows[line - 1][rows[0].index(column)] = value

    def put_everywhere(self, table, line, column, value):
        for folder in self.indexes:
            self.put(f"{folder}{table}", line, column, value)

    # writing

    def write(self, root: Path) -> Path:
        """The set on disk; sealed last, so that only what follows in `after_seal` breaks a seal."""
        for name, rows in self.tables.items():
            save(root / name, table_bytes(rows))
        for name, labels in self.maps.items():
            save(root / "images" / name, png(label_pixels(labels)))
        for person, lines in self.segments.items():
            text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n"
                           for line in lines)  # fmt: skip
            save(root / f"annotators/{person}/segments.jsonl", text.encode())
        for name, data in self.files.items():
            save(root / name, data)
        for name in self.removed:
            (root / name).unlink()
        for change in self.after:
            change(root)
        if self.ours:
            save(root / "conceptset.json", json.dumps(self.manifest(root)).encode())
        for change in self.after_seal:
            change(root)
        return root

    def manifest(self, root):
        tables = [*self.tables, *(f"annotators/{p}/segments.jsonl" for p in self.people)]
        photographs, maps = {}, {}
        for path in sorted((root / "images").rglob("*")):
            if path.is_file() and ".partial-" not in path.name:
                name = path.relative_to(root / "images").as_posix()
                group = photographs if name.endswith(".jpg") else maps
                group[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        images = {row[0] for name, rows in self.tables.items() if name.endswith("index.csv")
                  for row in rows[1:]}  # fmt: skip
        counts = {
            "images": len(images),
            "labels": len(self.tables["label.csv"]) - 1,
            "categories": len(self.tables["category.csv"]) - 1,
            "annotators": len(self.tables["annotators.csv"]) - 1,
            "segments": sum(map(len, self.segments.values())),
            "undecided": 0.0,
            "left_out": {},
        }
        digests = {
            "tables": {
                name: hashlib.sha256((root / name).read_bytes()).hexdigest()
                for name in tables
                if (root / name).is_file()
            },
            "maps": sealed(maps),
            "photographs": sealed(photographs),
        }
        document = {
            "schema_version": 1,
            "generator": "a test",
            "sources": [],
            "settings": {"consensus": "majority"},
            "counts": counts,
            "digests": digests,
        }
        for path, value in self.manifest_changes.items():
            place = document
            *above, last = path.split("/")
            for key in above:
                place = place[key]
            place[last] = value
        return document


def segment(image, order, concept, *, category="object", part_of=None):
    return {
        "image": image,
        "order": order,
        "kind": "region",
        "concept": concept,
        "category": category,
        "name": concept,
        "size": [2, 3],
        "counts": "123",  # runs of 1, 2 and 3 pixels
        "part_of": part_of,
        "source": {"file": "a.json", "pointer": "/0"},
    }


def label_pixels(labels):
    pixels = np.zeros((*labels.shape, 3), dtype=np.uint8)
    pixels[..., 0] = labels % 256
    pixels[..., 1] = labels // 256
    return pixels


def png(pixels, **save):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **save)
    return stream.getvalue()


def deep_png(labels):
    """An RGB PNG of 16 bits a channel, which Pillow cannot write."""
    height, width = labels.shape
    raw = b"".join(
        b"\0" + b"".join(struct.pack(">HHH", int(value) * 257, 0, 0) for value in row)
        for row in labels
    )
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))]
    parts += [(b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def table_bytes(rows, end="\n"):
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end).writerows(rows)
    return stream.getvalue().encode()


def sealed(digests):
    lines = sorted(f"{digest}  {path}\n" for path, digest in digests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def save(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
