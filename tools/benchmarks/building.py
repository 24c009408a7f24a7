"""Building and validating a set against decoding and encoding its files, which nobody can avoid."""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from benchmarks.measuring import Options, Rounds, Table, per_image, take_turns
from PIL import Image


def find_source(options: Options, home: Path) -> Path:
    """The COCO file that was named, or that of the demo's own world."""
    if options.source is not None:
        return options.source
    from world import write_world

    write_world(home / "world", seed=0, n_train=1, n_test=200)
    return home / "world" / "annotations" / "ada.json"


def build(source: Path, out: Path) -> Path:
    """A set from one file."""
    from conceptset.build import BuildOptions, build_set

    build_set([source], out, BuildOptions(overwrite=True))
    return out


def measure_build(options: Options) -> list[Table]:
    """A build against decoding, resizing and encoding the same photographs and maps."""
    from conceptset.io.tables import read_table
    from conceptset.layout.reading import open_concept_set

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        source = find_source(options, home)
        built = build(source, home / "set")
        opened = open_concept_set(built)
        origins = dict(read_table(built / "images.csv").records())
        originals = {row["image"]: row["original"] for row in origins.values()}
        roots = [source.parent / "images", source.parent, source.parent.parent / "images"]
        root = next(r for r in roots if (r / next(iter(originals.values()))).is_file())
        maps = {
            entry.image: [
                np.asarray(Image.open(opened.file(name)))
                for cell in entry.cells.values()
                for name in cell.maps
            ]
            for entry in opened.entries
        }

        def bare() -> None:
            for entry in opened.entries:
                with Image.open(root / originals[entry.image]) as image:
                    small = image.convert("RGB").resize(
                        entry.image_size[::-1], Image.Resampling.BILINEAR
                    )
                small.save(io.BytesIO(), "JPEG", quality=95, subsampling=0)
                for labels in maps[entry.image]:
                    Image.fromarray(labels).save(io.BytesIO(), "PNG", compress_level=6)

        places = (home / f"again{place}" for place in itertools.count())

        def ours() -> None:
            build(source, next(places))

        rounds = take_turns({"ours": ours, "bare": bare}, options)
    title = "build / decode + resize + encode"
    return [_table("build", title, rounds, len(opened.entries), options)]


def measure_validate(options: Options) -> list[Table]:
    """A validation against decoding every photograph and map once."""
    from conceptset.validate import validate

    with tempfile.TemporaryDirectory() as folder:
        built = build(find_source(options, Path(folder)), Path(folder) / "set")
        files = sorted((built / "images").rglob("*.*"))

        def bare() -> None:
            for path in files:
                with Image.open(path) as image:
                    np.asarray(image)

        def ours() -> None:
            validate(built, jobs=1)

        works: dict[str, Callable[[], None]] = {"ours": ours, "bare": bare}
        rounds = take_turns(works, options)
    images = sum(path.suffix == ".jpg" for path in files)
    return [_table("validate", "validate / decode of all files", rounds, images, options)]


def _table(name: str, title: str, rounds: Rounds, images: int, options: Options) -> Table:
    columns = [f"ms an image, {options.unit}", "images", "ours", "bare", "ratio"]
    own, bare = (per_image(rounds.median(one), images) for one in ("ours", "bare"))
    return Table(name, columns, [[title, str(images), own, bare, rounds.spread("ours", "bare")]])
